package exercise

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"leitstand/emergency"
	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// CallsConfig lets practices call the Kassen: the plan of what they send and call
// about is made from the same seed, span and number of notes as theirs.
type CallsConfig struct {
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Holidays []string  `json:"holidays,omitempty"`
	Notes    int       `json:"notes,omitempty"` // 0 means 10,000
}

// call is a practice that tells a Kasse by telephone that a sick note ends later
// than it says. The written correction follows by mail, under the same identifier.
type call struct {
	at       time.Time
	note     int
	misheard bool // the clerk enters one day less
}

var changedColumns = []string{"id", "kasse", "time", "until"}

// change is what a clerk entered into a record of the regular system by hand.
type change struct {
	id    string // of the document
	kasse string
	at    time.Time
	until string // the new end, YYYY-MM-DD
}

// endLine starts the line of a version that machines read.
const endLine = "Ende: "

// version is the record as the regular system has it since the change.
func (c *change) version() *emergency.Version {
	body := []byte(fmt.Sprintf("ÜBUNG\nArbeitsunfähigkeitsbescheinigung %s\n%s%s\nGeändert am %s nach Anruf der Praxis\n",
		c.id, endLine, c.until, c.at.Format("02.01.2006, 15:04 Uhr")))
	sum := sha256.Sum256(body)
	return &emergency.Version{At: c.at, Media: "text/plain; charset=utf-8", SHA256: hex.EncodeToString(sum[:]), Body: body}
}

// endOf reads the end out of a version; empty when it has none.
func endOf(version []byte) string {
	for line := range strings.Lines(string(version)) {
		if end, ok := strings.CutPrefix(line, endLine); ok {
			return strings.TrimSpace(end)
		}
	}
	return ""
}

// untilOf reads the end out of a sick note; empty when it is none.
func untilOf(document []byte) string {
	doc, err := eau.Read(document)
	if err != nil || doc.Kind != eau.KindEAU {
		return ""
	}
	return doc.Certificate.Until
}

// clerks answer the telephone and change records, in a book of their own.
type clerks struct {
	plan *plan  // nil: nobody calls
	left []call // by time
	book *book

	mu      sync.Mutex
	changes map[document]change // by Kasse and id of the document
}

func openClerks(c *RegularConfig) (*clerks, error) {
	k := &clerks{changes: map[document]change{}}
	if c.Calls != nil {
		specs := make([]KasseSpec, len(c.Kassen))
		for i := range c.Kassen {
			specs[i] = c.Kassen[i].KasseSpec
		}
		people, err := NewPopulation(c.Seed, specs)
		if err != nil {
			return nil, err
		}
		if k.plan, err = makePlan(people, c.Seed, cmp.Or(c.Calls.Notes, defaultNotes), c.Calls.From, c.Calls.Until, c.Calls.Holidays); err != nil {
			return nil, err
		}
		k.left = k.plan.calls
	}
	opened, lines, err := openBook(c.Dir, ChangedBook, changedColumns)
	if err != nil {
		return nil, err
	}
	k.book = opened
	for i, l := range lines {
		at, err := time.Parse(time.RFC3339, l[2])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("book %q, line %d: %w", ChangedBook, i+2, err), opened.close())
		}
		k.changes[document{l[1], l[0]}] = change{id: l[0], kasse: l[1], at: at, until: l[3]}
	}
	return k, nil
}

// of is the change of a record, if there is one.
func (k *clerks) of(kasse, id string) (change, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.changes[document{kasse, id}]
	return c, ok
}

func (k *clerks) put(c change) {
	k.mu.Lock()
	k.changes[document{c.kasse, c.id}] = c
	k.mu.Unlock()
	k.book.add(c.id, c.kasse, c.at.Format(time.RFC3339), c.until)
}

// answer takes the calls that have come. A clerk can change a record only if the
// system ran then and has it; otherwise the call is in vain.
func (w *regularWorld) answerCalls(now time.Time) error {
	k := w.clerks
	for len(k.left) > 0 && !k.left[0].at.After(now) {
		c := k.left[0]
		k.left = k.left[1:]
		s := w.systems[w.order[k.plan.notes[c.note].kasse]]
		s.fetching.Lock()
		runs := s.mode == FetchOn || s.mode == FetchOff && s.since.After(c.at)
		s.fetching.Unlock()
		id := k.plan.noteID(c.note)
		if _, again := k.of(s.IK, id); again || !runs || !w.shelf.hasID(s.IK, id) {
			w.count("calls_in_vain")
			continue
		}
		until, err := time.Parse(time.DateOnly, k.plan.certificate(c.note, true).Until)
		if err != nil {
			return err
		}
		if c.misheard {
			until = until.AddDate(0, 0, -1)
		}
		k.put(change{id: id, kasse: s.IK, at: c.at, until: until.Format(time.DateOnly)})
		w.count("changed")
	}
	return k.book.sync()
}

// conflicts says whether an item changes a record that a clerk changed before the
// cut, and which version the regular system has. Nobody in emergency operation
// knew of it: a change is no basis of what practices send.
func (r *receiving) conflicts(it *emergency.ParcelItem) (change, bool) {
	if it.Kind != emergency.KindSickNote {
		return change{}, false
	}
	id, kind := identify(it.Body)
	if kind != kimmail.KindDelivery {
		return change{}, false
	}
	return r.world.clerks.of(r.system.IK, id)
}
