package room

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// SharedEntry is an entry of the room's ledger in a share. An entry that names
// another Kasse as well is withheld: its hash proves that it is there and what it
// says when the room shows it to somebody who may see it; the extract is the
// room's word for the part that concerns this Kasse.
type SharedEntry struct {
	Seq     int64          `json:"seq"`
	Body    string         `json:"body,omitempty"`
	Leaf    string         `json:"leaf,omitempty"` // instead of the body
	Extract *ledger.Record `json:"extract,omitempty"`
	Proof   []string       `json:"proof"`
}

// about tells what concerns one Kasse, and what names another one.
type about struct {
	own, others   map[string]bool // IK
	ownName, name *regexp.Regexp  // nil when there is none
	subjects      map[string]bool // of entries that concern the Kasse: consents, measures, signals …
}

var (
	nineDigits = regexp.MustCompile(`[0-9]+`)
	// idSubject is an id that the room made for one thing: what else is said of that thing belongs to it.
	idSubject = regexp.MustCompile(`^[A-Za-z]+-[A-Z0-9]{6,}$`)
)

func newAbout(c *catalogue.Catalogue, kasse catalogue.KasseID) *about {
	a := &about{own: map[string]bool{}, others: map[string]bool{}, subjects: map[string]bool{}}
	var own, others []string
	for _, k := range c.Kassen {
		iks, names := a.others, &others
		if k.ID == kasse {
			iks, names = a.own, &own
		}
		for _, ik := range append([]string{string(k.ID)}, k.OtherIK...) {
			iks[ik] = true
		}
		*names = append(*names, append([]string{k.Name}, k.Former...)...)
	}
	a.ownName, a.name = anyName(own), anyName(others)
	return a
}

// anyName finds one of the names as words of their own.
func anyName(names []string) *regexp.Regexp {
	var parts []string
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			parts = append(parts, regexp.QuoteMeta(n))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return regexp.MustCompile(`(?i)(?:^|[^\pL\pN])(?:` + strings.Join(parts, "|") + `)(?:$|[^\pL\pN])`)
}

func (a *about) has(iks map[string]bool, name *regexp.Regexp, text []byte) bool {
	for _, digits := range nineDigits.FindAll(text, -1) {
		if iks[string(digits)] {
			return true
		}
	}
	return name != nil && name.Match(text)
}

// named says that a text names this Kasse, foreign that it names another.
func (a *about) named(text []byte) bool   { return a.has(a.own, a.ownName, text) }
func (a *about) foreign(text []byte) bool { return a.has(a.others, a.name, text) }

// note takes an entry in, so that others about the same thing are found.
func (a *about) note(rec ledger.Record, body []byte) {
	if a.named(body) && idSubject.MatchString(rec.Subject) {
		a.subjects[rec.Subject] = true
	}
}

func (a *about) concerns(rec ledger.Record, body []byte) bool {
	return a.subjects[rec.Subject] || a.named(body)
}

// extract is the part of an entry that names no other Kasse.
func (a *about) extract(rec ledger.Record) (*ledger.Record, error) {
	out := ledger.Record{Seq: rec.Seq, At: rec.At, Kind: rec.Kind}
	for _, f := range []struct {
		from string
		to   *string
	}{{rec.Actor, &out.Actor}, {rec.Subject, &out.Subject}, {rec.Reason, &out.Reason}} {
		if !a.foreign([]byte(f.from)) {
			*f.to = f.from
		}
	}
	for _, row := range rec.Rows {
		b, err := json.Marshal(row)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", rec.Seq, err)
		}
		if a.named(b) && !a.foreign(b) {
			out.Rows = append(out.Rows, row)
		}
	}
	return &out, nil
}

// roomEntries writes the room's entries about the Kasse with their proofs, on one
// state of the room's store.
func (s *sharer) roomEntries(ctx context.Context, q db.Querier) error {
	head, ok, err := ledger.Newest(ctx, q, s.m.Public)
	if err != nil || !ok {
		return err
	}
	s.m.Head = head.Note
	a := newAbout(s.room.Catalogue, s.m.Kasse)
	if err := ledger.Each(ctx, q, func(rec ledger.Record, body []byte) error { a.note(rec, body); return nil }); err != nil {
		return err
	}
	return s.file(shareRoom, nil, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return ledger.Each(ctx, q, func(rec ledger.Record, body []byte) error {
			if !a.concerns(rec, body) {
				return nil
			}
			e := SharedEntry{Seq: rec.Seq, Body: string(body)}
			s.m.Whole++
			if a.foreign(body) {
				s.m.Whole--
				s.m.Withheld++
				e.Body, e.Leaf = "", ledger.Leaf(string(body))
				if e.Extract, err = a.extract(rec); err != nil {
					return err
				}
			}
			if e.Proof, err = ledger.Prove(ctx, q, head.Size, rec.Seq); err != nil {
				return err
			}
			return enc.Encode(e)
		})
	})
}
