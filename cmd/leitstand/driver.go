package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"leitstand/base/ledger"
	"leitstand/containment"
	"leitstand/room"
)

type driverCmd struct {
	Check     driverCheckCmd   `cmd:"" help:"Check a configuration of drivers."`
	DryRun    driverDryRunCmd  `cmd:"" help:"What a cut would do outside: in words, and the exact rules and commands. Changes nothing."`
	Rules     driverRulesCmd   `cmd:"" help:"Write the rules of targets for a foreign firewall."`
	List      driverListCmd    `cmd:"" help:"All acts with what the probes saw."`
	Open      driverOpenCmd    `cmd:"" help:"Acts without outcome: a person decides about them."`
	Resolve   driverResolveCmd `cmd:"" help:"Decide about an act without outcome: --repeat, --done or --given-up."`
	Confirm   driverConfirmCmd `cmd:"" help:"Confirm that a printed order was carried out; the probes have the last word."`
	Cut       driverCutCmd     `cmd:"" help:"Kill switch: cut without room, directory, DNS or database. Writes a signed log."`
	ImportLog driverImportCmd  `cmd:"" help:"Take the log of the kill switch into the ledger, and the state with it."`
}

// Help says what each kind of driver is, and what is not proven about it.
func (driverCmd) Help() string {
	return `The file drivers.yml in the data directory says which drivers take which environment
or shared component off the network. Kinds: nftables (this machine forwards the traffic), exec (programs
here), ssh (commands elsewhere, host keys pinned), webhook (signed with HMAC-SHA-256),
kubernetes (one NetworkPolicy; tested against the semantics of the API only, not on a
cluster), manual (a printed order), gateway (doors). See docs/containment.md.`
}

type configFlag struct {
	Config string `help:"Configuration of the drivers." default:"drivers.yml" type:"path"`
}

func (f configFlag) load() (*containment.Drivers, error) {
	c, err := containment.LoadDrivers(f.Config)
	if err != nil {
		return nil, err
	}
	return c.Build(containment.Wiring{})
}

type driverCheckCmd struct{ configFlag }

// Run checks a configuration.
func (c *driverCheckCmd) Run(a *app) error {
	d, err := c.load()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: %d Umgebungen, %d gemeinsame Komponenten, keine Fehler.\n", c.Config, len(d.Environments()), len(d.Components()))
	return nil
}

type targetsFlag struct {
	Environment []string `help:"Environments (IK@site), or placements (IK/service/site) with systems of their own."`
	Component   []string `help:"Shared components (what@site)."`
}

// targets are everything that was named.
func (f targetsFlag) targets() ([]string, error) {
	all := slices.Concat(f.Environment, f.Component)
	if len(all) == 0 {
		return nil, errors.New("--environment or --component is needed")
	}
	return all, nil
}

type driverDryRunCmd struct {
	roomFlags
	targetsFlag
}

// Run prints what would be done.
func (c *driverDryRunCmd) Run(a *app) error {
	targets, err := c.targets()
	if err != nil {
		return err
	}
	return c.act(a, "", "driver.dry-run", map[string]any{"targets": targets}, func(raw json.RawMessage) error {
		var all []containment.DryRun
		if err := json.Unmarshal(raw, &all); err != nil {
			return err
		}
		for _, d := range all {
			fmt.Fprintf(a.stdout, "%s · %s\n%s\n%s\n\n", d.Target, d.Driver, d.Words, strings.Join(d.Exact, "\n"))
		}
		return nil
	})
}

type driverRulesCmd struct {
	targetsFlag
	configFlag
	Format string `help:"nft, iptables, ip6tables (both for …-restore --noflush), cisco-like or csv." enum:"nft,iptables,ip6tables,cisco-like,csv" default:"nft"`
}

// Run prints rules; it needs the configuration only.
func (c *driverRulesCmd) Run(a *app) error {
	targets, err := c.targets()
	if err != nil {
		return err
	}
	d, err := c.load()
	if err != nil {
		return err
	}
	for _, t := range targets {
		text, err := d.Rules(t, c.Format)
		if err != nil {
			return err
		}
		fmt.Fprint(a.stdout, text)
	}
	return nil
}

type (
	driverListCmd struct{ roomFlags }
	driverOpenCmd struct{ roomFlags }
)

// Run prints all acts.
func (c *driverListCmd) Run(a *app) error {
	return c.act(a, "", "driver.list", nil, func(raw json.RawMessage) error { return printActs(a, raw, "Kein Eingriff.") })
}

// Run prints what waits for a person.
func (c *driverOpenCmd) Run(a *app) error {
	return c.act(a, "", "driver.open", nil, func(raw json.RawMessage) error {
		return printActs(a, raw, "Nichts wartet auf eine Entscheidung.")
	})
}

func printActs(a *app, raw json.RawMessage, empty string) error {
	return table(a, raw, empty, "Eingriff Maßnahme Ziel Treiber Richtung Zustand begonnen Nachweis", func(v containment.Act) []string {
		direction, proof := "ab", "keiner"
		if v.Back {
			direction = "zurück"
		}
		switch {
		case v.Waits:
			proof = "wartet auf einen Menschen"
		case v.Proven() && v.Probe.Blind:
			proof = "belegt (war schon vorher still)"
		case v.Proven():
			proof = "belegt"
		case v.Detail != "":
			proof = v.Detail
		}
		return []string{v.ID, v.Measure, v.Target, v.Driver, direction, string(v.State), local(v.StartedAt), proof}
	})
}

type driverResolveCmd struct {
	roomFlags
	asFlag
	ID      string `arg:"" help:"Act."`
	Repeat  bool   `help:"Carry it out again: drivers are idempotent." xor:"decision" required:""`
	Done    bool   `help:"It was carried out; the probes have the last word." xor:"decision" required:""`
	GivenUp bool   `help:"It was not carried out and shall not be." xor:"decision" required:""`
	Reason  string `help:"What was seen." required:""`
}

// Run decides about an act.
func (c *driverResolveCmd) Run(a *app) error {
	d := containment.IsNotDone
	switch {
	case c.Repeat:
		d = containment.Repeat
	case c.Done:
		d = containment.IsDone
	}
	return c.act(a, c.As, "driver.resolve", map[string]any{"id": c.ID, "decision": d, "reason": c.Reason},
		func(raw json.RawMessage) error { return printActs(a, raw, "") })
}

type driverConfirmCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Act, as printed on the order."`
	Reason string `help:"Who signed and when." required:""`
}

// Run confirms an order.
func (c *driverConfirmCmd) Run(a *app) error {
	return c.act(a, c.As, "driver.resolve", map[string]any{"id": c.ID, "decision": containment.IsDone, "reason": c.Reason},
		func(raw json.RawMessage) error { return printActs(a, raw, "") })
}

type driverCutCmd struct {
	targetsFlag
	configFlag
	As        string `help:"Person who orders it (id)." required:""`
	Second    string `help:"Second person (id)."`
	Immediate bool   `help:"Immediate danger: without a second person, who confirms later."`
	Reason    string `help:"Why." required:""`
	Keys      string `help:"Directory with ledger.key, which signs the log; one is made when there is none. Default beside the configuration." type:"path"`
	Log       string `help:"Log to write. Default killswitch-TIME.log beside the configuration." type:"path"`
}

// Run cuts without a room.
func (c *driverCutCmd) Run(a *app) error {
	if c.Second == c.As || c.Second == "" && !c.Immediate {
		return errors.New("two different people are needed (--as, --second), or --immediate in immediate danger")
	}
	targets, err := c.targets()
	if err != nil {
		return err
	}
	d, err := c.load()
	if err != nil {
		return err
	}
	log, public, err := c.open()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // every line is on disk
	by := []string{c.As}
	if c.Second != "" {
		by = append(by, c.Second)
	}
	x := &containment.Executor{Drivers: d, Recorder: log, Now: func() time.Time { return time.Now().UTC() }}
	acts, cutErr := x.Cut(a.ctx, containment.Order{Measure: containment.NewID(), By: by, Reason: c.Reason}, targets...)
	raw, err := json.Marshal(acts)
	if err != nil {
		return err
	}
	if err := printActs(a, raw, "Nichts wurde getan."); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\nProtokoll: %s\nÖffentlicher Schlüssel dazu: %s\nSpäter ins Buch: leitstand driver import-log %s --as PERSON --reason …\n", c.Log, public, c.Log)
	return cutErr
}

func (c *driverCutCmd) open() (*containment.LocalLog, string, error) {
	dir := filepath.Dir(c.Config)
	if c.Keys == "" {
		c.Keys = dir
	}
	now := func() time.Time { return time.Now().UTC() }
	if c.Log == "" {
		c.Log = filepath.Join(dir, "killswitch-"+now().Format("20060102T150405Z")+".log")
	}
	key, err := ledger.LoadKey(c.Keys)
	if err != nil {
		return nil, "", err
	}
	log, err := containment.OpenLocalLog(c.Log, key, now)
	return log, key.Public, err
}

type driverImportCmd struct {
	roomFlags
	asFlag
	File   string `arg:"" help:"Log of the kill switch." type:"existingfile"`
	Public string `help:"Public key that signed it, if not the room's."`
	Reason string `help:"Why." required:""`
}

// Run takes a log over.
func (c *driverImportCmd) Run(a *app) error {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	return c.act(a, c.As, "driver.import-log", map[string]any{"log": string(b), "public": c.Public, "reason": c.Reason},
		func(raw json.RawMessage) error {
			var got room.ImportedLog
			if err := json.Unmarshal(raw, &got); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%d Einträge übernommen, %d Stellen und %d Komponenten abgetrennt, Maßnahmen: %s\n", got.Records, got.Placements, got.Components, strings.Join(got.Measures, ", "))
			return nil
		})
}
