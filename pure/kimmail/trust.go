package kimmail

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"sync"
	"time"
)

// Trust holds the configured trust anchors: certificates of issuing or root CAs
// that an operator took from the trust list of the Telematikinfrastruktur (TSL) or
// the national list for qualified signatures. A nil Trust, or one without anchors,
// yields [SignatureIntact] at best. It may be used by several goroutines.
//
// Certificates met on the way are remembered once they were traced to an anchor,
// because the same cards sign again and again; validity is looked at every time.
type Trust struct {
	anchors      []*Certificate
	intermediate []*Certificate

	mu     sync.Mutex
	proven map[string][]*Certificate // raw certificate -> chain above it, anchor last
}

const (
	maxChain  = 4      // certificates above the signer's
	maxProven = 50_000 // remembered cards; a practice has a handful
)

// NewTrust reads anchors and, optionally, intermediate CA certificates; each may be
// DER or PEM, the latter with several certificates.
func NewTrust(anchors, intermediates [][]byte) (*Trust, error) {
	t := &Trust{proven: make(map[string][]*Certificate)}
	var err error
	if t.anchors, err = readCertificates(anchors); err != nil {
		return nil, fmt.Errorf("reading trust anchors: %w", err)
	}
	if t.intermediate, err = readCertificates(intermediates); err != nil {
		return nil, fmt.Errorf("reading intermediate certificates: %w", err)
	}
	return t, nil
}

func readCertificates(files [][]byte) ([]*Certificate, error) {
	var list []*Certificate
	for i, file := range files {
		ders := pemCertificates(file)
		if len(ders) == 0 {
			ders = [][]byte{file}
		}
		for _, der := range ders {
			c, err := ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("certificate file %d: %w", i+1, err)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

func pemCertificates(file []byte) (ders [][]byte) {
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			return ders
		}
		if block.Type == "CERTIFICATE" {
			ders = append(ders, block.Bytes)
		}
	}
}

// Anchors returns how many anchors are configured.
func (t *Trust) Anchors() int {
	if t == nil {
		return 0
	}
	return len(t.anchors)
}

// judge traces an intact signature's certificate to an anchor. expired: it got there,
// but a certificate on the way was outside its time.
func (t *Trust) judge(cert *Certificate, others []*Certificate, at time.Time) (state SignatureState, expired bool, detail string) {
	if t.Anchors() == 0 {
		return SignatureIntact, false, "no trust anchors are configured"
	}
	chain, err := t.chain(cert, others)
	if err != nil {
		return SignatureUntrusted, false, err.Error()
	}
	for _, c := range append([]*Certificate{cert}, chain...) {
		if at.Before(c.NotBefore) || at.After(c.NotAfter) {
			return SignatureUntrusted, true, fmt.Sprintf("certificate %q is valid from %s to %s only",
				c.CommonName, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
		}
	}
	return SignatureTrusted, false, "revocation was not checked"
}

// chain returns the certificates above cert, the anchor last.
func (t *Trust) chain(cert *Certificate, others []*Certificate) ([]*Certificate, error) {
	t.mu.Lock()
	known, ok := t.proven[string(cert.Raw)]
	t.mu.Unlock()
	if ok {
		return known, nil
	}
	if cert.unknownExt {
		return nil, fmt.Errorf("certificate %q has a critical extension that is not understood", cert.CommonName)
	}
	s := chainSearch{trust: t, others: others, checks: maxChecks}
	chain := s.up(cert, nil)
	if chain == nil {
		return nil, fmt.Errorf("certificate %q of issuer %q leads to no anchor", cert.CommonName, cert.IssuerName)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.proven) >= maxProven {
		clear(t.proven)
	}
	t.proven[string(cert.Raw)] = chain
	return chain, nil
}

// chainSearch goes up from a certificate, depth first, anchors before others.
type chainSearch struct {
	trust  *Trust
	others []*Certificate
	checks int // signatures that may still be checked
}

// maxChecks keeps a net of certificates that sign each other from keeping us busy.
const maxChecks = 32

// up returns the chain above cert; below are the certificates already used, so that
// a circle ends.
func (s *chainSearch) up(cert *Certificate, below []*Certificate) []*Certificate {
	for _, anchor := range s.trust.anchors {
		if bytes.Equal(anchor.Raw, cert.Raw) || s.issued(anchor, cert, len(below)) {
			return []*Certificate{anchor}
		}
	}
	if len(below) >= maxChain {
		return nil
	}
	below = append(below, cert)
	for _, list := range [][]*Certificate{s.trust.intermediate, s.others} {
		for _, ca := range list {
			if containsCert(below, ca) || !s.issued(ca, cert, len(below)-1) {
				continue
			}
			if chain := s.up(ca, below); chain != nil {
				return append([]*Certificate{ca}, chain...)
			}
		}
	}
	return nil
}

func containsCert(list []*Certificate, c *Certificate) bool {
	for _, have := range list {
		if bytes.Equal(have.Raw, c.Raw) {
			return true
		}
	}
	return false
}

// issued tells whether ca may and did sign child; between is how many CA certificates
// stand between the two and the signer (RFC 5280 §4.2.1.9, §6.1).
func (s *chainSearch) issued(ca, child *Certificate, between int) bool {
	if ca.subject != child.id.issuer || !ca.IsCA || !ca.usage.certSign || ca.unknownExt ||
		(ca.pathLen >= 0 && between > ca.pathLen) ||
		(child.authority != "" && ca.keyID != "" && child.authority != ca.keyID) || s.checks == 0 {
		return false
	}
	s.checks--
	return checkSignature(ca.key, child.sigAlg, "", child.tbs, child.sig) == nil
}
