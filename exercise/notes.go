package exercise

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"leitstand/pure/eau"
)

// defaultNotes is how many sick notes an exercise has when nobody says.
const defaultNotes = 10_000

// Shares of the sick notes that get a special fate, rounded up.
const (
	twiceShare  = 0.015 // the same file goes out a second time
	sameIDShare = 0.003 // corrected, but under the identifier of the first
	faultyShare = 0.008 // leaves the practice damaged
	stornoShare = 0.012 // cancelled; one in five before the note itself is sent
	calledShare = 0.02  // corrected by telephone, and in writing under the same identifier a good while later
)

// note is one sick note as its practice knows it. Everything else about it
// follows from the seed and its number.
type note struct {
	kasse, person, practice int
	issued                  time.Time
	fault                   fault
	renewed                 int // how often it was made anew after an error message
	stornoRenewed           int // the same for its Storno
}

// posting is what a practice sends at a moment.
type posting int

const (
	postNote   posting = iota // the sick note
	postTwice                 // the same file once more
	postSameID                // a corrected file under the same identifier
	postStorno                // its cancellation
	postFile                  // a file of --eau, unchanged
)

func (p posting) String() string {
	switch p {
	case postNote:
		return "note"
	case postTwice:
		return "twice"
	case postSameID:
		return "same-id"
	case postStorno:
		return "storno"
	case postFile:
		return "file"
	}
	return fmt.Sprintf("posting(%d)", int(p))
}

// event is one mail to be sent. Order makes a queue of events total, so that
// equal times do not make two runs differ.
type event struct {
	at    time.Time
	order int
	note  int // number of the note, or of the file
	what  posting
}

func compareEvents(a, b event) int {
	if c := a.at.Compare(b.at); c != 0 {
		return c
	}
	return a.order - b.order
}

// plan is all that practices will send if nobody answers with an error.
type plan struct {
	people *Population
	space  string // of identifiers
	notes  []note
	queue  []event // by time
	next   int     // order of the next event
	calls  []call  // by time
}

// makePlan spreads n sick notes over the span and gives some their fate.
func makePlan(people *Population, seed uint64, n int, from, until time.Time, holidays []string) (*plan, error) {
	c, err := newCurve(from, until, holidays)
	if err != nil {
		return nil, err
	}
	p := &plan{people: people, space: "leitstand-uebung-" + strconv.FormatUint(seed, 10), notes: make([]note, n)}
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // an exercise must be repeatable
	for i := range p.notes {
		kasse, person := people.pick(r)
		p.notes[i] = note{kasse: kasse, person: person, practice: r.IntN(practices), issued: c.draw(r)}
		p.post(i, postNote, p.notes[i].issued)
	}
	p.fates(r, from, until)
	slices.SortFunc(p.queue, compareEvents)
	slices.SortFunc(p.calls, func(a, b call) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.note - b.note
	})
	return p, nil
}

func (p *plan) post(i int, what posting, at time.Time) {
	p.queue = append(p.queue, event{at: at, order: p.next, note: i, what: what})
	p.next++
}

// fates gives disjoint sets of notes their special fates.
func (p *plan) fates(r *rand.Rand, from, until time.Time) {
	order := r.Perm(len(p.notes))
	take := func(share float64) []int {
		k := min(len(order), int(share*float64(len(p.notes)))+1)
		chosen := order[:k]
		order = order[k:]
		return chosen
	}
	later := func(t time.Time, least, most time.Duration) time.Time {
		t = t.Add(least + time.Duration(r.Int64N(int64(most-least))).Truncate(time.Second))
		if t.After(until) {
			return until
		}
		return t
	}
	for _, i := range take(twiceShare) {
		p.post(i, postTwice, later(p.notes[i].issued, time.Minute, 30*time.Hour))
	}
	for _, i := range take(sameIDShare) {
		p.post(i, postSameID, later(p.notes[i].issued, 10*time.Minute, 6*time.Hour))
	}
	for k, i := range take(faultyShare) {
		p.notes[i].fault = fault(1 + k%faultKinds)
	}
	for k, i := range take(stornoShare) {
		at := later(p.notes[i].issued, 5*time.Minute, 24*time.Hour)
		if k%5 == 0 { // overtakes its sick note
			at = p.notes[i].issued.Add(-time.Duration(1+r.IntN(20)) * time.Minute)
			if at.Before(from) {
				at = from
			}
		}
		p.post(i, postStorno, at)
	}
	for k, i := range take(calledShare) {
		p.calls = append(p.calls, call{at: later(p.notes[i].issued, 10*time.Minute, time.Hour), note: i, misheard: k%2 == 1})
		p.post(i, postSameID, later(p.notes[i].issued, 90*time.Minute, 30*time.Hour))
	}
}

func (p *plan) noteID(i int) string {
	return eau.NewID(p.space, fmt.Sprintf("note/%d/%d", i, p.notes[i].renewed))
}

func (p *plan) stornoID(i int) string {
	return eau.NewID(p.space, fmt.Sprintf("storno/%d/%d", i, p.notes[i].stornoRenewed))
}

// certificate makes note i; corrected is its second version under the same identifier.
func (p *plan) certificate(i int, corrected bool) eau.Certificate {
	n := &p.notes[i]
	r := rand.New(rand.NewPCG(p.people.seed, uint64(i)|1<<60)) //nolint:gosec // an exercise must be repeatable
	person := p.people.Person(n.kasse, n.person)
	org, doctor := p.people.practice(n.practice)
	day := n.issued
	c := eau.Certificate{
		ID: p.noteID(i), Test: true, Date: day.Format(time.DateOnly), Timestamp: day.UTC().Format(time.RFC3339),
		Type: drawType(r), LegalBasis: "00",
		Patient:  eau.Patient{Name: person.Name, KVNR: person.KVNR, BirthDate: person.BirthDate, Address: person.Address},
		Coverage: eau.Coverage{Type: "GKV", PayorIK: person.Kasse, PayorName: p.people.kassen[n.kasse].Name, Status: "1", Group: "00", DMP: "00", WOP: "72"},
		Author:   doctor, Organization: org,
		Determined: day.Format(time.DateOnly),
	}
	if c.Type.First() {
		c.Since = day.AddDate(0, 0, -drawBefore(r)).Format(time.DateOnly)
	}
	days := 1 + r.IntN(13)
	if corrected {
		days += 2
	}
	c.Until = day.AddDate(0, 0, days).Format(time.DateOnly)
	icd := one(r, diagnoses[:])
	c.Diagnoses = []eau.Diagnosis{{Code: icd, Version: day.Format("2006"), Certainty: "G"}}
	if r.IntN(5) == 0 {
		c.Diagnoses = append(c.Diagnoses, eau.Diagnosis{Code: one(r, diagnoses[:]), Version: day.Format("2006"), Certainty: "V"})
	}
	if r.IntN(40) == 0 {
		c.Causes = []string{eau.CauseWorkAccident}
	}
	return c
}

// drawType follows the usual mix; no statistics, assumed.
func drawType(r *rand.Rand) eau.AUType {
	switch x := r.IntN(100); {
	case x < 68:
		return eau.Erst
	case x < 90:
		return eau.Folge
	case x < 95:
		return eau.ErstEnd
	}
	return eau.FolgeEnd
}

// drawBefore is how many days before the visit somebody fell ill.
func drawBefore(r *rand.Rand) int {
	switch x := r.IntN(100); {
	case x < 70:
		return 0
	case x < 90:
		return 1
	}
	return 2
}

// diagnoses are frequent codes of ICD-10-GM.
var diagnoses = [...]string{"J06.9", "J20.9", "A09.9", "M54.5", "R51", "K29.7", "F43.2", "J01.9", "M79.18", "G43.9", "B34.9", "R10.4"}

// storno makes the cancellation of note i.
func (p *plan) storno(i int, at time.Time) eau.Storno {
	org, doctor := p.people.practice(p.notes[i].practice)
	return eau.Storno{
		ID: p.stornoID(i), Test: true, Date: at.Format(time.DateOnly), Timestamp: at.UTC().Format(time.RFC3339),
		Author: doctor, Organization: org, Cancels: p.noteID(i),
	}
}
