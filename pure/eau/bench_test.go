package eau_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"time"

	"leitstand/pure/eau"
)

// distinctValid are the distinct valid 1.2.1 bundles of the corpus, or our own
// where there is none.
func distinctValid(tb testing.TB) [][]byte {
	tb.Helper()
	var out [][]byte
	seen := map[[32]byte]bool{}
	add := func(_ string, b []byte) {
		if sum := sha256.Sum256(b); !seen[sum] {
			seen[sum] = true
			out = append(out, b)
		}
	}
	if !hasCorpus() {
		b, err := eau.Write(eau.SampleCertificate())
		if err != nil {
			tb.Fatal(err)
		}
		return [][]byte{b}
	}
	walkCorpus(tb, "1.2.1/bundles/valid", add)
	return out
}

func tokenise(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.RawToken(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	docs := distinctValid(b)
	size := 0
	for _, d := range docs {
		size += len(d)
	}
	b.SetBytes(int64(size / len(docs)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if r := eau.Check(docs[i%len(docs)], eau.Options{}); !r.Valid {
			b.Fatal(r.Findings)
		}
		i++
	}
}

func BenchmarkRead(b *testing.B) {
	docs := distinctValid(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := eau.Read(docs[i%len(docs)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkTokenise(b *testing.B) {
	docs := distinctValid(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := tokenise(docs[i%len(docs)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkWrite(b *testing.B) {
	b.ReportAllocs()
	c := eau.SampleCertificate()
	for b.Loop() {
		if _, err := eau.Write(c); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCheckingAllocatesLittle(t *testing.T) {
	docs := distinctValid(t)
	for _, d := range docs {
		eau.Check(d, eau.Options{})
	}
	i := 0
	n := testing.AllocsPerRun(len(docs)*4, func() {
		eau.Check(docs[i%len(docs)], eau.Options{})
		i++
	})
	if n > 300 {
		t.Errorf("checking a bundle allocates %.0f times, at most 300 are allowed", n)
	}
	t.Logf("%.0f allocations a bundle over %d bundles", n, len(docs))
}

// BenchmarkRatio measures both in turn, document by document, so that a busy
// machine slows both alike. "ratio" is the time of Check in that of the tokens.
func BenchmarkRatio(b *testing.B) {
	docs := distinctValid(b)
	var tokens, checks time.Duration
	i := 0
	for b.Loop() {
		d := docs[i%len(docs)]
		start := time.Now()
		if err := tokenise(d); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		eau.Check(d, eau.Options{})
		tokens, checks = tokens+middle.Sub(start), checks+time.Since(middle)
		i++
	}
	b.ReportMetric(checks.Seconds()/tokens.Seconds(), "ratio")
}
