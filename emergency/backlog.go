package emergency

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Flow is what came in for a placement, and what was settled of it, within one
// hour. Repetitions are no items.
type Flow struct {
	Placement catalogue.PlacementID `json:"placement"`
	Hour      time.Time             `json:"hour"` // its beginning, UTC
	In        int64                 `json:"in"`
	Out       int64                 `json:"out"` // applied, known or rejected
}

// Waiting is what is open for a placement now.
type Waiting struct {
	Placement catalogue.PlacementID `json:"placement"`
	People    int64                 `json:"people"`   // unread or held: somebody looks at each
	Transfer  int64                 `json:"transfer"` // only has to be handed over
	Rejected  int64                 `json:"rejected"` // settled, with an owner
}

// Speed is how fast one batch was taken by the other side: items in the time
// that it was under way, or until its results came by a slow channel.
type Speed struct {
	Placement catalogue.PlacementID `json:"placement"`
	Items     int64                 `json:"items"`
	Took      time.Duration         `json:"took"`
}

// Backlog is what a journal tells about what piled up. Flows are by hour and
// placement, the sum of In less the sum of Out is what is open.
type Backlog struct {
	Flows   []Flow
	Waiting []Waiting
	Speeds  []Speed // of the newest batches, at most 200 of a placement
}

// Backlog reads what piled up. It goes through all items: seconds for a million.
func (j *Journal) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	err := j.store.Snapshot(ctx, func(ctx context.Context, q db.Querier) (err error) {
		if b.Flows, err = flows(ctx, q); err != nil {
			return err
		}
		if b.Waiting, err = waiting(ctx, q); err != nil {
			return err
		}
		b.Speeds, err = speeds(ctx, q)
		return err
	})
	if err != nil {
		return b, fmt.Errorf("reading the backlog of Kasse %s: %w", j.kasse, err)
	}
	return b, nil
}

func flows(ctx context.Context, q db.Querier) ([]Flow, error) {
	hour := time.Hour.Microseconds()
	return db.Collect(ctx, q, func(r *sql.Rows) (Flow, error) {
		var f Flow
		var n int64
		err := r.Scan(&f.Placement, &n, &f.In, &f.Out)
		f.Hour = db.Time(n * hour)
		return f, err
	}, `select placement, hour, sum(came), sum(gone) from (
			select s.placement as placement, i.received / $1 as hour, count(*) as came, 0 as gone
				from journal_standing s join journal_item i on i.number = s.number where s.state <> 'duplicate' group by 1, 2
			union all
			select s.placement, case when s.settled = 0 then i.received else s.settled end / $1, 0, count(*)
				from journal_standing s join journal_item i on i.number = s.number where s.result <> '' group by 1, 2
		) as f group by placement, hour order by placement, hour`, hour)
}

func waiting(ctx context.Context, q db.Querier) ([]Waiting, error) {
	return db.Collect(ctx, q, func(r *sql.Rows) (Waiting, error) {
		var w Waiting
		err := r.Scan(&w.Placement, &w.People, &w.Transfer, &w.Rejected)
		return w, err
	}, `select placement, sum(case when state in ('unread', 'held') then 1 else 0 end),
			sum(case when state in ('pending', 'sent', 'receipted') then 1 else 0 end),
			sum(case when result = 'rejected' then 1 else 0 end)
		from journal_standing group by placement order by placement`)
}

func speeds(ctx context.Context, q db.Querier) ([]Speed, error) {
	return db.Collect(ctx, q, func(r *sql.Rows) (Speed, error) {
		var s Speed
		var us int64
		err := r.Scan(&s.Placement, &s.Items, &us)
		s.Took = time.Duration(us) * time.Microsecond
		return s, err
	}, `select b.placement, count(*), case when b.took > max(s.settled) - b.made then b.took else max(s.settled) - b.made end from (
			select id, placement, made, took, row_number() over (partition by placement order by made desc, id) as n
				from journal_batch where state = 'settled') as b
			join journal_standing s on s.batch = b.id and s.settled > 0
		where b.n <= 200 group by b.placement, b.id, b.made, b.took order by b.placement, b.made, b.id`)
}
