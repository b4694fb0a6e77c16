package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
)

// askKasseErase is the kind of consent to deleting what was accepted for a Kasse;
// kasseErased the kind of the room's entry that proves it.
const (
	askKasseErase = "kasse.erase"
	kasseErased   = "kasse.erased"
)

type kasseEraseArgs struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	Reason string            `json:"reason"`
}

// ShareDeletion is the record of a deletion: what the room's entry says, so that a
// share made later proves it.
type ShareDeletion struct {
	Seq      int64     `json:"seq,omitempty"` // of the room's entry
	At       time.Time `json:"at,omitzero"`
	First    string    `json:"first,omitempty"`
	Second   string    `json:"second,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Bodies   int       `json:"bodies"` // of the Kasse, with what was deleted before
	Leaves   int       `json:"leaves"`
	Letters  int       `json:"letters"`
	Requests int       `json:"requests"`
	Receipts int64     `json:"receipts"`
	Keys     []string  `json:"keys"`    // ids of the private keys that were destroyed
	Entries  []int64   `json:"entries"` // of the Kasse's ledger
	Head     string    `json:"head"`    // signed, of the Kasse's ledger after the deletion
	Files    []string  `json:"files"`   // older files beside the room that were removed
	// Copies that this room has made since the Kasse's journal began and that may
	// still hold what was deleted, and the keys: to be destroyed by people.
	Copies int       `json:"copies"`
	Newest time.Time `json:"newest,omitzero"`
}

// mayErase needs the Kasse's word among the two, and somebody who looks after the
// room or leads.
func (r *Room) mayErase(k catalogue.KasseID, people ...access.Person) error {
	own := slices.ContainsFunc(people, func(p access.Person) bool { return p.Has(access.KasseDelegate) && p.Kasse == k })
	rest := slices.ContainsFunc(people, func(p access.Person) bool { return p.Has(access.CrisisLead) || p.Has(access.Operator) })
	for _, p := range people {
		if r.mayHandle(p, k) != nil && mayKeep(p) != nil {
			own = false
		}
	}
	if own && rest || len(people) == 1 && (own || rest) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Über das Löschen entscheiden die Vertretung der Kasse und der Betrieb oder die Leitung des Stabs gemeinsam."}
}

// eraseState refuses while anything of the Kasse is not finished, and says what
// would be deleted.
func (r *Room) eraseState(ctx context.Context, k catalogue.KasseID) (*emergency.Journal, sicknote.Retention, error) {
	var kept sicknote.Retention
	j, err := r.Journals.Open(ctx, k)
	if err != nil {
		return nil, kept, err
	}
	refuse := func(format string, args ...any) error {
		return &Failure{Rule: int(operation.RuleNothingLost), Text: fmt.Sprintf("Gelöscht wird erst, wenn alles abgeglichen ist: "+format, args...)}
	}
	if err := j.Reconciled(ctx); errors.Is(err, emergency.ErrNotReconciled) {
		return nil, kept, refuse("%v", err)
	} else if err != nil {
		return nil, kept, err
	}
	letters, requests, until, err := sicknote.Owed(ctx, j, r.Now())
	switch {
	case err != nil:
		return nil, kept, err
	case letters > 0:
		return nil, kept, refuse("%d Fehlermeldungen an Praxen sind noch nicht abgeschlossen (leitstand sicknote answers %s)", letters, k)
	case requests > 0:
		return nil, kept, refuse("%d Arbeitgebern schuldet die Kasse noch eine Meldung, längstens bis %s", requests, until.Format("2006-01-02"))
	case r.Journals.Locked():
		return nil, kept, emergency.ErrLocked // a new key pair takes the place of the destroyed one
	}
	kept, err = sicknote.KeptIn(ctx, j, r.Now())
	return j, kept, err
}

// askEraseKasse asks a second person to agree to deleting what was accepted for a
// Kasse. What is shown is what lies there: when something comes in, it is asked anew.
func askEraseKasse(ctx context.Context, r *Room, as access.Person, a kasseEraseArgs) (access.Consent, error) {
	if err := r.mayErase(a.Kasse, as); err != nil {
		return access.Consent{}, err
	}
	if strings.TrimSpace(a.Reason) == "" {
		return access.Consent{}, errors.New("deleting needs a reason: it is put on record")
	}
	_, kept, err := r.eraseState(ctx, a.Kasse)
	if err != nil {
		return access.Consent{}, err
	}
	return ask(ctx, r, as, access.Question{
		Kind: askKasseErase, Payload: a, Shown: kept,
		Summary: fmt.Sprintf("Löschen, was für Kasse %s angenommen wurde: %d Inhalte und alle Schlüssel dazu", a.Kasse, kept.Bodies),
	})
}

// approveEraseKasse deletes. Consent is used first: an interrupted deletion is
// asked for again and goes on, what is gone is gone. The room's entry comes last
// and says what was deleted.
func approveEraseKasse(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error) {
	var a kasseEraseArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	if err := r.mayErase(a.Kasse, first, second); err != nil {
		return Outcome{}, err
	}
	j, kept, err := r.eraseState(ctx, a.Kasse)
	if err != nil {
		return Outcome{}, err
	}
	out, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return kept, nil })
		return out, err
	})
	if err != nil {
		return out, err
	}
	d, err := r.eraseKasse(ctx, j, first, second, a)
	out.Done = d
	return out, err
}

func (r *Room) eraseKasse(ctx context.Context, j *emergency.Journal, first, second access.Person, a kasseEraseArgs) (ShareDeletion, error) {
	now := r.Now()
	d := ShareDeletion{Second: second.ID}
	gone, err := sicknote.EraseFrom(ctx, j, now, sicknote.Act{At: now, Actor: first.ID, Reason: a.Reason})
	if err != nil {
		return d, err
	}
	if gone.Kept > 0 {
		return d, fmt.Errorf("%d bodies of Kasse %s are still there: ask for the deletion again", gone.Kept, a.Kasse)
	}
	d.Leaves, d.Letters, d.Requests, d.Entries = gone.Leaves, gone.Letters, gone.Asked, gone.Entries
	if d.Bodies, err = j.Erased(ctx); err != nil {
		return d, err
	}
	if d.Receipts, err = j.EraseRest(ctx, now, first.ID, a.Reason); err != nil {
		return d, err
	}
	if d.Keys, err = j.DestroyKeys(ctx, now, first.ID, a.Reason); err != nil {
		return d, err
	}
	if err := j.Store().Scrub(ctx); err != nil {
		return d, err
	}
	if d.Files, err = r.removeOlder(ctx, a.Kasse); err != nil {
		return d, err
	}
	if r.copier != nil {
		r.copier.forget(j.Store().Name())
	}
	h, _, err := j.Head(ctx)
	if err != nil {
		return d, err
	}
	d.Head = h.Note
	if d.Copies, d.Newest, err = r.copiesMade(ctx, a.Kasse); err != nil {
		return d, err
	}
	err = r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		seq, err := ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: first.ID, Kind: kasseErased, Subject: string(a.Kasse), Reason: a.Reason, Data: d})
		d.Seq = seq
		return err
	})
	d.At, d.First, d.Reason = now, first.ID, a.Reason
	return d, err
}

// removeOlder removes files of a Kasse's store that were put aside beside the room.
func (r *Room) removeOlder(ctx context.Context, k catalogue.KasseID) ([]string, error) {
	name := emergency.StoreOf(k) + ".db"
	var found []string
	for _, pattern := range []string{name + "*.replaced-*", filepath.Join("unfinished-*", name+"*"), filepath.Join(upgradePrefix+"*", name+"*")} {
		files, err := filepath.Glob(filepath.Join(r.opt.Data, pattern))
		if err != nil {
			return nil, fmt.Errorf("looking for older files of Kasse %s: %w", k, err)
		}
		found = append(found, files...)
	}
	aside, err := r.dropAside(ctx, k)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		if err := os.Remove(f); err != nil {
			return nil, fmt.Errorf("removing an older file of Kasse %s: %w", k, err)
		}
		if rel, err := filepath.Rel(r.opt.Data, f); err == nil {
			found[i] = rel
		}
	}
	return append(found, aside...), nil
}

// dropAside drops what was put aside of a Kasse's store in PostgreSQL.
func (r *Room) dropAside(ctx context.Context, k catalogue.KasseID) ([]string, error) {
	p := place(r.opt, r.Settings)
	names, err := p.Aside(ctx, emergency.StoreOf(k))
	if err == nil && len(names) > 0 {
		err = p.Drop(ctx, names...)
	}
	if err != nil {
		return nil, fmt.Errorf("removing what was put aside of Kasse %s: %w", k, err)
	}
	return names, nil
}

// copiesMade counts the backups that the ledger knows and that hold this Kasse.
func (r *Room) copiesMade(ctx context.Context, k catalogue.KasseID) (n int, newest time.Time, err error) {
	made, err := ledger.About(ctx, r.Store, "backup", 1<<20)
	if err != nil {
		return 0, time.Time{}, err
	}
	for _, rec := range made {
		var d struct {
			Kasse catalogue.KasseID `json:"kasse"`
		}
		if rec.Kind != "backup.made" || json.Unmarshal(rec.Data, &d) != nil || d.Kasse != "" && d.Kasse != k {
			continue
		}
		if n++; rec.At.After(newest) {
			newest = rec.At
		}
	}
	return n, newest, nil
}
