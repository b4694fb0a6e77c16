package sicknote

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// Erased says what a deletion took away and where that is proven: Head is the
// signed head of the Kasse's ledger over the entries of the deletion. Whoever has
// both can show later what was deleted when, by whom and why.
type Erased struct {
	Kasse   catalogue.KasseID `json:"kasse"`
	Before  time.Time         `json:"before"`   // received before
	Bodies  int               `json:"bodies"`   // documents and mails
	Leaves  int               `json:"leaves"`   // periods of which employers were told
	Letters int               `json:"letters"`  // error messages
	Asked   int               `json:"requests"` // of employers, without a duty to report any more
	Kept    int               `json:"kept"`     // received before as well, but not reconciled
	Entries []int64           `json:"entries"`  // of the Kasse's ledger
	Head    string            `json:"head"`
}

// Erase deletes what was received before a day and is reconciled with the regular
// system: bodies, letters, periods, and requests that nobody has to report to. The
// record that they existed stays. It can be repeated: what is gone is gone.
func (in *Intake) Erase(ctx context.Context, k catalogue.KasseID, before time.Time, act Act) (Erased, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return Erased{Kasse: k}, err
	}
	return EraseFrom(ctx, j, before, act)
}

// EraseFrom is Erase for a room that takes in no mail.
func EraseFrom(ctx context.Context, j *emergency.Journal, before time.Time, act Act) (Erased, error) {
	k := j.Kasse()
	out := Erased{Kasse: k, Before: db.Trim(before), Entries: []int64{}}
	if before.After(act.At) {
		return out, errors.New("erasing what is received in the future: give a day that has passed")
	}
	first, err := entriesOf(ctx, j)
	if err != nil {
		return out, err
	}
	if out.Bodies, err = j.Erase(ctx, before, act.At, act.Actor, act.Reason); err != nil {
		return out, err
	}
	for {
		n, err := eraseRest(ctx, j, k, &out, act)
		if err != nil {
			return out, fmt.Errorf("erasing what belongs to deleted items of Kasse %s: %w", k, err)
		}
		if n == 0 {
			break
		}
	}
	if err := j.Store().QueryRow(ctx, `select count(*) from journal_body b join journal_item i on i.number = b.number where i.received < $1`,
		db.Micro(before)).Scan(&out.Kept); err != nil {
		return out, fmt.Errorf("counting what Kasse %s keeps: %w", k, err)
	}
	return out, out.prove(ctx, j, first)
}

// Owed counts what still binds the Kasse to somebody outside: error messages that
// are not out yet, and requests of employers with a duty to report, until when.
func Owed(ctx context.Context, j *emergency.Journal, now time.Time) (letters, requests int, until time.Time, err error) {
	var us int64
	err = j.Store().QueryRow(ctx, `select (select count(*) from sicknote_answer where state not in ('sent', 'withdrawn')),
		(select count(*) from sicknote_request where expires > $1), (select coalesce(max(expires), 0) from sicknote_request)`,
		db.Micro(now)).Scan(&letters, &requests, &us)
	if err != nil {
		return 0, 0, time.Time{}, fmt.Errorf("counting what Kasse %s still owes: %w", j.Kasse(), err)
	}
	return letters, requests, db.Time(us), nil
}

func entriesOf(ctx context.Context, j *emergency.Journal) (n int64, err error) {
	if err := j.Store().QueryRow(ctx, `select coalesce(max(seq), 0) from ledger_entry`).Scan(&n); err != nil {
		return 0, fmt.Errorf("reading the ledger of Kasse %s: %w", j.Kasse(), err)
	}
	return n, nil
}

// prove collects the entries of a deletion and the head that covers them.
func (e *Erased) prove(ctx context.Context, j *emergency.Journal, after int64) error {
	for {
		const most = 500
		found, err := ledger.Read(ctx, j.Store(), after, most)
		if err != nil {
			return err
		}
		for _, r := range found {
			after = r.Seq
			if r.Kind == "item.erased" || r.Kind == "sicknote.erased" {
				e.Entries = append(e.Entries, r.Seq)
			}
		}
		if len(found) < most {
			break
		}
	}
	h, ok, err := j.Head(ctx)
	if ok {
		e.Head = h.Note
	}
	return err
}

// eraseRest deletes one step of what stands beside the journal. It returns how
// many rows that were.
func eraseRest(ctx context.Context, j *emergency.Journal, k catalogue.KasseID, out *Erased, act Act) (int, error) {
	var leaves, letters, asked int
	err := j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var rows []ledger.Row
		var err error
		if leaves, err = eraseLeaves(ctx, tx, &rows); err != nil {
			return err
		}
		if letters, err = eraseLetters(ctx, tx); err != nil {
			return err
		}
		if asked, err = eraseRequests(ctx, tx, out.Before, act.At, &rows); err != nil || leaves+letters+asked == 0 {
			return err
		}
		_, err = ledger.Append(ctx, tx, ledger.Entry{
			At: act.At, Actor: act.Actor, Kind: "sicknote.erased", Subject: string(k), Reason: act.Reason,
			Data: map[string]int{"leaves": leaves, "letters": letters, "requests": asked}, Rows: rows,
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	out.Leaves, out.Letters, out.Asked = out.Leaves+leaves, out.Letters+letters, out.Asked+asked
	return leaves + letters + asked, nil
}

// eraseStep is how many rows one transaction deletes at most.
const eraseStep = 500

func eraseLeaves(ctx context.Context, tx *db.Tx, rows *[]ledger.Row) (int, error) {
	found, err := db.Collect(ctx, tx, scanLeave, `select `+leaveColumns+` from sicknote_leave
		where number in (select number from journal_erased) order by number limit $1`, eraseStep)
	if err != nil {
		return 0, err
	}
	for _, l := range found {
		if _, err := tx.Exec(ctx, `delete from sicknote_leave where number = $1`, int64(l.Number)); err != nil {
			return 0, err
		}
		gone := l.row()
		gone.Value = nil
		*rows = append(*rows, gone)
	}
	return len(found), nil
}

// eraseLetters empties letters; that they were sent stays on record.
func eraseLetters(ctx context.Context, tx *db.Tx) (int, error) {
	ids, err := db.Collect(ctx, tx, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
		`select id from sicknote_answer where length(sealed) > 0 and state in ('sent', 'withdrawn')
			and number in (select number from journal_erased) order by id limit $1`, eraseStep)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if _, err := tx.Exec(ctx, `update sicknote_answer set sealed = $2 where id = $1`, id, []byte{}); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

func eraseRequests(ctx context.Context, tx *db.Tx, before, now time.Time, rows *[]ledger.Row) (int, error) {
	found, err := db.Collect(ctx, tx, scanRequest, requestQuery+`where asked < $1 and expires <= $2 order by id limit $3`,
		db.Micro(before), db.Micro(now), eraseStep)
	if err != nil {
		return 0, err
	}
	for _, r := range found {
		for _, text := range []string{`delete from sicknote_request where id = $1`, `delete from sicknote_told where request = $1`} {
			if _, err := tx.Exec(ctx, text, r.ID); err != nil {
				return 0, err
			}
		}
		gone := r.row()
		gone.Value = nil
		*rows = append(*rows, gone)
	}
	return len(found), nil
}

// Retention is what a Kasse still keeps: Due counts bodies that may be erased.
type Retention struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	Bodies int               `json:"bodies"`
	Due    int               `json:"due"` // reconciled, received before the day asked for
	Oldest time.Time         `json:"oldest,omitzero"`
}

// Kept says what [Intake.Erase] with this day would find, and changes nothing.
func (in *Intake) Kept(ctx context.Context, k catalogue.KasseID, before time.Time) (Retention, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return Retention{Kasse: k}, err
	}
	return KeptIn(ctx, j, before)
}

// KeptIn is Kept for a room that takes in no mail.
func KeptIn(ctx context.Context, j *emergency.Journal, before time.Time) (Retention, error) {
	k := j.Kasse()
	out := Retention{Kasse: k}
	var oldest int64
	err := j.Store().QueryRow(ctx, `select count(*), coalesce(sum(case when i.received < $1
			and (s.state = 'reconciled' or s.state = 'duplicate' and o.state = 'reconciled') then 1 else 0 end), 0), coalesce(min(i.received), 0)
		from journal_body b join journal_item i on i.number = b.number join journal_standing s on s.number = b.number
		left join journal_standing o on o.number = s.of_number`, db.Micro(before)).Scan(&out.Bodies, &out.Due, &oldest)
	if err != nil {
		return out, fmt.Errorf("counting what Kasse %s keeps: %w", k, err)
	}
	out.Oldest = db.Time(oldest)
	return out, nil
}

// mailboxes are those of one Kasse, or all with an empty one, by address.
func (in *Intake) mailboxes(k catalogue.KasseID) []string {
	var out []string
	for _, b := range in.boxes {
		if k == "" || b.Kasse == k {
			out = append(out, b.Address)
		}
	}
	slices.Sort(out)
	return out
}
