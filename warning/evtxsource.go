package warning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leitstand/pure/evtx"
	"leitstand/pure/sigma"
)

// evtxSource reads Windows event logs: one file, or all in a directory, also
// those that come later or grow. Damaged ones are read as far as they go.
type evtxSource struct {
	path string
	now  func() time.Time

	file   *os.File // being read
	name   string
	reader *evtx.Reader
	count  int
}

// evtxPosition is how far each file was read.
type evtxPosition struct {
	Files map[string]evtxMark `json:"files"`
}

type evtxMark struct {
	Records int   `json:"n"`
	Size    int64 `json:"size"` // when it was read to its end; else 0
	Changed int64 `json:"changed"`
}

const maxEVTXFiles = 10_000

// Read reads what is new in any of the files.
func (s *evtxSource) Read(ctx context.Context, from Position, limit int, each func(RawEvent)) (Progress, error) {
	pos := evtxPosition{Files: map[string]evtxMark{}}
	if len(from) > 0 {
		if err := json.Unmarshal(from, &pos); err != nil {
			return Progress{}, fmt.Errorf("reading %q: its position: %w", s.path, err)
		}
	}
	names, err := s.names()
	if err != nil {
		return Progress{}, err
	}
	var p Progress
	for _, name := range names {
		if p.Events >= limit || ctx.Err() != nil {
			break
		}
		if err = s.one(ctx, name, pos.Files, limit, &p, each); err != nil {
			break
		}
	}
	to, merr := json.Marshal(pos)
	p.To = to
	return p, errors.Join(err, merr)
}

func (s *evtxSource) names() ([]string, error) {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // not there yet
	}
	if err != nil {
		return nil, fmt.Errorf("reading event logs: %w", err)
	}
	if !info.IsDir() {
		return []string{s.path}, nil
	}
	var names []string
	err = filepath.WalkDir(s.path, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.EqualFold(filepath.Ext(p), ".evtx") {
			names = append(names, p)
		}
		return err
	})
	if len(names) > maxEVTXFiles {
		return nil, fmt.Errorf("reading event logs: %q holds more than %d: name its folders one by one", s.path, maxEVTXFiles)
	}
	return names, err
}

// one reads a file from where it stands.
func (s *evtxSource) one(ctx context.Context, name string, marks map[string]evtxMark, limit int, p *Progress, each func(RawEvent)) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("reading event logs: %w", err)
	}
	m := marks[name]
	if m.Size == info.Size() && m.Changed == info.ModTime().UnixMicro() {
		return nil
	}
	if s.reader == nil || s.name != name || s.count != m.Records || m.Size != 0 {
		if err := s.open(name, info.Size(), m.Records); err != nil {
			return err
		}
	}
	now := s.now()
	for p.Events < limit {
		rec, ok := s.reader.Next()
		if !ok {
			p.Cut += s.reader.Stats().Damaged
			m.Size, m.Changed = info.Size(), info.ModTime().UnixMicro()
			p.Bytes += info.Size()
			marks[name] = m
			return errors.Join(s.reader.Err(), s.Close())
		}
		m.Records++
		s.count++
		p.Events++
		each(RawEvent{Fill: func(ev *sigma.Event) { FillEVTX(ev, rec) }, Received: now})
		if p.Events%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	m.Size, m.Changed = 0, 0
	marks[name] = m
	return nil
}

// open begins a file and passes over the records that are on record.
func (s *evtxSource) open(name string, size int64, skip int) error {
	if err := s.Close(); err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading event logs: %w", err)
	}
	s.file, s.name, s.count = f, name, 0
	s.reader = evtx.NewReader(f, size)
	for s.count < skip {
		if _, ok := s.reader.Next(); !ok {
			break
		}
		s.count++
	}
	return nil
}

// FillEVTX makes the event of a record. One without a channel, from a damaged
// file, is of Windows all the same.
func FillEVTX(ev *sigma.Event, rec *evtx.Record) {
	ev.Reset()
	ev.Time = rec.Created
	if _, ok := rec.Get("Channel"); !ok {
		ev.Sources = append(ev.Sources, sigma.Logsource{Product: "windows"})
	}
	for i := range rec.Fields {
		if f := &rec.Fields[i]; f.Null {
			ev.AddNull(f.Name)
		} else {
			ev.AddBytes(f.Name, f.Text)
		}
	}
}

// Waiting is the size of the files that are not read to their end.
func (s *evtxSource) Waiting(from Position) (int64, error) {
	pos := evtxPosition{}
	if len(from) > 0 {
		if err := json.Unmarshal(from, &pos); err != nil {
			return 0, fmt.Errorf("reading %q: its position: %w", s.path, err)
		}
	}
	names, err := s.names()
	var sum int64
	for _, n := range names {
		info, err := os.Stat(n)
		if m := pos.Files[n]; err == nil && (m.Size != info.Size() || m.Changed != info.ModTime().UnixMicro()) {
			sum += info.Size()
		}
	}
	return sum, err
}

// Forget has nothing to do: the files are not ours.
func (s *evtxSource) Forget(Position) error { return nil }

// Close closes the file being read.
func (s *evtxSource) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file, s.reader = nil, nil
	return err
}
