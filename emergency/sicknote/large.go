package sicknote

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// fetchable leaves out mails that are larger than the limit. They stay on the
// server, on record with an owner and a deadline, and are taken off the record
// when they are gone.
func (in *Intake) fetchable(ctx context.Context, b *box, j *emergency.Journal, all []listed, now time.Time) ([]listed, error) {
	left, err := db.Collect(ctx, j.Store(), scanLeft, leftQuery+`where mailbox = $1`, b.Address)
	if err != nil {
		return nil, fmt.Errorf("reading what was left on the server: %w", err)
	}
	recorded := make(map[string]bool, len(left))
	for _, l := range left {
		recorded[l.UIDL] = true
	}
	there := map[string]bool{}
	var mails, large []listed
	for _, m := range all {
		id := m.id()
		there[id] = true
		switch {
		case recorded[id]:
		case m.size > in.config.MaxMail:
			large = append(large, m)
		default:
			mails = append(mails, m)
		}
	}
	var gone []*leftRow
	for _, l := range left {
		if !there[l.UIDL] {
			gone = append(gone, l)
		}
	}
	return mails, in.recordLeft(ctx, b, j, large, gone, now)
}

// id recognises a mail on the server; without UIDL by its place and size.
func (m *listed) id() string {
	if m.uidl != "" {
		return m.uidl
	}
	return "#" + strconv.Itoa(m.number) + "/" + strconv.FormatInt(m.size, 10)
}

// tooLarge records a mail that turned out to be larger than the server had said.
// The session ended with it; the next one leaves it out.
func (in *Intake) tooLarge(ctx context.Context, b *box, j *emergency.Journal, m listed, cause error, now time.Time) error {
	if !errors.Is(cause, errTooLarge) {
		return cause
	}
	m.size = max(m.size, in.config.MaxMail+1)
	if m.uidl == "" {
		return cause // it cannot be told from others
	}
	if err := in.recordLeft(ctx, b, j, []listed{m}, nil, now); err != nil {
		return err
	}
	return fmt.Errorf("mail %s stays on the server: %w", m.id(), cause)
}

func (in *Intake) recordLeft(ctx context.Context, b *box, j *emergency.Journal, large []listed, gone []*leftRow, now time.Time) error {
	if len(large)+len(gone) == 0 {
		return nil
	}
	deadline := endOfNextWorkingDay(now.In(in.config.Location))
	err := j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var rows []ledger.Row
		for _, m := range large {
			l := &leftRow{
				Mailbox: b.Address, UIDL: m.id(), Size: m.size, Since: db.Trim(now), Deadline: db.Trim(deadline),
				Reason: "größer als erlaubt, liegt auf dem Mailserver", Owner: in.config.Owner(b.Kasse),
			}
			rows = append(rows, l.row())
			if _, err := tx.Exec(ctx, `insert into sicknote_left (mailbox, uidl, size, reason, owner, since, deadline)
				values ($1, $2, $3, $4, $5, $6, $7) on conflict (mailbox, uidl) do nothing`,
				l.Mailbox, l.UIDL, l.Size, l.Reason, l.Owner, db.Micro(l.Since), db.Micro(l.Deadline)); err != nil {
				return err
			}
		}
		for _, l := range gone {
			rows = append(rows, ledger.Row{Table: "sicknote_left", Key: l.Mailbox + " " + l.UIDL})
			if _, err := tx.Exec(ctx, `delete from sicknote_left where mailbox = $1 and uidl = $2`, l.Mailbox, l.UIDL); err != nil {
				return err
			}
		}
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: ledger.System, Kind: "mail.left", Subject: b.Address,
			Data: map[string]int{"too_large": len(large), "gone": len(gone)}, Rows: rows,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("recording mails that stay on the server of %s: %w", b.Address, err)
	}
	return nil
}
