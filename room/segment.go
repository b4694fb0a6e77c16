package room

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"

	"leitstand/base/db"
)

// A segment holds pages of one store that changed since the segment before, or
// all of them: magic (4) | page size (4) | pages of the store (8), then number
// (4) | content per page, then a zero number. Numbers are big-endian. That it is
// whole is said by its hash in copy.json, and by age when it is sealed.
const (
	segmentMagic  = "LCS\x01"
	segmentHeader = 4 + 4 + 8
	maxPageSize   = 64 << 10 // of SQLite
)

// pageSum tells pages apart; 16 bytes of SHA-256.
type pageSum [16]byte

// pageSums are the pages of a store as the newest segment left them.
type pageSums struct {
	size int
	sums []pageSum
}

// writeSegment writes the pages of a store that differ from old, all of them when
// old is nil. It returns no name when nothing differs.
func writeSegment(ctx context.Context, d *db.DB, file string, old *pageSums, to []age.Recipient) (BackupFile, *pageSums, error) {
	f, err := createDurable(file, to)
	if err != nil {
		return BackupFile{}, nil, err
	}
	s := &segmentWriter{w: bufio.NewWriterSize(f, 256<<10), old: old, now: &pageSums{}}
	if err := d.Pages(ctx, s.begin, s.page); err != nil {
		return BackupFile{}, nil, errors.Join(err, f.abort())
	}
	if old != nil && s.changed == 0 && len(old.sums) == len(s.now.sums) {
		return BackupFile{}, s.now, f.abort()
	}
	if err := s.end(); err != nil {
		return BackupFile{}, nil, errors.Join(err, f.abort())
	}
	out, err := f.finish()
	return out, s.now, err
}

type segmentWriter struct {
	w       *bufio.Writer
	old     *pageSums
	now     *pageSums
	changed int
}

func (s *segmentWriter) begin(size int, pages int64) error {
	if s.old != nil && s.old.size != size {
		s.old = nil
	}
	s.now.size, s.now.sums = size, make([]pageSum, 0, pages)
	h := append(make([]byte, 0, segmentHeader), segmentMagic...)
	h = binary.BigEndian.AppendUint32(h, uint32(size))
	h = binary.BigEndian.AppendUint64(h, uint64(pages))
	_, err := s.w.Write(h)
	return err
}

func (s *segmentWriter) page(number int64, content []byte) error {
	full := sha256.Sum256(content)
	sum := pageSum(full[:16])
	s.now.sums = append(s.now.sums, sum)
	if s.old != nil && number <= int64(len(s.old.sums)) && s.old.sums[number-1] == sum {
		return nil
	}
	s.changed++
	if err := binary.Write(s.w, binary.BigEndian, uint32(number)); err != nil {
		return err
	}
	_, err := s.w.Write(content)
	return err
}

func (s *segmentWriter) end() error {
	if err := binary.Write(s.w, binary.BigEndian, uint32(0)); err != nil {
		return err
	}
	return s.w.Flush()
}

// ErrSegment says that a segment is not what was written.
var ErrSegment = errors.New("a part of the copy is missing or damaged")

// applySegment writes the pages of a segment into the file of a store.
func applySegment(dir string, want BackupFile, out *os.File, ids []age.Identity) error {
	if filepath.Base(want.Name) != want.Name {
		return fmt.Errorf("part %q: %w", want.Name, ErrSegment)
	}
	file := filepath.Join(dir, want.Name)
	if got, err := hashFile(file); err != nil || got.SHA256 != want.SHA256 {
		return fmt.Errorf("part %q: %w", want.Name, errors.Join(ErrSegment, err))
	}
	plain, done, err := openSealed(file, ids)
	if err != nil {
		return err
	}
	defer func() { _ = done() }() // only read
	r := bufio.NewReaderSize(plain, 256<<10)
	var h [segmentHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil || string(h[:4]) != segmentMagic {
		return fmt.Errorf("part %q: %w", want.Name, errors.Join(ErrSegment, err))
	}
	size, pages := int64(binary.BigEndian.Uint32(h[4:])), int64(binary.BigEndian.Uint64(h[8:]))
	if size < 512 || size > maxPageSize || pages < 0 || pages > 1<<32 {
		return fmt.Errorf("part %q: pages of %d bytes: %w", want.Name, size, ErrSegment)
	}
	if err := applyPages(r, out, size, pages); err != nil {
		return fmt.Errorf("part %q: %w", want.Name, err)
	}
	return out.Truncate(size * pages)
}

func applyPages(r io.Reader, out *os.File, size, pages int64) error {
	page := make([]byte, size)
	for {
		var number uint32
		if err := binary.Read(r, binary.BigEndian, &number); err != nil {
			return errors.Join(ErrSegment, err)
		}
		if number == 0 {
			return nil
		}
		if int64(number) > pages {
			return fmt.Errorf("page %d of %d: %w", number, pages, ErrSegment)
		}
		if _, err := io.ReadFull(r, page); err != nil {
			return errors.Join(ErrSegment, err)
		}
		if _, err := out.WriteAt(page, size*int64(number-1)); err != nil {
			return err
		}
	}
}
