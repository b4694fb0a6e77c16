package warning

import (
	"context"
	"fmt"
	"time"

	"leitstand/base/db"
)

// foreign takes a hit that workers on a log bus found. The room's exceptions
// hold for it: every event that it rests on must fall under one.
func (d *Detector) foreign(h Hit) []Hit {
	if d.quiet {
		return nil
	}
	if id, ok := d.allExcepted(h.Rule, h.At, h.Events); ok {
		d.stats.Excepted[id]++
		return nil
	}
	d.stats.Hits++
	return []Hit{h}
}

// keepIDs is how long the room knows which hits it had: longer than any bus keeps them.
const keepIDs = 40 * 24 * time.Hour

// unseen leaves out hits that came before.
func unseen(ctx context.Context, tx *db.Tx, now time.Time, hits []Hit) ([]Hit, error) {
	var out []Hit
	foreign := false
	for _, h := range hits {
		if h.ID != "" {
			foreign = true
			n, err := tx.Exec(ctx, `insert into bus_hit (id, at) values ($1, $2) on conflict (id) do nothing`, h.ID, db.Micro(now))
			if err != nil {
				return nil, fmt.Errorf("noting hit %q: %w", h.ID, err)
			}
			if n == 0 {
				continue
			}
		}
		out = append(out, h)
	}
	if foreign {
		if _, err := tx.Exec(ctx, `delete from bus_hit where at < $1`, db.Micro(now.Add(-keepIDs))); err != nil {
			return nil, fmt.Errorf("forgetting old hits: %w", err)
		}
	}
	return out, nil
}
