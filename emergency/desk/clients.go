package desk

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
)

// Client is a workplace or system that may ask for a Kasse.
type Client struct {
	Name  string // such as SBK-Leistung-7; it goes into the ledger and names no insured person
	Kasse catalogue.KasseID
	For   []string // payment, record
	// Token and Certificate are SHA-256 in hex, of a bearer token and of a client
	// certificate (DER). One is needed.
	Token       string
	Certificate string
}

// Clients are those who may ask, by what proves who they are.
type Clients struct{ tokens, certificates map[[sha256.Size]byte]Client }

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// NewClients checks a list. Errors name the entry by its position.
func NewClients(list []Client) (*Clients, error) {
	c := &Clients{tokens: map[[sha256.Size]byte]Client{}, certificates: map[[sha256.Size]byte]Client{}}
	for i, one := range list {
		if err := c.add(one); err != nil {
			return nil, fmt.Errorf("client %d: %w", i+1, err)
		}
	}
	return c, nil
}

func (c *Clients) add(one Client) error {
	switch {
	case !plainName.MatchString(one.Name):
		return errors.New("a name of letters, digits and . _ - is needed")
	case one.Kasse == "" || len(one.For) == 0:
		return errors.New("kasse and for are needed")
	case one.Token == "" && one.Certificate == "":
		return errors.New("token_sha256 or certificate_sha256 is needed")
	}
	for _, what := range one.For {
		if what != "payment" && what != "record" {
			return fmt.Errorf("for %q: want payment or record; contact needs no client", what)
		}
	}
	for _, p := range []struct {
		into map[[sha256.Size]byte]Client
		hash string
	}{{c.tokens, one.Token}, {c.certificates, one.Certificate}} {
		if p.hash == "" {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(p.hash, ":", ""))
		if err != nil || len(b) != sha256.Size {
			return errors.New("a SHA-256 has 64 hex digits")
		}
		key := [sha256.Size]byte(b)
		if _, taken := p.into[key]; taken {
			return errors.New("the same token or certificate stands for another client")
		}
		p.into[key] = one
	}
	return nil
}

// errNobody is all that a stranger is told.
var errNobody = &Fault{Status: http.StatusUnauthorized, Field: "Authorization", Text: "Das Token oder Zertifikat fehlt, ist nicht bekannt oder gilt hier nicht."}

// who tells the client of a request for a service of a Kasse. A certificate counts before
// a token; one that is not good is not made good by a token.
func (c *Clients) who(r *http.Request, service string, k catalogue.KasseID, now time.Time) (Client, error) {
	var one Client
	var known bool
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		leaf := r.TLS.PeerCertificates[0]
		one, known = c.certificates[sha256.Sum256(leaf.Raw)]
		known = known && !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter)
	} else if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		one, known = c.tokens[sha256.Sum256([]byte(token))]
	}
	if !known || one.Kasse != k || !slices.Contains(one.For, service) {
		return Client{}, errNobody
	}
	return one, nil
}
