package exercise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

// fetchWorkers is how many maildrops are fetched at the same time.
const fetchWorkers = 4

// maxSession bounds how many mails one session takes before it books and deletes them.
const maxSession = 500

// advance lets all fetchers that are on fetch what lies there. A maildrop that
// cannot be reached or is held by somebody else is counted, and left for the next step.
func (w *regularWorld) advance(ctx context.Context, now time.Time) error {
	w.now.Store(now.Unix())
	if err := w.pages.book.sync(); err != nil {
		return err
	}
	work := make(chan *kasseSystem)
	failed := make([]error, fetchWorkers)
	var wg sync.WaitGroup
	for i := range failed {
		wg.Go(func() {
			for s := range work {
				failed[i] = errors.Join(failed[i], w.fetchKasse(ctx, s, w.answers[i], now))
			}
		})
	}
	for _, ik := range w.order {
		work <- w.systems[ik]
	}
	close(work)
	wg.Wait()
	return errors.Join(append(failed, w.answerCalls(now))...)
}

// fetchKasse empties the maildrop of a Kasse. Its error is one of our own book;
// trouble with the mail server is counted.
func (w *regularWorld) fetchKasse(ctx context.Context, s *kasseSystem, answers *postLine, now time.Time) error {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	if s.mode == FetchOff {
		return nil
	}
	for ctx.Err() == nil {
		n, err := w.fetchSession(ctx, s, answers, now)
		switch {
		case errors.Is(err, errBook):
			return err
		case err != nil:
			w.count("unfetched")
			return nil // the mails stay where they are
		case n < maxSession:
			return nil
		}
	}
	return ctx.Err()
}

var errBook = errors.New("the book of the regular systems cannot be written")

// fetchSession takes up to maxSession mails: first the book, then gone from the server.
func (w *regularWorld) fetchSession(ctx context.Context, s *kasseSystem, answers *postLine, now time.Time) (n int, err error) {
	c, err := dialPOP3(ctx, w.config.POP3, KasseAddress(s.IK), w.config.Password)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			c.abandon()
		}
	}()
	_, uids, err := c.uidl()
	if err != nil || len(uids) == 0 {
		return 0, errors.Join(err, c.quit())
	}
	s.filing.Lock() // a document that is judged new here must not be filed by a handover meanwhile
	defer s.filing.Unlock()
	n = min(len(uids), maxSession)
	rows, within := make([]Received, 0, n), make(map[document]bool)
	err = c.retrieve(n, func(number int, raw []byte) error {
		if w.shelf.hasMail(s.IK, uids[number-1]) { // booked, but not deleted then
			w.count("refetched")
			return nil
		}
		r, err := w.receiveMail(ctx, s, answers, raw, within, now)
		r.Item = uidPrefix + uids[number-1]
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := w.shelf.take(rows); err != nil {
		return 0, fmt.Errorf("%w: %w", errBook, err)
	}
	if err := c.deleteAll(n); err != nil {
		return 0, err
	}
	return n, c.quit()
}

// receiveMail makes the line of the book for a mail, and with the policy of 2023
// answers it.
func (w *regularWorld) receiveMail(ctx context.Context, s *kasseSystem, answers *postLine, raw []byte, within map[document]bool, now time.Time) (Received, error) {
	m, content, id := mailDocument(raw)
	sum := sha256.Sum256(content)
	r := Received{ID: id, SHA256: hex.EncodeToString(sum[:]), Kasse: s.IK, Time: now, Via: ViaMail, Reason: faultOf(content)}
	if s.mode != FetchRefuse || m == nil || m.ReplyAddress() == "" {
		w.shelf.judge(&r, within)
		return r, nil
	}
	r.Status, r.Reason = StatusRefused, "als fehlerhaft abgewiesen"
	mail, to, err := refusal(s.IK, m, false, now)
	if err != nil {
		return r, err
	}
	sent, err := answers.deliver(ctx, &outgoing{id: id, from: KasseAddress(s.IK), to: to, mail: mail}, new(sendResult))
	if err != nil || !sent {
		return r, errors.Join(err, fmt.Errorf("the error message about %q could not be sent", id))
	}
	w.count("answered")
	return r, nil
}
