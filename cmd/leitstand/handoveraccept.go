package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"leitstand/catalogue"
	"leitstand/recovery"
	"leitstand/room"
)

type acceptanceCmd struct {
	Open  acceptanceOpenCmd  `cmd:"" help:"Begin the test of a cell: technical probe, named business cases."`
	Probe acceptanceProbeCmd `cmd:"" help:"Note the technical probe."`
	Case  acceptanceCaseCmd  `cmd:"" help:"Note what a business case brought: the Kasse's delegate does."`
	Limit acceptanceLimitCmd `cmd:"" help:"Say exactly what works and what does not: the cell goes into limited operation."`
	List  acceptanceListCmd  `cmd:"" help:"Acceptances, what they lack, and signals in observation."`
}

type acceptanceOpenCmd struct {
	roomFlags
	asFlag
	Cell  string   `arg:"" help:"Cell (IK/service)."`
	Cases []string `name:"case" help:"Business case of one's own, as NAME=EXPECTED; without any, those of the service." sep:"none"`
}

// Run begins an acceptance.
func (c *acceptanceOpenCmd) Run(a *app) error {
	kasse, service, ok := strings.Cut(c.Cell, "/")
	if !ok {
		return fmt.Errorf("%q is no cell: want IK/service", c.Cell)
	}
	var cases []recovery.Case
	for _, text := range c.Cases {
		name, expect, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("case %q: want NAME=EXPECTED", text)
		}
		cases = append(cases, recovery.Case{Name: name, Expect: expect})
	}
	return c.act(a, c.As, "acceptance.open", map[string]any{"kasse": kasse, "service": service, "cases": cases}, showAcceptance(a))
}

type acceptanceProbeCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Acceptance (ab-…)."`
	Ref    string `help:"Record of the probe." required:""`
	Failed string `help:"It failed: what was seen." placeholder:"SEEN"`
}

// Run notes a probe.
func (c *acceptanceProbeCmd) Run(a *app) error {
	return c.act(a, c.As, "acceptance.probe", map[string]any{"id": c.ID, "ref": c.Ref, "passed": c.Failed == "", "seen": c.Failed}, showAcceptance(a))
}

type acceptanceCaseCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Acceptance (ab-…)."`
	Name   string `arg:"" help:"Name of the case."`
	Seen   string `help:"What was seen." required:""`
	Failed bool   `help:"It did not pass."`
}

// Run notes a case.
func (c *acceptanceCaseCmd) Run(a *app) error {
	return c.act(a, c.As, "acceptance.try", map[string]any{"id": c.ID, "name": c.Name, "seen": c.Seen, "passed": !c.Failed}, showAcceptance(a))
}

type acceptanceLimitCmd struct {
	roomFlags
	asFlag
	ID       string   `arg:"" help:"Acceptance (ab-…)."`
	Paths    []string `name:"path" help:"Path that the door lets through."`
	Works    []string `help:"What works." sep:"none"`
	WorksNot []string `help:"What does not work; names of failed cases belong here." sep:"none"`
}

// Run sets limits.
func (c *acceptanceLimitCmd) Run(a *app) error {
	return c.act(a, c.As, "acceptance.limit", map[string]any{"id": c.ID, "paths": c.Paths, "works": c.Works, "works_not": c.WorksNot}, showAcceptance(a))
}

func showAcceptance(a *app) func(raw json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var v recovery.Acceptance
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		s := room.AcceptanceStatus{Acceptance: v}
		if err := v.Ready(); err != nil && v.Done.IsZero() {
			s.Missing = err.Error()
		}
		printAcceptance(a, s)
		return nil
	}
}

func printAcceptance(a *app, s room.AcceptanceStatus) {
	state := "in Prüfung"
	if !s.Done.IsZero() {
		state = "abgenommen " + local(s.Done)
	}
	fmt.Fprintf(a.stdout, "%s  %s/%s  %s\n", s.ID, s.Kasse, s.Service, state)
	probe := "[ ] technische Probe"
	if s.Probe != nil {
		probe = fmt.Sprintf("%s technische Probe  %s  %s  %s", box(s.Probe.Passed), s.Probe.By, s.Probe.Ref, s.Probe.Detail)
	}
	fmt.Fprintln(a.stdout, probe)
	for _, c := range s.Cases {
		mark := "[ ]"
		if c.Result != recovery.NotTried {
			mark = box(c.Result == recovery.Passed)
		}
		fmt.Fprintf(a.stdout, "%s %s  erwartet: %s", mark, c.Name, c.Expect)
		if c.Seen != "" {
			fmt.Fprintf(a.stdout, "  gesehen (%s): %s", c.By, c.Seen)
		}
		fmt.Fprintln(a.stdout)
	}
	if s.Limited {
		fmt.Fprintf(a.stdout, "eingeschränkt: geht: %s; geht nicht: %s; offene Wege: %s\n",
			strings.Join(s.Works, ", "), strings.Join(s.WorksNot, ", "), strings.Join(s.Paths, " "))
	}
	if s.Missing != "" {
		fmt.Fprintln(a.stdout, "fehlt:", s.Missing)
	}
	for _, id := range s.Signals {
		fmt.Fprintln(a.stdout, "Frühwarnung seit der Abnahme, ohne Entscheidung:", id)
	}
}

func box(passed bool) string {
	if passed {
		return "[x]"
	}
	return "[!]"
}

type acceptanceListCmd struct{ roomFlags }

// Run lists acceptances.
func (c *acceptanceListCmd) Run(a *app) error {
	return c.act(a, "", "acceptance.list", nil, func(raw json.RawMessage) error {
		var all []room.AcceptanceStatus
		if err := json.Unmarshal(raw, &all); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		if len(all) == 0 {
			fmt.Fprintln(a.stdout, "Keine Abnahme.")
		}
		for _, s := range all {
			printAcceptance(a, s)
		}
		return nil
	})
}

type partnerCmd struct {
	Proof     partnerProofCmd     `cmd:"" help:"What a partner gets before reconnecting: what was examined, which keys were changed. Exit 4 when something is missing."`
	Reconnect partnerReconnectCmd `cmd:"" help:"Record that a partner was connected again, on which proof and whose word."`
}

type partnerProofCmd struct {
	roomFlags
	Partner    string   `arg:"" help:"Name of the partner."`
	Placements []string `arg:"" help:"Placements (IK/service/site)."`
	PDF        string   `name:"pdf" help:"Write it as PDF, for signatures." type:"path" placeholder:"FILE"`
}

// Run prints a proof.
func (c *partnerProofCmd) Run(a *app) error {
	raw, err := c.call(a, "", "partner.proof", map[string]any{"partner": c.Partner, "placements": c.Placements})
	if err != nil {
		return err
	}
	var p room.PartnerProof
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	if c.PDF != "" {
		if err := os.WriteFile(c.PDF, p.PDF, 0o600); err != nil {
			return fmt.Errorf("writing the proof: %w", err)
		}
	}
	if c.JSON {
		err = printRaw(a, raw, false)
	} else {
		var form interface{ Text() []string }
		if form, err = p.Form("", false); err == nil {
			_, err = fmt.Fprintln(a.stdout, strings.Join(form.Text(), "\n"))
		}
	}
	if err == nil && !p.Complete {
		err = &exitError{code: exitUndone}
	}
	return err
}

type partnerReconnectCmd struct {
	roomFlags
	asFlag
	Partner    string                  `arg:"" help:"Name of the partner."`
	Placements []catalogue.PlacementID `arg:"" help:"Placements (IK/service/site)."`
	Answer     string                  `help:"Who agreed for the partner, when and how." required:""`
}

// Run records a reconnection.
func (c *partnerReconnectCmd) Run(a *app) error {
	return c.act(a, c.As, "partner.reconnect", map[string]any{"partner": c.Partner, "placements": c.Placements, "answer": c.Answer}, nil)
}
