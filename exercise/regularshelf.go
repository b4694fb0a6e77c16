package exercise

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"leitstand/emergency"
)

var itemColumns = []string{
	"item", "kasse", "placement", "kind", "result", "sha256", "amount", "batch", // as compared with the sender
	"document", "document_sha256", "time", "status", "reason", // the line of received.csv or repeated.csv that belongs to it
}

// shelf is the memory of the regular systems and the books that carry it over a
// restart. What it has taken is durable: an item first in items.csv, then as a
// document in received.csv; a crash in between is made good at the next start.
type shelf struct {
	received, repeated, items *book

	mu    sync.Mutex
	taken map[document]bool       // accepted or held
	ids   map[document]bool       // documents that came by mail and were accepted, by Kasse and id
	done  map[itemKey]receivedRow // by item of a handover
	mails map[itemKey]bool        // mails booked, by UIDL
	tally Counts
}

type itemKey struct{ kasse, item string }

// booked is an item whose document is in received.csv or repeated.csv with a status.
type booked struct {
	itemKey
	status string
}

// receivedRow is a line of items.csv.
type receivedRow struct {
	entry     emergency.ListEntry
	kasse     string
	placement string
	batch     string
	row       Received // Status is empty when the item is no document
}

// uidPrefix marks in the column item what came by mail.
const uidPrefix = "uidl:"

func openShelf(dir string) (*shelf, error) {
	s := &shelf{
		taken: make(map[document]bool), ids: make(map[document]bool), done: make(map[itemKey]receivedRow), mails: make(map[itemKey]bool),
		tally: Counts{"accepted_mail": 0, "accepted_handover": 0, "held": 0, "duplicates": 0, "refusals": 0, "conflicts": 0, "items": 0},
	}
	seen := make(map[booked]bool)
	for _, b := range [...]struct {
		book **book
		name string
	}{{&s.received, ReceivedBook}, {&s.repeated, RepeatedBook}} {
		opened, lines, err := openBook(dir, b.name, receivedColumns)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		*b.book = opened
		for i, l := range lines {
			r, err := receivedOf(l)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("book %q, line %d: %w", b.name, i+2, err), s.close())
			}
			s.remember(&r)
			seen[booked{itemKey{r.Kasse, r.Item}, r.Status}] = true
		}
	}
	return s, s.openItems(dir, seen)
}

// openItems reads items.csv and books the documents that a crash cut off.
func (s *shelf) openItems(dir string, seen map[booked]bool) error {
	opened, lines, err := openBook(dir, ItemsBook, itemColumns)
	if err != nil {
		return errors.Join(err, s.close())
	}
	s.items = opened
	for i, l := range lines {
		r, err := itemOf(l)
		if err != nil {
			return errors.Join(fmt.Errorf("book %q, line %d: %w", ItemsBook, i+2, err), s.close())
		}
		key := itemKey{r.kasse, r.entry.ID}
		s.settle(key, r)
		if r.row.Status != "" && !seen[booked{key, r.row.Status}] {
			s.write(&r.row)
			s.remember(&r.row)
		}
	}
	if err := s.sync(); err != nil {
		return errors.Join(err, s.close())
	}
	return nil
}

func (r *receivedRow) fields() []string {
	e := &r.entry
	return []string{
		e.ID, r.kasse, r.placement, string(e.Kind), string(e.Result), e.SHA256, strconv.FormatInt(e.Amount, 10), r.batch,
		r.row.ID, r.row.SHA256, r.row.Time.Format(time.RFC3339), r.row.Status, r.row.Reason,
	}
}

func itemOf(l []string) (receivedRow, error) {
	amount, err := strconv.ParseInt(l[6], 10, 64)
	if err != nil {
		return receivedRow{}, err
	}
	t, err := time.Parse(time.RFC3339, l[10])
	if err != nil {
		return receivedRow{}, err
	}
	return receivedRow{
		entry: emergency.ListEntry{ID: l[0], Kind: emergency.Kind(l[3]), Result: emergency.State(l[4]), SHA256: l[5], Amount: amount},
		kasse: l[1], placement: l[2], batch: l[7],
		row: Received{ID: l[8], SHA256: l[9], Kasse: l[1], Time: t, Via: ViaHandover, Status: l[11], Item: l[0], Reason: l[12]},
	}, nil
}

// judge says what a document is to the Kasse: held with its reason, known, or new.
// within are documents of the same batch that are not on the shelf yet.
func (s *shelf) judge(r *Received, within map[document]bool) {
	d := document{r.Kasse, r.SHA256}
	s.mu.Lock()
	known := s.taken[d] || within[d]
	s.mu.Unlock()
	switch {
	case known:
		r.Status, r.Reason = StatusDuplicate, ""
	case r.Reason != "":
		r.Status = StatusHeld
	default:
		r.Status = StatusAccepted
	}
	within[d] = true
}

// write adds a line to the book where it belongs.
func (s *shelf) write(r *Received) {
	switch r.Status {
	case StatusDuplicate, StatusRefused:
		s.repeated.add(r.fields()...)
	default:
		s.received.add(r.fields()...)
	}
}

// remember takes a durable line into memory.
func (s *shelf) remember(r *Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Status {
	case StatusDuplicate:
		s.tally["duplicates"]++
	case StatusRefused:
		s.tally["refusals"]++
	case StatusHeld:
		s.tally["held"]++
		s.taken[document{r.Kasse, r.SHA256}] = true
	case StatusConflict:
		s.tally["conflicts"]++
	default:
		s.tally["accepted_"+r.Via]++
		s.taken[document{r.Kasse, r.SHA256}] = true
		if r.Via == ViaMail {
			s.ids[document{r.Kasse, r.ID}] = true
		}
	}
	if r.Via == ViaMail {
		s.mails[itemKey{r.Kasse, r.Item}] = true
	}
}

// take books documents that came by mail; after nil they are durable.
func (s *shelf) take(rows []Received) error {
	for i := range rows {
		s.write(&rows[i])
	}
	if err := errors.Join(s.received.sync(), s.repeated.sync()); err != nil {
		return err
	}
	for i := range rows {
		s.remember(&rows[i])
	}
	return nil
}

// takeItems books items of a handover; after nil they are durable.
func (s *shelf) takeItems(rows []receivedRow) error {
	for i := range rows {
		s.items.add(rows[i].fields()...)
	}
	if err := s.items.sync(); err != nil {
		return err
	}
	for i := range rows {
		if rows[i].row.Status != "" {
			s.write(&rows[i].row)
		}
	}
	if err := errors.Join(s.received.sync(), s.repeated.sync()); err != nil {
		return err
	}
	for i := range rows {
		if rows[i].row.Status != "" {
			s.remember(&rows[i].row)
		}
		s.settle(itemKey{rows[i].kasse, rows[i].entry.ID}, rows[i])
	}
	return nil
}

// settle notes what came of an item; a later result replaces an earlier one.
func (s *shelf) settle(key itemKey, r receivedRow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.done[key]; !again {
		s.tally["items"]++
	}
	s.done[key] = r
}

// has reports whether the same document was taken before.
func (s *shelf) has(r *Received) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[document{r.Kasse, r.SHA256}]
}

// hasID reports whether a document came by mail and was accepted.
func (s *shelf) hasID(kasse, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[document{kasse, id}]
}

func (s *shelf) item(kasse, id string) (receivedRow, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.done[itemKey{kasse, id}]
	return r, ok
}

func (s *shelf) hasMail(kasse, uid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails[itemKey{kasse, uidPrefix + uid}]
}

// entries lists what was handed over for a placement.
func (s *shelf) entries(kasse, placement string) []emergency.ListEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []emergency.ListEntry
	for _, r := range s.done {
		if r.kasse == kasse && r.placement == placement {
			list = append(list, r.entry)
		}
	}
	return list
}

func (s *shelf) counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(Counts, len(s.tally))
	maps.Copy(c, s.tally)
	return c
}

func (s *shelf) sync() error {
	return errors.Join(s.received.sync(), s.repeated.sync(), s.items.sync())
}

func (s *shelf) close() error {
	var err error
	for _, b := range [...]*book{s.received, s.repeated, s.items} {
		if b != nil {
			err = errors.Join(err, b.close())
		}
	}
	return err
}
