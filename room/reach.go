package room

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/operation"
)

// codeKey is derived from the secret that lies beside the stores.
func (r *Room) codeKey() (access.CodeKey, error) {
	s, err := emergency.LoadIndexSecret(r.opt.Data)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, s[:], nil, "leitstand codes over the telephone", 32)
}

// issueCodes makes a new sheet of codes for the person who acts: nobody gets
// another person's codes.
func issueCodes(ctx context.Context, r *Room, as access.Person, _ none) (access.Sheet, error) {
	key, err := r.codeKey()
	if err != nil {
		return access.Sheet{}, err
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.Sheet, error) {
		return access.IssueSheet(ctx, tx, now, as.ID, key)
	})
}

type codeArgs struct {
	ID     string `json:"id"`
	Person string `json:"person"`
	Code   string `json:"code,omitempty"`
}

// askCode says which code to ask a person for on the telephone.
func askCode(ctx context.Context, r *Room, as access.Person, a codeArgs) (access.CodeAsked, error) {
	out, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.CodeAsked, error) {
		return access.AskCode(ctx, tx, now, as.ID, a.ID, a.Person)
	})
	return out, refusedCode(err)
}

// approveByCode carries out what a person agreed to over the telephone; as is who
// typed the code in. The code is used up first, in a transaction of its own:
// then the act is judged as if the person stood here.
func approveByCode(ctx context.Context, r *Room, as access.Person, a codeArgs) (Outcome, error) {
	key, err := r.codeKey()
	if err != nil {
		return Outcome{}, err
	}
	fits, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (bool, error) {
		return access.RedeemCode(ctx, tx, now, as.ID, a.ID, a.Person, a.Code, key)
	})
	if err == nil && !fits {
		err = access.ErrWrongCode
	}
	if err != nil {
		return Outcome{}, refusedCode(err)
	}
	person, err := access.Get(ctx, r.Store, a.Person)
	if err != nil {
		return Outcome{}, err
	}
	return approve(ctx, r, person, idArgs{ID: a.ID})
}

func refusedCode(err error) error {
	for _, why := range []error{access.ErrWrongCode, access.ErrNoCodes, access.ErrTooMany} {
		if errors.Is(err, why) {
			return &Failure{Rule: int(operation.RuleTwoPeople), Text: err.Error(), err: err}
		}
	}
	return err
}

func listDeputies(ctx context.Context, r *Room, _ none) ([]access.Deputy, error) {
	return access.Deputies(ctx, r.Store)
}

// nameDeputy says who may stand in: the person concerned, or the lead.
func nameDeputy(ctx context.Context, r *Room, as access.Person, d access.Deputy) (access.Deputy, error) {
	if as.ID != d.Person && !as.Has(access.CrisisLead) {
		return d, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Vertretungen benennt die Person selbst oder die Leitung des Stabs."}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.Deputy, error) {
		return access.Name(ctx, tx, now, as.ID, d)
	})
}

type standInArgs struct {
	ID     string    `json:"id"`
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason"`
}

// beginStandIn lets a named deputy act: the deputy says so, or the lead.
func beginStandIn(ctx context.Context, r *Room, as access.Person, a standInArgs) (access.Deputy, error) {
	d, err := access.DeputyByID(ctx, r.Store, a.ID)
	if err != nil {
		return d, err
	}
	if as.ID != d.Deputy && !as.Has(access.CrisisLead) {
		return d, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Eine Vertretung beginnt, wer vertritt, oder die Leitung des Stabs."}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.Deputy, error) {
		return access.Begin(ctx, tx, now, as.ID, a.ID, a.Until, a.Reason)
	})
}

// endStandIn takes the roles back; any of the two, or the lead.
func endStandIn(ctx context.Context, r *Room, as access.Person, a standInArgs) (access.Deputy, error) {
	d, err := access.DeputyByID(ctx, r.Store, a.ID)
	if err != nil {
		return d, err
	}
	if as.ID != d.Deputy && as.ID != d.Person && !as.Has(access.CrisisLead) {
		return d, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Eine Vertretung beendet, wer vertritt oder vertreten wird, oder die Leitung des Stabs."}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.Deputy, error) {
		return access.End(ctx, tx, now, as.ID, a.ID, a.Reason)
	})
}

// askHandOver is the kind of consent with which somebody takes roles over.
const askHandOver = "role.handover"

type handOverArgs struct {
	To     string        `json:"to"`
	Roles  []access.Role `json:"roles"`
	Reason string        `json:"reason"`
}

// handOverRoles offers one's own roles to another person, who must take them.
func handOverRoles(ctx context.Context, r *Room, as access.Person, a handOverArgs) (access.Consent, error) {
	if _, _, err := r.handedOver(ctx, as.ID, a); err != nil {
		return access.Consent{}, err
	}
	names := make([]string, len(a.Roles))
	for i, role := range a.Roles {
		names[i] = string(role)
	}
	return ask(ctx, r, as, access.Question{
		Kind: askHandOver, Payload: a, Shown: a,
		Summary: fmt.Sprintf("Übergabe von %s durch %s an %s", strings.Join(names, ", "), as.ID, a.To),
	})
}

// handedOver are giver and taker as they are after a hand-over.
func (r *Room) handedOver(ctx context.Context, from string, a handOverArgs) (giver, taker access.Person, err error) {
	people, err := access.List(ctx, r.Store)
	if err != nil {
		return giver, taker, err
	}
	for _, p := range people {
		switch p.ID {
		case from:
			giver = p
		case a.To:
			taker = p
		}
	}
	if !taker.Active || !giver.Active {
		return giver, taker, fmt.Errorf("%q: %w", a.To, access.ErrUnknownPerson)
	}
	if len(a.Roles) == 0 {
		return giver, taker, errors.New("which roles are handed over?")
	}
	giver.Roles, taker.Roles = slices.Clone(giver.Roles), slices.Clone(taker.Roles)
	for _, role := range a.Roles {
		i := slices.Index(giver.Roles, role)
		if i < 0 {
			return giver, taker, fmt.Errorf("%q, role %q: %w", from, role, access.ErrNotTheirs)
		}
		if role == access.KasseDelegate {
			if taker.Kasse != "" && taker.Kasse != giver.Kasse {
				return giver, taker, fmt.Errorf("%q speaks for Kasse %s already", taker.ID, taker.Kasse)
			}
			taker.Kasse = giver.Kasse
		}
		giver.Roles = slices.Delete(giver.Roles, i, i+1)
		if !slices.Contains(taker.Roles, role) {
			taker.Roles = append(taker.Roles, role)
		}
	}
	return giver, taker, nil
}

func approveHandOver(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error) {
	var a handOverArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	if second.ID != a.To {
		return Outcome{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Rollen nimmt nur die Person an, der sie übergeben werden."}
	}
	giver, taker, err := r.handedOver(ctx, first.ID, a)
	if err != nil {
		return Outcome{}, err
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return a, nil }); err != nil {
			return out, err
		}
		for _, p := range []access.Person{giver, taker} {
			if err := access.Put(ctx, tx, now, second.ID, p); err != nil {
				return out, err
			}
		}
		out.Done = a
		_, err = ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: first.ID, Kind: "role.handed_over", Subject: second.ID, Reason: a.Reason, Data: a.Roles})
		return out, err
	})
}
