package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A spool file is frames without gaps. Each is
//
//	magic (4) | kind (1) | zero (3) | payload length (4) | group (8) | chain (32) | payload | checksum (32)
//
// all numbers big-endian. Group is where in the file the first frame of the
// commit lies that this frame was written in: a later group proves that the
// earlier ones were on the disk. Chain is the checksum of the frame before, so
// that nothing can be taken out or put in between. Checksum is SHA-256 of
// everything before it.
const (
	frameMagic  = "LSp1"
	frameHead   = 4 + 4 + 4 + 8 + sha256.Size
	frameTail   = sha256.Size
	maxPayload  = 96 << 20
	spoolSuffix = ".spool"
)

// frameKind says what a frame tells.
type frameKind byte

const (
	frameBegin frameKind = iota + 1 // the first: whose file it is
	frameKept                       // a request was accepted
	frameDone                       // what became of it
)

// frame is one record of a spool file.
type frame struct {
	kind    frameKind
	group   int64
	payload []byte
	at      int64 // offset in the file
	sum     [sha256.Size]byte
}

func (f *frame) size() int64 { return int64(frameHead + len(f.payload) + frameTail) }

// appendFrame writes a frame behind dst and gives its checksum, the chain of the next.
func appendFrame(dst []byte, kind frameKind, group int64, chain [sha256.Size]byte, payload []byte) ([]byte, [sha256.Size]byte) {
	from := len(dst)
	dst = append(dst, frameMagic...)
	dst = append(dst, byte(kind), 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint64(dst, uint64(group))
	dst = append(dst, chain[:]...)
	dst = append(dst, payload...)
	sum := sha256.Sum256(dst[from:])
	return append(dst, sum[:]...), sum
}

var errNoFrame = errors.New("no whole frame")

// readFrame reads the frame at the reader; io.EOF only at a clean end.
func readFrame(r io.Reader) (f frame, chain [sha256.Size]byte, err error) {
	head := make([]byte, frameHead)
	switch _, err := io.ReadFull(r, head); {
	case errors.Is(err, io.EOF):
		return f, chain, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return f, chain, errNoFrame
	case err != nil:
		return f, chain, err
	}
	size, ok := f.parse(head, &chain)
	if !ok {
		return f, chain, errNoFrame
	}
	rest := make([]byte, size+frameTail)
	switch _, err := io.ReadFull(r, rest); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return f, chain, errNoFrame
	case err != nil:
		return f, chain, err
	}
	return f, chain, f.fill(head, rest[:size], rest[size:])
}

// parse reads the head of a frame.
func (f *frame) parse(head []byte, chain *[sha256.Size]byte) (size int, ok bool) {
	f.kind = frameKind(head[4])
	n := binary.BigEndian.Uint32(head[8:])
	g := binary.BigEndian.Uint64(head[12:])
	copy(chain[:], head[20:])
	if string(head[:4]) != frameMagic || f.kind < frameBegin || f.kind > frameDone || !bytes.Equal(head[5:8], []byte{0, 0, 0}) ||
		n > maxPayload || g > 1<<62 {
		return 0, false
	}
	f.group = int64(g)
	return int(n), true
}

// fill takes payload and checksum.
func (f *frame) fill(head, payload, sum []byte) error {
	h := sha256.New()
	_, _ = h.Write(head)    // a hash never fails
	_, _ = h.Write(payload) // likewise
	h.Sum(f.sum[:0])
	if !bytes.Equal(f.sum[:], sum) {
		return errNoFrame
	}
	f.payload = payload
	return nil
}

// ErrSpoolDamaged says that what a spool had acknowledged cannot be read any
// more. The file is left as it is for people to look at.
var ErrSpoolDamaged = errors.New("the spool is damaged where it was already safely on disk")

// scanFrames reads all frames of a file and hands each to take. It returns where
// the whole frames end. What follows there is either nothing, or the remains of
// one commit that never finished, of which nobody was told (torn > 0); anything
// else is ErrSpoolDamaged.
func scanFrames(file io.ReaderAt, size int64, take func(frame) error) (end, torn int64, sum [sha256.Size]byte, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(file, 0, size), 1<<20)
	for {
		f, chain, err := readFrame(r)
		switch {
		case errors.Is(err, io.EOF):
			return end, 0, sum, nil
		case err == nil && chain != sum: // a whole frame that does not belong here: something was taken out
			return end, 0, sum, fmt.Errorf("%w: byte %d of %d does not follow what stands before it", ErrSpoolDamaged, end, size)
		case errors.Is(err, errNoFrame):
			later, err := laterGroup(file, end, size)
			if err != nil {
				return end, 0, sum, err
			}
			if later {
				return end, 0, sum, fmt.Errorf("%w: byte %d of %d", ErrSpoolDamaged, end, size)
			}
			return end, size - end, sum, nil
		case err != nil:
			return end, 0, sum, fmt.Errorf("reading the spool at byte %d: %w", end, err)
		}
		f.at = end
		if err := take(f); err != nil {
			return end, 0, sum, err
		}
		end, sum = end+f.size(), f.sum
	}
}

// laterGroup looks behind a damage for a frame of a commit that began after it:
// then the damaged place was on disk, and acknowledged, before.
func laterGroup(file io.ReaderAt, damage, size int64) (bool, error) {
	const window = 1 << 20
	buf := make([]byte, window)
	for from := damage + 1; from < size; from += window - int64(len(frameMagic)) + 1 {
		n, err := file.ReadAt(buf, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("reading the spool at byte %d: %w", from, err)
		}
		for at := 0; ; {
			i := bytes.Index(buf[at:n], []byte(frameMagic))
			if i < 0 {
				break
			}
			pos := from + int64(at+i)
			f, _, err := readFrame(io.NewSectionReader(file, pos, size-pos))
			if err == nil && f.group > damage && f.group <= pos {
				return true, nil
			}
			at += i + 1
		}
	}
	return false, nil
}
