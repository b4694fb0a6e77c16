package room

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/gateway"
	"leitstand/operation"
	"leitstand/warning"
)

// kindSpoolCounted is the kind of entries that say what a gateway keeps.
const kindSpoolCounted = "spool.counted"

// spoolBooks is what the ledger holds of this gateway's spool.
type spoolBooks struct {
	known map[catalogue.PlacementID]gateway.SpoolBook // as last entered; nil before the first look; of Doors.booking
	due   map[catalogue.PlacementID]int64             // doors that changed, by the version to be obeyed
}

// countSpool enters the books of the spool in the ledger: of a placement whose
// door has changed, as soon as nothing of the door before is under way, and when
// the last of what was kept has been delivered or rejected. Whoever later takes
// requests out of the spool contradicts the ledger.
func (d *Doors) countSpool(ctx context.Context, now time.Time) error {
	d.booking.Lock()
	defer d.booking.Unlock()
	books := d.Spool.Books()
	if d.books.known == nil {
		if err := d.recallBooks(ctx, now, books); err != nil {
			return err
		}
	}
	obeyed := d.Gateway.Obeyed()
	d.mu.Lock()
	due := maps.Clone(d.books.due)
	d.mu.Unlock()
	enter := map[catalogue.PlacementID]gateway.SpoolBook{}
	for p, b := range books {
		version, changed := due[p]
		drained := b.Open == 0 && !d.keeps(p)
		if b != d.books.known[p] && (changed && obeyed[p] >= version || drained) {
			enter[p] = b
		}
	}
	if len(enter) == 0 {
		d.settleDue(obeyed)
		return nil
	}
	err := d.room.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: ledger.System, Kind: kindSpoolCounted, Subject: d.spoolSubject(), Reason: "Bücher des Zwischenspeichers", Data: enter,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("entering the books of the spool: %w", err)
	}
	maps.Copy(d.books.known, enter)
	d.settleDue(obeyed)
	return nil
}

// settleDue forgets changes of doors whose books are in the ledger.
func (d *Doors) settleDue(obeyed map[catalogue.PlacementID]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.books.due, func(p catalogue.PlacementID, version int64) bool { return obeyed[p] >= version })
}

// keeps reports whether the door of a placement stores what is written at it.
func (d *Doors) keeps(p catalogue.PlacementID) bool {
	door, ok := d.room.Operation.Current().Door(p)
	return ok && (door.Mode == operation.ModeBuffer || door.Mode == operation.ModeEmergency)
}

// recallBooks reads what the ledger last said about this spool, and compares: a
// spool that holds less, or something else of the same number, is an alarm.
func (d *Doors) recallBooks(ctx context.Context, now time.Time, books map[catalogue.PlacementID]gateway.SpoolBook) error {
	const most = 100_000 // entries; each is about doors that changed together
	entries, err := ledger.About(ctx, d.room.Store, d.spoolSubject(), most)
	if err != nil {
		return fmt.Errorf("reading the books of the spool: %w", err)
	}
	known := map[catalogue.PlacementID]gateway.SpoolBook{}
	for _, e := range entries { // newest first: the first word about a placement counts
		var of map[catalogue.PlacementID]gateway.SpoolBook
		if err := json.Unmarshal(e.Data, &of); err != nil {
			return fmt.Errorf("reading entry %d: %w", e.Seq, err)
		}
		for p, b := range of {
			if _, have := known[p]; !have {
				known[p] = b
			}
		}
	}
	for p, was := range known {
		if b := books[p]; b.Kept < was.Kept || b.Kept == was.Kept && b.Hash != was.Hash {
			if err := d.spoolContradicts(ctx, now, p, was, b); err != nil {
				return err
			}
		}
	}
	d.books.known = known
	return nil
}

// spoolSubject is what entries about this gateway's spool are about.
func (d *Doors) spoolSubject() string { return "spool:" + d.config.Node }

func (d *Doors) spoolContradicts(ctx context.Context, now time.Time, p catalogue.PlacementID, was, is gateway.SpoolBook) error {
	kasse, _, _, _ := p.Split()
	return d.room.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := warning.Raise(ctx, tx, now, warning.Signal{
			Rule: "spool.contradicted", RuleVersion: "1", Title: "Zwischenspeicher widerspricht dem Buch: " + string(p), Level: "critical", Author: "Leitstand",
			Host: d.config.Node, Kasse: kasse, Group: string(p), Owner: defaultOwner,
		}, fmt.Sprintf("%s: %d requests kept by the ledger, %d in the spool", p, was.Kept, is.Kept))
		return err
	})
}
