package evtx

import (
	"encoding/binary"
	"errors"
)

var (
	errShort   = errors.New("data ends too early")
	errDeep    = errors.New("nested too deeply")
	errTooMuch = errors.New("unfolds to more than a record can hold")
)

// cursor reads a part of a chunk. The first read beyond its end sets fail, and
// all further reads give zero: callers check once.
type cursor struct {
	b    []byte
	pos  int
	end  int
	fail bool
}

func (c *cursor) take(n int) int {
	if n < 0 || c.fail || c.end-c.pos < n {
		c.fail = true
		return -1
	}
	at := c.pos
	c.pos += n
	return at
}

func (c *cursor) u8() byte {
	if at := c.take(1); at >= 0 {
		return c.b[at]
	}
	return 0
}

func (c *cursor) u16() int {
	if at := c.take(2); at >= 0 {
		return int(binary.LittleEndian.Uint16(c.b[at:]))
	}
	return 0
}

func (c *cursor) u32() int {
	if at := c.take(4); at >= 0 {
		return int(binary.LittleEndian.Uint32(c.b[at:]))
	}
	return 0
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) bytes(n int) []byte {
	if at := c.take(n); at >= 0 {
		return c.b[at : at+n : at+n]
	}
	return nil
}

// peek returns the next byte without moving; 0 (end of stream) at the end.
func (c *cursor) peek() byte {
	if c.fail || c.pos >= c.end {
		return 0
	}
	return c.b[c.pos]
}
