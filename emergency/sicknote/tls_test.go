package sicknote_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/emergency/sicknote"
)

// certify makes a certificate for 127.0.0.1 and the pool that trusts it. The files
// are for servers that want them.
func certify(t testing.TB) (cert tls.Certificate, pool *x509.CertPool, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(leaf)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, certFile, keyFile
}

func TestProtectedConnections(t *testing.T) {
	cert, pool, _, _ := certify(t)
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	overTLS := newPopServer(t, func(l net.Listener) net.Listener { return tls.NewListener(l, config) })
	stls := newPopServer(t, nil)
	stls.stls = config
	plain := newPopServer(t, nil)
	for name, tc := range map[string]struct {
		server   *popServer
		security sicknote.Security
		pool     *x509.CertPool
		works    bool
	}{
		"POP3S":                   {overTLS, sicknote.TLS, pool, true},
		"STLS":                    {stls, sicknote.StartTLS, pool, true},
		"unknown issuer":          {overTLS, sicknote.TLS, x509.NewCertPool(), false},
		"STLS, unknown issuer":    {stls, sicknote.StartTLS, x509.NewCertPool(), false},
		"server without STLS":     {plain, sicknote.StartTLS, pool, false}, // never goes on in clear
		"TLS to a plain server":   {plain, sicknote.TLS, pool, false},
		"plain to a TLS server":   {overTLS, sicknote.PlainText, pool, false},
		"plain although it could": {stls, sicknote.PlainText, pool, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) {
				m := &c.Mailboxes[0]
				m.Addr, m.Security, m.TLS = tc.server.addr, tc.security, &tls.Config{RootCAs: tc.pool, MinVersion: tls.VersionTLS12}
				c.Idle = 300 * time.Millisecond
			})
			tc.server.put(address, noteMail(t, 1))
			err := r.intake.PollAll(t.Context(), t0)
			if (err == nil) != tc.works {
				t.Fatalf("error %v", err)
			}
			if s := r.status(t); tc.works != (s.Accepted == 1) {
				t.Errorf("%+v", s)
			}
		})
	}
}
