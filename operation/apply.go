package operation

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/forensics"
)

// Change is everything that one command changes: rows as they are afterwards,
// sorted by key, and the one ledger entry that holds them all.
type Change struct {
	Version    int64
	Entry      ledger.Entry
	Placements []*Placement
	Components []*Component
	Doors      []*DoorRow
	Clearances []forensics.Clearance
	Rotations  []forensics.Rotation
	Indicators []forensics.Indicator
	Trails     []Trail
	Gateways   []Gateway
	Journals   []JournalOrder // to be carried out after the commit, see Journal
	Skipped    []string       // nodes a measure named that were off already
}

// Apply judges a command. It returns the change without making it, a [*Refused],
// or another error for a command that makes no sense. s stays as it is. Only
// [Tick] may return neither change nor error: nothing is due.
func Apply(s *State, c Command) (*Change, error) {
	a := c.act()
	if a.At.IsZero() {
		return nil, fmt.Errorf("command %q has no time", c.Kind())
	}
	a.At = db.Trim(a.At)
	if s.on(RuleTwoPeople) {
		if err := checkActors(s, c); err != nil {
			return nil, err
		}
	}
	d := newDraft(s, c)
	if err := c.run(d); err != nil {
		return nil, err
	}
	return d.finish()
}

// Commit makes a change that was applied to exactly this state.
func (s *State) Commit(c *Change) {
	s.version = c.Version
	for _, p := range c.Placements {
		s.placements[s.top.number[string(p.ID)]] = p
	}
	for _, p := range c.Components {
		s.components[s.top.number[string(p.ID)]-len(s.placements)] = p
	}
	for _, d := range c.Doors {
		s.doors[s.top.number[string(d.Placement)]] = d
	}
	for _, x := range c.Clearances {
		s.putClearance(x)
	}
	for _, x := range c.Rotations {
		s.putRotation(x)
	}
	for _, x := range c.Indicators {
		s.indicators[x.ID] = x
	}
	for _, x := range c.Trails {
		s.trails[x.Subject] = x
	}
	for _, x := range c.Gateways {
		s.gateways[x.Node] = x
	}
}

func (s *State) putClearance(x forensics.Clearance) {
	s.clearances[x.ID] = x
	for _, about := range x.Subjects() {
		if ids := s.granted[about]; !slices.Contains(ids, x.ID) {
			s.granted[about] = append(slices.Clip(ids), x.ID) // others may hold the old list
		}
	}
}

func (s *State) putRotation(x forensics.Rotation) {
	s.rotations[x.ID] = x
	for _, about := range x.Subjects() {
		if ids := s.rotated[about]; !slices.Contains(ids, x.ID) {
			s.rotated[about] = append(slices.Clip(ids), x.ID)
		}
	}
}

// draft collects what a command changes: copies of what it touches.
type draft struct {
	s       *State
	c       Command
	at      time.Time
	version int64

	placements map[int]*Placement
	components map[int]*Component
	clearances map[string]forensics.Clearance
	rotations  []forensics.Rotation
	indicators []forensics.Indicator
	trails     map[string]Trail
	gateways   []Gateway
	orders     []JournalOrder
	skipped    []string
	subject    string         // of the entry
	data       map[string]any // further fields of the entry
}

func newDraft(s *State, c Command) *draft {
	return &draft{
		s: s, c: c, at: c.act().At, version: s.version + 1,
		placements: map[int]*Placement{}, components: map[int]*Component{},
		clearances: map[string]forensics.Clearance{}, trails: map[string]Trail{}, data: map[string]any{},
	}
}

// node finds a node by name for changing. p is nil for a component.
func (d *draft) node(name string) (n int, t *Track, p *Placement, err error) {
	n, ok := d.s.top.number[name]
	if !ok || d.s.track(n) == nil {
		return 0, nil, nil, refuse(RuleComplete,
			"%q hat keinen Zustand in diesem Raum: Namen prüfen oder aus dem Katalog übernehmen.", name)
	}
	t, p = d.take(n)
	return n, t, p, nil
}

// take copies a node that has a state, once.
func (d *draft) take(n int) (*Track, *Placement) {
	if n < len(d.s.placements) {
		p, ok := d.placements[n]
		if !ok {
			v := *d.s.placements[n]
			p = &v
			d.placements[n] = p
		}
		return &p.Track, p
	}
	c, ok := d.components[n]
	if !ok {
		v := *d.s.components[n-len(d.s.placements)]
		c = &v
		d.components[n] = c
	}
	return &c.Track, nil
}

// track reads a node as it stands in the draft; nil when it has no state.
func (d *draft) track(n int) *Track {
	if p, ok := d.placements[n]; ok {
		return &p.Track
	}
	if c, ok := d.components[n]; ok {
		return &c.Track
	}
	return d.s.track(n)
}

// each runs fn for every name once, in the order given.
func (d *draft) each(names []string, fn func(n int, t *Track, p *Placement) error) error {
	if len(names) == 0 {
		return refuse(RuleOnRecord, "Es ist nichts genannt.")
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		n, t, p, err := d.node(name)
		if err != nil {
			return err
		}
		if err := fn(n, t, p); err != nil {
			return err
		}
	}
	return nil
}

// eachPlacement is each for placements only.
func (d *draft) eachPlacement(ids []catalogue.PlacementID, fn func(p *Placement) error) error {
	return d.each(texts(ids), func(_ int, _ *Track, p *Placement) error {
		if p == nil {
			return refuse(RuleComplete, "Das geht nur mit Platzierungen, nicht mit Komponenten.")
		}
		return fn(p)
	})
}

func texts[T ~string](ids []T) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}

// enter sets the regular state of a node; who orders it has seen it.
func (d *draft) enter(t *Track, r Regular) {
	if t.Regular.Connected() && !r.Connected() {
		t.Down, t.DownAt = d.version, d.at
	}
	t.Regular, t.Since, t.Confirmed = r, d.at, d.at
}

// reason refuses an act of weight that nobody explains.
func (d *draft) reason() error {
	if d.s.on(RuleOnRecord) && strings.TrimSpace(d.c.act().Reason) == "" {
		return refuse(RuleOnRecord, "Es fehlt die Begründung.")
	}
	return nil
}

// trail is what is remembered of a subject, for changing with setTrail.
func (d *draft) trail(subject string) Trail {
	if t, ok := d.trails[subject]; ok {
		return t
	}
	t := d.s.trails[subject]
	t.Subject = subject
	return t
}

func (d *draft) setTrail(t Trail) { d.trails[t.Subject] = t }

// finish makes the change of the draft: what is the same as before drops out.
func (d *draft) finish() (*Change, error) {
	ch := &Change{
		Version: d.version, Rotations: d.rotations, Indicators: d.indicators,
		Journals: d.orders, Skipped: d.skipped,
	}
	d.finishNodes(ch)
	if err := d.finishDoors(ch); err != nil {
		return nil, err
	}
	for _, x := range sorted(d.clearances) {
		x.Version = d.version
		ch.Clearances = append(ch.Clearances, x)
	}
	for _, x := range sorted(d.trails) {
		if old := d.s.trails[x.Subject]; old != x {
			x.Version = d.version
			ch.Trails = append(ch.Trails, x)
		}
	}
	for _, x := range d.gateways {
		x.Version = d.version
		ch.Gateways = append(ch.Gateways, x)
	}
	rows := ch.rows()
	if len(rows) == 0 {
		if _, ok := d.c.(*Tick); ok {
			return nil, nil //nolint:nilnil // nothing is due, as Apply promises
		}
		return nil, refuse(RuleOnRecord, "Es ändert sich nichts: alles Genannte ist schon so.")
	}
	d.finishEntry(ch, rows)
	return ch, nil
}

func (d *draft) finishNodes(ch *Change) {
	for _, n := range slices.Sorted(maps.Keys(d.placements)) {
		p := d.placements[n]
		if old := d.s.placements[n]; old == nil || !reflect.DeepEqual(old, p) {
			p.Version = d.version
			ch.Placements = append(ch.Placements, p)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(d.components)) {
		c := d.components[n]
		if old := d.s.components[n-len(d.s.placements)]; old == nil || !reflect.DeepEqual(old, c) {
			c.Version = d.version
			ch.Components = append(ch.Components, c)
		}
	}
}

// finishDoors derives the doors of what changed. An illegal combination here is
// a broken rule that no rule has refused: it goes no further.
func (d *draft) finishDoors(ch *Change) error {
	for _, p := range ch.Placements {
		row, err := doorOf(p)
		if err != nil {
			return fmt.Errorf("command %q on %s: %w", d.c.Kind(), p.ID, err)
		}
		old := d.s.doors[d.s.top.number[string(p.ID)]]
		if old != nil {
			row.Version = old.Version
			if row.equal(old) {
				continue
			}
		}
		row.Version = d.version
		ch.Doors = append(ch.Doors, &row)
	}
	return nil
}

// doorOf derives the door of a placement, without its version. A start that was
// ordered closes the door like the flag: nobody may write on the regular side.
func doorOf(p *Placement) (DoorRow, error) {
	answer, err := Door(p.Regular, p.Emergency, p.Behaviour, p.Flag != nil || p.Starting != NotStarting)
	if err != nil {
		return DoorRow{}, err
	}
	row := DoorRow{Placement: p.ID, Answer: answer, Epoch: p.Writing.Epoch}
	if answer.Mode == ModeLimited {
		row.Paths = p.Paths
	}
	if answer.Testers || answer.Marked {
		row.People = p.Testers
	}
	return row, nil
}

func (d *draft) finishEntry(ch *Change, rows []ledger.Row) {
	a := d.c.act()
	if len(a.By) > 0 {
		ids := make([]string, len(a.By))
		for i, p := range a.By {
			ids[i] = p.ID
		}
		d.data["by"] = ids
	}
	if len(ch.Skipped) > 0 {
		d.data["skipped"] = ch.Skipped
	}
	actor := ledger.System
	if len(a.By) > 0 {
		actor = a.By[0].ID
	}
	if !d.s.on(RuleOnRecord) {
		rows = nil
	}
	ch.Entry = ledger.Entry{
		At: d.at, Actor: actor, Kind: d.c.Kind(), Subject: d.subject, Reason: a.Reason, Data: d.data, Rows: rows,
	}
}

// rows are the after-images of everything in the change.
func (c *Change) rows() []ledger.Row {
	var out []ledger.Row
	for _, p := range c.Placements {
		out = append(out, p.row())
	}
	for _, p := range c.Components {
		out = append(out, p.row())
	}
	for _, p := range c.Doors {
		out = append(out, p.row())
	}
	for _, p := range c.Clearances {
		out = append(out, p.Row())
	}
	for _, p := range c.Rotations {
		out = append(out, p.Row())
	}
	for _, p := range c.Indicators {
		out = append(out, p.Row())
	}
	for _, p := range c.Trails {
		out = append(out, p.row())
	}
	for _, p := range c.Gateways {
		out = append(out, p.row())
	}
	return out
}

func (p *Placement) row() ledger.Row {
	return ledger.Row{Table: "placement", Key: string(p.ID), Value: p}
}

func (p *Component) row() ledger.Row {
	return ledger.Row{Table: "component_state", Key: string(p.ID), Value: p}
}

func (p *DoorRow) row() ledger.Row {
	return ledger.Row{Table: "door", Key: string(p.Placement), Value: p}
}

func (p Trail) row() ledger.Row { return ledger.Row{Table: "trail", Key: p.Subject, Value: p} }

func (p Gateway) row() ledger.Row { return ledger.Row{Table: "gateway_node", Key: p.Node, Value: p} }
