package main

import (
	"encoding/json"
	"fmt"
	"time"

	"leitstand/room"
)

type clockCmd struct {
	Status  clockStatusCmd  `cmd:"" help:"What this machine's clock shows, and every time that it jumped since somebody confirmed it."`
	Confirm clockConfirmCmd `cmd:"" help:"Record that the clock was compared with another one and is right."`
}

type clockStatusCmd struct{ roomFlags }

// Run prints how the clock stands.
func (c *clockStatusCmd) Run(a *app) error {
	return c.act(a, "", "clock.status", nil, func(raw json.RawMessage) error { return printClock(a, raw) })
}

func printClock(a *app, raw json.RawMessage) error {
	var s room.ClockStatus
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Uhr: %s\nHöchste Zeit im Buch: %s\n", s.Now.Local().Format(time.RFC3339), s.Latest.Local().Format(time.RFC3339))
	if s.Behind > 0 {
		fmt.Fprintf(a.stdout, "Die Uhr geht gegen das Buch um %s nach.\n", time.Duration(s.Behind*float64(time.Second)).Round(time.Second))
	}
	if !s.Watched {
		fmt.Fprintln(a.stdout, "Sprünge werden hier nur am Buch erkannt.")
	}
	for _, j := range s.Jumps {
		fmt.Fprintf(a.stdout, "Gesprungen: %s (Eintrag %d, bemerkt: %s)\n", j.Words(), j.Seq,
			map[string]string{"running": "im Betrieb", "start": "beim Start", "ledger": "am Buch"}[j.Seen])
	}
	if len(s.Jumps) == 0 {
		fmt.Fprintln(a.stdout, "Kein Sprung ist offen.")
		return nil
	}
	fmt.Fprintln(a.stdout, "Die Reihenfolge bleibt die des Buchs. Uhr vergleichen und stellen, Fristen prüfen, dann: leitstand clock confirm --reason … --as PERSON")
	return nil
}

type clockConfirmCmd struct {
	roomFlags
	asFlag
	Reason string `help:"With what the clock was compared." required:""`
}

// Run confirms the clock.
func (c *clockConfirmCmd) Run(a *app) error {
	return c.act(a, c.As, "clock.confirm", map[string]string{"reason": c.Reason}, func(raw json.RawMessage) error { return printClock(a, raw) })
}
