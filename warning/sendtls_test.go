package warning

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// loginBox is a mailbox that takes mail of one account only.
type loginBox struct {
	mailbox
	in bool
}

func (b *loginBox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *loginBox) AuthMechanisms() []string                    { return []string{sasl.Plain} }
func (b *loginBox) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if b.in = user == "raum" && password == "geheim"; !b.in {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (b *loginBox) Mail(string, *smtp.MailOptions) error {
	if !b.in {
		return smtp.ErrAuthRequired
	}
	return nil
}

// TestMailGoesOutOverTLSWithALogin sends to a server that shows a certificate of
// a CA of its own and asks who it is.
func TestMailGoesOutOverTLSWithALogin(t *testing.T) {
	cert, ca := ownCertificate(t)
	for _, security := range []string{"tls", "stls"} {
		t.Run(security, func(t *testing.T) {
			box := &loginBox{}
			srv := smtp.NewServer(box)
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := l.Addr().String()
			if security == "tls" {
				l = tls.NewListener(l, srv.TLSConfig)
			}
			done := make(chan error, 1)
			go func() { done <- srv.Serve(l) }()
			defer func() {
				_ = srv.Close() // the test is over
				if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
					t.Error(err)
				}
			}()
			way := MailWay{Addr: addr, Security: security, From: "raum@example.org", User: "raum", Password: "geheim", CA: ca}
			if err := way.Check(); err != nil {
				t.Fatal(err)
			}
			m, to := Message{Subject: "Probe", Text: "Guten Tag"}, Contact{Mail: "wache@example.org"}
			if err := way.Send(t.Context(), to, m); err != nil || len(box.mail) != 1 {
				t.Errorf("%v, %d mails", err, len(box.mail))
			}
			wrong := way
			wrong.Password = "hunter2"
			if err := wrong.Send(t.Context(), to, m); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a wrong password: %v", err)
			}
			stranger := way
			stranger.CA = ""
			if err := stranger.Send(t.Context(), to, m); err == nil || len(box.mail) != 1 {
				t.Errorf("a server of an unknown CA got a mail (%v)", err)
			}
		})
	}
	bad := MailWay{Addr: "mail.example:465", Security: "tls", From: "a@b", CA: filepath.Join(t.TempDir(), "none")}
	if bad.Check() == nil {
		t.Error("a CA that is not there was taken")
	}
}

// ownCertificate is a certificate for loopback, and the file of its CA.
func ownCertificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
