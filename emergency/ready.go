package emergency

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"leitstand/base/db"
)

// ready lists what goes into the next batch, in order, and what will follow it.
// Items that were looked at ahead come as they were then.
func (h *Handover) ready(ctx context.Context) (batch, rest []Item, err error) {
	h.looking.Wait()
	most := h.MaxItems
	if most == 0 {
		most = 500
	}
	limit := h.MaxBytes
	if limit == 0 {
		limit = 8 << 20
	}
	next, err := h.queue(ctx, 2*most)
	if err != nil {
		return nil, nil, err
	}
	items, err := h.load(ctx, next)
	if err != nil {
		return nil, nil, err
	}
	n := within(items[:min(len(items), most)], limit)
	if n == 0 && len(items) > 0 {
		n = 1 // one larger item goes alone
	}
	rest = items[n:min(len(items), n+most)]
	return items[:n], rest[:within(rest, limit)], nil
}

// within is how many of the items have no more bytes than the limit.
func within(items []Item, limit int64) int {
	size := int64(0)
	for i, it := range items {
		if size += it.Size; size > limit {
			return i
		}
	}
	return len(items)
}

// queue are the numbers of what waits to be handed over, in the order in which it
// leaves. Nothing overtakes an item that nobody has read yet: it may be about the
// same person.
func (h *Handover) queue(ctx context.Context, most int) ([]Number, error) {
	type place struct {
		number   Number
		position int64
	}
	var places []place
	for _, state := range []State{Pending, Held} { // each in the order of an index; one query for both would sort all of them
		part, err := db.Collect(ctx, h.Journal.store, func(r *sql.Rows) (p place, err error) {
			err = r.Scan(&p.number, &p.position)
			return p, err
		}, `select number, position from journal_standing where placement = $1 and state = $2
			and number < coalesce((select min(number) from journal_standing where placement = $1 and state = 'unread'), 9223372036854775807)
			order by position limit $3`, string(h.Placement), string(state), most)
		if err != nil {
			return nil, fmt.Errorf("listing what is to be handed over: %w", err)
		}
		places = append(places, part...)
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.position, b.position) })
	numbers := make([]Number, 0, most)
	for _, p := range places[:min(len(places), most)] {
		numbers = append(numbers, p.number)
	}
	return numbers, nil
}

// load returns the items in the order of their numbers here.
func (h *Handover) load(ctx context.Context, numbers []Number) ([]Item, error) {
	found := make(map[Number]Item, len(numbers))
	var missing []Number
	for _, n := range numbers {
		if a, ok := h.ahead[n]; ok {
			found[n] = a.item
		} else {
			missing = append(missing, n)
		}
	}
	err := chunks(missing, func(part []Number) error {
		where, args := numberIs("s.number", 1, part)
		got, err := db.Collect(ctx, h.Journal.store, scanItem, itemQuery+`where `+where, args...)
		for _, it := range got {
			found[it.Number] = it
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is to be handed over: %w", err)
	}
	items := make([]Item, len(numbers))
	for i, n := range numbers {
		it, ok := found[n]
		if !ok {
			return nil, fmt.Errorf("item %s: %w", n.Label(h.Journal.kasse), ErrNoItem)
		}
		items[i] = it
	}
	return items, nil
}
