package catalogue

import (
	"fmt"
	"strings"
	"time"
)

// Identities. All are plain text and stable over the life of a room.
type (
	// KasseID is the main IK, nine digits.
	KasseID string
	// SiteID names a data centre (Betriebszentrum), such as "munich".
	SiteID string
	// ServiceID names a service, such as "eau".
	ServiceID string
	// ComponentID is "<what>@<site>", such as "dns@munich".
	ComponentID string
	// EnvironmentID is "<ik>@<site>".
	EnvironmentID string
	// PlacementID is "<ik>/<service>/<site>".
	PlacementID string
)

// Kasse is a statutory health insurer, the tenant.
type Kasse struct {
	ID      KasseID  `json:"ik"`
	Name    string   `json:"name"`
	OtherIK []string `json:"other_ik,omitempty"` // further IK of the same Kasse
	Kind    string   `json:"kind"`               // BKK, IKK, Ersatzkasse, AOK, LKK, Knappschaft
	Former  []string `json:"former,omitempty"`   // names it had or is printed under

	Insured        int  `json:"insured"`                   // people; 0 is unknown
	InsuredAssumed bool `json:"insured_assumed,omitempty"` // Insured was not reported by anybody

	LegalSupervisor    string `json:"legal_supervisor,omitempty"` // BAS or the Land's authority
	DataSupervisor     string `json:"data_supervisor,omitempty"`  // BfDI or the Land's commissioner
	SupervisorsAssumed bool   `json:"supervisors_assumed,omitempty"`

	Note string `json:"note,omitempty"`
}

// Site is a data centre.
type Site struct {
	ID      SiteID `json:"id"`
	Name    string `json:"name"`
	Assumed bool   `json:"assumed,omitempty"`
}

// Behaviour is what a caller gets from an interface that is cut, chosen beforehand.
// The zero value keeps what comes in.
type Behaviour int

// The behaviours, from the one that loses least.
const (
	Buffer Behaviour = iota // keep the request, deliver it later
	Notice                  // tell in plain words, for a limited time
	Refuse                  // refuse in plain words
)

// Service is something a Kasse offers or needs.
type Service struct {
	ID          ServiceID     `json:"id"`
	Name        string        `json:"name"`
	Criticality int           `json:"criticality"` // 1 is vital, 4 can wait
	MTPD        time.Duration `json:"-"`           // maximum tolerable period of disruption, whole minutes; 0 is not agreed
	Alternative string        `json:"alternative,omitempty"`
	Behaviour   Behaviour     `json:"behaviour"`
	Weight      float64       `json:"weight"`        // how much an hour without it counts, per insured person; 0 counts nothing
	Due         []Due         `json:"due,omitempty"` // days on which it must have worked
	Note        string        `json:"note,omitempty"`
}

// Component is machinery that several services rest on: directory, DNS,
// hypervisor cluster, backup, KIM service.
type Component struct {
	ID      ComponentID `json:"id"`
	Name    string      `json:"name"`
	Site    SiteID      `json:"site"`
	Needs   Formula     `json:"needs,omitzero"` // without it, the component stops
	Wants   Formula     `json:"wants,omitzero"` // without it, the component is limited
	Assumed bool        `json:"assumed,omitempty"`
}

// Environment is all systems of one Kasse at one site (Kassenumgebung), the
// unit of forensic clearance.
type Environment struct {
	ID    EnvironmentID `json:"id"`
	Kasse KasseID       `json:"kasse"`
	Site  SiteID        `json:"site"`
}

// Placement is one Kasse × one service × one site, the unit of state.
type Placement struct {
	ID          PlacementID   `json:"id"`
	Kasse       KasseID       `json:"kasse"`
	Service     ServiceID     `json:"service"`
	Site        SiteID        `json:"site"`
	Environment EnvironmentID `json:"environment"`
	Needs       Formula       `json:"needs,omitzero"` // without it, the placement stops
	Wants       Formula       `json:"wants,omitzero"` // without it, the placement is limited
	MTPD        time.Duration `json:"-"`              // agreed with this Kasse, whole minutes; 0 is the service's
	Team        string        `json:"team,omitempty"` // who restores it
	Assumed     bool          `json:"assumed,omitempty"`
}

// Catalogue is everything known. Lookups build an index at first use; from
// then on the catalogue must not be changed. It is then safe for concurrent use.
type Catalogue struct {
	Kassen       []Kasse       `json:"kassen"`
	Sites        []Site        `json:"sites"`
	Services     []Service     `json:"services"`
	Components   []Component   `json:"components"`
	Environments []Environment `json:"environments"`
	Placements   []Placement   `json:"placements"`

	lazy lazyIndex
}

// EnvironmentOf is the environment of a Kasse at a site.
func EnvironmentOf(k KasseID, s SiteID) EnvironmentID {
	return EnvironmentID(string(k) + "@" + string(s))
}

// Split gives the parts of the id; ok is false when it is not one.
func (id EnvironmentID) Split() (k KasseID, s SiteID, ok bool) {
	ik, site, ok := strings.Cut(string(id), "@")
	return KasseID(ik), SiteID(site), ok && ik != "" && site != ""
}

// PlacementOf is the placement of a service of a Kasse at a site.
func PlacementOf(k KasseID, d ServiceID, s SiteID) PlacementID {
	return PlacementID(string(k) + "/" + string(d) + "/" + string(s))
}

// Split gives the parts of the id; ok is false when it is not one.
func (id PlacementID) Split() (k KasseID, d ServiceID, s SiteID, ok bool) {
	p := strings.Split(string(id), "/")
	if len(p) != 3 || p[0] == "" || p[1] == "" || p[2] == "" {
		return "", "", "", false
	}
	return KasseID(p[0]), ServiceID(p[1]), SiteID(p[2]), true
}

// String gives the word used in files: buffer, notice, refuse.
func (b Behaviour) String() string {
	switch b {
	case Buffer:
		return "buffer"
	case Notice:
		return "notice"
	case Refuse:
		return "refuse"
	}
	return fmt.Sprintf("Behaviour(%d)", int(b))
}

// ParseBehaviour reads the word in English or German; nothing means Buffer.
func ParseBehaviour(s string) (Behaviour, error) {
	switch strings.ToLower(s) {
	case "", "buffer", "puffern":
		return Buffer, nil
	case "notice", "hinweis":
		return Notice, nil
	case "refuse", "abweisen":
		return Refuse, nil
	}
	return 0, fmt.Errorf("behaviour %q is none of puffern (buffer), hinweis (notice), abweisen (refuse)", s)
}

// MarshalText writes the word.
func (b Behaviour) MarshalText() ([]byte, error) {
	if b < Buffer || b > Refuse {
		return nil, fmt.Errorf("behaviour %d is unknown", int(b))
	}
	return []byte(b.String()), nil
}

// UnmarshalText reads the word.
func (b *Behaviour) UnmarshalText(text []byte) error {
	v, err := ParseBehaviour(string(text))
	if err != nil {
		return err
	}
	*b = v
	return nil
}

// ValidIK reports whether s is an Institutionskennzeichen: nine digits, the
// last one the check digit over digits 3 to 8 (weights 2,1,2,1,2,1, digit
// sums, mod 10).
func ValidIK(s string) bool {
	if len(s) != 9 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s[8]-'0' == checkDigit(s)
}

// checkDigit of the first eight digits of an IK.
func checkDigit(s string) byte {
	var sum byte
	for i := 2; i < 8; i++ {
		d := s[i] - '0'
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum % 10
}
