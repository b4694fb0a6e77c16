package room

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"leitstand/emergency/sicknote"
	"leitstand/emergency/sicknote/token"
	"leitstand/pure/kimmail"
)

// equip gives a mailbox its keys and the CA of its servers.
func (r *Room) equip(box *sicknote.Mailbox, m MailboxConfig) error {
	box.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if m.CA != "" {
		pem, err := os.ReadFile(r.beside(m.CA))
		if err != nil {
			return fmt.Errorf("reading the CA of its servers: %w", err)
		}
		box.TLS.RootCAs = x509.NewCertPool()
		if !box.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("reading the CA of its servers: no PEM certificate in %q", m.CA)
		}
	}
	box.SMTP.TLS = box.TLS
	if m.Token != nil {
		return r.equipToken(box, m)
	}
	if m.Keys == "" {
		return nil
	}
	file, err := os.ReadFile(r.beside(m.Keys))
	if err != nil {
		return fmt.Errorf("reading its keys: %w", err)
	}
	pairs, _, err := kimmail.ParsePKCS12(file, m.KeysPassword)
	if errors.Is(err, kimmail.ErrPassword) {
		return fmt.Errorf("its keys in %q: the password is missing or wrong: %w", m.Keys, err)
	}
	if err != nil {
		return fmt.Errorf("its keys in %q: %w", m.Keys, err)
	}
	ring, err := kimmail.NewKeyring(pairs...)
	if err != nil {
		return fmt.Errorf("its keys in %q: %w", m.Keys, err)
	}
	box.Keys = ring
	return nil
}

// equipToken gives a mailbox the keys of a PKCS#11 token. Whether the token answers
// shows with the first encrypted mail or a probe: one that is plugged in later works.
func (r *Room) equipToken(box *sicknote.Mailbox, m MailboxConfig) error {
	if m.Keys != "" {
		return errors.New("its keys are in a PKCS#12 file or in a token, not in both")
	}
	helper := m.Token.Helper
	if helper == "" {
		own, err := os.Executable()
		if err != nil {
			return fmt.Errorf("looking for leitstand-token: %w", err)
		}
		helper = filepath.Join(filepath.Dir(own), "leitstand-token")
	}
	keys, err := token.New(token.Config{Helper: r.beside(helper), Module: r.beside(m.Token.Module), Label: m.Token.Label, PIN: m.Token.PIN})
	if err != nil {
		return err
	}
	box.Keys = keys
	return nil
}

// closeTokens ends the helpers of tokens.
func (r *Room) closeTokens() {
	for _, t := range r.tokens {
		t.Close()
	}
	r.tokens = nil
}

// trust reads the anchors of signatures, nil without any.
func (r *Room) trust(c Connections) (*kimmail.Trust, error) {
	if len(c.Trust) == 0 {
		return nil, nil //nolint:nilnil // no anchors are no error: trust is not checked then, and said not to be
	}
	read := func(names []string) (files [][]byte, err error) {
		for _, name := range names {
			b, err := os.ReadFile(r.beside(name))
			if err != nil {
				return nil, fmt.Errorf("reading trust anchors: %w", err)
			}
			files = append(files, b)
		}
		return files, nil
	}
	anchors, err := read(c.Trust)
	if err != nil {
		return nil, err
	}
	between, err := read(c.Intermediates)
	if err != nil {
		return nil, err
	}
	return kimmail.NewTrust(anchors, between)
}
