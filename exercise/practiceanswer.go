package exercise

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// readAnswers fetches the error messages of Kassen. When the mail server cannot
// be reached or the maildrop is busy, the practices look again with the next step.
func (w *practiceWorld) readAnswers(ctx context.Context, now time.Time) error {
	c, err := dialPOP3(ctx, w.config.POP3, PracticeDomain, w.config.Password)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.tally["unfetched"]++
		return nil
	}
	n, err := c.stat()
	if err == nil {
		err = c.retrieve(n, func(_ int, raw []byte) error {
			w.readAnswer(raw, now)
			return nil
		})
	}
	if err != nil {
		c.abandon()
		return fmt.Errorf("reading the mail of the practices: %w", err)
	}
	if err := w.refused.sync(); err != nil { // first the book, then gone from the server
		c.abandon()
		return err
	}
	slices.SortFunc(w.queue, compareEvents)
	if err := c.deleteAll(n); err != nil {
		c.abandon()
		return fmt.Errorf("reading the mail of the practices: %w", err)
	}
	return c.quit()
}

// readAnswer books an error message and lets the practice send again.
func (w *practiceWorld) readAnswer(raw []byte, now time.Time) {
	id, code, err := readRefusal(raw)
	ref, known := w.known[id]
	if err != nil || !known {
		w.tally["strange"]++
		return
	}
	w.tally["refused"]++
	w.refused.add(id, hex.EncodeToString(ref.sha256[:]), ref.kasse, now.Format(time.RFC3339), "", code)
	at := now.Add(time.Duration(w.config.ResendAfterMinutes) * time.Minute)
	if at.Before(w.config.ResendFrom) {
		at = w.config.ResendFrom
	}
	w.resend(ref.ev, id, at)
}

// resend follows the Technische Anlage: after error codes 100 to 105 the
// document is made anew, with a new identifier. A file of --eau goes out as it
// is. A document already made anew (its second copy was refused, too) is not
// made a third time.
func (w *practiceWorld) resend(e event, id string, at time.Time) {
	switch e.what {
	case postNote, postTwice, postSameID:
		if w.plan.noteID(e.note) != id {
			return
		}
		w.plan.notes[e.note].renewed++
		e.what = postNote
	case postStorno:
		if w.plan.stornoID(e.note) != id {
			return
		}
		w.plan.notes[e.note].stornoRenewed++
	case postFile:
	}
	w.queue = append(w.queue, event{at: at, order: w.plan.next, note: e.note, what: e.what})
	w.plan.next++
}

// readRefusal finds the document that an error message is about.
func readRefusal(raw []byte) (id, code string, err error) {
	m, err := kimmail.Parse(raw, kimmail.DefaultLimits())
	if err != nil {
		return "", "", err
	}
	if m.Kind() != kimmail.KindRejection || len(m.Documents) == 0 {
		return "", "", errors.New("not an error message")
	}
	doc, err := eau.Read(m.Documents[0].XML)
	if err != nil {
		return "", "", err
	}
	if doc.Kind != eau.KindError {
		return "", "", errors.New("not an error message")
	}
	if id := strings.TrimPrefix(doc.Error.BundleIdentifier, "urn:uuid:"); id != "" {
		return id, doc.Error.Code, nil
	}
	// Our message ids begin with the id of the document, see wrap.
	id, _, _ = strings.Cut(strings.Trim(doc.Error.MessageID, "<>"), ".")
	return id, doc.Error.Code, nil
}
