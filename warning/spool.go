package warning

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// spool is the queue of what others send: bounded, on disk, read in order. What
// was taken in survives the end of the process; Sync makes it survive the end of
// the power as well. Segments that were read are deleted.
//
// A record is length, checksum and time of receipt, then the event.
type spool struct {
	dir   string
	limit int64
	part  int64 // size of a segment
	now   func() time.Time

	mu    sync.Mutex
	first int64 // number of the oldest segment
	last  int64 // of the one being written
	sizes map[int64]int64
	total int64
	f     *os.File
}

// ErrFull says that a queue takes nothing more until something was read.
var ErrFull = errors.New("the queue of the source is full")

const (
	segmentBytes = 8 << 20
	recordHead   = 4 + 4 + 8
	// defaultQueue is how much a source may have waiting, in bytes.
	defaultQueue = 512 << 20
)

// spoolPosition is a place in a spool.
type spoolPosition struct {
	Segment int64 `json:"segment"`
	Offset  int64 `json:"offset"`
}

func openSpool(dir string, limit int64, now func() time.Time) (*spool, error) {
	if limit <= 0 {
		limit = defaultQueue
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	s := &spool{dir: dir, limit: limit, part: min(segmentBytes, limit/4), now: now, sizes: map[int64]int64{}, first: -1}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	for _, e := range entries {
		n, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".q"), 10, 64)
		info, ierr := e.Info()
		if err != nil || ierr != nil || !strings.HasSuffix(e.Name(), ".q") {
			continue
		}
		s.sizes[n] = info.Size()
		s.total += info.Size()
		s.last = max(s.last, n)
		if s.first < 0 || n < s.first {
			s.first = n
		}
	}
	s.last++ // never behind a record that a crash cut short
	if s.first < 0 {
		s.first = s.last
	}
	return s, s.open()
}

func (s *spool) name(n int64) string { return filepath.Join(s.dir, fmt.Sprintf("%012d.q", n)) }

func (s *spool) open() (err error) {
	s.f, err = os.OpenFile(s.name(s.last), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the queue: %w", err)
	}
	s.sizes[s.last] = 0
	return nil
}

// Append takes all events in, or none: then the error is [ErrFull], or what the
// disk says.
func (s *spool) Append(events ...[]byte) error {
	var b []byte
	at := s.now().UnixMicro()
	for _, e := range events {
		var head [recordHead]byte
		binary.LittleEndian.PutUint32(head[0:], uint32(len(e)))
		binary.LittleEndian.PutUint64(head[8:], uint64(at))
		sum := crc32.Update(crc32.ChecksumIEEE(head[8:]), crc32.IEEETable, e)
		binary.LittleEndian.PutUint32(head[4:], sum)
		b = append(append(b, head[:]...), e...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return fmt.Errorf("writing to the queue: %w", fs.ErrClosed)
	}
	if s.total+int64(len(b)) > s.limit {
		return ErrFull
	}
	if s.sizes[s.last] > 0 && s.sizes[s.last]+int64(len(b)) > s.part {
		if err := s.f.Close(); err != nil {
			return fmt.Errorf("writing to the queue: %w", err)
		}
		s.last++
		if err := s.open(); err != nil {
			return err
		}
	}
	n, err := s.f.Write(b)
	if err != nil { // half a record must not stand before the next
		err = errors.Join(err, s.f.Truncate(s.sizes[s.last]))
		return fmt.Errorf("writing to the queue: %w", err)
	}
	s.sizes[s.last] += int64(n)
	s.total += int64(n)
	return nil
}

// Sync makes what was taken in durable.
func (s *spool) Sync() error {
	s.mu.Lock()
	f := s.f
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	if err := f.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) { // closed: a full segment, its pages are written all the same
		return fmt.Errorf("writing to the queue: %w", err)
	}
	return nil
}

// Read hands over events in the order in which they were taken in.
func (s *spool) Read(ctx context.Context, from Position, limit int, each func(RawEvent)) (Progress, error) {
	pos, err := s.position(from)
	if err != nil {
		return Progress{}, err
	}
	var p Progress
	for p.Events < limit && ctx.Err() == nil {
		s.mu.Lock()
		size, there := s.sizes[pos.Segment]
		first, last := s.first, s.last
		s.mu.Unlock()
		switch {
		case pos.Segment < first:
			pos = spoolPosition{Segment: first}
			continue
		case there && pos.Offset < size:
			if err := s.segment(&pos, size, limit, &p, each); err != nil {
				return p, err
			}
			if pos.Offset < size {
				continue
			}
		}
		if pos.Segment >= last {
			break
		}
		if pos.Offset >= size || !there {
			pos = spoolPosition{Segment: pos.Segment + 1}
		}
	}
	p.To, err = json.Marshal(pos)
	return p, err
}

// segment reads from one segment. What is damaged, or was cut short by the end
// of the process, is counted and passed over with the rest of the segment.
func (s *spool) segment(pos *spoolPosition, size int64, limit int, p *Progress, each func(RawEvent)) error {
	f, err := os.Open(s.name(pos.Segment))
	if err != nil {
		return fmt.Errorf("reading the queue: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	r := bufio.NewReaderSize(io.NewSectionReader(f, pos.Offset, size-pos.Offset), 256<<10)
	var buf []byte
	for p.Events < limit && pos.Offset < size {
		var head [recordHead]byte
		_, err := io.ReadFull(r, head[:])
		n := int64(binary.LittleEndian.Uint32(head[0:]))
		if err == nil && n <= size-pos.Offset-recordHead {
			if int64(cap(buf)) < n {
				buf = make([]byte, n)
			}
			buf = buf[:n]
			_, err = io.ReadFull(r, buf)
		} else if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if err == nil && crc32.Update(crc32.ChecksumIEEE(head[8:]), crc32.IEEETable, buf) != binary.LittleEndian.Uint32(head[4:]) {
			err = errors.New("checksum")
		}
		if err != nil {
			p.Cut++
			p.Bytes += size - pos.Offset
			pos.Offset = size
			return nil // counted
		}
		pos.Offset += recordHead + n
		p.Bytes += n
		p.Events++
		at := time.UnixMicro(int64(binary.LittleEndian.Uint64(head[8:]))).UTC()
		each(RawEvent{Line: buf, Received: at})
	}
	return nil
}

func (s *spool) position(from Position) (spoolPosition, error) {
	var pos spoolPosition
	if len(from) == 0 {
		return pos, nil
	}
	if err := json.Unmarshal(from, &pos); err != nil {
		return pos, fmt.Errorf("reading the queue: its position: %w", err)
	}
	return pos, nil
}

// Waiting is how many bytes are not read.
func (s *spool) Waiting(from Position) (int64, error) {
	pos, err := s.position(from)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum int64
	for n, size := range s.sizes {
		if n > pos.Segment {
			sum += size
		}
		if n == pos.Segment {
			sum += size - pos.Offset
		}
	}
	return sum, nil
}

// Forget deletes segments that lie wholly before the position.
func (s *spool) Forget(before Position) error {
	pos, err := s.position(before)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.first < pos.Segment && s.first < s.last; s.first++ {
		size, ok := s.sizes[s.first]
		if !ok {
			continue
		}
		if err := os.Remove(s.name(s.first)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clearing the queue: %w", err)
		}
		s.total -= size
		delete(s.sizes, s.first)
	}
	return nil
}

// Close ends writing.
func (s *spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return nil
	}
	err := errors.Join(s.f.Sync(), s.f.Close())
	s.f = nil
	return err
}
