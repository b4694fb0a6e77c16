package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"leitstand/catalogue"
	"leitstand/recovery"
	"leitstand/room"
)

type planTermsCmd struct{ roomFlags }

// Run prints the terms.
func (c *planTermsCmd) Run(a *app) error { return c.act(a, "", "plan.terms", nil, nil) }

// termsFile is terms to come, in a file.
type termsFile struct {
	File string `arg:"" help:"Terms as JSON: what plan terms prints, changed." type:"existingfile"`
}

// read checks the file's form; a name that no term has is a mistake.
func (f termsFile) read() (recovery.Terms, error) {
	var t recovery.Terms
	in, err := os.Open(f.File)
	if err != nil {
		return t, fmt.Errorf("reading the terms: %w", err)
	}
	defer func() { _ = in.Close() }() // only read
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("%s: start from what leitstand plan terms prints: %w", f.File, err)
	}
	return t, nil
}

type planCompareCmd struct {
	roomFlags
	termsFile
}

// Run compares.
func (c *planCompareCmd) Run(a *app) error {
	t, err := c.read()
	if err != nil {
		return err
	}
	return c.act(a, "", "plan.compare", map[string]any{"terms": t}, func(raw json.RawMessage) error {
		var v room.TermsCompared
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the comparison: %w", err)
		}
		return showTerms(a, &v)
	})
}

type planAgreeCmd struct {
	roomFlags
	asFlag
	termsFile
	Reason string `required:"" help:"Why: a decision needs a reason."`
}

// Run asks for other terms.
func (c *planAgreeCmd) Run(a *app) error {
	t, err := c.read()
	if err != nil {
		return err
	}
	return c.act(a, c.As, "plan.agree", map[string]any{"terms": t, "reason": c.Reason}, showTermsAsked(a))
}

type planPrioritiesCmd struct {
	roomFlags
	asFlag
	Weight map[string]float64 `help:"Weight of a service per insured: eau=8. What is not named keeps the catalogue's." placeholder:"SERVICE=W"`
	Kasse  map[string]float64 `help:"Factor of a Kasse: IK=2. What is not named counts 1." placeholder:"IK=F"`
	First  []string           `help:"This Kasse before all others." placeholder:"IK"`
	Reason string             `required:"" help:"Why: a decision needs a reason."`
}

// Run asks for other priorities.
func (c *planPrioritiesCmd) Run(a *app) error {
	p := recovery.Priorities{Services: map[catalogue.ServiceID]float64{}, Kassen: map[catalogue.KasseID]float64{}}
	for id, w := range c.Weight {
		p.Services[catalogue.ServiceID(id)] = w
	}
	for id, w := range c.Kasse {
		p.Kassen[catalogue.KasseID(id)] = w
	}
	for _, id := range c.First {
		p.First = append(p.First, catalogue.KasseID(id))
	}
	return c.act(a, c.As, "plan.prefer", map[string]any{"priorities": p, "reason": c.Reason}, showTermsAsked(a))
}

// showTermsAsked prints a request for other terms.
func showTermsAsked(a *app) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var v room.TermsAsked
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if err := showTerms(a, &v.TermsCompared); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "Waits for a second person: leitstand approve %s\n", v.Consent.ID)
		return nil
	}
}

// showTerms prints what changes, and what that means.
func showTerms(a *app, v *room.TermsCompared) error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "term\tin force\tthen")
	for _, c := range v.Changes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.What, c.Before, c.After)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if v.Answer == nil {
		fmt.Fprintln(a.stdout, "Nothing is to return: there is nothing to compare.")
		return nil
	}
	return showAnswer(a, v.Answer)
}
