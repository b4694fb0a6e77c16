package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/recovery"
	"leitstand/room"
)

type backlogCmd struct {
	Show     backlogShowCmd     `cmd:"" default:"withargs" help:"What piled up, by service: open items, capacity, and until when they are worked off (P50, P90)."`
	Order    backlogOrderCmd    `cmd:"" help:"Ask a second person to change what is worked off first. Handing over obeys it."`
	Capacity backlogCapacityCmd `cmd:"" help:"Say how much people and systems manage; forecasts use it."`
}

type backlogShowCmd struct {
	roomFlags
	Kasse   catalogue.KasseID   `help:"Only this Kasse (IK)."`
	Service catalogue.ServiceID `help:"Only this service."`
	Curve   bool                `help:"Print the curve in numbers, too."`
}

// Run prints the backlog.
func (c *backlogShowCmd) Run(a *app) error {
	return c.act(a, "", "backlog.show", map[string]any{"kasse": c.Kasse, "service": c.Service}, func(raw json.RawMessage) error {
		var v room.BacklogView
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		c.print(a, v)
		return nil
	})
}

func (c *backlogShowCmd) print(a *app, v room.BacklogView) {
	for i, g := range v.Terms.Groups {
		fmt.Fprintf(a.stdout, "%d. %s: %s\n", i+1, g.Name, joined(g.Services))
	}
	assumed := ""
	if v.Terms.Assumed {
		assumed = ", angenommen: noch hat niemand entschieden"
	}
	fmt.Fprintf(a.stdout, "%d. übrige\nSachbearbeitung je Kasse und Arbeitstag: %s Vorgänge%s\n", len(v.Terms.Groups)+1, throughputText(v.Terms.Clerks), assumed)
	if len(v.Services) == 0 {
		fmt.Fprintln(a.stdout, "Der Notbetrieb hat nichts angenommen.")
	}
	for _, s := range v.Services {
		fmt.Fprintf(a.stdout, "\n%s (%s), %s\n  angenommen %d, offen %d: %d sieht sich jemand an, %d sind nur zu übergeben; abgelehnt mit Zuständigen: %d\n",
			s.Name, s.Service, s.Group, s.Accepted, s.Open, s.People, s.Transfer, s.Rejected)
		fmt.Fprintf(a.stdout, "  %s\n", foretold(s))
		if c.Kasse != "" || c.Service != "" {
			for _, cell := range s.Cells {
				fmt.Fprintf(a.stdout, "  %s: offen %d, %s\n", cell.Kasse, cell.Open, cell.Begins.Why)
			}
		}
		if c.Curve {
			for _, p := range s.Curve {
				fmt.Fprintf(a.stdout, "  %s  +%d  -%d  offen %d\n", local(p.At), p.In, p.Out, p.Open)
			}
			for _, p := range s.Ahead {
				fmt.Fprintf(a.stdout, "  %s  P50 %.0f  P90 %.0f\n", local(p.At), p.P50, p.P90)
			}
		}
	}
}

// foretold says until when a service's backlog is worked off, never as one date.
func foretold(s room.ServiceBacklog) string {
	switch {
	case s.Work == nil:
		return "nichts abzuarbeiten"
	case s.Done != nil:
		return fmt.Sprintf("abgearbeitet: P50 %s, P90 %s", local(s.Done.P50), local(s.Done.P90))
	case !s.Known:
		return fmt.Sprintf("kein Termin: nicht jede Übergabe hat einen Beginn; von ihm an %s", s.Work.Words())
	}
	return "kein Termin: mehr als zwei Jahre"
}

func throughputText(t recovery.Throughput) string {
	return fmt.Sprintf("%g bis %g, meist %g", t.Low, t.High, t.Likely)
}

func joined(ids []catalogue.ServiceID) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return strings.Join(out, " ")
}

type backlogOrderCmd struct {
	roomFlags
	asFlag
	Group  []string `help:"A group, the most urgent first: name=service,service. Repeat it; services in no group come last." required:"" sep:"none"`
	Reason string   `help:"Why." required:""`
}

// Run asks for another order.
func (c *backlogOrderCmd) Run(a *app) error {
	groups := make([]recovery.UrgencyGroup, 0, len(c.Group))
	for _, g := range c.Group {
		name, list, ok := strings.Cut(g, "=")
		if !ok || list == "" {
			return fmt.Errorf("--group %q: want name=service,service", g)
		}
		group := recovery.UrgencyGroup{Name: strings.TrimSpace(name)}
		for id := range strings.SplitSeq(list, ",") {
			group.Services = append(group.Services, catalogue.ServiceID(strings.TrimSpace(id)))
		}
		groups = append(groups, group)
	}
	return c.act(a, c.As, "backlog.order", map[string]any{"groups": groups, "reason": c.Reason}, func(raw json.RawMessage) error {
		var consent access.Consent
		if err := json.Unmarshal(raw, &consent); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		_, err := fmt.Fprintf(a.stdout, "Beantragt. Eine zweite Person stimmt zu: leitstand approve %s\n", consent.ID)
		return err
	})
}

type backlogCapacityCmd struct {
	roomFlags
	asFlag
	Clerks   string            `help:"Cases that the people of one Kasse decide on a working day: at worst, most likely, at best, such as 60,120,200."`
	Transfer string            `help:"Items an hour that a regular system takes, the same way; used until it is measured."`
	Days     string            `help:"Working days: 12345 is Monday to Friday."`
	Land     *string           `help:"Holidays of this Land count (BY, NW, …); an empty one: those that all share." placeholder:"LAND"`
	Lands    map[string]string `help:"Holidays of a Kasse elsewhere: IK=LAND." placeholder:"IK=LAND"`
	Reason   string            `help:"Why." required:""`
}

// Run sets capacities.
func (c *backlogCapacityCmd) Run(a *app) error {
	args := map[string]any{"reason": c.Reason, "days": c.Days, "lands": c.Lands}
	if c.Land != nil {
		args["land"] = *c.Land
	}
	for name, text := range map[string]string{"clerks": c.Clerks, "transfer": c.Transfer} {
		if text == "" {
			continue
		}
		t, err := parseThroughput(text)
		if err != nil {
			return fmt.Errorf("--%s %q: %w", name, text, err)
		}
		args[name] = t
	}
	return c.act(a, c.As, "backlog.capacity", args, func(raw json.RawMessage) error {
		var t recovery.BacklogTerms
		if err := json.Unmarshal(raw, &t); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		_, err := fmt.Fprintf(a.stdout, "Sachbearbeitung: %s Vorgänge je Arbeitstag; Übergabe: %s Posten je Stunde, solange nichts gemessen ist.\n",
			throughputText(t.Clerks), throughputText(t.Transfer))
		return err
	})
}

func parseThroughput(text string) (recovery.Throughput, error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return recovery.Throughput{}, errors.New("want three numbers: at worst, most likely, at best")
	}
	var v [3]float64
	for i, p := range parts {
		var err error
		if v[i], err = strconv.ParseFloat(strings.TrimSpace(p), 64); err != nil {
			return recovery.Throughput{}, fmt.Errorf("%q is no number", p)
		}
	}
	return recovery.Throughput{Low: v[0], Likely: v[1], High: v[2]}, nil
}
