package exercise

import (
	"context"
	"fmt"
	"slices"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
)

// cellKey names a cell.
type cellKey struct {
	kasse   catalogue.KasseID
	service catalogue.ServiceID
}

// windowBeyond is how long a window stays open after the tests.
const windowBeyond = 6 * time.Hour

// beginSwitchBack announces the window of every cell that is in emergency operation
// and came through the gate whole, and makes it read-only. What came through in
// part ends its intake placement by placement.
func (p *player) beginSwitchBack(ctx context.Context, active []catalogue.PlacementID, reason string) error {
	var parts []catalogue.PlacementID
	cells := map[cellKey]bool{}
	for _, id := range active {
		kasse, service, _, _ := id.Split()
		key := cellKey{kasse, service}
		if !p.whole(key, active) {
			parts = append(parts, id)
			continue
		}
		if cells[key] {
			continue
		}
		cells[key] = true
		s, err := room.Do[recovery.Switchback](ctx, p.room, "operator", "handover.announce", map[string]any{
			"kasse": kasse, "service": service, "from": p.now(), "until": p.now().Add(p.sc.Human.Test + windowBeyond),
			"abort": "Abgleich nicht gleich oder Fenster überschritten", "reason": reason,
		})
		if err == nil {
			_, err = room.Do[recovery.Switchback](ctx, p.room, "operator", "handover.readonly", map[string]string{"id": s.ID})
		}
		if err != nil {
			return fmt.Errorf("beginning to switch %s/%s back: %w", kasse, service, err)
		}
		p.protocols[key] = s.ID
	}
	if len(parts) == 0 {
		return nil
	}
	_, err := room.Do[room.Changed](ctx, p.room, "operator", "handover.begin", map[string]any{"placements": parts, "reason": reason})
	return err
}

// whole reports whether every placement of a cell that emergency operation serves
// is among those given.
func (p *player) whole(key cellKey, among []catalogue.PlacementID) bool {
	for _, pl := range p.room.Catalogue.PlacementsOf(key.kasse, key.service) {
		row, ok := p.room.Operation.Current().Placement(pl.ID)
		if ok && (row.Emergency == operation.Active || row.Emergency == operation.HandingOver) && !slices.Contains(among, pl.ID) {
			return false
		}
	}
	return true
}

// protocolsOf are the protocols under way of placements, and the placements
// that have none.
func (p *player) protocolsOf(over []catalogue.PlacementID) (keys []cellKey, rest []catalogue.PlacementID) {
	for _, id := range over {
		kasse, service, _, _ := id.Split()
		key := cellKey{kasse, service}
		switch {
		case p.protocols[key] == "":
			rest = append(rest, id)
		case !slices.Contains(keys, key):
			keys = append(keys, key)
		}
	}
	return keys, rest
}

// finishSwitchBack drains and compares until both sides have the same books, lets
// the Kasse decide conflicts, and has both sides sign. The other side loses
// answers on purpose: a round that did not come to its end is repeated.
func (p *player) finishSwitchBack(ctx context.Context, keys []cellKey) error {
	const tries = 60
	left := slices.Clone(keys)
	for range tries {
		var open []cellKey
		for _, key := range left {
			done, err := p.drainAndCompare(ctx, key)
			if err != nil {
				return fmt.Errorf("switching %s/%s back: %w", key.kasse, key.service, err)
			}
			if !done {
				open = append(open, key)
			}
		}
		if left = open; len(left) == 0 {
			break
		}
		p.clock.Add(time.Minute.Microseconds()) // the pause before the next try
	}
	if len(left) > 0 {
		return fmt.Errorf("%d cells could not be handed over", len(left))
	}
	for _, key := range keys {
		for _, as := range []string{"operator", "kasse-" + string(key.kasse)} {
			if _, err := room.Do[room.Signed](ctx, p.room, as, "handover.sign", map[string]string{"id": p.protocols[key]}); err != nil {
				return fmt.Errorf("signing for %s/%s as %s: %w", key.kasse, key.service, as, err)
			}
		}
		delete(p.protocols, key)
	}
	return nil
}

// drainAndCompare goes one round for a cell; done says that both books agree.
func (p *player) drainAndCompare(ctx context.Context, key cellKey) (done bool, err error) {
	id := map[string]string{"id": p.protocols[key]}
	d, err := room.Do[room.Drained](ctx, p.room, "operator", "handover.drain", id)
	if err != nil || d.Protocol.Stage == recovery.StageReadOnly {
		return false, err
	}
	decided, err := p.decideConflicts(ctx, key.kasse)
	if err != nil || decided > 0 {
		return false, err
	}
	c, err := room.Do[room.CellComparison](ctx, p.room, "operator", "handover.compare", id)
	return err == nil && c.Agrees, err
}

// decideConflicts lets the delegate of a Kasse see both versions of what both
// sides changed, and decide.
func (p *player) decideConflicts(ctx context.Context, k catalogue.KasseID) (n int, err error) {
	list, err := room.Do[[]emergency.Conflict](ctx, p.room, "operator", "handover.conflicts", map[string]any{"kasse": k})
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		if c.Decision != emergency.Undecided {
			continue
		}
		args := map[string]any{"kasse": k, "number": c.Label, "reason": "beide Fassungen vergleichen"}
		both, err := room.Do[emergency.Both](ctx, p.room, "kasse-"+string(k), "handover.conflict", args)
		if err != nil {
			return n, err
		}
		args["keep"], args["reason"] = judgeConflict(both)
		if _, err := room.Do[[]emergency.Conflict](ctx, p.room, "kasse-"+string(k), "handover.decide", args); err != nil {
			return n, err
		}
		n++
	}
	if n > 0 {
		p.tell("Kasse %s: %s mit Änderungen im Regelsystem entschieden", k, catalogue.Counted(n, "ein Konflikt", "%s Konflikte"))
	}
	return n, nil
}

// judgeConflict is what a delegate thinks who sees both versions: a clerk who
// entered the same end has done it already; otherwise what the practice wrote
// holds against what was understood on the telephone.
func judgeConflict(b emergency.Both) (emergency.Decision, string) {
	if end := untilOf(b.Ours); end != "" && end == endOf(b.Theirs.Body) {
		return emergency.Theirs, "beide Fassungen nennen dasselbe Ende; im Regelsystem ist es eingetragen"
	}
	return emergency.Ours, "die schriftliche Berichtigung der Praxis gilt, am Telefon wurde anderes verstanden"
}
