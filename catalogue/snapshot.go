package catalogue

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Normal is the same content in the one order and form that equal content
// shares: sorted by id, formulas normal, lists without doubles.
// Kassen, sites, services and so on are sorted too: order means nothing here.
func (c *Catalogue) Normal() *Catalogue {
	n := &Catalogue{
		Kassen:       slices.Clone(c.Kassen),
		Sites:        slices.Clone(c.Sites),
		Services:     slices.Clone(c.Services),
		Components:   slices.Clone(c.Components),
		Environments: slices.Clone(c.Environments),
		Placements:   slices.Clone(c.Placements),
	}
	for i := range n.Kassen {
		n.Kassen[i].OtherIK = sorted(n.Kassen[i].OtherIK)
		n.Kassen[i].Former = sorted(n.Kassen[i].Former)
	}
	for i := range n.Components {
		m := &n.Components[i]
		m.Needs, m.Wants = m.Needs.Normal(), m.Wants.Normal()
	}
	for i := range n.Placements {
		p := &n.Placements[i]
		p.Needs, p.Wants = p.Needs.Normal(), p.Wants.Normal()
	}
	slices.SortStableFunc(n.Kassen, func(a, b Kasse) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(n.Sites, func(a, b Site) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(n.Services, func(a, b Service) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(n.Components, func(a, b Component) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(n.Environments, func(a, b Environment) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(n.Placements, func(a, b Placement) int { return cmp.Compare(a.ID, b.ID) })
	return n
}

func sorted(in []string) []string {
	if len(in) == 0 {
		return nil
	}
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

// Snapshot is the normal catalogue as JSON. Equal content gives equal bytes.
func (c *Catalogue) Snapshot() ([]byte, error) {
	n := c.Normal()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("writing the catalogue: %w", err)
	}
	return b.Bytes(), nil
}

// Hash is SHA-256 of Snapshot in hexadecimal; "" for a catalogue that cannot
// be written, which Validate refuses.
func (c *Catalogue) Hash() string {
	b, err := c.Snapshot()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ReadSnapshot reads what Snapshot wrote; anything unknown in it is an error.
func ReadSnapshot(b []byte) (*Catalogue, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	c := new(Catalogue)
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("reading a catalogue snapshot: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading a catalogue snapshot: more behind its end")
	}
	return c, nil
}

// MTPD is what was agreed for a cell: the shortest of its placements', or the
// service's; 0 when nothing was agreed.
func (c *Catalogue) MTPD(k KasseID, d ServiceID) time.Duration {
	var shortest time.Duration
	for _, p := range c.index().ofCell[cellKey{k, d}] {
		if p.MTPD > 0 && (shortest == 0 || p.MTPD < shortest) {
			shortest = p.MTPD
		}
	}
	if shortest > 0 {
		return shortest
	}
	s, _ := c.Service(d)
	return s.MTPD
}

// In JSON an MTPD is minutes: nanoseconds are no unit for people.
type (
	plainService   Service
	plainPlacement Placement
	withMTPD       struct {
		Minutes int64 `json:"mtpd_minutes,omitempty"`
	}
	serviceJSON struct {
		plainService
		withMTPD
	}
	placementJSON struct {
		plainPlacement
		withMTPD
	}
)

// MarshalJSON writes the MTPD as mtpd_minutes.
func (s Service) MarshalJSON() ([]byte, error) {
	return json.Marshal(serviceJSON{plainService(s), withMTPD{int64(s.MTPD / time.Minute)}})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Service) UnmarshalJSON(b []byte) error {
	var j serviceJSON
	if err := strict(b, &j); err != nil {
		return err
	}
	*s = Service(j.plainService)
	s.MTPD = time.Duration(j.Minutes) * time.Minute
	return nil
}

// MarshalJSON writes the MTPD as mtpd_minutes.
func (p Placement) MarshalJSON() ([]byte, error) {
	return json.Marshal(placementJSON{plainPlacement(p), withMTPD{int64(p.MTPD / time.Minute)}})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Placement) UnmarshalJSON(b []byte) error {
	var j placementJSON
	if err := strict(b, &j); err != nil {
		return err
	}
	*p = Placement(j.plainPlacement)
	p.MTPD = time.Duration(j.Minutes) * time.Minute
	return nil
}

// strict passes on the refusal of unknown fields, which a method of its own would lose.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
