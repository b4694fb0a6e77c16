package room

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/operation"
)

type verifyArgs struct {
	Heads []string `json:"heads,omitempty"` // signed heads kept elsewhere, as text
	State bool     `json:"state,omitempty"` // compare every row as well
}

// Verified is the outcome of checking one ledger.
type Verified struct {
	Ledger string `json:"ledger"`
	ledger.Report
}

// verifyLedger checks the room's ledger and those of all journals.
func verifyLedger(ctx context.Context, r *Room, a verifyArgs) ([]Verified, error) {
	rep := Verified{Ledger: "room"}
	err := r.Store.Snapshot(ctx, func(ctx context.Context, q db.Querier) (err error) {
		heads := r.headsOf("room", a.Heads)
		if rep.Report, err = ledger.Verify(ctx, q, r.Public(), heads...); err != nil || !a.State {
			return err
		}
		rows, err := ledger.VerifyState(ctx, q, r.Keepers()...)
		rep.Problems = append(rep.Problems, rows...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, v := range operation.CheckInvariants(r.Operation.Current(), r.Now()) {
		if a.State {
			rep.Problems = append(rep.Problems, ledger.Problem{Kind: "rule", Text: fmt.Sprintf("Regel %d: %s", v.Rule, v.Text)})
		}
	}
	gone, err := r.missingJournals(ctx)
	if err != nil {
		return nil, err
	}
	rep.Problems = append(rep.Problems, gone...)
	out := []Verified{rep}
	err = r.eachJournal(ctx, func(j *emergency.Journal) error {
		name := j.Store().Name()
		rep, err := j.Verify(ctx, r.headsOf(name, a.Heads)...)
		out = append(out, Verified{Ledger: name, Report: rep})
		return err
	})
	return out, err
}

// missingJournals names Kassen whose journal is gone: each got one with the room.
func (r *Room) missingJournals(ctx context.Context) ([]ledger.Problem, error) {
	have, err := r.Journals.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []ledger.Problem
	for _, k := range r.Catalogue.Kassen {
		if !slices.Contains(have, k.ID) {
			out = append(out, ledger.Problem{Kind: "missing", Text: fmt.Sprintf("the journal of Kasse %s is gone", k.ID)})
		}
	}
	return out, nil
}

// headsOf picks the heads of one ledger. A head that cannot be read is given to
// the room's check, which reports it.
func (r *Room) headsOf(name string, heads []string) []string {
	return slices.DeleteFunc(slices.Clone(heads), func(text string) bool {
		h, err := ledger.ParseHead(text, r.Public())
		if err != nil {
			return name != "room"
		}
		return h.Origin != name
	})
}

func (r *Room) eachJournal(ctx context.Context, fn func(j *emergency.Journal) error) error {
	kassen, err := r.Journals.List(ctx)
	if err != nil {
		return err
	}
	for _, k := range kassen {
		j, err := r.Journals.Open(ctx, k)
		if err != nil {
			return err
		}
		if err := fn(j); err != nil {
			return err
		}
	}
	return nil
}

// SignedHead is a head as a witness or paper keeps it.
type SignedHead struct {
	Ledger string `json:"ledger"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
	Note   string `json:"note"`
}

func ledgerHeads(ctx context.Context, r *Room, a headArgs) ([]SignedHead, error) {
	var out []SignedHead
	add := func(name string, h ledger.Head, ok bool) {
		if ok {
			out = append(out, SignedHead{Ledger: name, Size: h.Size, Root: h.Root.String(), Note: h.Note})
		}
	}
	h, ok, err := ledger.Newest(ctx, r.Store, r.Public())
	if err != nil {
		return nil, err
	}
	add("room", h, ok)
	if !a.All {
		return out, nil
	}
	err = r.eachJournal(ctx, func(j *emergency.Journal) error {
		h, ok, err := j.Head(ctx)
		add(j.Store().Name(), h, ok)
		return err
	})
	return out, err
}

type headArgs struct {
	All bool `json:"all,omitempty"` // the journals' as well
}

type readArgs struct {
	After int64 `json:"after,omitempty"`
	Limit int   `json:"limit,omitempty"`
}

func readLedger(ctx context.Context, r *Room, a readArgs) ([]ledger.Record, error) {
	if a.Limit <= 0 || a.Limit > 1000 {
		a.Limit = 100
	}
	return ledger.Read(ctx, r.Store, a.After, a.Limit)
}

type exportArgs struct {
	File string `json:"file"`
}

// exportLedger writes the room's ledger for a third party to a new file.
func exportLedger(ctx context.Context, r *Room, a exportArgs) (string, error) {
	f, err := os.OpenFile(a.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("exporting the ledger: %w", err)
	}
	err = ledger.Export(ctx, r.Store, r.Public(), f)
	return a.File, errors.Join(err, f.Sync(), f.Close())
}
