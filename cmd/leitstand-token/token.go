//go:build linux && (amd64 || arm64)

package main

import (
	"fmt"

	"leitstand/pure/kimmail"
)

// token is a logged-in PKCS#11 token with the keys that have a certificate.
type token struct {
	session *session
	certs   [][]byte
	keys    []ulong
}

func (m *module) login(label, pin string) (kimmail.Token, error) {
	s, err := m.open(label, pin, ckfSerialSession)
	if err != nil {
		return nil, err
	}
	certs, err := s.find(map[ulong][]byte{ckaClass: ulongBytes(ckoCertificate)})
	if err != nil {
		return nil, err
	}
	t := &token{session: s}
	for _, cert := range certs {
		id, err := s.value(cert, ckaID)
		if err != nil || len(id) == 0 {
			continue // without an identifier it names no key
		}
		keys, err := s.find(map[ulong][]byte{ckaClass: ulongBytes(ckoPrivateKey), ckaID: id})
		if err != nil {
			return nil, err
		}
		der, err := s.value(cert, ckaValue)
		if err != nil {
			return nil, err
		}
		if len(keys) > 0 && len(der) > 0 {
			t.certs, t.keys = append(t.certs, der), append(t.keys, keys[0])
		}
	}
	return t, nil
}

// Certificates implements kimmail.Token.
func (t *token) Certificates() ([][]byte, error) { return t.certs, nil }

// ECDH implements kimmail.Token. PKCS#11 lets a library take the point bare or as an
// octet string in DER; some know only the second.
func (t *token) ECDH(i int, point []byte) ([]byte, error) {
	if i < 0 || i >= len(t.keys) {
		return nil, fmt.Errorf("there is no key %d", i)
	}
	if len(point) != 65 {
		return nil, fmt.Errorf("point of %d bytes", len(point))
	}
	shared, err := t.session.derive(t.keys[i], point)
	if err != nil {
		shared, err = t.session.derive(t.keys[i], append([]byte{0x04, 65}, point...))
	}
	return shared, err
}
