package channel_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/emergency/channel"
	"leitstand/pure/kimmail"
)

// mailHouse keeps a mailbox for each address; it can lose and repeat mails.
type mailHouse struct {
	mu    sync.Mutex
	boxes map[string][][]byte
	twice bool
	lost  int // mails that get lost
	sent  int
}

func (m *mailHouse) post(address string) channel.Post { return &mailPost{house: m, address: address} }

type mailPost struct {
	house   *mailHouse
	address string
}

func (p *mailPost) Send(_ context.Context, _, to string, mail []byte) error {
	p.house.mu.Lock()
	defer p.house.mu.Unlock()
	p.house.sent++
	if p.house.lost > 0 {
		p.house.lost--
		return nil
	}
	p.house.boxes[to] = append(p.house.boxes[to], mail)
	if p.house.twice {
		p.house.boxes[to] = append(p.house.boxes[to], mail)
	}
	return nil
}

func (p *mailPost) Fetch(_ context.Context, keep func([]byte) error) error {
	p.house.mu.Lock()
	defer p.house.mu.Unlock()
	var left [][]byte
	for _, mail := range p.house.boxes[p.address] {
		if keep(mail) != nil {
			left = append(left, mail)
		}
	}
	p.house.boxes[p.address] = left
	return nil
}

const (
	ourMail   = "notbetrieb@kasse.kim.telematik-test"
	theirMail = "regel@kasse.kim.telematik-test"
)

func kims(t *testing.T, w *world, house *mailHouse) (ours, theirs *channel.KIM) {
	t.Helper()
	now := func() time.Time { return w.now }
	ours = &channel.KIM{Post: house.post(ourMail), From: ourMail, To: theirMail, Spool: t.TempDir(), Now: now}
	theirs = &channel.KIM{Post: house.post(theirMail), From: theirMail, To: ourMail, Spool: t.TempDir(), Now: now}
	return ours, theirs
}

func TestKIMMailCarriesAHandoverAlsoWhenMailsComeTwiceOrAreLost(t *testing.T) {
	for name, house := range map[string]*mailHouse{
		"plain": {}, "twice": {twice: true}, "lost": {lost: 3},
	} {
		t.Run(name, func(t *testing.T) {
			house.boxes = map[string][][]byte{theirMail: {[]byte("Subject: Werbung\r\n\r\nfremde Post\r\n")}}
			w := newWorld(t, 10)
			ours, theirs := kims(t, w, house)
			ours.Again = 5 * time.Minute
			w.through(t, ours, theirs)
			for _, mail := range house.boxes[theirMail] {
				if !strings.Contains(string(mail), "Werbung") {
					t.Errorf("left in the mailbox: %.200s", mail)
				}
			}
			if len(house.boxes[theirMail]) != 1 {
				t.Error("somebody else's mail is gone from the mailbox")
			}
		})
	}
}

func TestKIMMailIsSealedToTheReceiverAsAClientmodulDoes(t *testing.T) {
	serial := int64(1)
	issue := func(name string) (*kimmail.Certificate, *kimmail.BrainpoolPrivateKey) {
		key, err := kimmail.GenerateBrainpoolKey(rand.Reader)
		must(t, err)
		serial++
		c, err := kimmail.IssueCertificate(kimmail.CertificateSpec{
			CommonName: name + " TEST-ONLY", Serial: serial, PublicKey: key.Public(), NotBefore: t0.AddDate(-1, 0, 0), NotAfter: t0.AddDate(2, 0, 0),
		}, &kimmail.Identity{Key: key})
		must(t, err)
		return c, key
	}
	ourCert, ourKey := issue("Notbetrieb")
	theirCert, theirKey := issue("Regelsystem")
	to := []kimmail.SealRecipient{{Address: ourMail, Certificate: ourCert}, {Address: theirMail, Certificate: theirCert}}
	house := &mailHouse{boxes: map[string][][]byte{}}
	w := newWorld(t, 3)
	ours, theirs := kims(t, w, house)
	for _, side := range []struct {
		k    *channel.KIM
		cert *kimmail.Certificate
		key  *kimmail.BrainpoolPrivateKey
	}{{ours, ourCert, ourKey}, {theirs, theirCert, theirKey}} {
		side.k.Signer, side.k.Recipients = &kimmail.Identity{Certificate: side.cert, Key: side.key}, to
		ring, err := kimmail.NewKeyring(kimmail.KeyPair{Certificate: side.cert, Key: side.key})
		must(t, err)
		side.k.Open = kimmail.Options{Keys: ring}
	}
	must(t, ours.Put(t.Context(), "parcel-0123456789abcdef.age", []byte("Inhalt")))
	raw := house.boxes[theirMail][0]
	m, err := kimmail.Parse(raw, kimmail.Limits{})
	if err != nil || m.Form != kimmail.FormEnveloped || strings.Contains(string(raw), "X-Leitstand-Datei") {
		t.Errorf("form %v, %v", m.Form, err)
	}
	got, err := theirs.Get(t.Context(), "parcel-0123456789abcdef.age")
	if err != nil || string(got) != "Inhalt" {
		t.Errorf("%q %v", got, err)
	}
	must(t, theirs.Forget(t.Context(), "parcel-0123456789abcdef.age", ""))
	w.through(t, ours, theirs)
	ours.To = "x>\r\nBcc: a@b"
	if err := ours.Put(t.Context(), "list-0123456789abcdef.age", nil); err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Error("a header was injected")
	}
}
