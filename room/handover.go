package room

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/recovery"
)

// handoverOf makes the handover of a placement to its regular system.
func (r *Room) handoverOf(ctx context.Context, p catalogue.PlacementID) (*emergency.Handover, error) {
	row, ok := r.Operation.Current().Placement(p)
	if !ok || row.Emergency != operation.HandingOver {
		return nil, fmt.Errorf("%q is not handing over: run handover begin first", p)
	}
	target, ok := r.regular[p]
	if !ok {
		return nil, fmt.Errorf("no regular system is known for %q: add it under regular in %s", p, ConfigFile)
	}
	j, err := r.Journals.Open(ctx, row.Kasse)
	if err != nil {
		return nil, err
	}
	channel, err := r.channelOf(target)
	if err != nil {
		return nil, err
	}
	h := &emergency.Handover{Journal: j, Placement: p, Receiver: target.Key, Owner: r.heldBy(row.Kasse), Holder: "room", Channel: channel}
	if r.Intake != nil {
		h.Describe = r.Intake.DescribeFor(row.Kasse)
	}
	return h, nil
}

// handOver hands over what is there and, once nothing is open, compares.
func (r *Room) handOver(ctx context.Context, as access.Person, p catalogue.PlacementID) (HandedOver, error) {
	out, err := r.drain(ctx, p)
	if err == nil && out.Next.IsZero() && out.Counts.Open == 0 {
		var o emergency.Outcome
		if o, err = r.compare(ctx, as, p); err == nil {
			out.Agrees = o.Agrees
		}
		if c, cerr := r.countsOf(ctx, p); cerr == nil {
			out.Counts = c
		}
	}
	return out, err
}

// drain hands over what is there and lets operation know the books.
func (r *Room) drain(ctx context.Context, p catalogue.PlacementID) (HandedOver, error) {
	out := HandedOver{Placement: p}
	h, err := r.handoverOf(ctx, p)
	if err != nil {
		return out, err
	}
	out.Next, err = h.Due(ctx, r.Now())
	c, cerr := h.Journal.CountsOf(ctx, p)
	out.Counts = c
	if row, ok := r.Operation.Current().Placement(p); ok && cerr == nil {
		cerr = r.reportBooks(ctx, p, row.Writing.Epoch, c)
	}
	return out, errors.Join(err, cerr)
}

// compare compares both sides' books of a placement.
func (r *Room) compare(ctx context.Context, as access.Person, p catalogue.PlacementID) (emergency.Outcome, error) {
	h, err := r.handoverOf(ctx, p)
	if err != nil {
		return emergency.Outcome{}, err
	}
	return h.Reconcile(ctx, r.Now(), as.ID)
}

func (r *Room) countsOf(ctx context.Context, p catalogue.PlacementID) (emergency.Counts, error) {
	kasse, _, _, ok := p.Split()
	if !ok {
		return emergency.Counts{}, fmt.Errorf("placement %q is no placement id", p)
	}
	j, err := r.Journals.Open(ctx, kasse)
	if err != nil {
		return emergency.Counts{}, err
	}
	return j.CountsOf(ctx, p)
}

// besideProtocol refuses acceptance of a cell whose switch-back is under way: it
// ends with both signatures, or is broken off.
func (r *Room) besideProtocol(ctx context.Context, cmd operation.Command) error {
	a, ok := cmd.(*operation.Accept)
	if !ok {
		return nil
	}
	for _, n := range a.Nodes {
		kasse, service, _, ok := catalogue.PlacementID(n).Split()
		if !ok {
			continue
		}
		s, open, err := recovery.OpenSwitchback(ctx, r.Store, kasse, service)
		if err != nil {
			return err
		}
		if open && slices.Contains(s.Placements, catalogue.PlacementID(n)) {
			return &Failure{Rule: int(operation.RuleNothingLost), Text: fmt.Sprintf(
				"Für %s läuft die Rückführung %s: sie endet mit beiden Unterschriften (leitstand handover sign) oder wird abgebrochen.", n, s.ID)}
		}
	}
	return r.reconciledFirst(ctx, cmd)
}

// reconciledFirst refuses acceptance of what was handed over and not compared:
// both sides' books agree before the regular side writes.
func (r *Room) reconciledFirst(ctx context.Context, cmd operation.Command) error {
	a, ok := cmd.(*operation.Accept)
	if !ok {
		return nil
	}
	for _, n := range a.Nodes {
		row, ok := r.Operation.Current().Placement(catalogue.PlacementID(n))
		if !ok || row.Emergency != operation.HandingOver {
			continue
		}
		c, err := r.countsOf(ctx, row.ID)
		if err != nil {
			return err
		}
		if c.Open > 0 || c.Reconciled != c.HandedOver+c.Rejected {
			return &Failure{Rule: int(operation.RuleNothingLost), Text: fmt.Sprintf(
				"Für %s ist noch nicht alles übergeben und abgeglichen: %d offen, %d von %d abgeglichen. Erst leitstand handover drain, dann compare.",
				row.ID, c.Open, c.Reconciled, c.HandedOver+c.Rejected)}
		}
	}
	return nil
}
