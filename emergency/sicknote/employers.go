package sicknote

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Employer is who may ask.
type Employer struct {
	Number string // Betriebsnummer
}

// Employers are those who may ask, by what proves who they are. The zero value
// knows nobody.
type Employers struct {
	Tokens       map[[sha256.Size]byte]Employer // by the SHA-256 of a bearer token
	Certificates map[[sha256.Size]byte]Employer // by the SHA-256 of a client certificate (DER)
	// CA issues certificates that name the Betriebsnummer in the subject, as an
	// organisational unit "BN" and eight digits; nil accepts listed certificates only.
	CA *x509.CertPool
}

// errNobody is all that a stranger is told.
var errNobody = errors.New("token or client certificate is missing or not known")

// TLS is a configuration for a server that asks for client certificates. Who they
// belong to is decided by the handler.
func (e *Employers) TLS(own tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequestClientCert}
}

// who tells the employer of a request at a time. A certificate counts before a
// token; one that is not good is not made good by a token.
func (e *Employers) who(req *http.Request, now time.Time) (Employer, error) {
	if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 {
		return e.byCertificate(req.TLS.PeerCertificates, now)
	}
	token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	who, known := e.Tokens[sha256.Sum256([]byte(token))]
	if !ok || !known {
		return Employer{}, errNobody
	}
	return who, nil
}

var unitNumber = regexp.MustCompile(`^BN([0-9]{8})$`)

// byCertificate takes a listed certificate on its days, or one with a chain to CA.
// That the sender has its key was proven by TLS.
func (e *Employers) byCertificate(chain []*x509.Certificate, now time.Time) (Employer, error) {
	leaf := chain[0]
	if who, ok := e.Certificates[sha256.Sum256(leaf.Raw)]; ok {
		if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			return Employer{}, fmt.Errorf("client certificate is not valid today: %w", errNobody)
		}
		return who, nil
	}
	if e.CA == nil {
		return Employer{}, errNobody
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: e.CA, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return Employer{}, fmt.Errorf("client certificate cannot be traced to the CA of employers: %w", errNobody)
	}
	var numbers []string
	for _, unit := range leaf.Subject.OrganizationalUnit {
		if m := unitNumber.FindStringSubmatch(unit); m != nil {
			numbers = append(numbers, m[1])
		}
	}
	if len(numbers) != 1 {
		return Employer{}, fmt.Errorf("client certificate does not name one Betriebsnummer (OU=BN and eight digits): %w", errNobody)
	}
	return Employer{Number: numbers[0]}, nil
}

// employerEntry is one employer in a file.
type employerEntry struct {
	Number      string `json:"betriebsnummer"`
	Token       string `json:"token_sha256,omitempty"`
	Certificate string `json:"certificate_sha256,omitempty"`
}

var eightDigits = regexp.MustCompile(`^[0-9]{8}$`)

// ParseEmployers reads a JSON list of {betriebsnummer, token_sha256,
// certificate_sha256}, hashes in hex, and PEM certificates of the CA of employers
// (may be empty). Errors name the entry by its position.
func ParseEmployers(list, ca []byte) (*Employers, error) {
	e := &Employers{Tokens: map[[sha256.Size]byte]Employer{}, Certificates: map[[sha256.Size]byte]Employer{}}
	dec := json.NewDecoder(bytes.NewReader(list))
	dec.DisallowUnknownFields() // a typing mistake must not shut somebody out
	var entries []employerEntry
	if err := dec.Decode(&entries); err != nil {
		return nil, fmt.Errorf("reading employers: %w", err)
	}
	for i, one := range entries {
		if !eightDigits.MatchString(one.Number) || one.Token == "" && one.Certificate == "" {
			return nil, fmt.Errorf("employer %d: betriebsnummer (eight digits) and token_sha256 or certificate_sha256 are needed", i+1)
		}
		for _, p := range []struct {
			into map[[sha256.Size]byte]Employer
			hash string
		}{{e.Tokens, one.Token}, {e.Certificates, one.Certificate}} {
			if p.hash == "" {
				continue
			}
			var key [sha256.Size]byte
			b, err := hex.DecodeString(strings.ReplaceAll(p.hash, ":", ""))
			if err != nil || copy(key[:], b) != len(b) || len(b) != sha256.Size {
				return nil, fmt.Errorf("employer %d: a SHA-256 has 64 hex digits", i+1)
			}
			if other, ok := p.into[key]; ok && other.Number != one.Number {
				return nil, fmt.Errorf("employer %d: the same token or certificate stands for %s as well", i+1, other.Number)
			}
			p.into[key] = Employer{Number: one.Number}
		}
	}
	if len(ca) > 0 {
		e.CA = x509.NewCertPool()
		if !e.CA.AppendCertsFromPEM(ca) {
			return nil, errors.New("reading the CA of employers: no PEM certificate")
		}
	}
	return e, nil
}
