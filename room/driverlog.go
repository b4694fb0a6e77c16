package room

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
)

type importLogArgs struct {
	Log    string `json:"log"`              // content of the file
	Public string `json:"public,omitempty"` // key that signed it; empty: the room's
	Reason string `json:"reason"`
}

// ImportedLog is what a log of the kill switch brought.
type ImportedLog struct {
	Measures   []string `json:"measures"`
	Records    int      `json:"records"`
	Placements int      `json:"placements"` // taken off in the room's state
	Components int      `json:"components,omitempty"`
}

// ErrImported says that a log is in the ledger already.
var ErrImported = errors.New("this log is in the ledger already")

// importLog takes a log of the kill switch into the ledger: what was done there
// as it was recorded, then the state of the room follows. Both or neither.
func importLog(ctx context.Context, r *Room, as access.Person, a importLogArgs) (ImportedLog, error) {
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) {
		return ImportedLog{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Das Protokoll des Not-Aus übernehmen Betrieb oder Leitung."}
	}
	public := a.Public
	if public == "" {
		public = r.Public()
	}
	records, err := containment.ReadLog([]byte(a.Log), public)
	if err != nil {
		return ImportedLog{}, err
	}
	if c, err := r.LoadDoorsConfig(); err == nil { // orders at doors are signed where people have keys
		signers, err := signersOf(c.People)
		if err != nil {
			return ImportedLog{}, err
		}
		for _, rec := range records {
			if err := signers.Verify(rec); err != nil {
				return ImportedLog{}, err
			}
		}
	} else if !errors.Is(err, ErrNoDoors) {
		return ImportedLog{}, err
	}
	return r.takeLog(ctx, as.ID, records, a.Reason)
}

// takeLog takes records over, measure by measure.
func (r *Room) takeLog(ctx context.Context, actor string, records []containment.LogRecord, reason string) (ImportedLog, error) {
	if len(records) == 0 {
		return ImportedLog{}, fmt.Errorf("the log is empty")
	}
	have, err := containment.Acts(ctx, r.Store)
	if err != nil {
		return ImportedLog{}, err
	}
	out := ImportedLog{Records: len(records)}
	var measures []string
	last := map[string][]containment.Act{} // by measure, each act as it was last
	for _, rec := range records {
		if slices.ContainsFunc(have, func(h containment.Act) bool { return h.ID == rec.Act.ID }) {
			return out, fmt.Errorf("act %q: %w", rec.Act.ID, ErrImported)
		}
		m := rec.Act.Measure
		if !slices.Contains(measures, m) {
			measures = append(measures, m)
		}
		last[m] = append(slices.DeleteFunc(last[m], func(x containment.Act) bool { return x.ID == rec.Act.ID }), rec.Act)
	}
	for _, m := range measures {
		of := slices.DeleteFunc(slices.Clone(records), func(rec containment.LogRecord) bool { return rec.Act.Measure != m })
		taken, err := r.importMeasure(ctx, actor, m, of, last[m], reason)
		if err != nil {
			return out, err
		}
		out.Measures = append(out.Measures, m)
		out.Placements, out.Components = out.Placements+len(taken.Placements), out.Components+len(taken.Components)
	}
	return out, nil
}

// importMeasure takes one measure over, in one transaction.
func (r *Room) importMeasure(ctx context.Context, actor, id string, records []containment.LogRecord, acts []containment.Act, reason string) (containment.Measure, error) {
	people, err := r.peopleOf(ctx, acts[0].By)
	if err != nil {
		return containment.Measure{}, err
	}
	now := r.Now()
	m := containment.Measure{
		ID: id, Title: titleOf(acts), Stage: 2, State: containment.Unconfirmed, Reason: records[0].Reason, OrderedBy: people[0].ID, OrderedAt: db.Trim(records[0].At),
	}
	cut := &operation.OrderCut{Measure: id, Immediate: len(people) < 2, Behaviour: map[catalogue.PlacementID]catalogue.Behaviour{}}
	if len(people) > 1 {
		m.State, m.SecondBy = containment.Ordered, people[1].ID
	}
	for _, a := range acts {
		if a.Back || a.State == containment.Failed {
			continue
		}
		for _, p := range r.placementsOf(a.Target) {
			if row, ok := r.Operation.Current().Placement(p); ok && row.Regular.Connected() && !slices.Contains(m.Placements, p) {
				m.Placements = append(m.Placements, p)
				cut.Nodes = append(cut.Nodes, string(p))
				if move, ok := a.Move(); ok {
					cut.Behaviour[p] = move.To
				}
			}
		}
		id := catalogue.ComponentID(a.Target)
		if row, ok := r.Operation.Current().Component(id); ok && row.Regular.Connected() && !slices.Contains(m.Components, id) {
			m.Components, cut.Nodes = append(m.Components, id), append(cut.Nodes, a.Target)
		}
	}
	if m.Placements == nil {
		m.Placements = []catalogue.PlacementID{}
	}
	record := func(ctx context.Context, tx *db.Tx) error {
		for _, rec := range records {
			if err := containment.PutAct(ctx, tx, now, rec.Kind, rec.Reason, rec.Act); err != nil {
				return err
			}
		}
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: actor, Kind: "killswitch.imported", Subject: id, Reason: reason,
			Data: map[string]any{"from": records[0].At, "to": records[len(records)-1].At, "records": len(records)},
		})
		return errors.Join(err, containment.Record(ctx, tx, now, actor, "measure.recorded", m))
	}
	if len(cut.Nodes) == 0 {
		return m, r.Store.Write(ctx, record)
	}
	cut.Reason = m.Title + ": " + m.Reason
	cut.Sign(now, people...)
	_, err = r.act(ctx, cut, record)
	return m, err
}

func (r *Room) peopleOf(ctx context.Context, ids []string) ([]access.Person, error) {
	var out []access.Person
	for _, id := range ids {
		p, err := access.Get(ctx, r.Store, id)
		if err != nil {
			return nil, fmt.Errorf("the log names %w", err)
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, errors.New("the log names nobody who ordered it")
	}
	return out, nil
}

// titleOf names what was done without the room.
func titleOf(acts []containment.Act) string {
	if !slices.ContainsFunc(acts, func(a containment.Act) bool { return a.Driver != containment.DoorsDriver }) {
		return "Tür ohne Verbindung zum Raum geschlossen"
	}
	return "Not-Aus"
}
