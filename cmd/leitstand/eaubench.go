package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"leitstand/pure/eau"
)

type eauBenchCmd struct {
	JSON   bool          `help:"Print one JSON object." name:"json"`
	Length time.Duration `help:"How long to measure." default:"3s" name:"for"`
	Dir    string        `arg:"" help:"Directory with sick notes; distinct valid ones are measured."`
}

// benchResult is what is measured; times are medians over alternating rounds.
type benchResult struct {
	Bundles  int     `json:"bundles"`
	PerCore  float64 `json:"bundles_per_second_per_core"`
	Ratio    float64 `json:"ratio_to_tokenise"`
	Allocs   float64 `json:"allocs_per_bundle"`
	MeanSize int     `json:"mean_bytes"`
}

// Run measures on one core: each round tokenises all documents with
// encoding/xml and then checks them, so that both see the same machine.
func (c *eauBenchCmd) Run(a *app) error {
	docs, skipped, err := benchDocuments(a, c.Dir)
	if err != nil {
		return &exitError{2, err}
	}
	if len(docs) == 0 {
		return &exitError{2, fmt.Errorf("no valid sick note below %s", c.Dir)}
	}
	if skipped > 0 {
		fmt.Fprintf(a.stderr, "leitstand: %d files left out: not valid, no sick note, or seen before\n", skipped)
	}
	r, err := bench(a, docs, c.Length)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	fmt.Fprintf(a.stdout, "bundles %d\nbundles_per_second_per_core %.0f\nratio_to_tokenise %.3f\nallocs_per_bundle %.1f\n",
		r.Bundles, r.PerCore, r.Ratio, r.Allocs)
	return nil
}

func benchDocuments(a *app, dir string) (docs [][]byte, skipped int, err error) {
	seen := map[[32]byte]bool{}
	err = eachDocument(a, dir, func(_ string, b []byte) error {
		r := eau.Check(b, eau.Options{})
		sum := sha256.Sum256(b)
		if r.Kind != eau.KindEAU || !r.Valid || seen[sum] {
			skipped++
			return nil
		}
		seen[sum] = true
		docs = append(docs, b)
		return nil
	})
	return docs, skipped, err
}

func bench(a *app, docs [][]byte, length time.Duration) (benchResult, error) {
	var checks, tokens []time.Duration
	var allocs, checked uint64
	var before, after runtime.MemStats
	for end := time.Now().Add(length); len(checks) < 5 || time.Now().Before(end); {
		if err := a.ctx.Err(); err != nil {
			return benchResult{}, err
		}
		start := time.Now()
		for _, b := range docs {
			if err := tokenise(b); err != nil {
				return benchResult{}, fmt.Errorf("tokenising: %w", err)
			}
		}
		tokens = append(tokens, time.Since(start))
		runtime.ReadMemStats(&before)
		start = time.Now()
		for _, b := range docs {
			eau.Check(b, eau.Options{})
		}
		checks = append(checks, time.Since(start))
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
		checked += uint64(len(docs))
	}
	check, token := median(checks), median(tokens)
	size := 0
	for _, b := range docs {
		size += len(b)
	}
	return benchResult{
		Bundles: len(docs), PerCore: float64(len(docs)) / check.Seconds(), Ratio: check.Seconds() / token.Seconds(),
		Allocs: float64(allocs) / float64(checked), MeanSize: size / len(docs),
	}, nil
}

// tokenise is the yardstick: the standard library's tokens, without building anything.
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

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
