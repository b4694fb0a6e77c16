package room_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"leitstand/emergency/sicknote"
	"leitstand/room"
)

func TestMailboxesGetTheirKeysAndAnchorsFromFiles(t *testing.T) {
	r, _ := practice(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TEST-ONLY"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	p12, err := pkcs12.Modern.Encode(key, c, nil, "geheim")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"kasse.p12": p12, "ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "ca.der": der, "nix.pem": []byte("nichts"),
	} {
		if err := os.WriteFile(filepath.Join(dataOf(t, r), name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	place := r.Catalogue.Placements[0]
	for name, tc := range map[string]struct {
		change func(*room.Connections, *room.MailboxConfig)
		want   string
	}{
		"keys, CA, anchors": {func(c *room.Connections, m *room.MailboxConfig) {
			m.Keys, m.KeysPassword, m.CA, c.Trust, c.Intermediates = "kasse.p12", "geheim", "ca.pem", []string{"ca.pem", "ca.der"}, []string{"ca.der"}
		}, ""},
		"wrong password": {func(_ *room.Connections, m *room.MailboxConfig) { m.Keys, m.KeysPassword = "kasse.p12", "geraten" }, "password is missing or wrong"},
		"no file":        {func(_ *room.Connections, m *room.MailboxConfig) { m.Keys = "fehlt.p12" }, "fehlt.p12"},
		"no keys":        {func(_ *room.Connections, m *room.MailboxConfig) { m.Keys = "ca.der" }, "PKCS#12"},
		"a token": {func(_ *room.Connections, m *room.MailboxConfig) {
			m.Token = &room.TokenConfig{Module: "kasse.p12", PIN: "geheim", Helper: "ca.der"}
		}, ""},
		"token and file": {func(_ *room.Connections, m *room.MailboxConfig) {
			m.Keys, m.Token = "kasse.p12", &room.TokenConfig{Module: "kasse.p12", PIN: "geheim", Helper: "ca.der"}
		}, "not in both"},
		"no library": {func(_ *room.Connections, m *room.MailboxConfig) {
			m.Token = &room.TokenConfig{Module: "fehlt.so", PIN: "geheim", Helper: "ca.der"}
		}, "fehlt.so"},
		"no helper": {func(_ *room.Connections, m *room.MailboxConfig) {
			m.Token = &room.TokenConfig{Module: "kasse.p12", PIN: "geheim"}
		}, "leitstand-token"},
		"no PIN": {func(_ *room.Connections, m *room.MailboxConfig) {
			m.Token = &room.TokenConfig{Module: "kasse.p12", Helper: "ca.der"}
		}, "PIN is missing"},
		"no CA":     {func(_ *room.Connections, m *room.MailboxConfig) { m.CA = "nix.pem" }, "no PEM certificate"},
		"no anchor": {func(c *room.Connections, _ *room.MailboxConfig) { c.Trust = []string{"nix.pem"} }, "trust anchors"},
	} {
		m := room.MailboxConfig{Kasse: place.Kasse, Placement: place.ID, Address: "eau@kasse.example", POP3: "127.0.0.1:1", Security: sicknote.TLS, User: "u", Password: "p"}
		var c room.Connections
		tc.change(&c, &m)
		c.Mailboxes = []room.MailboxConfig{m}
		err := r.Connect(c, nil)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "geraten") || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%s: the password is in the error: %v", name, err)
		}
	}
}
