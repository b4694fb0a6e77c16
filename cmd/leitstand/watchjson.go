package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// objects reads JSON objects, one a line or spread over lines, also inside a
// list. An object that is none costs itself only.
func (f *fileRun) objects(b *bufio.Reader) error {
	s := &objectReader{b: b, line: 1}
	for n := 0; ; n++ {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && f.bench != nil {
			if err = f.bench.line(s.buf); err == nil {
				continue
			}
		} else if err == nil {
			f.ev.Reset()
			if err = f.ev.DecodeJSON(s.buf); err == nil {
				if err := f.event(strconv.Itoa(line)); err != nil {
					return err
				}
				if n%1024 == 0 && f.w.app.ctx.Err() != nil {
					return f.w.app.ctx.Err()
				}
				continue
			}
		} else if !errors.Is(err, errBadObject) {
			return err
		}
		f.stats.damaged++
		if f.stats.damaged <= 100 {
			fmt.Fprintf(f.errs, "leitstand: %s:%d: %v\n", plain(f.name), line, err)
		}
	}
}

var errBadObject = errors.New("no JSON object")

// objectReader cuts a stream into objects by counting braces outside texts.
type objectReader struct {
	b    *bufio.Reader
	buf  []byte
	line int
}

// next reads one object into buf and returns the line where it begins.
func (s *objectReader) next() (int, error) {
	s.buf = s.buf[:0]
	for {
		c, err := s.byte()
		if err != nil {
			return s.line, err
		}
		switch c {
		case ' ', '\t', '\r', '\n', ',', '[', ']', 0xef, 0xbb, 0xbf:
			continue
		case '{':
			return s.object()
		}
		return s.line, s.skipLine(fmt.Errorf("%w: begins with %q", errBadObject, c))
	}
}

func (s *objectReader) byte() (byte, error) {
	c, err := s.b.ReadByte()
	if c == '\n' && err == nil {
		s.line++
	}
	return c, err
}

// object reads up to the brace that closes the one just read.
func (s *objectReader) object() (int, error) {
	line, depth, text, escape := s.line, 1, false, false
	s.buf = append(s.buf, '{')
	for depth > 0 {
		chunk, err := s.b.Peek(max(s.b.Buffered(), 1))
		if len(chunk) == 0 {
			if errors.Is(err, io.EOF) {
				return line, fmt.Errorf("%w: ends inside an object", errBadObject)
			}
			return line, err
		}
		i := 0
		for i < len(chunk) && depth > 0 {
			c := chunk[i]
			i++
			switch {
			case c == '\n':
				s.line++
				if text { // a text does not go over lines: the object is broken
					s.take(i)
					return line, fmt.Errorf("%w: a text is not closed", errBadObject)
				}
			case escape:
				escape = false
			case text && c == '\\':
				escape = true
			case c == '"':
				text = !text
			case text:
			case c == '{':
				depth++
			case c == '}':
				depth--
			}
		}
		s.buf = append(s.buf, chunk[:i]...)
		s.take(i)
		if len(s.buf) > maxJSONSize {
			return line, s.skipLine(fmt.Errorf("%w: larger than %d bytes", errBadObject, maxJSONSize))
		}
	}
	return line, nil
}

// take consumes what was peeked.
func (s *objectReader) take(n int) {
	_, _ = s.b.Discard(n) // it is in the buffer
}

// skipLine goes on to the next line after a broken object.
func (s *objectReader) skipLine(reason error) error {
	for {
		c, err := s.byte()
		if err != nil {
			return reason // the next call sees the end
		}
		if c == '\n' {
			return reason
		}
	}
}
