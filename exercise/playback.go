package exercise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
)

// beginReturn brings a selection back: proofs of rotation, clearances by two
// examiners, rebuilding, trial in the computed order. Acceptance follows after
// the tests.
func (p *player) beginReturn(ctx context.Context, s ReturnStep) error {
	sel, err := p.selection(ctx, s.Select)
	if err != nil {
		return err
	}
	chosen, err := sel.Resolve(p.room.Catalogue)
	if err != nil {
		return err
	}
	down := p.down(chosen)
	if len(down) == 0 {
		return nil
	}
	p.tell("Rückkehr: %s (%s)", s.Reason, catalogue.Counted(len(down), "eine Stelle", "%s Stellen"))
	if err := p.clear(ctx, down, s.Reason); err != nil {
		return err
	}
	var nodes, rebuild []string
	for _, d := range down {
		nodes = append(nodes, string(d))
		if row, ok := p.room.Operation.Current().Placement(d); ok && (row.Regular == operation.Cut || row.Regular == operation.Failed) {
			rebuild = append(rebuild, string(d)) // the others are in rebuilding since an earlier return
		}
	}
	if len(rebuild) > 0 {
		if _, err := room.Do[room.Changed](ctx, p.room, "operator", "rebuild.begin", map[string]any{"nodes": rebuild, "reason": s.Reason}); err != nil {
			return err
		}
	}
	order, err := recovery.Order(p.room.Catalogue, nodes)
	if err != nil {
		return err
	}
	p.at(p.now().Add(p.sc.Human.Second), func(ctx context.Context) error { return p.enterWaves(ctx, order, s.Reason) })
	return nil
}

// clear proves rotations and grants clearances for everything that the gate will
// ask about and that has none.
func (p *player) clear(ctx context.Context, down []catalogue.PlacementID, reason string) error {
	now := p.now()
	evidence := func(scope forensics.Scope, what string) []forensics.Evidence {
		text := fmt.Sprintf("ÜBUNG %s %s %s", what, scope, now.Format(time.RFC3339))
		sum := sha256.Sum256([]byte(text))
		return []forensics.Evidence{{Name: what + ".txt", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(text))}}
	}
	for _, scope := range p.scopes(down) {
		if _, err := room.Do[room.Changed](ctx, p.room, "operator", "rotation.prove", map[string]any{
			"scope": scope, "evidence": evidence(scope, "rotation"), "rotated_at": now, "reason": reason,
		}); err != nil {
			return fmt.Errorf("proving rotation of %s: %w", scope, err)
		}
		if p.cleared(scope) {
			continue
		}
		c, err := room.Do[access.Consent](ctx, p.room, "examiner", "clearance.grant", map[string]any{
			"scope": scope, "check": forensics.Cleaned, "evidence": evidence(scope, "forensik"), "until": now.Add(120 * 24 * time.Hour), "reason": reason,
		})
		if err != nil {
			return fmt.Errorf("asking for clearance of %s: %w", scope, err)
		}
		if _, err := room.Do[room.Outcome](ctx, p.room, "examiner2", "approve", map[string]string{"id": c.ID}); err != nil {
			return fmt.Errorf("granting clearance of %s: %w", scope, err)
		}
	}
	return nil
}

func (p *player) cleared(scope forensics.Scope) bool {
	return slices.ContainsFunc(p.room.Operation.Current().Clearances(), func(c forensics.Clearance) bool {
		return c.Scope == scope && c.Valid(p.now())
	})
}

// scopes are the environments and components that placements rest on, through
// all their dependencies.
func (p *player) scopes(down []catalogue.PlacementID) []forensics.Scope {
	cat := p.room.Catalogue
	seen := map[string]bool{}
	scopes := map[forensics.Scope]bool{}
	var visit func(id string)
	visit = func(id string) {
		if seen[id] {
			return
		}
		seen[id] = true
		if pl, ok := cat.Placement(catalogue.PlacementID(id)); ok {
			scopes[forensics.Scope{Kind: forensics.Environment, ID: string(pl.Environment)}] = true
			for _, n := range pl.Needs.Nodes() {
				visit(n)
			}
		} else if m, ok := cat.Component(catalogue.ComponentID(id)); ok {
			scopes[forensics.Scope{Kind: forensics.Component, ID: id}] = true
			for _, n := range m.Needs.Nodes() {
				visit(n)
			}
		}
	}
	for _, d := range down {
		visit(string(d))
	}
	out := make([]forensics.Scope, 0, len(scopes))
	for s := range scopes {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b forensics.Scope) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// enterWaves takes what is in rebuilding through the gate, dependencies first.
// What still lacks something that is off is left for a later return.
func (p *player) enterWaves(ctx context.Context, order []recovery.Position, reason string) error {
	done := map[string]bool{}
	var entered []catalogue.PlacementID
	for len(order) > 0 {
		var wave []string
		var rest []recovery.Position
		for _, pos := range order {
			if slices.ContainsFunc(pos.After, func(id string) bool { return !done[id] }) {
				rest = append(rest, pos)
			} else {
				wave = append(wave, pos.Node)
			}
		}
		if len(wave) == 0 {
			break
		}
		in, err := p.enterTrial(ctx, wave, reason)
		if err != nil {
			return err
		}
		for _, id := range in {
			done[id] = true
			entered = append(entered, catalogue.PlacementID(id))
		}
		order = slices.DeleteFunc(rest, func(pos recovery.Position) bool {
			return slices.ContainsFunc(pos.After, func(id string) bool { return slices.Contains(wave, id) && !done[id] })
		})
	}
	if len(entered) == 0 {
		return nil
	}
	if err := p.room.Reconnect(ctx, entered); err != nil {
		return err
	}
	if err := p.beginHandover(ctx, entered, reason); err != nil {
		return err
	}
	p.at(p.now().Add(p.sc.Human.Test), func(ctx context.Context) error { return p.accept(ctx, entered, reason) })
	return nil
}

// enterTrial takes a wave through the gate; members whose formula does not hold
// yet stay out.
func (p *player) enterTrial(ctx context.Context, wave []string, reason string) ([]string, error) {
	state := p.room.Operation.Current()
	in := map[string]bool{}
	for _, id := range wave {
		in[id] = true
	}
	up := func(id string) bool {
		if in[id] {
			return true
		}
		if row, ok := state.Placement(catalogue.PlacementID(id)); ok {
			return row.Regular.Connected()
		}
		row, ok := state.Component(catalogue.ComponentID(id))
		return ok && row.Regular.Connected()
	}
	for changed := true; changed; {
		changed = false
		for _, id := range wave {
			pl, ok := p.room.Catalogue.Placement(catalogue.PlacementID(id))
			if ok && in[id] && !pl.Needs.Holds(up) {
				delete(in, id)
				changed = true
			}
		}
	}
	nodes := slices.DeleteFunc(slices.Clone(wave), func(id string) bool { return !in[id] })
	if len(nodes) == 0 {
		return nil, nil
	}
	c, err := room.Do[access.Consent](ctx, p.room, "lead", "trial.enter", map[string]any{"nodes": nodes, "reason": reason})
	if err != nil {
		return nil, fmt.Errorf("asking for trial: %w", err)
	}
	return nodes, p.approve(ctx, "operator", c.ID)
}

// beginHandover ends intake where emergency operation is active.
func (p *player) beginHandover(ctx context.Context, entered []catalogue.PlacementID, reason string) error {
	var active []catalogue.PlacementID
	for _, id := range entered {
		if row, ok := p.room.Operation.Current().Placement(id); ok && row.Emergency == operation.Active {
			active = append(active, id)
		}
	}
	if len(active) == 0 {
		return nil
	}
	// What lies in the mailboxes is taken in before intake ends.
	if err := p.room.Intake.PollAll(ctx, p.now()); err != nil {
		return err
	}
	if err := p.beginSwitchBack(ctx, active, reason); err != nil {
		return err
	}
	return p.pointEmployers(ctx)
}

// handOver runs until the other side has everything: it loses answers on purpose.
func (p *player) handOver(ctx context.Context, ids []catalogue.PlacementID) error {
	const tries = 60
	for try := range tries {
		runs, err := room.Do[[]room.HandedOver](ctx, p.room, "operator", "handover.run", map[string]any{"placements": ids})
		if err != nil {
			return err
		}
		var open []catalogue.PlacementID
		for _, h := range runs {
			kasse, _, _, _ := h.Placement.Split()
			if _, err := p.decideConflicts(ctx, kasse); err != nil {
				return err
			}
			if h.Error != "" || !h.Agrees {
				open = append(open, h.Placement)
			}
			if try == tries-1 && h.Error != "" {
				return fmt.Errorf("handing over %s: %s", h.Placement, h.Error)
			}
		}
		if len(open) == 0 {
			return nil
		}
		ids = open
		p.clock.Add(time.Minute.Microseconds()) // the pause before the next try
	}
	return fmt.Errorf("%d placements could not be handed over", len(ids))
}

// accept ends trial after the tests: what emergency operation took in goes back by
// the protocol that both sides sign; everything else the delegate of each Kasse
// and the operator accept.
func (p *player) accept(ctx context.Context, entered []catalogue.PlacementID, reason string) error {
	var over []catalogue.PlacementID
	byKasse := map[catalogue.KasseID][]string{}
	for _, id := range entered {
		row, ok := p.room.Operation.Current().Placement(id)
		if !ok || row.Regular != operation.Trial {
			continue // it went down again meanwhile
		}
		if row.Emergency == operation.HandingOver {
			over = append(over, id)
		}
		byKasse[row.Kasse] = append(byKasse[row.Kasse], string(id))
	}
	keys, rest := p.protocolsOf(over)
	if len(rest) > 0 {
		if err := p.handOver(ctx, rest); err != nil {
			return err
		}
	}
	for _, key := range keys {
		byKasse[key.kasse] = slices.DeleteFunc(byKasse[key.kasse], func(id string) bool {
			kasse, service, _, _ := catalogue.PlacementID(id).Split()
			return key == cellKey{kasse, service} && slices.Contains(over, catalogue.PlacementID(id))
		})
	}
	if err := p.finishSwitchBack(ctx, keys); err != nil {
		return err
	}
	for _, k := range p.room.Catalogue.Kassen {
		nodes := byKasse[k.ID]
		if len(nodes) == 0 {
			continue
		}
		c, err := room.Do[access.Consent](ctx, p.room, "kasse-"+string(k.ID), "regular.accept", map[string]any{"nodes": nodes, "reason": reason})
		if err != nil {
			return fmt.Errorf("asking for acceptance of Kasse %s: %w", k.ID, err)
		}
		if _, err := room.Do[room.Outcome](ctx, p.room, "operator", "approve", map[string]string{"id": c.ID}); err != nil {
			return fmt.Errorf("accepting for Kasse %s: %w", k.ID, err)
		}
	}
	p.tell("abgenommen: %s von %s", catalogue.Counted(len(entered), "eine Stelle", "%s Stellen"), catalogue.Counted(len(byKasse), "einer Kasse", "%s Kassen"))
	if err := p.world.fetch(ctx, entered); err != nil {
		return err
	}
	if len(over) > 0 {
		p.at(p.now().Add(25*time.Hour), func(ctx context.Context) error { return p.endObservation(ctx, over) })
	}
	return nil
}

// endObservation closes the emergency track for good after the time set.
func (p *player) endObservation(ctx context.Context, ids []catalogue.PlacementID) error {
	state := p.room.Operation.Current()
	ids = slices.DeleteFunc(slices.Clone(ids), func(id catalogue.PlacementID) bool {
		row, ok := state.Placement(id)
		return !ok || row.Emergency != operation.Closed
	})
	if len(ids) == 0 {
		return nil
	}
	_, err := room.Do[room.Changed](ctx, p.room, "operator", "observation.end", map[string]any{
		"placements": ids, "reason": "Beobachtungszeit ohne Befund",
	})
	return err
}
