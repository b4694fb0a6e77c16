package sicknote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// perSession is how many mails are fetched before QUIT makes the server delete them.
const perSession = 512

// session is one POP3 session: fetch, store, delete, quit. It reports whether
// more mails wait.
func (in *Intake) session(ctx context.Context, b *box, j *emergency.Journal, epoch int64, now time.Time) (more bool, err error) {
	p, err := dialPOP(ctx, in.pop(b.Mailbox))
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(time.Unix(1, 0)) }) // wakes a waiting read
	defer stop()
	all, err := p.list()
	if err != nil {
		p.abandon()
		return false, err
	}
	mails, err := in.fetchable(ctx, b, j, all, now)
	if err != nil {
		p.abandon()
		return false, err
	}
	if len(mails) > perSession {
		mails, more = mails[:perSession], true
	}
	deleted, err := in.batches(ctx, p, b, j, epoch, mails, now)
	if refusedByDoor(err) {
		err, more = nil, false
	}
	if err != nil && !errors.Is(err, db.ErrDiskFull) && !errors.Is(err, errGone) {
		p.abandon() // what was stored will be recognised when it comes again
		return false, errors.Join(err, ctx.Err())
	}
	qerr := p.quit() // what is stored can go, whatever else failed
	if qerr == nil {
		b.trust()
		qerr = in.hook("quit")
	}
	return more && deleted > 0, errors.Join(err, qerr)
}

// refusedByDoor tells that the journal was closed or passed on while we fetched:
// no failure, the mails stay for whoever reads the mailbox now.
func refusedByDoor(err error) bool {
	return errors.Is(err, emergency.ErrNotOpen) || errors.Is(err, emergency.ErrEpoch)
}

// batches fetches mails in groups: read, store in one commit, delete, open.
func (in *Intake) batches(ctx context.Context, p *popConn, b *box, j *emergency.Journal, epoch int64, mails []listed, now time.Time) (deleted int, err error) {
	var gone error
	for len(mails) > 0 {
		n := in.group(b, mails)
		batch, ferr := in.fetch(p, b, mails[:n])
		if len(batch.mails) > 0 { // also of a batch that was cut: these are whole
			d, err := in.keep(ctx, p, b, j, epoch, batch, now, ferr == nil)
			deleted += d
			if err != nil {
				return deleted, err
			}
		}
		if at := len(batch.mails) + batch.gone; ferr != nil && at < len(mails) {
			return deleted, in.tooLarge(ctx, b, j, mails[at], ferr, now)
		}
		if ferr != nil {
			return deleted, ferr
		}
		if batch.gone > 0 {
			gone = fmt.Errorf("%d mails could not be fetched: %w", batch.gone, errGone)
		}
		mails = mails[n:]
	}
	return deleted, gone
}

// group is how many of the mails make the next batch.
func (in *Intake) group(b *box, mails []listed) int {
	b.mu.Lock()
	careful := b.careful
	b.mu.Unlock()
	if careful {
		return 1
	}
	size := int64(0)
	for i, m := range mails {
		if size += m.size; i > 0 && (size > in.config.BatchBytes || i >= in.config.BatchMails) {
			return i
		}
	}
	return len(mails)
}

type fetchedBatch struct {
	mails []listed
	raws  [][]byte
	gone  int
}

func (in *Intake) fetch(p *popConn, b *box, mails []listed) (fetchedBatch, error) {
	var f fetchedBatch
	defer since(&in.stages.fetch, time.Now())
	err := p.retrieve(mails, func(m listed, raw []byte, err error) {
		if err != nil {
			f.gone++
			return
		}
		f.mails, f.raws = append(f.mails, m), append(f.raws, raw)
	})
	if errors.Is(err, errLies) || errors.Is(err, errTooLarge) {
		b.mu.Lock()
		b.careful = true
		b.mu.Unlock()
	}
	return f, err
}

// keep stores a batch, deletes it on the server if the session still works, and opens it.
func (in *Intake) keep(ctx context.Context, p *popConn, b *box, j *emergency.Journal, epoch int64, f fetchedBatch, now time.Time, alive bool) (deleted int, err error) {
	fresh, err := in.store(ctx, j, b.Mailbox, epoch, now, f)
	if err != nil {
		return 0, err
	}
	if err := in.hook("stored"); err != nil {
		return 0, err
	}
	var derr error
	if alive {
		began := time.Now()
		deleted, derr = p.delete(f.mails)
		since(&in.stages.delete, began)
		if err := in.hook("deleted"); err != nil {
			return deleted, err
		}
	}
	if err := errors.Join(derr, in.readStored(ctx, j, b.Mailbox, now, fresh)); err != nil {
		return deleted, err
	}
	return deleted, in.hook("read")
}

// store makes raw mails durable, sealed, in one commit. It returns those that
// were not there before.
func (in *Intake) store(ctx context.Context, j *emergency.Journal, mb *Mailbox, epoch int64, now time.Time, f fetchedBatch) ([]stored, error) {
	sealed := make([]emergency.Sealed, len(f.raws))
	errs := make([]error, len(f.raws))
	began := time.Now()
	in.parallel(len(f.raws), false, func(i int) {
		sum := sha256.Sum256(f.raws[i])
		sealed[i], errs[i] = j.Seal(emergency.Draft{
			Key:  strings.Join([]string{"pop3", mb.Address, f.mails[i].uidl, hex.EncodeToString(sum[:])}, "\x00"),
			Kind: emergency.KindMail, Source: "pop3:" + mb.Address, Received: now, Media: "message/rfc822", Body: f.raws[i], Unread: true,
		})
	})
	since(&in.stages.seal, began)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	defer since(&in.stages.store, time.Now())
	var fresh []stored
	err := j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh = nil
		accepted, err := j.AcceptTx(ctx, tx, mb.Placement, epoch, now, ledger.System, sealed)
		if err != nil {
			return err
		}
		var rows []ledger.Row
		again := 0
		have := map[emergency.Number]bool{}
		for i, a := range accepted {
			if a.Known || have[a.Number] {
				again++
				continue
			}
			have[a.Number] = true
			m := &mailRow{Number: a.Number, Mailbox: mb.Address, UIDL: f.mails[i].uidl, Fetched: db.Micro(now)}
			if err := putMail(ctx, tx, m); err != nil {
				return err
			}
			rows = append(rows, m.row())
			fresh = append(fresh, stored{number: a.Number, raw: f.raws[i]})
		}
		if err := tally(ctx, tx, "refetched", again); err != nil {
			return err
		}
		_, err = ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: ledger.System, Kind: "mail.fetched", Subject: mb.Address,
			Data: map[string]int{"stored": len(fresh), "refetched": again}, Rows: rows,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storing mail, nothing of it is deleted on the server: %w", err)
	}
	return fresh, nil
}

func tally(ctx context.Context, tx *db.Tx, name string, n int) error {
	if n == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `insert into sicknote_tally (name, n) values ($1, $2) on conflict (name) do update set n = sicknote_tally.n + excluded.n`, name, n)
	return err
}
