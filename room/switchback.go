package room

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// Signed is what signing gave: the first signature asks the other side, the
// second one has put the cell into regular operation.
type Signed struct {
	Protocol recovery.Switchback `json:"protocol"`
	Consent  *access.Consent     `json:"consent,omitempty"` // what the other side agrees to
	Done     bool                `json:"done"`
}

// sideOf says for which side a person signs: the Kasse for its regular system,
// lead and operator for emergency operation.
func (r *Room) sideOf(as access.Person, k catalogue.KasseID) (recovery.Side, error) {
	switch {
	case r.mayRead(as, k):
		return recovery.RegularSide, nil
	case as.Has(access.CrisisLead) || as.Has(access.Operator):
		return recovery.EmergencySide, nil
	}
	return "", &Failure{Rule: int(operation.RuleTwoPeople), Text: fmt.Sprintf("Das Protokoll unterschreiben die Vertretung der Kasse %s und Betrieb oder Leitung.", k)}
}

// signSwitchback signs for one side. The first signature asks the other side;
// the second gives the right to write back to the regular system in the same
// transaction.
func signSwitchback(ctx context.Context, r *Room, as access.Person, a switchbackArgs) (Signed, error) {
	s, err := recovery.SwitchbackByID(ctx, r.Store, a.ID)
	if err != nil {
		return Signed{}, err
	}
	side, err := r.sideOf(as, s.Kasse)
	if err != nil {
		return Signed{}, err
	}
	if len(s.Signatures) == 1 {
		c, err := r.openConsent(ctx, s.ID)
		if err != nil {
			return Signed{}, err
		}
		if c.ID != "" {
			return r.signSecond(ctx, c, as)
		}
		s.Signatures = nil // the request ran out: it is asked again
	}
	if _, err := s.Sign(r.Now(), side, as.ID); err != nil {
		return Signed{}, staged(err)
	}
	if s, err = r.readyToSign(ctx, s); err != nil {
		return Signed{}, err
	}
	return r.signFirst(ctx, as, side, s)
}

func (r *Room) signFirst(ctx context.Context, as access.Person, side recovery.Side, s recovery.Switchback) (Signed, error) {
	if err := r.mayAsk(as, acceptOf(s)); err != nil {
		return Signed{}, err
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (Signed, error) {
		next, err := s.Sign(now, side, as.ID)
		if err != nil {
			return Signed{}, staged(err)
		}
		c, err := access.Ask(ctx, tx, now, access.Question{
			Kind: askSwitchback, Payload: switchbackArgs{ID: s.ID}, Shown: s.Statement(), By: as.ID,
			Summary: fmt.Sprintf("Rückführung %s der Kasse %s in den Regelbetrieb: %s", s.Service, s.Kasse, totals(s)),
		})
		if err != nil {
			return Signed{}, err
		}
		return Signed{Protocol: next, Consent: &c}, recovery.PutSwitchback(ctx, tx, now, as.ID, "switchback.signed", "", next)
	})
}

// totals are the figures of a comparison in one line.
func totals(s recovery.Switchback) string {
	var n, amount int64
	for _, c := range s.Compared {
		for _, l := range c.Ours {
			n, amount = n+l.Count, amount+l.Amount
		}
	}
	return fmt.Sprintf("%d Vorgänge, Summe %d,%02d Euro, beide Bücher gleich", n, amount/100, amount%100)
}

// openConsent finds the request that waits for the other side.
func (r *Room) openConsent(ctx context.Context, id string) (access.Consent, error) {
	open, err := access.Open(ctx, r.Store)
	if err != nil {
		return access.Consent{}, err
	}
	for _, c := range open {
		var a switchbackArgs
		if c.Kind == askSwitchback && json.Unmarshal(c.Payload, &a) == nil && a.ID == id && r.Now().Before(c.Expires) {
			return c, nil
		}
	}
	return access.Consent{}, nil
}

// acceptOf is the command that both signatures carry out; an acceptance with
// limits leads into limited operation.
func acceptOf(s recovery.Switchback) *operation.Accept {
	cmd := &operation.Accept{To: operation.Running}
	if len(s.Paths) > 0 {
		cmd.To, cmd.Paths = operation.Limited, s.Paths
	}
	cmd.Reason = "Rückführung " + s.ID + ": " + s.Reason
	for _, p := range s.Placements {
		cmd.Nodes = append(cmd.Nodes, string(p))
	}
	return cmd
}

// readyToSign refuses signing while something is not as it must be. It gives the
// protocol with the acceptance that it rests on: people sign that, too.
func (r *Room) readyToSign(ctx context.Context, s recovery.Switchback) (recovery.Switchback, error) {
	if err := r.reconciledFirst(ctx, acceptOf(s)); err != nil {
		return s, err
	}
	a, ok, err := r.accepted(ctx, s.Kasse, s.Service)
	if err != nil || !ok {
		return s, err
	}
	s.Acceptance, s.Paths, s.Works, s.WorksNot = a.ID, a.Paths, a.Works, a.WorksNot
	return s, nil
}

func (r *Room) approveSwitchback(ctx context.Context, c access.Consent, second access.Person) (Outcome, error) {
	out, err := r.signSecond(ctx, c, second)
	if err != nil {
		return Outcome{}, err
	}
	c, err = access.ConsentByID(ctx, r.Store, c.ID)
	return Outcome{Consent: c, Done: out.Protocol}, err
}

// signSecond is the other side's signature: consent, protocol and the change of
// the writer are one transaction.
func (r *Room) signSecond(ctx context.Context, c access.Consent, second access.Person) (Signed, error) {
	var a switchbackArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Signed{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	s, err := recovery.SwitchbackByID(ctx, r.Store, a.ID)
	if err != nil {
		return Signed{}, err
	}
	side, err := r.sideOf(second, s.Kasse)
	if err != nil {
		return Signed{}, err
	}
	now, err := r.readyToSign(ctx, s)
	if err != nil {
		return Signed{}, err
	}
	if now.Acceptance != s.Acceptance || !slices.Equal(now.Paths, s.Paths) {
		return Signed{}, access.ErrChanged // the first person signed something else
	}
	first, err := access.Get(ctx, r.Store, c.AskedBy)
	if err != nil {
		return Signed{}, fmt.Errorf("the first person of %q: %w", c.ID, err)
	}
	cmd := acceptOf(s)
	at := r.Now()
	cmd.Sign(at, first, second)
	out := Signed{Done: true}
	_, err = r.act(ctx, cmd, func(ctx context.Context, tx *db.Tx) error {
		have, err := recovery.SwitchbackByID(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		if _, err := access.Give(ctx, tx, at, c.ID, second.ID, func(access.Consent) (any, error) { return have.Statement(), nil }); err != nil {
			return err
		}
		if out.Protocol, err = have.Sign(at, side, second.ID); err != nil {
			return staged(err)
		}
		if err := recovery.PutSwitchback(ctx, tx, at, second.ID, "switchback.completed", s.Reason, out.Protocol); err != nil || s.Acceptance == "" {
			return err
		}
		done, err := recovery.AcceptanceByID(ctx, tx, s.Acceptance)
		if err != nil {
			return err
		}
		done.Done = db.Trim(at)
		return recovery.Put(ctx, tx, at, second.ID, "acceptance.done", "", done)
	})
	return out, err
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
