package web

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/room"
)

// item is one entry of the ledger in words.
type item struct {
	Seq     int64
	At      time.Time
	Actor   string
	Kind    string
	Subject string
	Text    string // what, in words
	Reason  string
	Quiet   bool
	Touched []catalogue.PlacementID // whose rows it wrote

	Corrections []ledger.Correction // what corrects it
	Back        bool                // the clock showed an earlier time than for the entry before
}

// keep is how many of the newest entries the newsroom remembers.
const keep = 500

// newsroom remembers the newest entries in words. Entries never change, so that
// each is read once, however often screens ask.
type newsroom struct {
	mu    sync.Mutex
	last  int64  // newest entry that was read
	items []item // in order, at most keep
}

// follow reads what came since the last time and returns the newest entry's
// number with everything remembered, oldest first.
func (s *server) follow(ctx context.Context) (int64, []item, error) {
	n := s.news
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == 0 {
		head, ok, err := ledger.Newest(ctx, s.room.Store, s.room.Public())
		if err != nil || !ok {
			return 0, nil, err
		}
		n.last = max(0, head.Size-keep)
	}
	for {
		records, err := ledger.Read(ctx, s.room.Store, n.last, keep)
		if err != nil {
			return 0, nil, err
		}
		for _, r := range records {
			n.items = append(n.items, s.item(r))
			n.last = r.Seq
			if c, ok := ledger.AsCorrection(r); ok {
				n.correct(c)
			}
		}
		if len(n.items) > keep {
			n.items = append([]item(nil), n.items[len(n.items)-keep:]...)
		}
		if len(records) < keep {
			return n.last, append([]item(nil), n.items...), nil
		}
	}
}

// correct marks the entry that a correction is about, as far back as is remembered.
func (n *newsroom) correct(c ledger.Correction) {
	for i := range n.items {
		if n.items[i].Seq == c.Of {
			n.items[i].Corrections = append(slices.Clip(n.items[i].Corrections), c) // never in place: screens hold copies
		}
	}
}

// item puts an entry into words.
func (s *server) item(r ledger.Record) item {
	k, known := kinds()[r.Kind]
	if !known {
		k.word = r.Kind
	}
	it := item{Seq: r.Seq, At: r.At, Actor: r.Actor, Kind: r.Kind, Subject: r.Subject, Text: k.word, Reason: r.Reason, Quiet: k.quiet}
	for _, row := range r.Rows {
		if row.Table == "placement" {
			it.Touched = append(it.Touched, catalogue.PlacementID(row.Key))
		}
	}
	if d := s.detail(r); d != "" {
		it.Text += ": " + d
	}
	return it
}

// rowFields are what rows of different tables may hold that names them.
type rowFields struct {
	Title    string          `json:"title"`
	Summary  string          `json:"summary"`
	Grade    string          `json:"grade"`
	Corrects string          `json:"corrects"`
	Rule     string          `json:"rule"`
	Scope    json.RawMessage `json:"scope"`
	Name     string          `json:"name"`
}

// detail says what an entry is about, as far as the entry itself knows.
func (s *server) detail(r ledger.Record) string {
	if c, ok := ledger.AsCorrection(r); ok {
		return fmt.Sprintf("Nr. %d, richtig ist: %s", c.Of, c.Right)
	}
	var f rowFields
	counts := map[string]int{}
	for _, row := range r.Rows {
		counts[row.Table]++
		if row.Table == "consent" || row.Table == "incident" || row.Table == "measure" || row.Table == "fact" || row.Table == "signal" || row.Table == "clearance" || row.Table == "person" {
			_ = json.Unmarshal(row.Value, &f) // an entry without these fields has no detail
		}
	}
	switch {
	case r.Kind == "clock.jumped":
		var j room.ClockJump
		_ = json.Unmarshal(r.Data, &j) // the room wrote it
		return s.jumpWords(j)
	case r.Kind == "fact.noted" && f.Corrects != "":
		return "Korrektur eines früheren Fakts"
	case r.Kind == "list.published":
		var d struct{ Entries, Changes int }
		_ = json.Unmarshal(r.Data, &d)
		return fmt.Sprintf("Fassung %s, %d Einträge, %d Änderungen", r.Subject, d.Entries, d.Changes)
	case f.Title != "":
		return f.Title
	case f.Summary != "":
		return s.summaryText(f.Summary)
	case f.Rule != "":
		return f.Rule
	case len(f.Scope) > 0:
		var sc struct{ Kind, ID string }
		_ = json.Unmarshal(f.Scope, &sc)
		return s.nodeName(sc.ID)
	case f.Name != "":
		return f.Name
	}
	return s.countDetail(counts)
}

func (s *server) countDetail(counts map[string]int) string {
	var out []string
	if n := counts["placement"]; n > 0 {
		out = append(out, catalogue.Counted(n, "1 Stelle", "%s Stellen"))
	}
	if n := counts["component_state"]; n > 0 {
		out = append(out, catalogue.Counted(n, "1 Komponente", "%s Komponenten"))
	}
	return strings.Join(out, ", ")
}
