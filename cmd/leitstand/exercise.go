package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"leitstand/exercise"
	"leitstand/room"
)

type exerciseCmd struct {
	Scenario string `help:"Scenario: a built-in one or a file." default:"bitmarck-2023"`
	Pace     string `help:"Simulated time per second, such as 1h/s. Default: the case in about two minutes."`
	Fast     bool   `help:"As fast as it goes, without a control room."`
	Eau      string `name:"eau" help:"Send the files of this directory unchanged to one test Kasse instead of invented sick notes." type:"existingdir"`
	Notes    int    `help:"How many sick notes practices send." placeholder:"N"`
	JSON     string `name:"json" help:"Write the result to this file." type:"path" placeholder:"FILE"`
	Data     string `help:"Keep the room in this new directory." type:"path" placeholder:"DIR"`
	Seed     uint64 `help:"Seed of everything that is generated. The same seed gives the same counts." default:"2023"`
	Listen   string `help:"Address of the control room." default:"127.0.0.1:8460"`
	Stay     bool   `help:"Keep the control room open after the end, until Ctrl-C (default when started in a terminal)."`
}

// Run plays a case.
func (c *exerciseCmd) Run(a *app) error {
	if err := onlyLoopback(c.Listen); err != nil {
		return err
	}
	sc, err := exercise.LoadScenario(c.Scenario)
	if err != nil {
		return err
	}
	opt := exercise.Options{
		Scenario: sc, Seed: c.Seed, EAUDir: c.Eau, Notes: c.Notes,
		Log: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	if opt.Exe, err = os.Executable(); err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if opt.Pace, err = c.pace(sc); err != nil {
		return err
	}
	remove, err := c.directory(&opt)
	if err != nil {
		return err
	}
	defer remove()
	tell := &terminal{a: a, live: isTerminal(a.stderr)}
	opt.Tell = tell.news
	if c.Fast {
		res, err := exercise.Run(a.ctx, opt, nil)
		return c.end(a, tell, res, err)
	}
	return c.live(a, opt, tell)
}

// live plays with the control room open.
func (c *exerciseCmd) live(a *app, opt exercise.Options, tell *terminal) error {
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	served := make(chan error, 1)
	serving := false
	opt.Opened = func(r *room.Room) {
		serving = true
		go func() {
			served <- serveScreens(ctx, r, c.Listen, func(link string) {
				fmt.Fprintf(a.stdout, "Kontrollraum: %s\nDer Link lässt ein Gerät ein; weitere gibt es dort unter „Zugang“.\n", link)
			})
		}()
	}
	var kept *room.Room
	res, err := exercise.Run(ctx, opt, func(r *room.Room) error {
		kept = r
		return nil
	})
	err = c.end(a, tell, res, err)
	if err == nil && (c.Stay || isTerminal(a.stdout)) {
		fmt.Fprintln(a.stdout, "Der Kontrollraum bleibt offen. Ende mit Strg-C.")
		<-ctx.Done()
	}
	stop()
	if serving {
		err = errors.Join(err, <-served)
	}
	if kept != nil {
		err = errors.Join(err, kept.Close())
	}
	return err
}

// end prints the report and writes the result.
func (c *exerciseCmd) end(a *app, tell *terminal, res *exercise.Result, err error) error {
	tell.done()
	if err != nil && a.ctx.Err() != nil { // whatever it broke off
		return &exitError{code: 130, err: errors.New("die Übung wurde abgebrochen")}
	}
	if res == nil {
		return err
	}
	if c.JSON != "" {
		b, jerr := json.MarshalIndent(res, "", "  ")
		if jerr == nil {
			jerr = os.WriteFile(c.JSON, append(b, '\n'), 0o600)
		}
		err = errors.Join(err, jerr)
	}
	printReport(a, res)
	return err
}

func printReport(a *app, r *exercise.Result) {
	n := r.SickNotes
	w := a.stdout
	fmt.Fprintf(w, "\nÜBUNG: %s\n%s\n\n", r.Scenario, strings.Repeat("=", 40))
	fmt.Fprintf(w, "%-46s %14s %14s\n", "", "wie 2023", "mit Leitstand")
	fmt.Fprintf(w, "%-46s %14d %14d\n", "eAU als fehlerhaft abgewiesen", r.Case.EAURejected, r.Leitstand.EAURejected)
	fmt.Fprintf(w, "%-46s %14s %14s\n", "Partner informiert nach", hours(r.Case.PartnersInformed), hours(r.Leitstand.PartnersInformed))
	fmt.Fprintf(w, "%-46s %14.0f %14.0f\n", "ausgefallene Dienststunden (nach Versicherten)", r.Case.CellHoursLost, r.Leitstand.CellHoursLost)
	fmt.Fprintf(w, "\neAU mit Leitstand: %d gesendet = %d angenommen + %d doppelt + %d zurückgelegt + %d abgewiesen\n",
		n.Sent, n.Accepted, n.Duplicates, n.Held, n.Refused)
	fmt.Fprintf(w, "  davon im Notbetrieb: %d = %d übergeben + %d doppelt + %d dort abgewiesen + %d offen\n",
		n.Emergency, n.HandedOver, n.Repeated, n.Rejected, n.Open)
	fmt.Fprintf(w, "  über alles: %d verloren, %d doppelt gebucht, %d Storno\n", n.Lost, n.Doubled, n.Storno)
	fmt.Fprintf(w, "Konflikte mit Änderungen im Regelsystem vor der Trennung: %d, davon %d nach der Fassung des Notbetriebs und %d nach der des Regelsystems entschieden, %d offen\n",
		r.Conflicts.Found, r.Conflicts.Ours, r.Conflicts.Theirs+r.Conflicts.Merged, r.Conflicts.Undecided)
	fmt.Fprintf(w, "Öffentliche Liste: %d Fassungen, %d Doppel. Freigaben: %d. Regelverletzungen: %d.\n",
		r.PublicList.Versions, r.PublicList.Duplicates, r.Clearances, r.Violations)
	v := r.Gateway
	fmt.Fprintf(w, "Türen: %d Anfragen = %d Regelbetrieb + %d gepuffert + %d Hinweis + %d Notbetrieb; %d nachgeliefert, %d verloren, %d doppelt, %d auf der falschen Seite.\n",
		v.Requests, v.Regular, v.Buffered, v.Notice, v.Emergency, v.Delivered, v.Lost, v.Doubled, v.WrongSide)
	fmt.Fprintf(w, "Buch: %d Einträge, geprüft: %v, Wurzel %s\n", r.Ledger.Entries, r.Ledger.Verified, r.Ledger.Root)
	if len(r.Held) > 0 {
		fmt.Fprintf(w, "\nZurückgelegt (%d, die ersten):\n", n.Held)
		for _, h := range r.Held[:min(5, len(r.Held))] {
			fmt.Fprintf(w, "  Kasse %s, %s: %s\n", h.Kasse, h.Name(), h.Reason)
		}
	}
	fmt.Fprintln(w, "\nAngenommen, weil niemand es veröffentlicht hat:")
	for _, s := range r.Assumed {
		fmt.Fprintf(w, "  - %s\n", s)
	}
	fmt.Fprintf(w, "\nGespielt in %.0f s, Startwert %d.\n", r.Run.Seconds, r.Run.Seed)
}

func hours(minutes int64) string {
	if minutes < 180 {
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%.1f h", float64(minutes)/60)
}

// pace reads "1h/s"; without one the case takes about two minutes.
func (c *exerciseCmd) pace(sc *exercise.Scenario) (time.Duration, error) {
	if c.Fast {
		return 0, nil
	}
	if c.Pace == "" {
		return sc.End.Sub(sc.Start) / 110, nil
	}
	d, err := time.ParseDuration(strings.TrimSuffix(c.Pace, "/s"))
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--pace %q: want simulated time per second, such as 1h/s or 30m/s", c.Pace)
	}
	return d, nil
}

// directory is where the room lies: kept when the user names one.
func (c *exerciseCmd) directory(opt *exercise.Options) (remove func(), err error) {
	if c.Data != "" {
		opt.Data = c.Data
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "leitstand-uebung-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the exercise: %w", err)
	}
	opt.Data = dir
	return func() { _ = os.RemoveAll(dir) }, nil // a leftover in the temporary directory harms nobody
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminal shows what happens: lines as they come, and where time stands.
type terminal struct {
	a     *app
	live  bool
	shown time.Time
	begun bool
}

func (t *terminal) news(n exercise.News) {
	if n.Text != "" {
		t.clear()
		fmt.Fprintf(t.a.stderr, "%s  %s\n", n.At.Format("02.01. 15:04"), n.Text)
	}
	if now := time.Now(); t.live && now.Sub(t.shown) > 200*time.Millisecond {
		t.shown, t.begun = now, true
		fmt.Fprintf(t.a.stderr, "\r%s  %3.0f %%", n.At.Format("02.01. 15:04"), 100*n.Done)
	}
}

func (t *terminal) clear() {
	if t.begun {
		fmt.Fprint(t.a.stderr, "\r\x1b[K")
		t.begun = false
	}
}

func (t *terminal) done() { t.clear() }
