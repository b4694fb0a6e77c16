package sicknote

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// Maildrop is a mailbox that is no Kasse's: machines write into it, such as signs
// of life of a room.
type Maildrop struct {
	Addr     string // POP3, host:port
	Security Security
	TLS      *tls.Config // nil: the system's roots
	User     string
	Password string
}

// Newest hands the newest mails of a mailbox to look, the oldest of them first;
// larger ones than max bytes are passed over. Those that look says are done with,
// by their place in mails, are deleted at the end of the session; nothing else is.
func (m Maildrop) Newest(ctx context.Context, most int, max int64, look func(mails [][]byte) (done []int)) error {
	const idle = 20 * time.Second
	p, err := dialPOP(ctx, popConfig{
		addr: m.Addr, security: m.Security, tls: m.TLS, user: m.User, password: m.Password,
		dial: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, idle: idle, total: 3 * idle, maxMail: max,
	})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, p.abandon)
	defer stop()
	defer p.abandon()
	mails, err := p.list()
	if err != nil {
		return fmt.Errorf("listing the mailbox at %s: %w", m.Addr, err)
	}
	var try, read, done []listed
	for i := len(mails) - 1; i >= 0 && len(try) < most; i-- {
		if mails[i].size <= max {
			try = append([]listed{mails[i]}, try...)
		}
	}
	var bodies [][]byte
	err = p.retrieve(try, func(l listed, raw []byte, err error) {
		if err == nil {
			read, bodies = append(read, l), append(bodies, raw)
		}
	})
	if err == nil {
		for _, i := range look(bodies) {
			done = append(done, read[i])
		}
	}
	if err == nil && len(done) > 0 {
		if _, err = p.delete(done); err == nil {
			err = p.quit()
		}
	}
	if err != nil {
		return fmt.Errorf("reading the mailbox at %s: %w", m.Addr, err)
	}
	return nil
}
