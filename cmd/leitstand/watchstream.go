package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
)

// zipped reads every log in a zip file. What one of them cannot give is
// counted; only a file that gives nothing at all is an error.
func (f *fileRun) zipped(j job) (err error) {
	z, err := zip.OpenReader(j.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	f.left = maxUnpacked
	var failed error
	for _, entry := range z.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		if !isLog(entry.Name) {
			f.stats.skipped++
			continue
		}
		f.name = j.name + "/" + entry.Name
		if err := f.entry(entry); err != nil {
			if f.w.app.ctx.Err() != nil {
				return err
			}
			fmt.Fprintf(f.errs, "leitstand: %s: %v\n", plain(f.name), err)
			f.stats.damaged++
			failed = errors.New("none of the logs in it can be read")
		}
	}
	f.name = j.name
	if f.stats.events > 0 {
		return nil
	}
	return failed
}

func (f *fileRun) entry(entry *zip.File) (err error) {
	r, err := entry.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f.stats.files++
	return f.stream(&countingReader{r: r, n: &f.stats.bytes, left: &f.left}, entry.Modified, 1)
}

// countingReader counts, and stops what unpacks without end.
type countingReader struct {
	r    io.Reader
	n    *int64
	left *int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	if *c.left <= 0 {
		return 0, fmt.Errorf("unpacks to more than %d bytes", int64(maxUnpacked))
	}
	n, err := c.r.Read(p[:min(int64(len(p)), *c.left)])
	*c.n += int64(n)
	*c.left -= int64(n)
	return n, err
}

// stream reads what comes without an index: JSON objects, text lines, an EVTX
// file, or one of these packed.
func (f *fileRun) stream(src io.Reader, modified time.Time, packed int) error {
	b := bufio.NewReaderSize(src, 256<<10)
	head, err := b.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return err
	}
	unpacked, close, err := unpack(b, head)
	if err != nil {
		return err
	}
	if unpacked != nil {
		defer close()
		if packed++; packed > maxPacked {
			return fmt.Errorf("packed more than %d times", maxPacked)
		}
		return f.stream(&countingReader{r: unpacked, n: &f.stats.bytes, left: &f.left}, modified, packed)
	}
	switch {
	case bytes.HasPrefix(head, []byte("ElfFile\x00")):
		return f.heldEvents(b)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return errors.New("a zip inside: unpack it first")
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")): // what PowerShell writes
		b = bufio.NewReaderSize(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(b), 64<<10)
	case binary(head):
		return errors.New("neither EVTX, JSON nor text")
	}
	if c := firstText(b); c == '{' || c == '[' {
		return f.objects(b)
	}
	return f.lines(b, modified)
}

// sniffed is how much of a file says what it is.
const sniffed = 4096

// binary: text has no zero bytes and hardly any control characters. Some are
// forgiven, since a machine that lost power may leave a few in a log.
func binary(head []byte) bool {
	odd := 0
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != 0x1b {
			odd++
		}
	}
	return odd > len(head)/20
}

// unpack returns what a packed stream holds, nil when it is not packed.
func unpack(b *bufio.Reader, head []byte) (io.Reader, func(), error) {
	nothing := func() {}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		return z, nothing, err
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(b), nothing, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return nil, nothing, nil
}

const maxWindow = 128 << 20 // that a packed file may ask for

// heldEvents reads an event log that comes as a stream.
func (f *fileRun) heldEvents(b io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(b, maxHeld+1))
	if err != nil && len(data) == 0 {
		return err
	}
	if len(data) > maxHeld {
		return fmt.Errorf("a packed event log larger than %d bytes: unpack it first", maxHeld)
	}
	return errors.Join(f.events(bytes.NewReader(data), int64(len(data))), err) // what came before a damaged place counts
}
