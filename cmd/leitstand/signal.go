package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"leitstand/warning"
)

type signalCmd struct {
	List        signalListCmd        `cmd:"" help:"What the early warning noticed."`
	Show        signalShowCmd        `cmd:"" help:"One signal: what matched and why, the raw events."`
	Explain     signalExplainCmd     `cmd:"" help:"Why a rule finds an event, or why not; its exceptions included."`
	Acknowledge signalAcknowledgeCmd `cmd:"" help:"Take a signal on."`
	Dismiss     signalDismissCmd     `cmd:"" help:"Dismiss a signal, with a reason."`
	Attach      signalAttachCmd      `cmd:"" help:"Attach a signal to an incident."`
	Test        signalTestCmd        `cmd:"" help:"Raise a test alarm: is the way from an alarm to a person in order?"`
	Except      signalExceptCmd      `cmd:"" help:"Tuning exceptions: known harmless events, for a reason, until a day."`
	Suggest     signalSuggestCmd     `cmd:"" help:"Measures to think about, with their preview. Nothing is ordered."`
	Alerts      signalAlertsCmd      `cmd:"" help:"Who was told of signals outside the room, when, and what could not be sent."`
	Sources     signalSourcesCmd     `cmd:"" help:"What every source gave: events, damage, what waits, what was dropped."`
}

type signalListCmd struct{ roomFlags }

// Run prints the signals.
func (c *signalListCmd) Run(a *app) error {
	return c.act(a, "", "signal.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Signale.", "Signal Stufe Zustand zuletzt Anzahl Umgebung verantwortlich Frist Titel", func(s warning.Signal) []string {
			return []string{
				s.ID, s.Level, string(s.State), local(s.Last), fmt.Sprint(s.Count), string(s.Environment), s.Owner, local(s.Deadline), s.Title,
			}
		})
	})
}

type signalDecideCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Signal."`
	Reason string `help:"Why; needed to dismiss."`
}

type (
	signalAcknowledgeCmd struct{ signalDecideCmd }
	signalDismissCmd     struct{ signalDecideCmd }
)

// Run takes a signal on.
func (c *signalAcknowledgeCmd) Run(a *app) error { return c.decide(a, warning.Acknowledged) }

// Run dismisses a signal.
func (c *signalDismissCmd) Run(a *app) error { return c.decide(a, warning.Dismissed) }

func (c *signalDecideCmd) decide(a *app, to warning.State) error {
	return c.act(a, c.As, "signal.decide", map[string]any{"id": c.ID, "to": to, "reason": c.Reason}, nil)
}

type signalAttachCmd struct {
	roomFlags
	asFlag
	ID       string `arg:"" help:"Signal."`
	Incident string `arg:"" help:"Incident."`
}

// Run attaches a signal to an incident.
func (c *signalAttachCmd) Run(a *app) error {
	return c.act(a, c.As, "signal.decide", map[string]any{"id": c.ID, "to": warning.Attached, "incident": c.Incident}, nil)
}

type signalShowCmd struct {
	roomFlags
	ID string `arg:"" help:"Signal."`
}

// Run prints one signal.
func (c *signalShowCmd) Run(a *app) error {
	return c.act(a, "", "signal.show", map[string]string{"id": c.ID}, func(raw json.RawMessage) error {
		var s warning.Signal
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		printSignal(a, s)
		return nil
	})
}

func printSignal(a *app, s warning.Signal) {
	fmt.Fprintf(a.stdout, "%s  %s\n%s\n\n", s.ID, plain(s.Title), plain(s.Description))
	for _, line := range [][2]string{
		{"Stufe", s.Level},
		{"Zustand", string(s.State)},
		{"Rechner", s.Host},
		{"Umgebung", string(s.Environment)},
		{"Kasse", string(s.Kasse)},
		{"Treffer", fmt.Sprint(s.Count)},
		{"geschehen", local(s.Happened)},
		{"bemerkt", local(s.First)},
		{"zuletzt", local(s.Last)},
		{"verantwortlich", s.Owner},
		{"vorher gefragt", strings.Join(s.Asked, ", ")},
		{"Frist", local(s.Deadline)},
		{"eskaliert", fmt.Sprint(s.Escalated)},
		{"entschieden", s.DecidedBy},
		{"Grund", s.Reason},
		{"Vorfall", s.Incident},
		{"Regel", s.Rule},
		{"Fassung", s.RuleVersion},
		{"verfasst von", s.Author},
		{"Lizenz", s.License},
		{"gruppiert nach", s.Group},
	} {
		if line[1] != "" {
			fmt.Fprintf(a.stdout, "%-15s %s\n", line[0], plain(line[1]))
		}
	}
	fmt.Fprintln(a.stdout, "\nWas passte:")
	for _, m := range s.Matched {
		fmt.Fprintf(a.stdout, "  %s\n", plain(m))
	}
	fmt.Fprintln(a.stdout, "\nEreignisse:")
	for _, e := range s.Events {
		fmt.Fprintf(a.stdout, "  %s\n", plain(e))
	}
}

type signalSourcesCmd struct{ roomFlags }

// Run prints the figures of all sources.
func (c *signalSourcesCmd) Run(a *app) error {
	return c.act(a, "", "signal.sources", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Quellen: warning.sources in leitstand.yaml oder serve --log nennen sie.",
			"Quelle Art Ereignisse beschädigt verworfen abgewiesen Lücken wartet Druck zuletzt Fehler", func(f warning.Figures) []string {
				return []string{
					f.Name, f.Kind, fmt.Sprint(f.Events), fmt.Sprint(f.Damaged), fmt.Sprint(f.Dropped), fmt.Sprint(f.Refused), fmt.Sprint(f.Gaps),
					fmt.Sprint(f.Waiting), fmt.Sprintf("%.0f %%", f.Pressure), local(f.Last), plain(f.Error),
				}
			})
	})
}

type signalAlertsCmd struct {
	roomFlags
	ID string `arg:"" optional:"" help:"Signal; without it, all."`
}

// Run prints who was told.
func (c *signalAlertsCmd) Run(a *app) error {
	return c.act(a, "", "signal.alerts", map[string]string{"id": c.ID}, func(raw json.RawMessage) error {
		return table(a, raw, "Niemand war zu benachrichtigen.", "Signal Runde Person Weg Zustand Versuche gesendet Fehler", func(x warning.Alert) []string {
			return []string{x.Signal, fmt.Sprint(x.Round), x.Person, x.Channel, string(x.State), fmt.Sprint(x.Tries), local(x.Sent), plain(x.Error)}
		})
	})
}

type signalSuggestCmd struct{ roomFlags }

// Run prints suggestions.
func (c *signalSuggestCmd) Run(a *app) error {
	return c.act(a, "", "signal.suggest", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Kein Vorschlag.", "Was Stufe Maßnahme Warum Signale Vorschau", func(x warning.Suggestion) []string {
			return []string{x.Target(), fmt.Sprint(x.Stage), x.Title, plain(x.Why), strings.Join(x.Signals, " "), plain(x.Preview)}
		})
	})
}
