package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"leitstand/catalogue"
	"leitstand/pure/seal"
)

// KeysOf reads public keys from the table that a gateway obeys.
func (g *Gateway) KeysOf(k catalogue.KasseID) (*seal.PublicKey, error) {
	live := g.live.Load()
	if live == nil || live.Keys[k] == nil {
		return nil, fmt.Errorf("the table of doors has no key of Kasse %s", k)
	}
	return seal.ParsePublicKey(live.Keys[k])
}

// Tune lets the garbage collector of a process that only forwards run less often:
// its heap is small, and collecting it after every 4 MiB costs a third of its
// CPU time. It may need some 40 MiB more.
func Tune() { debug.SetGCPercent(800) }

// Certificate serves a TLS certificate from files and takes new ones without
// losing a connection.
type Certificate struct {
	cert, key string
	now       atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads the files.
func LoadCertificate(cert, key string) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key}
	return c, c.Reload()
}

// Reload reads the files again; what cannot be read leaves the old one in use.
func (c *Certificate) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	c.now.Store(&pair)
	return nil
}

// Config is TLS 1.2 and newer with this certificate. Clients may show one of
// their own; routes and testers are told apart by its fingerprint, whoever signed it.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
	}
}

// FollowFile makes a gateway obey a file that somebody else writes, within 50 ms
// of its change, until ctx ends. A damaged file is reported and the table before
// stays in force.
func (g *Gateway) FollowFile(ctx context.Context, file string, every time.Duration) error {
	var last os.FileInfo
	for {
		info, err := os.Stat(file)
		if err == nil && (last == nil || !info.ModTime().Equal(last.ModTime()) || !os.SameFile(info, last)) {
			last = info
			t, lerr := Load(file)
			if err = lerr; err == nil && (g.live.Load() == nil || t.Version >= g.live.Load().Version) {
				g.Set(t)
			}
		}
		if err != nil && g.Log != nil {
			g.Log.Error("the table of doors could not be read; the one before stays in force", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}
