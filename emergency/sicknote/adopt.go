package sicknote

import (
	"context"
	"fmt"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// Adopt takes over the mails of adopted items as unread ones: they are read here
// as if they had just been fetched, so that repetitions and cancellations are
// noticed. See [emergency.Adoption].
func Adopt(ctx context.Context, tx *db.Tx, other db.Querier, numbers map[emergency.Number]emergency.Number) ([]ledger.Row, map[emergency.Number]bool, error) {
	mails, err := db.Collect(ctx, other, scanMail, `select `+mailColumns+` from sicknote_mail order by number`)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the mails of the other copy: %w", err)
	}
	var rows []ledger.Row
	again := map[emergency.Number]bool{}
	for _, m := range mails {
		here, ok := numbers[m.Number]
		if !ok || m.Mailbox == "" {
			continue
		}
		fresh := &mailRow{Number: here, Mailbox: m.Mailbox, UIDL: m.UIDL, Fetched: m.Fetched}
		if err := putMail(ctx, tx, fresh); err != nil {
			return nil, nil, fmt.Errorf("adopting: %w", err)
		}
		rows = append(rows, fresh.row())
		again[here] = true
	}
	return rows, again, nil
}
