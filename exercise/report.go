package exercise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/room"
)

// Result is what an exercise gives, and the form of --json.
type Result struct {
	Scenario   string     `json:"scenario"`
	Kassen     int        `json:"kassen"`
	Cells      int        `json:"cells"`
	SickNotes  SickNotes  `json:"sick_notes"`
	Conflicts  Conflicts  `json:"conflicts"`
	PublicList PublicList `json:"public_list"`
	Gateway    Visits     `json:"gateway"`
	Clearances int        `json:"clearances"`
	Violations int        `json:"invariant_violations"`
	Ledger     LedgerSum  `json:"ledger"`
	Case       Metrics    `json:"case"`
	Leitstand  Metrics    `json:"leitstand"`
	Assumed    []string   `json:"assumed"`
	Held       []HeldItem `json:"held"` // with the reason, at most maxHeldShown
	Run        RunFacts   `json:"run"`
}

// SickNotes are the counts of rule 3 over everybody's books. What regular
// systems fetched themselves and what emergency operation took in are one sum.
type SickNotes struct {
	Sent       int64 `json:"sent"`     // counted by the senders
	Accepted   int64 `json:"accepted"` // as new, on either side
	Duplicates int64 `json:"duplicates"`
	Held       int64 `json:"held"`
	Refused    int64 `json:"refused"`
	Refetched  int64 `json:"refetched"`
	Storno     int64 `json:"storno"`
	HandedOver int64 `json:"handed_over"`
	Lost       int64 `json:"lost"`    // counted by the receivers
	Doubled    int64 `json:"doubled"` // counted by the receivers
	Open       int64 `json:"open"`
	Emergency  int64 `json:"emergency"` // of Sent, taken in by emergency operation
	Repeated   int64 `json:"repeated"`  // of Emergency, the same document again
	Rejected   int64 `json:"rejected"`  // of Emergency, by regular systems at the handover, with reason and owner
}

// PublicList is how the public list came out.
type PublicList struct {
	Versions   int `json:"versions"`
	Duplicates int `json:"duplicates"`
}

// LedgerSum is the room's ledger at the end.
type LedgerSum struct {
	Entries  int64  `json:"entries"`
	Root     string `json:"root"`
	Verified bool   `json:"verified"`
}

// HeldItem is a mail that people must look at, and why.
type HeldItem struct {
	Kasse  string `json:"kasse"`
	ID     string `json:"id"`
	File   string `json:"file,omitempty"` // of --eau, below the directory
	Reason string `json:"reason"`
}

// Name is what people know the item by: its file, or its identifier.
func (h HeldItem) Name() string {
	if h.File != "" {
		return h.File
	}
	return h.ID
}

const maxHeldShown = 100

// RunFacts differ from run to run.
type RunFacts struct {
	Seconds float64 `json:"seconds"`
	Seed    uint64  `json:"seed"`
}

// Check says what is wrong with a result; nil when nothing is.
func (r *Result) Check() error {
	n := r.SickNotes
	switch {
	case n.Sent != n.Accepted+n.Duplicates+n.Held+n.Refused:
		return fmt.Errorf("sick notes do not add up: %d sent, %d accepted, %d duplicates, %d held, %d refused", n.Sent, n.Accepted, n.Duplicates, n.Held, n.Refused)
	case n.Emergency != n.HandedOver+n.Repeated+n.Rejected+n.Open:
		return fmt.Errorf("taken in by emergency operation %d = handed over %d + repeated %d + rejected %d + open %d does not hold",
			n.Emergency, n.HandedOver, n.Repeated, n.Rejected, n.Open)
	case r.Conflicts.check() != nil:
		return r.Conflicts.check()
	case n.Lost != 0 || n.Doubled != 0:
		return fmt.Errorf("%d sick notes were lost and %d doubled", n.Lost, n.Doubled)
	case n.Refused != 0: // nobody releases an answer in an exercise
		return fmt.Errorf("%d sick notes were refused although no two people released an answer", n.Refused)
	case n.Open != 0:
		return fmt.Errorf("%d items are still open", n.Open)
	case r.Violations != 0:
		return fmt.Errorf("rules were violated %d times", r.Violations)
	case r.PublicList.Duplicates != 0:
		return fmt.Errorf("the public list names %d cells twice", r.PublicList.Duplicates)
	case !r.Ledger.Verified:
		return fmt.Errorf("the ledger does not verify")
	}
	return r.Gateway.check()
}

// Run plays a scenario twice, with Leitstand and as in 2023, and sets the two
// beside each other. The room of the first play is kept in Options.Data and,
// when keep is given, handed over open.
func Run(ctx context.Context, opt Options, keep func(r *room.Room) error) (*Result, error) {
	began := time.Now()
	res, err := runLeitstand(ctx, opt, keep)
	if err != nil {
		return nil, err
	}
	tell := opt.Tell
	second := opt
	second.Data, second.Pace, second.Opened = filepath.Join(opt.Data, "as-2023"), 0, nil
	second.Tell = func(n News) {
		if tell != nil && n.Text == "" {
			tell(n)
		}
	}
	if tell != nil {
		tell(News{At: opt.Scenario.Start, Text: "Vergleichslauf: dieselbe Lage mit dem Vorgehen von 2023"})
	}
	if res.Case, err = runCase(ctx, second); err != nil {
		return nil, fmt.Errorf("playing as in 2023: %w", err)
	}
	res.Run = RunFacts{Seconds: time.Since(began).Seconds(), Seed: opt.Seed}
	return res, res.Check()
}

func runCase(ctx context.Context, opt Options) (m Metrics, err error) {
	p, err := play(ctx, opt, As2023)
	if err != nil {
		return m, err
	}
	m, err = p.measure(ctx)
	if cerr := p.close(); err == nil {
		err = cerr
	}
	return m, err
}

func runLeitstand(ctx context.Context, opt Options, keep func(r *room.Room) error) (*Result, error) {
	p, err := play(ctx, opt, WithLeitstand)
	if err != nil {
		return nil, err
	}
	res, err := p.result(ctx)
	if serr := p.world.stop(); err == nil {
		err = serr
	}
	p.world = nil
	if err == nil && keep != nil {
		err = keep(p.room)
		p.room = nil
	}
	if cerr := p.close(); err == nil {
		err = cerr
	}
	return res, err
}

// result gathers the figures from the books of all sides.
func (p *player) result(ctx context.Context) (*Result, error) {
	r := &Result{
		Scenario: p.sc.Name, Kassen: len(p.room.Catalogue.Kassen), Cells: len(p.room.Cells()),
		Clearances: len(p.room.Operation.Current().Clearances()), Violations: p.violations, Assumed: p.sc.Assumed,
	}
	if err := p.books(ctx, r); err != nil {
		return nil, err
	}
	var err error
	if r.Gateway, err = p.world.gate.result(ctx, p, p.world, p.now()); err != nil {
		return nil, err
	}
	r.SickNotes.HandedOver -= r.Gateway.Items // the journals count everything; entries at emergency doors are no sick notes
	lists, err := notice.Lists(ctx, p.room.Store)
	if err != nil {
		return nil, err
	}
	r.PublicList = PublicList{Versions: len(lists), Duplicates: doubles(lists)}
	reports, err := room.Do[[]room.Verified](ctx, p.room, "", "ledger.verify", map[string]bool{"state": true})
	if err != nil {
		return nil, err
	}
	r.Ledger = LedgerSum{Entries: reports[0].Entries, Root: reports[0].Root, Verified: true}
	for _, rep := range reports {
		r.Ledger.Verified = r.Ledger.Verified && len(rep.Problems) == 0
	}
	r.Leitstand, err = p.measure(ctx)
	return r, err
}

func doubles(lists []notice.List) int {
	n := 0
	for _, l := range lists {
		seen := map[catalogue.Cell]bool{}
		for _, e := range l.Entries {
			c := catalogue.Cell{Kasse: e.Kasse, Service: e.Service}
			if seen[c] {
				n++
			}
			seen[c] = true
		}
	}
	return n
}

// books adds up what senders, emergency operation and receivers have written.
func (p *player) books(ctx context.Context, r *Result) error {
	sent, err := ReadSent(filepath.Join(p.world.dir, "practices", SentBook))
	if err != nil {
		return err
	}
	received, err := ReadReceived(filepath.Join(p.world.dir, "regular"))
	if err != nil {
		return err
	}
	files, err := p.fileNames()
	if err != nil {
		return err
	}
	c := CompareBooks(sent, received)
	r.Conflicts.Named = int64(c.Conflicts)
	n := &r.SickNotes
	n.Sent, n.Lost, n.Doubled = int64(c.Sent), int64(c.Lost), int64(c.Doubled)
	for _, rec := range received {
		n.received(rec)
		if rec.Status == StatusHeld && len(r.Held) < maxHeldShown {
			r.Held = append(r.Held, HeldItem{Kasse: rec.Kasse, ID: rec.ID, File: files[rec.SHA256], Reason: rec.Reason})
		}
	}
	for _, k := range p.room.Catalogue.Kassen {
		s, err := p.room.Intake.Status(ctx, k.ID, p.now())
		if err != nil {
			return err
		}
		n.Accepted += s.Accepted
		n.Duplicates += s.Duplicates
		n.Held += s.Held
		n.Refused += s.Refused
		n.Refetched += s.Refetched
		n.Storno += s.Storno
		n.Emergency += s.Stored
		n.Repeated += s.Duplicates
		j, err := p.room.Journals.Open(ctx, k.ID)
		if err != nil {
			return err
		}
		counts, err := j.Counts(ctx)
		if err != nil {
			return err
		}
		if err := r.Conflicts.add(ctx, j); err != nil {
			return err
		}
		n.HandedOver += counts.HandedOver
		n.Rejected += counts.Rejected
		n.Open += counts.Open
	}
	return p.keepBooks()
}

// received counts what a regular system wrote down.
func (n *SickNotes) received(rec Received) {
	switch {
	case rec.Via == ViaMail && rec.Status == StatusAccepted:
		n.Accepted++
	case rec.Via == ViaMail && rec.Status == StatusDuplicate:
		n.Duplicates++
	case rec.Via == ViaMail && rec.Status == StatusHeld:
		n.Held++
	case rec.Via == ViaMail && rec.Status == StatusRefused:
		n.Refused++
	case rec.Via == ViaHandover && rec.Status == StatusDuplicate: // it was accepted twice, once on each side
		n.Accepted--
		n.Duplicates++
	}
}

// fileNames finds the files of --eau by the SHA-256 of their content.
func (p *player) fileNames() (map[string]string, error) {
	names := map[string]string{}
	if p.opt.EAUDir == "" {
		return names, nil
	}
	err := filepath.WalkDir(p.opt.EAUDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		names[hex.EncodeToString(sum[:])], err = filepath.Rel(p.opt.EAUDir, path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("naming the files that were sent: %w", err)
	}
	return names, nil
}

// keepBooks puts the two books where --data promises them.
func (p *player) keepBooks() error {
	for _, b := range [][2]string{
		{filepath.Join(p.world.dir, "practices", SentBook), SentBook},
		{filepath.Join(p.world.dir, "regular", ReceivedBook), ReceivedBook},
	} {
		content, err := os.ReadFile(b[0])
		if err != nil {
			return fmt.Errorf("keeping the books: %w", err)
		}
		if err := os.WriteFile(filepath.Join(p.opt.Data, b[1]), content, 0o600); err != nil {
			return fmt.Errorf("keeping the books: %w", err)
		}
	}
	return nil
}

// Metrics are what the two plays are compared by.
type Metrics struct {
	EAURejected int64 `json:"eau_rejected"`
	// PartnersInformed is from the first eAU intake that was not in regular
	// operation to the first released statement for partners, in minutes.
	PartnersInformed int64 `json:"partners_informed_minutes"`
	// CellHoursLost is the sum over cells of hours × share that was missing,
	// weighted by insured people against the mean Kasse.
	CellHoursLost float64 `json:"cell_hours_lost"`
}

func (p *player) measure(ctx context.Context) (Metrics, error) {
	m := newMeter(p.room.Catalogue)
	const page = 500
	for after := int64(0); ; {
		records, err := ledger.Read(ctx, p.room.Store, after, page)
		if err != nil {
			return Metrics{}, err
		}
		for _, r := range records {
			after = r.Seq
			if err := m.take(r); err != nil {
				return Metrics{}, fmt.Errorf("reading ledger entry %d: %w", r.Seq, err)
			}
		}
		if len(records) < page {
			return m.end(p.sc.End), nil
		}
	}
}

// meter is the one function that both plays are measured with. It reads a
// ledger and nothing else.
type meter struct {
	cat      *catalogue.Catalogue
	weight   map[catalogue.KasseID]float64
	level    map[catalogue.PlacementID]float64
	cells    map[catalogue.Cell]*cellMeter
	eauDown  time.Time
	informed time.Time
	rejected int64
}

type cellMeter struct {
	level float64
	since time.Time
	lost  float64 // hours × missing share
}

func newMeter(c *catalogue.Catalogue) *meter {
	m := &meter{cat: c, weight: map[catalogue.KasseID]float64{}, level: map[catalogue.PlacementID]float64{}, cells: map[catalogue.Cell]*cellMeter{}}
	total := 0
	for _, k := range c.Kassen {
		total += k.Insured
	}
	mean := float64(total) / float64(max(1, len(c.Kassen)))
	for _, k := range c.Kassen {
		m.weight[k.ID] = float64(k.Insured) / mean
	}
	return m
}

// share is how much of a service people get from a placement.
func share(r operation.Regular, e operation.Emergency) float64 {
	switch {
	case r == operation.Running:
		return 1
	case r == operation.Limited, e == operation.Active, e == operation.HandingOver:
		return 0.5
	}
	return 0
}

func (m *meter) take(r ledger.Record) error {
	switch r.Kind {
	case "refusals.reported":
		var d struct{ Count int64 }
		if err := json.Unmarshal(r.Data, &d); err != nil {
			return err
		}
		m.rejected += d.Count
	case "notice.released":
		var d struct{ Audience notice.Audience }
		if err := json.Unmarshal(r.Data, &d); err != nil {
			return err
		}
		if d.Audience == notice.Partners && m.informed.IsZero() {
			m.informed = r.At
		}
	}
	for _, row := range r.Rows {
		if row.Table != "placement" {
			continue
		}
		var v struct {
			Regular   operation.Regular   `json:"regular"`
			Emergency operation.Emergency `json:"emergency"`
		}
		if err := json.Unmarshal(row.Value, &v); err != nil {
			return err
		}
		m.set(catalogue.PlacementID(row.Key), v.Regular, v.Emergency, r.At)
	}
	return nil
}

func (m *meter) set(id catalogue.PlacementID, r operation.Regular, e operation.Emergency, at time.Time) {
	kasse, svc, _, ok := id.Split()
	if !ok {
		return
	}
	if svc == eauService && r != operation.Running && r != operation.Limited && m.eauDown.IsZero() {
		m.eauDown = at
	}
	m.level[id] = share(r, e)
	best := 0.0
	for _, p := range m.cat.PlacementsOf(kasse, svc) {
		best = max(best, m.level[p.ID])
	}
	key := catalogue.Cell{Kasse: kasse, Service: svc}
	c := m.cells[key]
	if c == nil {
		c = &cellMeter{level: 1, since: at}
		m.cells[key] = c
	}
	c.until(at)
	c.level = best
}

func (c *cellMeter) until(at time.Time) {
	c.lost += (1 - c.level) * at.Sub(c.since).Hours()
	c.since = at
}

func (m *meter) end(at time.Time) Metrics {
	out := Metrics{EAURejected: m.rejected}
	for key, c := range m.cells {
		c.until(at)
		out.CellHoursLost += c.lost * m.weight[key.Kasse]
	}
	out.CellHoursLost = float64(int64(out.CellHoursLost*10+0.5)) / 10
	if !m.informed.IsZero() && !m.eauDown.IsZero() {
		out.PartnersInformed = int64(m.informed.Sub(m.eauDown).Minutes())
	} else if !m.eauDown.IsZero() {
		out.PartnersInformed = int64(at.Sub(m.eauDown).Minutes()) // never, in this scenario
	}
	return out
}
