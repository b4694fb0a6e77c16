package sicknote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/kimmail"
)

// newestFirst are tried at every look; only when one of them opens, or with the
// first look after a start, all others are.
const newestFirst = 3

// RereadHeld opens mails of a Kasse again that are held because their keys were
// missing or out of reach, as every look does by itself, and returns how many are
// held for that no more. It goes on record, also when nothing opens.
func (in *Intake) RereadHeld(ctx context.Context, k catalogue.KasseID, act Act) (read int, err error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return 0, err
	}
	for _, b := range in.boxes {
		if b.Kasse != k {
			continue
		}
		n, err := in.reread(ctx, j, b.Mailbox, act, true)
		if read += n; err != nil {
			return read, err
		}
	}
	err = j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: act.At, Actor: act.Actor, Kind: "mail.reread", Subject: string(k), Reason: act.Reason, Data: map[string]int{"read": read},
		})
		return err
	})
	return read, err
}

// rereadByItself is what every look does about mails whose keys were away.
func (in *Intake) rereadByItself(ctx context.Context, j *emergency.Journal, b *box, act Act) error {
	b.mu.Lock()
	all := !b.reread
	b.mu.Unlock()
	n, err := in.reread(ctx, j, b.Mailbox, act, all)
	if err == nil && n > 0 && !all {
		_, err = in.reread(ctx, j, b.Mailbox, act, true)
	}
	if err == nil {
		b.mu.Lock()
		b.reread = true
		b.mu.Unlock()
	}
	return err
}

// reread opens held mails of a mailbox again whose keys were away, newest first.
func (in *Intake) reread(ctx context.Context, j *emergency.Journal, mb *Mailbox, act Act, all bool) (read int, err error) {
	const perStep = 100
	limit := newestFirst
	if all {
		limit = perStep
	}
	for before := int64(1) << 62; ; {
		rows, err := db.Collect(ctx, j.Store(), scanMail, `select `+mailColumns+` from sicknote_mail where class = 'held' and mailbox = $1 and number < $2
			and number in (select number from journal_standing where state = 'held' and reason in ($3, $4)) order by number desc limit $5`,
			mb.Address, before, kimmail.FaultNoKey.Text(), kimmail.FaultModule.Text(), limit)
		if err != nil {
			return read, fmt.Errorf("looking for mails whose keys were away: %w", err)
		}
		n, err := in.rereadRows(ctx, j, mb, act, rows)
		if read += n; err != nil || !all || len(rows) < limit {
			return read, err
		}
		before = int64(rows[len(rows)-1].Number)
	}
}

func (in *Intake) rereadRows(ctx context.Context, j *emergency.Journal, mb *Mailbox, act Act, rows []*mailRow) (int, error) {
	slices.Reverse(rows) // judged in the order in which they came
	var batch []hashed
	for _, m := range rows {
		raw, err := in.rawMail(ctx, j, m.Number)
		if err != nil {
			return 0, err
		}
		r := in.reader.read(raw, mb.Keys, act.At)
		if r.problem == kimmail.FaultNoKey.Text() || r.problem == kimmail.FaultModule.Text() {
			continue
		}
		batch = append(batch, in.hash(j, stored{number: m.Number, raw: raw}, &r))
	}
	if len(batch) == 0 {
		return 0, nil
	}
	err := j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var still []hashed
		for _, h := range batch {
			_, err := heldMail(ctx, tx, h.number)
			if errors.Is(err, ErrNotHeld) {
				continue // a person decided meanwhile, or it has left
			}
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `update sicknote_mail set class = '' where number = $1`, int64(h.number)); err != nil {
				return fmt.Errorf("reading mail %d again: %w", h.number, err)
			}
			still = append(still, h)
		}
		batch = still
		return in.settleTx(ctx, tx, j, mb, act.At, still)
	})
	if err != nil {
		return 0, fmt.Errorf("recording what %d held mails are, they stay held until then: %w", len(batch), err)
	}
	return len(batch), nil
}
