package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"slices"
	"strings"
	"time"

	"leitstand/emergency/sicknote"
	"leitstand/room"
)

// watchmanMail is the mailbox into which the room sends its sign of life.
type watchmanMail struct {
	POP3         string `name:"pop3" help:"Mailbox that the room sends its sign of life to (heartbeat.mail_to): POP3 server (host:port)." placeholder:"ADDR"`
	Security     string `help:"How the server is reached: tls, stls (upgrade of an open connection) or plain (loopback only)." enum:"tls,stls,plain" default:"tls"`
	User         string `help:"Account of the mailbox." placeholder:"NAME"`
	PasswordFile string `help:"File with its password and nothing else." type:"existingfile" placeholder:"FILE"`
	CA           string `name:"ca" help:"PEM file of the CA of the server. Default: the system's." type:"existingfile" placeholder:"FILE"`
	Tidy         bool   `help:"Delete signs of life from the mailbox when newer ones are there. Other mail always stays."`
}

const (
	newestBeats = 20      // mails that one look reads
	maxBeatMail = 1 << 20 // a relay may add a lot; the text itself is a few hundred bytes
)

// drop is the mailbox, ready to be read.
func (m watchmanMail) drop() (sicknote.Maildrop, error) {
	d := sicknote.Maildrop{Addr: m.POP3, Security: sicknote.Security(m.Security), User: m.User}
	if m.PasswordFile != "" {
		b, err := os.ReadFile(m.PasswordFile)
		if err != nil {
			return d, fmt.Errorf("reading the password of the mailbox: %w", err)
		}
		d.Password = strings.TrimRight(string(b), "\r\n")
	}
	if m.CA != "" {
		b, err := os.ReadFile(m.CA)
		if err != nil {
			return d, fmt.Errorf("reading the CA of the mail server: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(b) {
			return d, fmt.Errorf("%s holds no PEM certificate", m.CA)
		}
		d.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return d, nil
}

// lookIntoMailbox takes notice of the newest sign of life in the mailbox. Mail
// that is none is passed over; anybody can send mail, which --key is for.
func (w *watchman) lookIntoMailbox(ctx context.Context) error {
	d, err := w.cmd.drop()
	if err != nil {
		return err
	}
	var newest room.Beat
	var bad error
	err = d.Newest(ctx, newestBeats, maxBeatMail, func(mails [][]byte) (old []int) {
		found := map[int]room.Beat{}
		for i, raw := range mails {
			b, err := beatOfMail(raw)
			if err == nil {
				err = w.genuine(b)
			}
			if err != nil {
				bad = err
				continue
			}
			if found[i] = b; b.At.After(newest.At) {
				newest = b
			}
		}
		for i, b := range found { // the newest stays for whoever looks next, such as a second watchman
			if w.cmd.Tidy && b.Room == newest.Room && b.At.Before(newest.At) {
				old = append(old, i)
			}
		}
		return slices.Sorted(slices.Values(old))
	})
	if err != nil {
		return err
	}
	switch {
	case newest.At.IsZero() && bad != nil:
		return fmt.Errorf("there is no sign of life in the mailbox; of the last mail that is none: %w", bad)
	case newest.At.IsZero():
		return errors.New("there is no sign of life in the mailbox")
	}
	return w.notice(newest)
}

// genuine says whether the room signed a signal, when its key is known.
func (w *watchman) genuine(b room.Beat) error {
	if w.public == "" {
		return nil
	}
	return b.Check(w.public)
}

// beatOfMail finds the signal in the text of a mail.
func beatOfMail(raw []byte) (room.Beat, error) {
	var b room.Beat
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return b, fmt.Errorf("reading a mail: %w", err)
	}
	body := io.LimitReader(m.Body, maxBeatMail)
	switch strings.ToLower(strings.TrimSpace(m.Header.Get("Content-Transfer-Encoding"))) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return b, fmt.Errorf("reading a mail: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "{") && len(line) <= maxBeat && json.Unmarshal([]byte(line), &b) == nil && b.Room != "" {
			return b, nil
		}
	}
	return b, errors.New("the mail holds no sign of life")
}

// limit is the silence that is an alarm: what was asked for, else three times
// what the last signal promised.
func (w *watchman) limit() time.Duration {
	least := 5 * time.Minute
	if w.cmd.POP3 != "" && w.seen.Every == 0 {
		least = 45 * time.Minute // of a signal that nobody has seen yet, by the default of mail_every
	}
	return cmp.Or(w.cmd.After, max(least, 3*w.seen.Every))
}

// every is the pause between two looks.
func (w *watchman) every() time.Duration {
	pause := 10 * time.Second
	if w.cmd.POP3 != "" {
		pause = time.Minute // servers shut out who asks all the time
	}
	return max(10*time.Millisecond, cmp.Or(w.cmd.Every, pause))
}
