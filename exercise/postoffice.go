package exercise

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// postOffice keeps SMTP connections to the mail server open and sends on all at once.
type postOffice struct {
	addr  string
	lines []*postLine
}

// postLine is one connection, made when it is first needed and again after it broke.
type postLine struct {
	addr string

	mu     sync.Mutex // guards client against hangUp
	client *smtpClient
}

// loopbackLiteral is what a client without a name says in EHLO (RFC 5321 §4.1.3).
const loopbackLiteral = "127.0.0.1"

// job is one mail for a connection; make is called when its turn has come.
type job struct {
	index int
	make  func() (*outgoing, error)
}

// sendResult says what became of a job. Without sent it is to be tried again.
type sendResult struct {
	sent   *outgoing // without its mail
	unsure int       // sendings whose answer was lost: the server may have taken them
}

func newPostOffice(addr string, connections int) *postOffice {
	p := &postOffice{addr: addr, lines: make([]*postLine, connections)}
	for i := range p.lines {
		p.lines[i] = &postLine{addr: addr}
	}
	return p
}

// send does the jobs of each connection in order. The error is set when a mail
// cannot be made or is refused for good; trouble with a connection is none, the
// mails concerned only stay unsent.
func (p *postOffice) send(ctx context.Context, shards [][]job) ([]sendResult, error) {
	total := 0
	for _, s := range shards {
		total += len(s)
	}
	results, failed := make([]sendResult, total), make([]error, len(shards))
	stop := context.AfterFunc(ctx, func() { _ = p.close() }) // wakes who waits for an answer
	defer stop()
	var wg sync.WaitGroup
	for i, jobs := range shards {
		if len(jobs) > 0 {
			wg.Go(func() { failed[i] = p.lines[i].work(ctx, jobs, results) })
		}
	}
	wg.Wait()
	return results, errors.Join(failed...)
}

func (p *postOffice) close() error {
	for _, l := range p.lines {
		l.hangUp()
	}
	return nil
}

func (l *postLine) work(ctx context.Context, jobs []job, results []sendResult) error {
	for _, j := range jobs {
		o, err := j.make()
		if err != nil {
			return err
		}
		sent, err := l.deliver(ctx, o, &results[j.index])
		if err != nil || !sent {
			return err // the rest would only fail, too, and overtake
		}
		o.mail = nil
		results[j.index].sent = o
	}
	return nil
}

// deliver tries twice, as a connection that was idle may have been closed. A
// mail is sent when the server has said so.
func (l *postLine) deliver(ctx context.Context, o *outgoing, r *sendResult) (bool, error) {
	for range 2 {
		client, err := l.connect(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // no connection: the mail waits
		}
		unsure, err := client.send(o.from, o.to, o.mail)
		if err == nil {
			return true, nil
		}
		var answer *smtpRefusal
		switch {
		case errors.As(err, &answer) && !answer.temporary():
			return false, fmt.Errorf("the mail server refuses document %q: %w", o.id, err)
		case errors.As(err, &answer):
			return false, nil // not now: the mail waits
		}
		l.hangUp()
		if unsure {
			r.unsure++
		}
	}
	return false, nil
}

func (l *postLine) connect(ctx context.Context) (*smtpClient, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.client == nil {
		c, err := dialSMTP(ctx, l.addr, "["+loopbackLiteral+"]")
		if err != nil {
			return nil, err
		}
		l.client = c
	}
	return l.client, nil
}

func (l *postLine) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		l.client.close()
		l.client = nil
	}
}
