package exercise

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"leitstand/catalogue"
)

// Scenario is a case as a file: dated events with their source in words, what
// the crisis team does about them under each policy, and how long people take.
type Scenario struct {
	Name  string    `yaml:"name"`
	Note  string    `yaml:"note"`
	Start time.Time `yaml:"start"`
	End   time.Time `yaml:"end"`
	Human Human     `yaml:"human"`
	Mail  MailSpan  `yaml:"mail"`
	// Assumed lists in words what nobody published and the scenario assumes.
	Assumed []string `yaml:"assumed"`
	Events  []Event  `yaml:"events"`
}

// Human is how long people take; it is the same under every policy.
type Human struct {
	Order     time.Duration `yaml:"order"`     // from the event to an ordered measure
	Second    time.Duration `yaml:"second"`    // until the second person has read and agreed
	Statement time.Duration `yaml:"statement"` // to write a statement before it is ordered
	Test      time.Duration `yaml:"test"`      // technical and business test of a returned service
}

// MailSpan is when practices send sick notes, and how many by default.
type MailSpan struct {
	From  time.Time `yaml:"from"`
	To    time.Time `yaml:"to"`
	Count int       `yaml:"count"`
	// ResendFrom is when practices were told to send rejected notes again.
	ResendFrom time.Time `yaml:"resend_from"`
	// EmergencyFrom and EmergencyTo span the time in which given files are sent,
	// while all intakes are in emergency operation.
	EmergencyFrom time.Time `yaml:"emergency_from"`
	EmergencyTo   time.Time `yaml:"emergency_to"`
}

// Event is something that happened at a time, as a source tells it.
type Event struct {
	At        time.Time `yaml:"at"`
	Precision string    `yaml:"precision"` // how exact the source is
	Source    string    `yaml:"source"`
	What      string    `yaml:"what"`
	Log       []string  `yaml:"log"` // lines that appear in the watched log
	// Leitstand and As2023 are what the team does; Both happens under each policy.
	Both      []Step `yaml:"both"`
	Leitstand []Step `yaml:"leitstand"`
	As2023    []Step `yaml:"as_2023"`
}

// Step is one act of the team. Exactly one of its fields is set.
type Step struct {
	Declare *DeclareStep `yaml:"declare"`
	Fact    *FactStep    `yaml:"fact"`
	Cut     *CutStep     `yaml:"cut"`
	List    *ListStep    `yaml:"list"`
	Notice  *NoticeStep  `yaml:"notice"`
	Return  *ReturnStep  `yaml:"return"`
}

// DeclareStep declares the incident, from the oldest open signal when there is one.
type DeclareStep struct {
	Title string `yaml:"title"`
	Grade string `yaml:"grade"`
}

// FactStep notes a fact; Corrects is the text of the fact that it corrects.
type FactStep struct {
	Text      string    `yaml:"text"`
	Certainty string    `yaml:"certainty"`
	Happened  time.Time `yaml:"happened"`
	Corrects  string    `yaml:"corrects"`
}

// Select names placements: every list narrows, an empty one means all.
// Signalled narrows to environments that a signal names.
type Select struct {
	Kassen    []string `yaml:"kassen"`
	Services  []string `yaml:"services"`
	Sites     []string `yaml:"sites"`
	Except    []string `yaml:"except"`
	Signalled bool     `yaml:"signalled"`

	Components []string `yaml:"components"` // shared machinery; only cuts know it
}

// CutStep orders a measure.
type CutStep struct {
	Title     string            `yaml:"title"`
	Stage     int               `yaml:"stage"`
	Reason    string            `yaml:"reason"`
	Select    Select            `yaml:"select"`
	Behaviour map[string]string `yaml:"behaviour"` // service, or * for all others: buffer, notice or refuse
	Emergency []string          `yaml:"emergency"` // services whose emergency operation starts with it
}

// ListStep publishes the next version of the public list.
type ListStep struct {
	Reason string `yaml:"reason"`
}

// NoticeStep releases a statement.
type NoticeStep struct {
	Audience  string `yaml:"audience"`
	Title     string `yaml:"title"`
	Text      string `yaml:"text"`
	Certainty string `yaml:"certainty"`
}

// ReturnStep brings services back: proofs of rotation and clearances, then
// trial in the computed order, handover of what emergency operation took in,
// acceptance.
type ReturnStep struct {
	Select Select `yaml:"select"`
	Reason string `yaml:"reason"`
}

//go:embed scenarios/*.yml
var scenarios embed.FS

// maxScenario bounds a scenario file.
const maxScenario = 4 << 20

// LoadScenario reads a built-in scenario by name, or a file.
func LoadScenario(name string) (*Scenario, error) {
	data, err := scenarios.ReadFile("scenarios/" + name + ".yml")
	if err != nil {
		f, ferr := os.Open(name)
		if ferr != nil {
			return nil, fmt.Errorf("scenario %q is neither built in (%s) nor a file: %w", name, strings.Join(ScenarioNames(), ", "), ferr)
		}
		defer func() { _ = f.Close() }() // only read
		if data, err = io.ReadAll(io.LimitReader(f, maxScenario+1)); err != nil {
			return nil, fmt.Errorf("reading scenario %q: %w", name, err)
		}
		if len(data) > maxScenario {
			return nil, fmt.Errorf("scenario %q is larger than %d bytes", name, maxScenario)
		}
	}
	s, err := ParseScenario(data)
	if err != nil {
		return nil, fmt.Errorf("scenario %q: %w", name, err)
	}
	return s, nil
}

// ScenarioNames lists the built-in scenarios.
func ScenarioNames() []string {
	entries, err := scenarios.ReadDir("scenarios")
	if err != nil {
		return nil // embedded: there is always a directory
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yml"))
	}
	return out
}

// ParseScenario reads a scenario; unknown keys and illogical times are errors
// that say where.
func ParseScenario(data []byte) (*Scenario, error) {
	var s Scenario
	if err := yaml.UnmarshalWithOptions(data, &s, yaml.Strict()); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	if s.Name == "" || s.Start.IsZero() || !s.End.After(s.Start) || len(s.Events) == 0 {
		return nil, errors.New("name, start, a later end and events are needed")
	}
	if s.Mail.Count > 0 && (!s.Mail.To.After(s.Mail.From) || s.Mail.From.Before(s.Start) || s.Mail.To.After(s.End)) {
		return nil, errors.New("mail: from and to must lie in this order between start and end")
	}
	for i, e := range s.Events {
		if e.At.Before(s.Start) || e.At.After(s.End) {
			return nil, fmt.Errorf("event %d (%q) at %s lies outside of start and end", i+1, e.What, e.At.Format(time.RFC3339))
		}
		for _, st := range slices.Concat(e.Both, e.Leitstand, e.As2023) {
			if st.count() != 1 {
				return nil, fmt.Errorf("event %d (%q): a step has exactly one of declare, fact, cut, list, notice, return", i+1, e.What)
			}
		}
	}
	slices.SortStableFunc(s.Events, func(a, b Event) int { return a.At.Compare(b.At) })
	return &s, nil
}

func (s Step) count() int {
	n := 0
	for _, set := range []bool{s.Declare != nil, s.Fact != nil, s.Cut != nil, s.List != nil, s.Notice != nil, s.Return != nil} {
		if set {
			n++
		}
	}
	return n
}

// behaviours reads the doors of a cut for the services of a catalogue.
func (c CutStep) behaviours(cat *catalogue.Catalogue) (map[catalogue.ServiceID]catalogue.Behaviour, error) {
	out := map[catalogue.ServiceID]catalogue.Behaviour{}
	for name, word := range c.Behaviour {
		b, err := catalogue.ParseBehaviour(word)
		if err != nil {
			return nil, fmt.Errorf("cut %q: %w", c.Title, err)
		}
		if name != "*" {
			out[catalogue.ServiceID(name)] = b
			continue
		}
		for _, svc := range cat.Services {
			if _, named := c.Behaviour[string(svc.ID)]; !named {
				out[svc.ID] = b
			}
		}
	}
	return out, nil
}
