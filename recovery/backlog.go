package recovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// BacklogTerms say in which order what piled up is worked off, and how much of
// it people manage. Services of an earlier group go first, in the drain as in
// the forecast.
type BacklogTerms struct {
	Version  int64          `json:"version"`
	Assumed  bool           `json:"assumed"` // nobody has decided anything yet
	Groups   []UrgencyGroup `json:"groups"`
	Clerks   Throughput     `json:"clerks"`   // cases that the people of one Kasse decide on a working day
	Transfer Throughput     `json:"transfer"` // items an hour that a regular system takes, until it was measured
	Days     string         `json:"days"`     // on which people work: 1 is Monday, 7 is Sunday
	// Land names the holidays on which nobody decides cases; Lands those of Kassen
	// elsewhere. Without one they are those that all Länder share.
	Land   catalogue.Land                       `json:"land,omitempty"`
	Lands  map[catalogue.KasseID]catalogue.Land `json:"lands,omitempty"`
	Reason string                               `json:"reason,omitempty"`
	By     string                               `json:"by,omitempty"`
	Second string                               `json:"second,omitempty"` // who agreed to the order
	At     time.Time                            `json:"at,omitzero"`
}

// UrgencyGroup is a rank of the order: services that are equally urgent.
type UrgencyGroup struct {
	Name     string                `json:"name"`
	Services []catalogue.ServiceID `json:"services"`
}

// Throughput is a rate as people estimate it: at worst, most likely, at best.
type Throughput struct {
	Low    float64 `json:"low"`
	Likely float64 `json:"likely"`
	High   float64 `json:"high"`
}

// restGroup is what no group names.
const restGroup = "übrige"

// maxBacklogGroups bounds how fine an order may be.
const maxBacklogGroups = 20

// DefaultBacklogTerms are assumed until somebody decides: medically urgent before
// what people live on before the rest.
func DefaultBacklogTerms() BacklogTerms {
	return BacklogTerms{
		Assumed: true,
		Groups: []UrgencyGroup{
			{"medizinisch dringend", []catalogue.ServiceID{"genehm", "epa", "kim", "vsdm", "diga"}},
			{"existenzsichernd", []catalogue.ServiceID{"zahl", "eau", "zuz"}},
		},
		Clerks: Throughput{60, 120, 200}, Transfer: Throughput{2_000, 10_000, 40_000}, Days: "12345",
	}
}

func (BacklogTerms) docKind() string { return "backlog_terms" }
func (BacklogTerms) docID() string   { return "terms" }

// Check says what is wrong with terms and what to do about it.
func (t BacklogTerms) Check() error {
	if len(t.Groups) == 0 || len(t.Groups) > maxBacklogGroups {
		return fmt.Errorf("the order has %d groups: 1 to %d are needed", len(t.Groups), maxBacklogGroups)
	}
	named, placed := map[string]bool{restGroup: true}, map[catalogue.ServiceID]string{}
	for _, g := range t.Groups {
		if g.Name != strings.TrimSpace(g.Name) || g.Name == "" || len(g.Name) > 100 || named[g.Name] {
			return fmt.Errorf("group %q: a name of its own of up to 100 bytes is needed; %q is what no group names", g.Name, restGroup)
		}
		named[g.Name] = true
		if len(g.Services) == 0 {
			return fmt.Errorf("group %q names no service: name one, or leave the group out", g.Name)
		}
		for _, s := range g.Services {
			if other, ok := placed[s]; ok {
				return fmt.Errorf("service %q is in the groups %q and %q: keep one", s, other, g.Name)
			}
			placed[s] = g.Name
		}
	}
	if t.Days == "" || strings.Trim(t.Days, "1234567") != "" {
		return fmt.Errorf("days %q: want digits from 1 (Monday) to 7 (Sunday)", t.Days)
	}
	for _, k := range slices.Sorted(maps.Keys(t.Lands)) {
		if err := t.Lands[k].Check(); err != nil {
			return fmt.Errorf("holidays of Kasse %q: %w", k, err)
		}
	}
	return errors.Join(t.Clerks.check("clerks"), t.Transfer.check("transfer"), t.Land.Check())
}

func (t Throughput) check(what string) error {
	if !(t.Low > 0 && t.Low <= t.Likely && t.Likely <= t.High && t.High <= 1e9) {
		return fmt.Errorf("%s %v,%v,%v: want three rising numbers above 0: at worst, most likely, at best", what, t.Low, t.Likely, t.High)
	}
	return nil
}

// In refuses services that the catalogue does not have. What is assumed may name
// services that a catalogue lacks; what is decided may not.
func (t BacklogTerms) In(c *catalogue.Catalogue) error {
	for _, g := range t.Groups {
		for _, id := range g.Services {
			if !slices.ContainsFunc(c.Services, func(s catalogue.Service) bool { return s.ID == id }) {
				return fmt.Errorf("group %q: the catalogue has no service %q", g.Name, id)
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(t.Lands)) {
		if _, ok := c.Kasse(k); !ok {
			return fmt.Errorf("holidays of Kasse %q: it is not in the catalogue", k)
		}
	}
	return nil
}

// landOf is where the people of a Kasse have their holidays.
func (t BacklogTerms) landOf(k catalogue.KasseID) catalogue.Land {
	if l, ok := t.Lands[k]; ok {
		return l
	}
	return t.Land
}

// Rank is the place of a service in the order, from 0, and the name of its group.
func (t BacklogTerms) Rank(s catalogue.ServiceID) (rank int, group string) {
	for i, g := range t.Groups {
		if slices.Contains(g.Services, s) {
			return i, g.Name
		}
	}
	return len(t.Groups), restGroup
}

// Sort puts placements into the order, those of the same rank by their names.
func (t BacklogTerms) Sort(places []catalogue.PlacementID) {
	slices.SortStableFunc(places, func(a, b catalogue.PlacementID) int {
		_, sa, _, _ := a.Split() // what is no placement ranks last and is refused later
		_, sb, _, _ := b.Split()
		ra, _ := t.Rank(sa)
		rb, _ := t.Rank(sb)
		if ra != rb {
			return ra - rb
		}
		return strings.Compare(string(a), string(b))
	})
}

// CurrentBacklogTerms are the newest terms, or the assumed ones.
func CurrentBacklogTerms(ctx context.Context, q db.Querier) (BacklogTerms, error) {
	t, err := readDoc[BacklogTerms](ctx, q, BacklogTerms{}.docID())
	if errors.Is(err, ErrNoDoc) {
		return DefaultBacklogTerms(), nil
	}
	return t, err
}

// PutBacklogTerms stores terms as decided, with one entry of the kind given.
func PutBacklogTerms(ctx context.Context, tx *db.Tx, now time.Time, kind string, t BacklogTerms) (BacklogTerms, error) {
	if strings.TrimSpace(t.Reason) == "" || len(t.Reason) > 1000 {
		return t, errors.New("a reason of up to 1000 bytes is needed: what comes first is a decision")
	}
	if err := t.Check(); err != nil {
		return t, err
	}
	last, err := CurrentBacklogTerms(ctx, tx)
	if err != nil {
		return t, err
	}
	t.Version, t.Assumed, t.At = last.Version+1, false, db.Trim(now)
	return t, Put(ctx, tx, now, t.By, kind, t.Reason, t)
}
