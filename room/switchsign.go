package room

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
)

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
