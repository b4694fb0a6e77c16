package room

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/recovery"
)

// backlogCache keeps what journals told, by Kasse, until their ledgers grow:
// reading a journal goes through all its items.
type backlogCache struct {
	mu   sync.Mutex
	kept map[catalogue.KasseID]keptBacklog
}

type keptBacklog struct {
	head string
	b    emergency.Backlog
}

type backlogArgs struct {
	Kasse   catalogue.KasseID   `json:"kasse,omitempty"`
	Service catalogue.ServiceID `json:"service,omitempty"`
}

// BacklogView is what piled up, in the order in which it is worked off.
type BacklogView struct {
	At       time.Time             `json:"at"`
	Terms    recovery.BacklogTerms `json:"terms"`
	Services []ServiceBacklog      `json:"services"`
}

// ServiceBacklog is what piled up for a service, over all Kassen asked for.
type ServiceBacklog struct {
	Service  catalogue.ServiceID    `json:"service"`
	Name     string                 `json:"name"`
	Group    string                 `json:"group"`
	Rank     int                    `json:"rank"`
	Open     int64                  `json:"open"`
	People   int64                  `json:"people"`
	Transfer int64                  `json:"transfer"`
	Rejected int64                  `json:"rejected"`
	Accepted int64                  `json:"accepted"`
	Curve    []recovery.BacklogPast `json:"curve"`
	Ahead    []recovery.Ahead       `json:"ahead,omitempty"` // only with a date
	Done     *recovery.BacklogRange `json:"done,omitempty"`  // nil: no date, see known
	Work     *recovery.Hours        `json:"work,omitempty"`  // of the longest cell, from its beginning; nil: nothing waits
	Known    bool                   `json:"begin_known"`     // every handover has begun or has a time
	Cells    []recovery.BacklogCell `json:"cells"`
}

// Draw draws the curve of the service.
func (s ServiceBacklog) Draw(now time.Time, zone *time.Location) string {
	return recovery.DrawBacklog(s.Name, s.Curve, s.Ahead, now, zone)
}

// showBacklog gives the backlog of every service that emergency operation took
// something for, the most urgent first.
func showBacklog(ctx context.Context, r *Room, a backlogArgs) (BacklogView, error) {
	now := r.Now()
	v := BacklogView{At: db.Trim(now), Services: []ServiceBacklog{}}
	var err error
	if v.Terms, err = recovery.CurrentBacklogTerms(ctx, r.Store); err != nil {
		return v, err
	}
	cells, flows, err := r.backlogCells(ctx, v.Terms, a)
	if err != nil {
		return v, err
	}
	runs := recovery.BacklogForecast(v.Terms, cells, now, Zone(), 1)
	at := map[catalogue.ServiceID]int{}
	for _, c := range cells {
		i, ok := at[c.Service]
		if !ok {
			i = len(v.Services)
			at[c.Service] = i
			v.Services = append(v.Services, ServiceBacklog{Service: c.Service, Name: r.serviceName(c.Service), Group: c.Group, Rank: c.Rank})
		}
		s := &v.Services[i]
		s.Open, s.People, s.Transfer = s.Open+c.Open, s.People+c.People, s.Transfer+c.Transfer
		s.Rejected, s.Accepted, s.Cells = s.Rejected+c.Rejected, s.Accepted+c.Accepted, append(s.Cells, c)
	}
	for i := range v.Services {
		s := &v.Services[i]
		s.Curve = recovery.PastOf(flows[s.Service], now, Zone())
		s.Done, s.Work, s.Known = runs.Of(s.Service)
		if s.Done != nil {
			s.Ahead = runs.Curve(s.Service, now.Add(max(time.Hour, s.Done.P90.Sub(now)*11/10)))
		}
	}
	slices.SortStableFunc(v.Services, func(x, y ServiceBacklog) int {
		if x.Rank != y.Rank {
			return x.Rank - y.Rank
		}
		return strings.Compare(string(x.Service), string(y.Service))
	})
	return v, nil
}

func (r *Room) serviceName(id catalogue.ServiceID) string {
	for _, s := range r.Catalogue.Services {
		if s.ID == id {
			return s.Name
		}
	}
	return string(id)
}

// backlogOf reads a journal's backlog, or gives what is known while nothing has changed.
func (r *Room) backlogOf(ctx context.Context, k catalogue.KasseID) (emergency.Backlog, error) {
	j, err := r.Journals.Open(ctx, k)
	if err != nil {
		return emergency.Backlog{}, err
	}
	head, _, err := j.Head(ctx)
	if err != nil {
		return emergency.Backlog{}, err
	}
	r.backlogs.mu.Lock()
	defer r.backlogs.mu.Unlock()
	if have, ok := r.backlogs.kept[k]; ok && have.head == head.Note {
		return have.b, nil
	}
	b, err := j.Backlog(ctx)
	if err != nil {
		return b, err
	}
	if r.backlogs.kept == nil {
		r.backlogs.kept = map[catalogue.KasseID]keptBacklog{}
	}
	r.backlogs.kept[k] = keptBacklog{head.Note, b}
	return b, nil
}

// backlogCells reads what waits for each Kasse and service, and the flows of each service.
func (r *Room) backlogCells(ctx context.Context, t recovery.BacklogTerms, a backlogArgs) ([]recovery.BacklogCell, map[catalogue.ServiceID][]emergency.Flow, error) {
	kassen, err := r.Journals.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	var cells []recovery.BacklogCell
	flows := map[catalogue.ServiceID][]emergency.Flow{}
	for _, k := range kassen {
		if a.Kasse != "" && a.Kasse != k {
			continue
		}
		b, err := r.backlogOf(ctx, k)
		if err != nil {
			return nil, nil, err
		}
		made, err := r.cellsOf(ctx, t, k, b)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range made {
			if a.Service == "" || a.Service == c.Service {
				cells = append(cells, c)
			}
		}
		for _, f := range b.Flows {
			_, service, _, ok := f.Placement.Split()
			if ok && (a.Service == "" || a.Service == service) {
				flows[service] = append(flows[service], f)
			}
		}
	}
	return cells, flows, nil
}

// cellsOf sums one journal up by service.
func (r *Room) cellsOf(ctx context.Context, t recovery.BacklogTerms, k catalogue.KasseID, b emergency.Backlog) ([]recovery.BacklogCell, error) {
	now := r.Now()
	var out []recovery.BacklogCell
	cell := func(p catalogue.PlacementID) *recovery.BacklogCell {
		_, service, _, ok := p.Split()
		if !ok {
			return nil
		}
		for i := range out {
			if out[i].Service == service {
				return &out[i]
			}
		}
		c := recovery.BacklogCell{Kasse: k, Service: service}
		c.Rank, c.Group = t.Rank(service)
		out = append(out, c)
		return &out[len(out)-1]
	}
	for _, w := range b.Waiting {
		if c := cell(w.Placement); c != nil {
			c.People, c.Transfer, c.Rejected = c.People+w.People, c.Transfer+w.Transfer, c.Rejected+w.Rejected
			c.Open = c.People + c.Transfer
		}
	}
	const week = 7 * 24 * time.Hour
	for _, f := range b.Flows {
		if c := cell(f.Placement); c != nil {
			c.Accepted += f.In
			if f.Hour.After(now.Add(-week)) {
				c.Inflow += float64(f.In)
			}
		}
	}
	for _, s := range b.Speeds {
		if c := cell(s.Placement); c != nil && s.Took > 0 {
			c.Speeds = append(c.Speeds, float64(s.Items)/s.Took.Hours())
		}
	}
	for i := range out {
		c := &out[i]
		if c.Measured = len(c.Speeds) >= fewestSpeeds; !c.Measured {
			c.Speeds = nil
		}
		if err := r.beginOf(ctx, c); err != nil {
			return nil, err
		}
		if c.Inflow /= 7; !c.Taking {
			c.Inflow = 0
		}
	}
	return out, nil
}

// fewestSpeeds is how many batches make a measurement.
const fewestSpeeds = 5

// beginOf works out whether a cell still takes items and when its handover begins.
func (r *Room) beginOf(ctx context.Context, c *recovery.BacklogCell) error {
	now := r.Now()
	for _, p := range r.Catalogue.PlacementsOf(c.Kasse, c.Service) {
		if row, ok := r.Operation.Current().Placement(p.ID); ok && row.Emergency == operation.Active {
			c.Taking = true
		}
	}
	if !c.Taking {
		c.Begins = recovery.Begins{Known: true, Why: "die Übergabe läuft", P50: now, P90: now}
		return nil
	}
	s, ok, err := recovery.OpenSwitchback(ctx, r.Store, c.Kasse, c.Service)
	if err != nil {
		return err
	}
	if ok {
		at := s.Window.From
		if at.Before(now) {
			at = now
		}
		c.Begins = recovery.Begins{Known: true, Why: "angekündigtes Fenster " + s.ID, P50: at, P90: at}
		return nil
	}
	f, err := planForecast(ctx, r, forecastArgs{})
	if errors.Is(err, recovery.ErrNoPlan) {
		c.Begins.Why = "kein Fenster angekündigt und kein Plan in Kraft"
		return nil
	}
	if err != nil {
		return err
	}
	for _, x := range f.Cells {
		if x.Kasse == c.Kasse && x.Service == c.Service {
			c.Begins = recovery.Begins{Known: true, Why: "nach dem geltenden Plan", P50: x.P50, P90: x.P90}
			return nil
		}
	}
	c.Begins.Why = "kein Fenster angekündigt und nicht im geltenden Plan"
	return nil
}
