package exercise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"leitstand/pure/eau"
)

// EmployersConfig configures the employers. Seed, Kassen, From, Until, Holidays
// and Notes must be those of the practices: that is how employers know who is
// absent.
type EmployersConfig struct {
	Seed     uint64      `json:"seed"`
	Kassen   []KasseSpec `json:"kassen"`
	From     time.Time   `json:"from"`
	Until    time.Time   `json:"until"`
	Holidays []string    `json:"holidays,omitempty"`
	Notes    int         `json:"notes,omitempty"`
	// Dir is where the book employers.csv is kept. It must not exist yet.
	Dir string `json:"dir"`
	// URL is where the emergency operation answers employers, on loopback
	// (sicknote's EmployerHandler): "/<ik>/requests" is appended. While it is
	// empty, employers ask elsewhere, and nothing is asked here; command
	// "endpoint" sets it.
	URL string `json:"url,omitempty"`
	// Token is what the tokens of the employers are made from, see EmployerTokens.
	Token string `json:"token"`
	// Share is how many of the absent are asked for, 0 to 1; 0 means 0.7.
	Share float64 `json:"share,omitempty"`
}

// EndpointCommand tells employers where to ask from now on (command "endpoint").
type EndpointCommand struct {
	URL string `json:"url"`
}

// askAgain is how many times an employer asks after an interim answer.
const askAgain = 4

var askedColumns = []string{"request", "kasse", "employer", "time", "absent_from", "code", "note"}

// employerWorld is all employers.
type employerWorld struct {
	config EmployersConfig
	plan   *plan
	twisty map[int]bool // notes that are corrected, spoilt, cancelled or not the person's only one: the answer cannot be foretold
	queue  []enquiry    // by time
	client *http.Client
	book   *book
	tally  Counts
}

// enquiry is one request to be made.
type enquiry struct {
	at      time.Time
	note    int
	attempt int
}

func compareAsks(a, b enquiry) int {
	if c := a.at.Compare(b.at); c != 0 {
		return c
	}
	return a.note - b.note
}

func startEmployers(_ context.Context, c EmployersConfig) (*employerWorld, error) {
	if c.Notes == 0 {
		c.Notes = defaultNotes
	}
	if c.Share == 0 {
		c.Share = 0.7
	}
	w := &employerWorld{config: c, twisty: make(map[int]bool), client: loopbackClient(30 * time.Second), tally: make(Counts)}
	for _, name := range [...]string{"asked", "elsewhere", "failed", "found", "interim", "leaks", "wrong", "mismatched"} {
		w.tally[name] = 0
	}
	if err := w.point(c.URL); err != nil {
		return nil, err
	}
	people, err := NewPopulation(c.Seed, c.Kassen)
	if err != nil {
		return nil, err
	}
	if w.plan, err = makePlan(people, c.Seed, c.Notes, c.From, c.Until, c.Holidays); err != nil {
		return nil, err
	}
	w.planAsks()
	var lines [][]string
	if w.book, lines, err = openBook(c.Dir, AskedBook, askedColumns); err != nil {
		return nil, err
	}
	if len(lines) > 0 {
		return nil, errors.Join(fmt.Errorf("the book %q in %q is written already: an exercise is played once", AskedBook, c.Dir), w.book.close())
	}
	return w, nil
}

// point sets where to ask; only loopback is taken.
func (w *employerWorld) point(to string) error {
	if to != "" {
		u, err := url.Parse(to)
		if err != nil || u.Scheme != "http" {
			return fmt.Errorf("employers cannot ask at %q: an address like http://127.0.0.1:8461/… is needed", to)
		}
		if err := checkLoopback(u.Host); err != nil {
			return err
		}
	}
	w.config.URL = to
	return nil
}

// planAsks lets employers ask on the next working day after the sick note.
func (w *employerWorld) planAsks() {
	r := rand.New(rand.NewPCG(w.config.Seed, 3)) //nolint:gosec // an exercise must be repeatable
	for _, e := range w.plan.queue {
		if e.what != postNote {
			w.twisty[e.note] = true
		}
	}
	first := make(map[[2]int]int, len(w.plan.notes)) // by Kasse and person
	for i := range w.plan.notes {
		n := &w.plan.notes[i]
		if n.fault != faultNone {
			w.twisty[i] = true
		}
		if other, ok := first[[2]int{n.kasse, n.person}]; ok {
			w.twisty[i], w.twisty[other] = true, true
		}
		first[[2]int{n.kasse, n.person}] = i
		if r.Float64() < w.config.Share {
			w.queue = append(w.queue, enquiry{at: w.office(n.issued, r), note: i})
		}
	}
	slices.SortFunc(w.queue, compareAsks)
}

// office is a moment of the morning of the next working day.
func (w *employerWorld) office(after time.Time, r *rand.Rand) time.Time {
	for day := after.AddDate(0, 0, 1); ; day = day.AddDate(0, 0, 1) {
		if d := day.Weekday(); d == time.Saturday || d == time.Sunday || slices.Contains(w.config.Holidays, day.Format(time.DateOnly)) {
			continue
		}
		at := time.Date(day.Year(), day.Month(), day.Day(), 6, 0, 0, 0, day.Location())
		return at.Add(time.Duration(r.IntN(4*3600)) * time.Second)
	}
}

// employerWorkers is how many requests are under way at the same time.
const employerWorkers = 4

func (w *employerWorld) advance(ctx context.Context, now time.Time) error {
	n, _ := slices.BinarySearchFunc(w.queue, now, func(a enquiry, t time.Time) int {
		if a.at.After(t) {
			return 1
		}
		return -1
	})
	due := w.queue[:n:n]
	w.queue = w.queue[n:]
	if w.config.URL == "" {
		w.tally["elsewhere"] += int64(n)
		return nil
	}
	answers := make([]employerAnswer, n)
	var wg sync.WaitGroup
	for worker := range employerWorkers {
		wg.Go(func() {
			for i := worker; i < n && ctx.Err() == nil; i += employerWorkers {
				answers[i] = w.request(ctx, due[i])
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range due {
		w.enter(due[i], &answers[i])
	}
	slices.SortFunc(w.queue, compareAsks)
	return w.book.sync()
}

// enter books an answer and decides whether to ask again.
func (w *employerWorld) enter(a enquiry, got *employerAnswer) {
	q := w.question(a)
	w.tally["asked"]++
	again := false
	switch {
	case got.err != nil:
		w.tally["failed"]++
		again = true
	case got.interim():
		w.tally["interim"]++
		again = true
	case got.code == codeFound:
		w.tally["found"]++
	}
	if got.code > 0 {
		w.tally["code_"+strconv.Itoa(got.code)]++
	}
	for _, word := range got.faults {
		w.tally[word]++
	}
	w.book.add(q.Request, q.Kasse, q.Employer, a.at.Format(time.RFC3339), q.From, strconv.Itoa(got.code), got.note())
	if again && a.attempt < askAgain {
		r := rand.New(rand.NewPCG(w.config.Seed^uint64(a.attempt+1), uint64(a.note)|1<<59)) //nolint:gosec // repeatable; small numbers
		w.queue = append(w.queue, enquiry{at: w.office(a.at, r), note: a.note, attempt: a.attempt + 1})
	}
}

// question is what an employer asks: it knows its people and since when they are absent.
func (w *employerWorld) question(a enquiry) employerQuestion {
	n := &w.plan.notes[a.note]
	person := w.plan.people.Person(n.kasse, n.person)
	c := w.plan.certificate(a.note, false)
	from := c.Since
	if from == "" {
		from = c.Determined
	}
	return employerQuestion{
		Request:  eau.NewID(w.plan.space, fmt.Sprintf("ask/%d/%d", a.note, a.attempt)),
		Employer: employerNumber(person.Employer), Kasse: person.Kasse, KVNR: person.KVNR, From: from,
	}
}

func (w *employerWorld) command(_ context.Context, do string, config json.RawMessage) error {
	if do != "endpoint" {
		return errUnknownCommand
	}
	var c EndpointCommand
	if err := decodeStrict(config, &c); err != nil {
		return err
	}
	return w.point(c.URL)
}

func (w *employerWorld) counts() Counts {
	c := make(Counts, len(w.tally)+1)
	maps.Copy(c, w.tally)
	c["to_ask"] = int64(len(w.queue))
	return c
}

func (w *employerWorld) addresses() map[string]string { return nil }

func (w *employerWorld) stop() error {
	w.client.CloseIdleConnections()
	return w.book.close()
}
