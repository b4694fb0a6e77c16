package room

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/gateway"
	"leitstand/operation"
	"leitstand/pure/seal"
)

type handInArgs struct {
	Spool  string `json:"spool"` // directory on the room's machine
	Reason string `json:"reason"`
}

// HandedIn is what became of the requests that a gateway without a room had kept.
type HandedIn struct {
	Node       string                            `json:"node"`
	Placements map[catalogue.PlacementID]*TookIn `json:"placements"`
}

// TookIn counts them for a placement.
type TookIn struct {
	Items int `json:"items"` // of the journal now
	Kept  int `json:"kept"`  // in the room's spool now, for the regular side
	Known int `json:"known"` // were there already: sent here as well, or handed in before
	Held  int `json:"held"`  // of the items: a person must look at them
}

// kindHandedIn is the kind of entries that say what was handed in.
const kindHandedIn = "spool.handed_in"

// handIn takes in what a gateway elsewhere kept: in order, each once, under the receipt
// that its client has. What came to a door in emergency operation becomes an item of
// the journal while that is open; everything else is kept for the regular side, as if
// it had come here. Each is known by its own name for ever: interrupted, or with an
// older copy of the directory, it is done again without doubling anything.
func handIn(ctx context.Context, r *Room, as access.Person, a handInArgs) (HandedIn, error) {
	out := HandedIn{Placements: map[catalogue.PlacementID]*TookIn{}}
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) {
		return out, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Was ein Zugang ohne Raum angenommen hat, übernehmen Betrieb oder Leitung."}
	}
	if files, err := filepath.Glob(filepath.Join(a.Spool, "*.spool")); err != nil || len(files) == 0 {
		return out, errors.Join(fmt.Errorf("%s: %w", a.Spool, gateway.ErrNoSpool), err)
	}
	none := func(k catalogue.KasseID) (*seal.PublicKey, error) {
		return nil, fmt.Errorf("nothing new is kept there (Kasse %s)", k)
	}
	theirs, err := gateway.OpenSpool(a.Spool, "", none, r.opt.Log)
	if err != nil {
		return out, err
	}
	defer func() { _ = theirs.Close() }() // each mark is on disk
	ours, done, err := r.ownSpool(ctx)
	if err != nil {
		return out, err
	}
	defer done()
	books := theirs.Books() // as they were handed in
	for _, k := range theirs.Kassen() {
		j, err := r.Journals.Open(ctx, k)
		if err != nil {
			return out, err
		}
		opener, err := j.Opener(ctx)
		if err == nil {
			err = theirs.HandIn(ctx, k, opener, func(ctx context.Context, w gateway.Waiting) error {
				out.Node = w.Node
				t := out.Placements[w.Placement]
				if t == nil {
					t = &TookIn{}
					out.Placements[w.Placement] = t
				}
				return r.takeIn(ctx, j, ours, w, t)
			})
		}
		if err != nil {
			return out, errors.Join(err, r.noteHandIn(ctx, as, a.Reason, out, books))
		}
	}
	return out, r.noteHandIn(ctx, as, a.Reason, out, books)
}

func (r *Room) noteHandIn(ctx context.Context, as access.Person, reason string, out HandedIn, books map[catalogue.PlacementID]gateway.SpoolBook) error {
	if len(out.Placements) == 0 {
		return nil
	}
	return r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: db.Trim(r.Now()), Actor: as.ID, Kind: kindHandedIn, Subject: "spool/" + out.Node, Reason: reason,
			Data: map[string]any{"placements": out.Placements, "books": books},
		})
		return err
	})
}

// takeIn takes one request in, unless it is here already: as an item, or kept.
func (r *Room) takeIn(ctx context.Context, j *emergency.Journal, ours *gateway.Spool, w gateway.Waiting, t *TookIn) error {
	draft := deskDraft(w.Request, w.Body, deskKey(w.Placement, w.Request, w.ID), "spool:"+w.Receipt, w.At)
	own := draft // under a name that only this request has
	own.Key = ownDeskKey(w.Placement, w.ID)
	known, reused, err := knownItem(ctx, j, draft, own)
	if err != nil {
		return err
	}
	if w.Request.Header.Get("Idempotency-Key") == "" {
		w.Request.Header.Set("Idempotency-Key", w.ID) // as the node would deliver it
	}
	if !known && w.Emergency && !reused {
		known, err = ours.Knows(w.Placement, w.Request.Header.Get("Idempotency-Key"))
		if err != nil {
			return err
		}
	}
	if known {
		t.Known++
		return nil
	}
	if w.Emergency {
		taken, err := r.takeItem(ctx, j, w.Placement, draft, own, reused, t)
		if taken || err != nil {
			return err
		}
	}
	return keepHere(ctx, ours, w, t)
}

// knownItem says whether the request is an item; reused, that its client's key names another one.
func knownItem(ctx context.Context, j *emergency.Journal, draft, own emergency.Draft) (known, reused bool, err error) {
	_, known, err = j.Known(ctx, draft)
	if !errors.Is(err, emergency.ErrKeyReused) {
		return known, false, err
	}
	_, known, err = j.Known(ctx, own)
	return known, true, err
}

// takeItem makes a request an item of the journal; taken is false while that is not open.
func (r *Room) takeItem(ctx context.Context, j *emergency.Journal, p catalogue.PlacementID, draft, own emergency.Draft, reused bool, t *TookIn) (taken bool, err error) {
	book, err := j.Book(ctx, p)
	if err != nil {
		return false, err
	}
	if reused { // the client was told that we have it: a person looks which one holds
		draft = own
		draft.Hold = &emergency.Hold{
			Reason: "Derselbe Idempotency-Key kam mit anderem Inhalt an einem anderen Zugang.", Owner: r.heldBy(j.Kasse()), Deadline: r.Now().Add(24 * time.Hour),
		}
	}
	_, err = j.Accept(ctx, p, book.Epoch, r.Now(), ledger.System, draft)
	if errors.Is(err, emergency.ErrNotOpen) || errors.Is(err, emergency.ErrEpoch) {
		return false, nil
	}
	if err == nil {
		t.Items++
		if reused {
			t.Held++
		}
	}
	return err == nil, err
}

// keepHere keeps a request for the regular side, under the receipt that its client has.
func keepHere(ctx context.Context, ours *gateway.Spool, w gateway.Waiting, t *TookIn) error {
	known, err := ours.Knows(w.Placement, w.Request.Header.Get("Idempotency-Key"))
	if err != nil {
		return err
	}
	door := gateway.Door{
		Route: gateway.Route{Placement: w.Placement},
		Row:   operation.DoorRow{Placement: w.Placement, Answer: operation.Answer{Mode: operation.ModeBuffer}, Epoch: w.Epoch},
	}
	_, err = ours.KeepAs(ctx, w.Receipt, door, w.Request, w.Body)
	if errors.Is(err, gateway.ErrKeyReused) { // it was acknowledged: it is kept under its own name
		w.Request.Header.Set("Idempotency-Key", w.ID)
		if known, err = ours.Knows(w.Placement, w.ID); err != nil {
			return err
		}
		_, err = ours.KeepAs(ctx, w.Receipt, door, w.Request, w.Body)
	}
	switch {
	case err != nil:
		return err
	case known:
		t.Known++
	default:
		t.Kept++
	}
	return nil
}

// ownSpool is the spool of this room's gateway, opened where no gateway runs.
func (r *Room) ownSpool(ctx context.Context) (s *gateway.Spool, done func(), err error) {
	if d := r.doors.Load(); d != nil {
		return d.Spool, func() {}, nil
	}
	c, err := r.LoadDoorsConfig()
	if err != nil {
		return nil, nil, err
	}
	key := func(k catalogue.KasseID) (*seal.PublicKey, error) {
		j, err := r.Journals.Open(ctx, k)
		if err != nil {
			return nil, err
		}
		return j.Public(), nil
	}
	s, err = gateway.OpenSpool(filepath.Join(r.opt.Data, spoolDir), c.nodeName(), key, r.opt.Log)
	if err != nil {
		return nil, nil, err
	}
	return s, func() { _ = s.Close() }, nil // what was kept is on disk
}
