package room

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/recovery"
)

// askSwitchback is the kind of consent with which the second side signs.
const askSwitchback = "switchback"

type announceArgs struct {
	Kasse   catalogue.KasseID   `json:"kasse"`
	Service catalogue.ServiceID `json:"service"`
	From    time.Time           `json:"from"`
	Until   time.Time           `json:"until"`
	Abort   string              `json:"abort"`
	Reason  string              `json:"reason"`
}

type switchbackArgs struct {
	ID     string    `json:"id,omitempty"`
	Reason string    `json:"reason,omitempty"`
	From   time.Time `json:"from,omitzero"`
	Until  time.Time `json:"until,omitzero"`
}

// leads refuses people who have no say in the way back of a Kasse.
func (r *Room) leads(as access.Person, k catalogue.KasseID) error {
	if as.Has(access.CrisisLead) || as.Has(access.Operator) || r.mayRead(as, k) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: fmt.Sprintf("Die Rückführung der Kasse %s führen Leitung, Betrieb oder die Kasse selbst.", k)}
}

// staged turns an act at the wrong stage or outside the window into a refusal.
func staged(err error) error {
	if errors.Is(err, recovery.ErrStage) || errors.Is(err, recovery.ErrWindow) {
		return &Failure{Rule: int(operation.RuleNothingLost), Text: err.Error(), err: err}
	}
	return err
}

// announceSwitchback tells when a cell goes back to regular operation. Nothing
// changes by it but what is told.
func announceSwitchback(ctx context.Context, r *Room, as access.Person, a announceArgs) (recovery.Switchback, error) {
	if err := r.leads(as, a.Kasse); err != nil {
		return recovery.Switchback{}, err
	}
	places := r.Catalogue.PlacementsOf(a.Kasse, a.Service)
	if len(places) == 0 {
		return recovery.Switchback{}, fmt.Errorf("the catalogue has no cell %s/%s", a.Kasse, a.Service)
	}
	var ids []catalogue.PlacementID
	for _, p := range places {
		row, ok := r.Operation.Current().Placement(p.ID)
		if ok && (row.Emergency == operation.Active || row.Emergency == operation.HandingOver) {
			ids = append(ids, p.ID)
		}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.Switchback, error) {
		if have, ok, err := recovery.OpenSwitchback(ctx, tx, a.Kasse, a.Service); err != nil || ok {
			if err == nil {
				err = staged(fmt.Errorf("%s of this cell is %s: go on with it, move its window or go back: %w", have.ID, have.Stage, recovery.ErrStage))
			}
			return have, err
		}
		s, err := recovery.Announce(now, a.Kasse, a.Service, ids, recovery.Window{From: a.From, Until: a.Until}, a.Abort, a.Reason, as.ID)
		if err != nil {
			return s, staged(err)
		}
		return s, recovery.PutSwitchback(ctx, tx, now, as.ID, "switchback.announced", a.Reason, s)
	})
}

// advance changes a protocol by one person and puts it on record.
func (r *Room) advance(ctx context.Context, as access.Person, id, kind, reason string,
	change func(s recovery.Switchback, now time.Time) (recovery.Switchback, error),
) (recovery.Switchback, error) {
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.Switchback, error) {
		s, err := recovery.SwitchbackByID(ctx, tx, id)
		if err != nil {
			return s, err
		}
		if err := r.leads(as, s.Kasse); err != nil {
			return s, err
		}
		next, err := change(s, now)
		if err != nil {
			return s, staged(err)
		}
		return next, recovery.PutSwitchback(ctx, tx, now, as.ID, kind, reason, next)
	})
}

// moveWindow announces another window for what is under way.
func moveWindow(ctx context.Context, r *Room, as access.Person, a switchbackArgs) (recovery.Switchback, error) {
	if a.Reason == "" {
		return recovery.Switchback{}, errors.New("moving an announced window needs a reason")
	}
	return r.advance(ctx, as, a.ID, "switchback.moved", a.Reason, func(s recovery.Switchback, now time.Time) (recovery.Switchback, error) {
		return s.Move(now, recovery.Window{From: a.From, Until: a.Until})
	})
}

// makeReadOnly ends intake of emergency operation in the announced window: the
// books are drained, the regular side is still closed, callers may read.
func makeReadOnly(ctx context.Context, r *Room, as access.Person, a switchbackArgs) (recovery.Switchback, error) {
	s, err := recovery.SwitchbackByID(ctx, r.Store, a.ID)
	if err != nil {
		return s, err
	}
	if err := r.leads(as, s.Kasse); err != nil {
		return s, err
	}
	cmd := &operation.BeginHandover{}
	cmd.Reason = s.Reason
	for _, p := range s.Placements {
		if row, ok := r.Operation.Current().Placement(p); ok && row.Emergency == operation.HandingOver {
			continue // begun by hand before
		}
		cmd.Placements = append(cmd.Placements, p)
	}
	put := func(ctx context.Context, tx *db.Tx) error {
		now := r.Now()
		have, err := recovery.SwitchbackByID(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		if s, err = have.BeginReadOnly(now, nil); err != nil {
			return staged(err)
		}
		return recovery.PutSwitchback(ctx, tx, now, as.ID, "switchback.read_only", s.Reason, s)
	}
	if len(cmd.Placements) == 0 {
		err = r.Store.Write(ctx, put)
	} else {
		cmd.Sign(r.Now(), as)
		_, err = r.act(ctx, cmd, put)
	}
	if err != nil {
		return s, err
	}
	return r.countBefore(ctx, as, s.ID)
}

// countBefore notes the books as they stood when intake ended.
func (r *Room) countBefore(ctx context.Context, as access.Person, id string) (recovery.Switchback, error) {
	s, err := recovery.SwitchbackByID(ctx, r.Store, id)
	if err != nil {
		return s, err
	}
	books, err := r.counted(ctx, s.Placements)
	if err != nil {
		return s, err
	}
	return r.advance(ctx, as, id, "switchback.counted", "", func(s recovery.Switchback, _ time.Time) (recovery.Switchback, error) {
		s.Before = books
		return s, nil
	})
}

func (r *Room) counted(ctx context.Context, places []catalogue.PlacementID) ([]recovery.Counted, error) {
	out := make([]recovery.Counted, 0, len(places))
	for _, p := range places {
		c, err := r.countsOf(ctx, p)
		if err != nil {
			return nil, err
		}
		out = append(out, recovery.Counted{
			Placement: p, Accepted: c.Accepted, HandedOver: c.HandedOver, Rejected: c.Rejected, Open: c.Open, Amount: c.Amount,
		})
	}
	return out, nil
}

// Drained is what one run of draining did.
type Drained struct {
	Protocol recovery.Switchback `json:"protocol"`
	Runs     []HandedOver        `json:"runs"`
}

// drainCell hands over what emergency operation accepted for a cell. It may be
// repeated as often as needed: what the other side has is never applied twice.
// What is more urgent of the same Kasse and handing over, too, goes first.
func drainCell(ctx context.Context, r *Room, as access.Person, a switchbackArgs) (Drained, error) {
	out := Drained{Runs: []HandedOver{}}
	s, err := recovery.SwitchbackByID(ctx, r.Store, a.ID)
	if err != nil {
		return out, err
	}
	if err := r.leads(as, s.Kasse); err != nil {
		return out, err
	}
	if _, err := s.Drain(r.Now(), nil); err != nil {
		return out, staged(err)
	}
	first, err := r.moreUrgent(ctx, s.Kasse, s.Service)
	if err != nil {
		return out, err
	}
	for _, p := range append(first, s.Placements...) {
		h, err := r.drain(ctx, p)
		if err != nil {
			h.Error = err.Error()
		}
		h.First = slices.Contains(first, p)
		out.Runs = append(out.Runs, h)
	}
	books, err := r.counted(ctx, s.Placements)
	if err != nil {
		return out, err
	}
	out.Protocol, err = r.advance(ctx, as, a.ID, "switchback.drained", "", func(s recovery.Switchback, now time.Time) (recovery.Switchback, error) {
		if s.Before == nil {
			s.Before = books // cut off between ending intake and counting
		}
		return s.Drain(now, books)
	})
	return out, err
}

// CellComparison is what comparing a cell's books brought, differences included.
type CellComparison struct {
	Protocol recovery.Switchback                         `json:"protocol"`
	Outcomes map[catalogue.PlacementID]emergency.Outcome `json:"outcomes"`
	Errors   map[catalogue.PlacementID]string            `json:"errors,omitempty"`
	Agrees   bool                                        `json:"agrees"`
}

// compareCell compares counts, sums and hash totals of both sides. The list of
// differences is in the answer only: it names contents by their hashes.
func compareCell(ctx context.Context, r *Room, as access.Person, a switchbackArgs) (CellComparison, error) {
	out := CellComparison{Outcomes: map[catalogue.PlacementID]emergency.Outcome{}, Errors: map[catalogue.PlacementID]string{}}
	s, err := recovery.SwitchbackByID(ctx, r.Store, a.ID)
	if err != nil {
		return out, err
	}
	if err := r.leads(as, s.Kasse); err != nil {
		return out, err
	}
	if _, err := s.Compare(r.Now(), nil); err != nil {
		return out, staged(err)
	}
	var compared []recovery.Compared
	for _, p := range s.Placements {
		o, err := r.compare(ctx, as, p)
		if err != nil {
			out.Errors[p] = err.Error()
			continue
		}
		out.Outcomes[p] = o
		compared = append(compared, comparedOf(p, o, r.Now()))
	}
	out.Protocol, err = r.advance(ctx, as, a.ID, "switchback.compared", "", func(s recovery.Switchback, now time.Time) (recovery.Switchback, error) {
		return s.Compare(now, compared)
	})
	out.Agrees = out.Protocol.Stage == recovery.StageCompared
	return out, err
}

func comparedOf(p catalogue.PlacementID, o emergency.Outcome, now time.Time) recovery.Compared {
	c := recovery.Compared{
		Placement: p, Agrees: o.Agrees, Ours: o.Comparison.Ours, Theirs: o.Comparison.Theirs, Receiver: o.Comparison.Receiver,
		Head: o.Comparison.Head, Differences: len(o.Differences), At: db.Trim(now),
	}
	if len(o.Signed.Document) > 0 {
		sum := sha256.Sum256(append(append([]byte{}, o.Signed.Document...), o.Signed.Signature...))
		c.Signed = hex.EncodeToString(sum[:])
	}
	return c
}

// backToEmergency breaks the way back off: emergency operation takes items again,
// under a new epoch. What was handed over stays handed over.
func backToEmergency(ctx context.Context, r *Room, as access.Person, a switchbackArgs) (recovery.Switchback, error) {
	s, err := recovery.SwitchbackByID(ctx, r.Store, a.ID)
	if err != nil {
		return s, err
	}
	if err := r.leads(as, s.Kasse); err != nil {
		return s, err
	}
	if strings.TrimSpace(a.Reason) == "" {
		return s, &Failure{Rule: int(operation.RuleOnRecord), Text: "Abbrechen braucht einen Grund."}
	}
	cmd := &operation.ReturnToEmergency{}
	cmd.Reason = a.Reason
	for _, p := range s.Placements {
		if row, ok := r.Operation.Current().Placement(p); ok && row.Emergency == operation.HandingOver && s.Stage != recovery.StageAnnounced {
			cmd.Placements = append(cmd.Placements, p)
		}
	}
	put := func(ctx context.Context, tx *db.Tx) error {
		now := r.Now()
		have, err := recovery.SwitchbackByID(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		if s, err = have.Back(now, as.ID, a.Reason); err != nil {
			return staged(err)
		}
		return recovery.PutSwitchback(ctx, tx, now, as.ID, "switchback.returned", a.Reason, s)
	}
	if len(cmd.Placements) == 0 {
		return s, r.Store.Write(ctx, put)
	}
	cmd.Sign(r.Now(), as)
	_, err = r.act(ctx, cmd, put)
	return s, err
}

// SwitchbackStatus is a protocol with the books as they are now.
type SwitchbackStatus struct {
	recovery.Switchback
	Now     []recovery.Counted `json:"now"`
	Overrun bool               `json:"overrun"`
}

// switchbackStatus lists protocols with the present books, those under way first.
func switchbackStatus(ctx context.Context, r *Room, a switchbackArgs) ([]SwitchbackStatus, error) {
	all, err := recovery.Switchbacks(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	out := []SwitchbackStatus{}
	for _, over := range []bool{false, true} {
		for _, s := range all {
			if s.Stage.Over() != over || a.ID != "" && s.ID != a.ID && a.ID != string(s.Kasse)+"/"+string(s.Service) {
				continue
			}
			books, err := r.counted(ctx, s.Placements)
			if err != nil {
				return nil, err
			}
			out = append(out, SwitchbackStatus{Switchback: s, Now: books, Overrun: s.Overrun(r.Now())})
		}
	}
	if a.ID != "" && len(out) == 0 {
		return nil, fmt.Errorf("%q: %w", a.ID, recovery.ErrNoSwitchback)
	}
	return out, nil
}

// dueSwitchbacks tells once that a window is over. Nothing goes back by a clock:
// people move the window, sign or go back.
func (r *Room) dueSwitchbacks(ctx context.Context, now time.Time) error {
	all, err := recovery.Switchbacks(ctx, r.Store)
	if err != nil {
		return err
	}
	for _, s := range all {
		if !s.Overrun(now) || s.Warned {
			continue
		}
		r.opt.Log.Warn("the window of a switch-back is over: move it, sign or go back", slog.String("protocol", s.ID),
			slog.String("abort", strings.TrimSpace(s.Abort)))
		if err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			have, err := recovery.SwitchbackByID(ctx, tx, s.ID)
			if err != nil || !have.Overrun(now) {
				return err
			}
			have.Warned = true
			return recovery.PutSwitchback(ctx, tx, now, ledger.System, "switchback.overran", have.Abort, have)
		}); err != nil {
			return err
		}
	}
	return nil
}
