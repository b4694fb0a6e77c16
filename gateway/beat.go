package gateway

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Schema is the package's part of the room's store: signs of life of gateways.
// They say nothing that anybody decided and are no entries of the ledger.
var Schema = db.Migrations{Package: "gateway", Steps: []string{`
	create table gateway_beat (
		node text primary key, count bigint not null, lease bigint not null, seen bigint not null, behind text not null
	);
`}}

// Beat is a sign of life of a gateway that follows the store of a room from
// elsewhere, and its word about doors: it obeys all of them up to version Seen, and
// will whatever happens, except that what began before is still under way behind some.
type Beat struct {
	Node   string
	Count  int64         // grows with every beat
	Lease  time.Duration // how long after a beat began it may serve the regular side
	Seen   int64         // newest version of the doors that is in its file
	Behind map[catalogue.PlacementID]int64
}

// Obeys is the version of a placement's door that the node obeys entirely.
func (b Beat) Obeys(p catalogue.PlacementID) int64 {
	if v, behind := b.Behind[p]; behind {
		return v
	}
	return b.Seen
}

// Write leaves the beat in one statement of its own: a node that is cut off in the
// middle of it holds nothing up. The node must read the doors afterwards, before it counts on its lease.
func (b Beat) Write(ctx context.Context, q db.Querier) error {
	behind, err := json.Marshal(b.Behind)
	if err != nil {
		return fmt.Errorf("encoding a sign of life: %w", err)
	}
	var count int64
	err = q.QueryRow(ctx, `insert into gateway_beat (node, count, lease, seen, behind) values ($1, 1, $2, $3, $4)
		on conflict (node) do update set count = gateway_beat.count + 1, lease = excluded.lease, seen = excluded.seen, behind = excluded.behind
		returning count`, b.Node, b.Lease.Microseconds(), b.Seen, string(behind)).Scan(&count)
	if err != nil {
		return fmt.Errorf("leaving a sign of life: %w", err)
	}
	return nil
}

// Beats reads the last beat of every node.
func Beats(ctx context.Context, q db.Querier) ([]Beat, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (b Beat, err error) {
		var lease int64
		var behind string
		if err := rows.Scan(&b.Node, &b.Count, &lease, &b.Seen, &behind); err != nil {
			return b, err
		}
		b.Lease = time.Duration(lease) * time.Microsecond
		return b, json.Unmarshal([]byte(behind), &b.Behind)
	}, `select node, count, lease, seen, behind from gateway_beat order by node`)
	if err != nil {
		return nil, fmt.Errorf("reading signs of life: %w", err)
	}
	return out, nil
}

// Watch is what somebody who waits for the word of nodes has seen of them. It
// measures by its own clock since it saw something, so no two clocks are compared.
type Watch struct {
	// Margin is added to every lease, for a node whose clock is slow.
	Margin time.Duration
	nodes  map[string]watched
	doors  map[catalogue.PlacementID]closing
}

type watched struct {
	count int64
	since time.Time // when the count was first seen
}

type closing struct {
	version int64
	since   time.Time
}

// Note takes note of beats that were read after now was taken.
func (w *Watch) Note(now time.Time, beats []Beat) {
	if w.nodes == nil {
		w.nodes, w.doors = map[string]watched{}, map[catalogue.PlacementID]closing{}
	}
	for _, b := range beats {
		if seen, ok := w.nodes[b.Node]; !ok || seen.count != b.Count {
			w.nodes[b.Node] = watched{b.Count, now}
		}
	}
}

// Closes says since when a door is known to be closed in this version.
func (w *Watch) Closes(now time.Time, p catalogue.PlacementID, version int64) time.Time {
	if w.doors == nil {
		w.nodes, w.doors = map[string]watched{}, map[catalogue.PlacementID]closing{}
	}
	if c, ok := w.doors[p]; !ok || c.version != version {
		w.doors[p] = closing{version, now}
	}
	return w.doors[p].since
}

// Ended says whether a node that does not obey the closed door cannot serve behind
// it any more: every beat that it left before the door closed was its last for
// longer than its lease, and after any later one it reads the closed door first.
func (w *Watch) Ended(now time.Time, b Beat, closed time.Time) bool {
	since := closed
	if seen, ok := w.nodes[b.Node]; ok && seen.since.After(since) {
		since = seen.since
	}
	return now.Sub(since) >= b.Lease+w.Margin
}
