package warning

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// maxLine bounds one log line; what is longer is cut and counted.
	maxLine = 64 << 10
	// printed is how much of a file's beginning it is known by.
	printed = 256
	// maxSiblings bounds the search for a rotated file.
	maxSiblings = 200
	// settled is how long a rotated file is quiet before its end is its end.
	settled = 10 * time.Second
)

// fileSource follows a text file across rotation. A file is known by how it
// begins, not by its name: what was rotated away is read to its end first.
type fileSource struct {
	path string
	now  func() time.Time
}

// filePosition is a place in a file.
type filePosition struct {
	Offset int64  `json:"offset"`
	Begins string `json:"begins,omitempty"` // hash of the first Known bytes
	Known  int    `json:"known,omitempty"`
	Skip   bool   `json:"skip,omitempty"` // inside a line that was cut
}

func newFileSource(path string, now func() time.Time) (*fileSource, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("following %q: %w", path, err)
	}
	return &fileSource{path: abs, now: now}, nil
}

// Read follows the file, and before it what is left of the one it replaced.
func (s *fileSource) Read(ctx context.Context, from Position, limit int, each func(RawEvent)) (Progress, error) {
	var pos filePosition
	if len(from) > 0 {
		if err := json.Unmarshal(from, &pos); err != nil {
			return Progress{}, fmt.Errorf("following %q: its position cannot be read: %w", s.path, err)
		}
	}
	var p Progress
	for p.Events < limit {
		again, err := s.readOne(ctx, &pos, limit, &p, each)
		if err != nil {
			return p, fmt.Errorf("following %q: %w", s.path, err)
		}
		if !again {
			break
		}
	}
	to, err := json.Marshal(pos)
	p.To = to
	return p, err
}

// readOne reads the file that pos is in; again: it is at its end, and another follows.
func (s *fileSource) readOne(ctx context.Context, pos *filePosition, limit int, p *Progress, each func(RawEvent)) (again bool, err error) {
	f, rotated, err := s.open(*pos)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil // not written yet, or just being rotated
	case err != nil:
		return false, err
	case f == nil: // what pos was in is gone
		p.Gaps++
		*pos = filePosition{}
		return true, nil
	}
	defer func() { _ = f.Close() }() // only read
	if err := s.lines(ctx, f, pos, limit, p, each); err != nil || p.Events >= limit || !rotated {
		return false, err
	}
	if !s.ended(f) {
		return false, nil
	}
	*pos = filePosition{}
	return true, nil
}

// open finds the file that pos is in: the one followed, else a rotated one
// beside it. Nil without an error: it is nowhere.
func (s *fileSource) open(pos filePosition) (f *os.File, rotated bool, err error) {
	f, err = os.Open(s.path)
	if err == nil {
		ok, err := begins(f, pos)
		if ok || err != nil {
			return f, false, err
		}
		_ = f.Close() // only read
	} else if !errors.Is(err, fs.ErrNotExist) || pos.Offset == 0 {
		return nil, false, err
	}
	missing := err
	siblings, err := filepath.Glob(globEscape(s.path) + "?*")
	if err != nil {
		return nil, false, err
	}
	for _, name := range siblings[:min(len(siblings), maxSiblings)] {
		f, err := os.Open(name)
		if err != nil {
			continue // somebody else's, or gone again
		}
		if ok, err := begins(f, pos); ok && err == nil && pos.Known > 0 {
			return f, true, nil
		}
		_ = f.Close() // only read
	}
	return nil, false, missing
}

func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// begins says whether the file is the one that pos is in.
func begins(f *os.File, pos filePosition) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, errors.New("is no regular file")
	}
	if info.Size() < pos.Offset {
		return false, nil
	}
	if pos.Known == 0 {
		return true, nil
	}
	sum, err := beginning(f, pos.Known)
	return sum == pos.Begins, err
}

func beginning(f io.ReaderAt, n int) (string, error) {
	buf := make([]byte, min(n, printed))
	if _, err := f.ReadAt(buf, 0); err != nil {
		return "", err
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:8]), nil
}

// ended: a rotated file gets no more lines. Its writer may hold it open for a
// while, until the new file begins.
func (s *fileSource) ended(f *os.File) bool {
	if info, err := os.Stat(s.path); err == nil && info.Size() > 0 {
		return true
	}
	info, err := f.Stat()
	return err != nil || s.now().Sub(info.ModTime()) > settled
}

// lines reads whole lines from pos on; half a line comes again when it is whole.
func (s *fileSource) lines(ctx context.Context, f *os.File, pos *filePosition, limit int, p *Progress, each func(RawEvent)) error {
	if _, err := f.Seek(pos.Offset, io.SeekStart); err != nil {
		return err
	}
	start := pos.Offset
	r := bufio.NewReaderSize(f, maxLine)
	now := s.now()
	for p.Events < limit && ctx.Err() == nil {
		text, err := r.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full && !errors.Is(err, io.EOF) {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		pos.Offset += int64(len(text))
		if full && !pos.Skip {
			p.Cut++
		}
		if line := bytes.TrimRight(text, "\r\n"); !pos.Skip && len(line) > 0 {
			p.Events++
			each(RawEvent{Line: line, Received: now})
		}
		pos.Skip = full
	}
	p.Bytes += pos.Offset - start
	if pos.Offset > 0 && pos.Known < printed {
		pos.Known = int(min(pos.Offset, printed))
		sum, err := beginning(f, pos.Known)
		pos.Begins = sum
		return err
	}
	return ctx.Err()
}

// Waiting is what lies behind the position in the file followed.
func (s *fileSource) Waiting(from Position) (int64, error) {
	var pos filePosition
	if len(from) > 0 {
		if err := json.Unmarshal(from, &pos); err != nil {
			return 0, fmt.Errorf("following %q: its position cannot be read: %w", s.path, err)
		}
	}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("following %q: %w", s.path, err)
	}
	return max(0, info.Size()-pos.Offset), nil
}

// Forget has nothing to do: the file is not ours.
func (s *fileSource) Forget(Position) error { return nil }

// Close has nothing to do: the file is open only while it is read.
func (s *fileSource) Close() error { return nil }
