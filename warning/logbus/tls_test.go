package logbus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/pure/sigma"
	"leitstand/warning"
)

// authority makes certificates.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.file, _ = a.issue(t, "ca", a)
	return a
}

// issue writes a certificate and its key; one of its own makes the authority.
func (a *authority) issue(t *testing.T, name string, own *authority) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if own != nil {
		c.IsCA, c.BasicConstraintsValid, c.ExtKeyUsage = true, true, nil
		parent, signer = c, k
		own.cert, own.key = c, k
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &k.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	for file, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// tlsServer starts a server with a certificate of the authority.
func tlsServer(t *testing.T, a *authority, clients bool, rest string) string {
	t.Helper()
	cert, key := a.issue(t, "server", nil)
	verify := ""
	if clients {
		verify = fmt.Sprintf("ca_file: %q, verify: true", a.file)
	}
	conf := filepath.Join(a.dir, "nats.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "tls { cert_file: %q, key_file: %q, %s }\n%s\n", cert, key, verify, rest), 0o600); err != nil {
		t.Fatal(err)
	}
	at := server(t, "-c", conf)
	_, host, _ := strings.Cut(at, "://")
	return "tls://" + host
}

const busToken = "ein-geheimes-Wort-4711"

// TestTheBusIsReachedOverTLSByThoseItKnows sends, works and reads with a
// certificate of ours or a token, and keeps everybody else out.
func TestTheBusIsReachedOverTLSByThoseItKnows(t *testing.T) {
	natsServer(t)
	a, stranger := newAuthority(t), newAuthority(t)
	cert, key := a.issue(t, "worker", nil)
	wrongCert, wrongKey := stranger.issue(t, "worker", nil)
	byCert := Config{URL: tlsServer(t, a, true, ""), CA: a.file, Cert: cert, Key: key}
	tokens := newAuthority(t)
	byToken := Config{URL: tlsServer(t, tokens, false, fmt.Sprintf("authorization { token: %q }", busToken)), CA: tokens.file, Token: busToken}
	for name, c := range map[string]Config{"certificate": byCert, "token": byToken} {
		t.Run(name, func(t *testing.T) { playsOver(t, c) })
	}
	with := func(c Config, change func(*Config)) Config { change(&c); return c }
	for name, c := range map[string]Config{
		"no certificate of ours":             with(byCert, func(c *Config) { c.Cert, c.Key = "", "" }),
		"a certificate of somebody else":     with(byCert, func(c *Config) { c.Cert, c.Key = wrongCert, wrongKey }),
		"a server that is not the one named": with(byCert, func(c *Config) { c.CA = stranger.file }),
		"a server of an unknown authority":   with(byCert, func(c *Config) { c.CA = "" }),
		"no token":                           with(byToken, func(c *Config) { c.Token = "" }),
		"a wrong token":                      with(byToken, func(c *Config) { c.Token = "falsch-" + busToken }),
		"a server without TLS":               {URL: server(t), CA: a.file, Token: busToken},
	} {
		b, err := Connect(c, false)
		if err == nil {
			b.Close()
			t.Errorf("%s: let in", name)
			continue
		}
		if strings.Contains(err.Error(), busToken) {
			t.Errorf("%s: the error tells the token: %v", name, err)
		}
	}
}

// playsOver sends a line, lets a worker find it and reads the hit.
func playsOver(t *testing.T, c Config) {
	t.Helper()
	b, err := Connect(c, false)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Make(t.Context(), Setup{Partitions: 1, Replicas: 1, Keep: time.Hour}); err != nil {
		t.Fatal(err)
	}
	s, err := b.NewSender(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(t.Context(), "h", []byte("2023-04-26T01:00:00Z h sshd[1]: Accepted password for root from 192.0.2.1 port 1 ssh2")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rules, err := warning.CompileRules(warning.RuleFiles{Files: []sigma.File{{Name: "test.yml", Data: []byte(testRules)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	w, err := b.NewWorker(Options{Name: "w", Rules: rules, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	src := NewSource(c, rules)
	defer func() { _ = src.Close() }() // only read
	title := ""
	until(t, "the hit is there", func() bool {
		_, err := src.Read(t.Context(), nil, 10, func(e warning.RawEvent) { title = e.Hit.Rule.Title })
		return err == nil && title != ""
	})
	stop()
	if err := <-done; err != nil || title != "Root" {
		t.Errorf("found %q (%v)", title, err)
	}
	if strings.Contains(log.String(), busToken) {
		t.Error("the worker's log tells the token")
	}
}

func TestSecretsForTheBusDoNotCrossTheNetworkInClearNorShowInErrors(t *testing.T) {
	for name, c := range map[string]Config{
		"token":             {URL: "nats://bus.example:4222", Token: busToken},
		"token in address":  {URL: "nats://" + busToken + "@bus.example:4222"},
		"password":          {URL: "tls://127.0.0.1:1,nats://anna:" + busToken + "@192.0.2.1:4222"},
		"credentials":       {URL: "bus.example", Creds: "x.creds"},
		"unreadable":        {URL: "nats://anna:" + busToken + "%zz@127.0.0.1:4222"},
		"other scheme":      {URL: "http://" + busToken + "@127.0.0.1"},
		"nobody there":      {URL: "nats://anna:" + busToken + "@127.0.0.1:1"},
		"certificate alone": {URL: "tls://127.0.0.1:1", Cert: "c.pem", Token: busToken},
	} {
		b, err := Connect(c, false)
		if err == nil {
			b.Close()
			t.Errorf("%s: taken", name)
			continue
		}
		if strings.Contains(err.Error(), busToken) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
		clear := name == "token" || name == "token in address" || name == "password" || name == "credentials"
		if errors.Is(err, ErrInClear) != clear {
			t.Errorf("%s: %v", name, err)
		}
	}
}
