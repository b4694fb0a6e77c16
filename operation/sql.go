package operation

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/forensics"
)

// maxValues is how many values go into one statement. SQLite looks names such
// as $7 up one by one: the cost of a statement grows with their square.
const maxValues = 240

// put writes rows in statements of many.
func put[T any](ctx context.Context, tx *db.Tx, before, after string, values []T, args func(T) ([]any, error)) error {
	for len(values) > 0 {
		var all []any
		var text strings.Builder
		text.WriteString(before)
		for len(values) > 0 && len(all) < maxValues {
			row, err := args(values[0])
			if err != nil {
				return err
			}
			if len(all) > 0 {
				text.WriteByte(',')
			}
			placeholders(&text, len(all), len(row))
			all, values = append(all, row...), values[1:]
		}
		text.WriteString(after)
		if _, err := tx.Exec(ctx, text.String(), all...); err != nil {
			return err
		}
	}
	return nil
}

func placeholders(text *strings.Builder, from, n int) {
	for i := range n {
		text.WriteByte("(,"[min(i, 1)])
		text.WriteByte('$')
		text.WriteString(strconv.Itoa(from + i + 1))
	}
	text.WriteByte(')')
}

// write stores a change, without its ledger entry.
func (c *Change) write(ctx context.Context, tx *db.Tx) error {
	if err := put(ctx, tx, putPlacement, overPlacement, c.Placements, (*Placement).args); err != nil {
		return fmt.Errorf("storing placements: %w", err)
	}
	if err := put(ctx, tx, putComponent, overComponent, c.Components, (*Component).args); err != nil {
		return fmt.Errorf("storing components: %w", err)
	}
	if err := put(ctx, tx, putDoor, overDoor, c.Doors, (*DoorRow).args); err != nil {
		return fmt.Errorf("storing doors: %w", err)
	}
	if err := put(ctx, tx, putTrail, overTrail, c.Trails, Trail.args); err != nil {
		return fmt.Errorf("storing trails: %w", err)
	}
	if err := put(ctx, tx, putGateway, overGateway, c.Gateways, Gateway.args); err != nil {
		return fmt.Errorf("storing gateways: %w", err)
	}
	for _, x := range c.Clearances {
		if err := forensics.PutClearance(ctx, tx, x); err != nil {
			return err
		}
	}
	for _, x := range c.Rotations {
		if err := forensics.PutRotation(ctx, tx, x); err != nil {
			return err
		}
	}
	for _, x := range c.Indicators {
		if err := forensics.PutIndicator(ctx, tx, x); err != nil {
			return err
		}
	}
	return nil
}

func (t *Track) args() ([]any, error) {
	lists, err := db.JSON(t.Rests, t.Cut, t.Flag)
	if err != nil {
		return nil, err
	}
	return []any{
		t.Regular.String(), db.Micro(t.Since), t.Down, db.Micro(t.DownAt), t.GateOnly, t.Passed, lists[0],
		t.Owner, db.Micro(t.Confirmed), lists[1], lists[2], t.Version,
	}, nil
}

func (p *Placement) args() ([]any, error) {
	track, err := p.Track.args()
	if err != nil {
		return nil, err
	}
	lists, err := db.JSON(p.Paths, p.Testers, p.Writing.Proof, p.Journal)
	if err != nil {
		return nil, err
	}
	undoing := ""
	if p.Undoing != 0 {
		undoing = p.Undoing.String()
	}
	out := append([]any{string(p.ID), string(p.Kasse), string(p.Service), string(p.Site), string(p.Environment)}, track...)
	return append(out, p.Emergency.String(), p.Behaviour.String(), lists[0], lists[1], string(p.Starting), undoing,
		string(p.Writing.Writer), p.Writing.Epoch, p.Writing.Closing, lists[2], lists[3], db.Micro(p.ObserveUntil)), nil
}

func (c *Component) args() ([]any, error) {
	track, err := c.Track.args()
	return append([]any{string(c.ID), string(c.Site)}, track...), err
}

func (d *DoorRow) args() ([]any, error) {
	lists, err := db.JSON(d.Paths, d.People)
	if err != nil {
		return nil, err
	}
	return []any{string(d.Placement), d.Mode.String(), d.Testers, d.Marked, lists[0], lists[1], d.Epoch, d.Version}, nil
}

func (t Trail) args() ([]any, error) {
	return []any{t.Subject, t.Named, t.NamedBy, t.Reconnected, t.Version}, nil
}

func (g Gateway) args() ([]any, error) {
	lists, err := db.JSON(g.Services)
	if err != nil {
		return nil, err
	}
	return []any{g.Node, lists[0], g.Retired, g.Version}, nil
}

// trackScan holds what a row gives before it becomes a Track.
type trackScan struct {
	regular, rests, cut, flag string
	since, downAt, confirmed  int64
}

func (s *trackScan) into(t *Track) []any {
	return []any{
		&s.regular, &s.since, &t.Down, &s.downAt, &t.GateOnly, &t.Passed, &s.rests,
		&t.Owner, &s.confirmed, &s.cut, &s.flag, &t.Version,
	}
}

func (s *trackScan) finish(t *Track) (err error) {
	if t.Regular, err = ParseRegular(s.regular); err != nil {
		return err
	}
	t.Since, t.DownAt, t.Confirmed = db.Time(s.since), db.Time(s.downAt), db.Time(s.confirmed)
	return db.FromJSON([]string{s.rests, s.cut, s.flag}, &t.Rests, &t.Cut, &t.Flag)
}

func scanPlacement(rows *sql.Rows) (*Placement, error) {
	var p Placement
	var s trackScan
	var emergency, behaviour, undoing, paths, testers, proof, journal string
	var observe int64
	to := append([]any{&p.ID, &p.Kasse, &p.Service, &p.Site, &p.Environment}, s.into(&p.Track)...)
	to = append(to, &emergency, &behaviour, &paths, &testers, &p.Starting, &undoing,
		&p.Writing.Writer, &p.Writing.Epoch, &p.Writing.Closing, &proof, &journal, &observe)
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	if err := s.finish(&p.Track); err != nil {
		return nil, fmt.Errorf("placement %q: %w", p.ID, err)
	}
	var err error
	if p.Emergency, err = ParseEmergency(emergency); err != nil {
		return nil, fmt.Errorf("placement %q: %w", p.ID, err)
	}
	if undoing != "" {
		if p.Undoing, err = ParseRegular(undoing); err != nil {
			return nil, fmt.Errorf("placement %q: %w", p.ID, err)
		}
	}
	if err := p.Behaviour.UnmarshalText([]byte(behaviour)); err != nil {
		return nil, fmt.Errorf("placement %q: %w", p.ID, err)
	}
	p.ObserveUntil = db.Time(observe)
	return &p, db.FromJSON([]string{paths, testers, proof, journal}, &p.Paths, &p.Testers, &p.Writing.Proof, &p.Journal)
}

func scanComponent(rows *sql.Rows) (*Component, error) {
	var c Component
	var s trackScan
	if err := rows.Scan(append([]any{&c.ID, &c.Site}, s.into(&c.Track)...)...); err != nil {
		return nil, err
	}
	if err := s.finish(&c.Track); err != nil {
		return nil, fmt.Errorf("component %q: %w", c.ID, err)
	}
	return &c, nil
}

func scanDoor(rows *sql.Rows) (*DoorRow, error) {
	var d DoorRow
	var mode, paths, people string
	if err := rows.Scan(&d.Placement, &mode, &d.Testers, &d.Marked, &paths, &people, &d.Epoch, &d.Version); err != nil {
		return nil, err
	}
	if err := d.Mode.UnmarshalText([]byte(mode)); err != nil {
		return nil, fmt.Errorf("door of %q: %w", d.Placement, err)
	}
	return &d, db.FromJSON([]string{paths, people}, &d.Paths, &d.People)
}

func scanTrail(rows *sql.Rows) (t Trail, err error) {
	return t, rows.Scan(&t.Subject, &t.Named, &t.NamedBy, &t.Reconnected, &t.Version)
}

func scanGateway(rows *sql.Rows) (g Gateway, err error) {
	var services string
	if err := rows.Scan(&g.Node, &services, &g.Retired, &g.Version); err != nil {
		return g, err
	}
	return g, db.FromJSON([]string{services}, &g.Services)
}

// Keepers are the tables whose rows the ledger accounts for; those of package
// forensics come beside them.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{
		ledger.KeepQuery("placement", (*Placement).row, scanPlacement, getPlacements, int64(-1)),
		ledger.KeepQuery("component_state", (*Component).row, scanComponent, getComponents, int64(-1)),
		ledger.KeepQuery("door", (*DoorRow).row, scanDoor, getDoors, int64(-1)),
		ledger.KeepQuery("trail", Trail.row, scanTrail, getTrails, int64(-1)),
		ledger.KeepQuery("gateway_node", Gateway.row, scanGateway, getGateways, int64(-1)),
	}
}
