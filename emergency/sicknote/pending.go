package sicknote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// ReadPending opens mails that were stored but not read, for instance because the
// process was killed in between. It needs an unlock; until then the mails wait
// unread, on record and counted. So do mails whose keys are out of reach, for an
// hour. A body that does not open is held by its owner.
func (in *Intake) ReadPending(ctx context.Context, j *emergency.Journal, mb *Mailbox, now time.Time) error {
	const perStep = 100
	for last := emergency.Number(0); ; {
		items, err := db.Collect(ctx, j.Store(), scanMail,
			`select `+mailColumns+` from sicknote_mail where class = '' and mailbox = $1 and number > $2 order by number limit $3`, mb.Address, int64(last), perStep)
		if err != nil {
			return fmt.Errorf("looking for unread mails: %w", err)
		}
		if len(items) == 0 {
			return nil
		}
		var mails []stored
		for _, m := range items {
			last = m.Number
			raw, err := in.rawMail(ctx, j, m.Number)
			if errors.Is(err, emergency.ErrLocked) || ctx.Err() != nil {
				return err
			}
			if err != nil {
				if err := in.holdUnopened(ctx, j, mb, m, now); err != nil {
					return err
				}
				continue
			}
			mails = append(mails, stored{number: m.Number, raw: raw})
		}
		if err := in.readStored(ctx, j, mb, now, mails); err != nil {
			return err
		}
		if len(items) < perStep {
			return nil
		}
	}
}

func (in *Intake) rawMail(ctx context.Context, j *emergency.Journal, n emergency.Number) ([]byte, error) {
	it, err := j.Item(ctx, n)
	if err != nil {
		return nil, err
	}
	return j.Body(ctx, it)
}

func (in *Intake) holdUnopened(ctx context.Context, j *emergency.Journal, mb *Mailbox, m *mailRow, now time.Time) error {
	m.Class, m.Kind = ClassHeld, DocOther
	return j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := putMail(ctx, tx, m); err != nil {
			return err
		}
		return j.ApplyTx(ctx, tx, emergency.Entry{At: now, Actor: ledger.System, Kind: "mail.read", Rows: []ledger.Row{m.row()}},
			emergency.Change{Number: m.Number, Apply: func(s emergency.Standing) (emergency.Standing, error) {
				return s.Hold(emergency.KindMail, "", "Inhalt lässt sich nicht öffnen: Journal prüfen, Sicherung heranziehen",
					in.config.Owner(mb.Kasse), endOfNextWorkingDay(now.In(in.config.Location)))
			}})
	})
}
