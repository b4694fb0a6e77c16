package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/recovery"
	"leitstand/room"
)

type handoverCmd struct {
	Announce handoverAnnounceCmd `cmd:"" help:"Announce the window in which a cell goes back to regular operation."`
	Window   handoverWindowCmd   `cmd:"" help:"Announce another window for what is under way."`
	Status   handoverStatusCmd   `cmd:"" help:"Protocols of switching back, with the books as they are now."`
	ReadOnly handoverReadOnlyCmd `cmd:"" name:"read-only" help:"End intake of emergency operation, in the announced window."`
	Drain    handoverDrainCmd    `cmd:"" help:"Hand over what emergency operation accepted. Exit 4 while something is open."`
	Compare  handoverCompareCmd  `cmd:"" help:"Compare both sides' books: counts, sums, hash totals, differences. Exit 4 when they differ."`
	Sign     handoverSignCmd     `cmd:"" help:"Sign the protocol for one side; the second side's signature puts the cell into regular operation."`
	Back     handoverBackCmd     `cmd:"" help:"Go back to emergency operation, at any step before both have signed."`

	Keys      handoverKeysCmd      `cmd:"" help:"Public keys of this room for files by SFTP, KIM mail or stick: the regular system needs them."`
	Conflicts handoverConflictsCmd `cmd:"" help:"Items whose object was changed on the regular side before the cut."`
	Conflict  handoverConflictCmd  `cmd:"" help:"Both versions of a conflict. Who read them and why is put on record first."`
	Decide    handoverDecideCmd    `cmd:"" help:"Say which version of a conflict holds."`

	Backlog backlogCmd `cmd:"" help:"What piled up in emergency operation, in which order it is worked off, and until when."`

	Begin handoverBeginCmd `cmd:"" help:"End intake of single placements, without a protocol."`
	Run   handoverRunCmd   `cmd:"" help:"Hand over and compare single placements, without a protocol."`
}

// exitUndone is the exit code of a step that ran and did not come to its end.
const exitUndone = 4

// cellArg names what switches back.
type cellArg struct {
	Cell string `arg:"" help:"Protocol (rf-…) or cell (IK/service)."`
}

type handoverAnnounceCmd struct {
	roomFlags
	asFlag
	Cell   string        `arg:"" help:"Cell (IK/service)."`
	From   time.Time     `help:"Beginning (RFC 3339); without it, --in from now." format:"2006-01-02T15:04:05Z07:00"`
	In     time.Duration `help:"How long from now it begins." default:"15m"`
	For    time.Duration `help:"How long it takes." default:"1h"`
	Abort  string        `help:"On which condition it is broken off." default:"Abgleich nicht gleich oder Fenster überschritten"`
	Reason string        `help:"Why." required:""`
}

// Run announces a window.
func (c *handoverAnnounceCmd) Run(a *app) error {
	kasse, service, ok := strings.Cut(c.Cell, "/")
	if !ok {
		return fmt.Errorf("%q is no cell: want IK/service", c.Cell)
	}
	from := c.From
	if from.IsZero() {
		from = time.Now().Add(max(c.In, time.Second))
	}
	return c.act(a, c.As, "handover.announce", map[string]any{
		"kasse": catalogue.KasseID(kasse), "service": catalogue.ServiceID(service), "from": from, "until": from.Add(c.For), "abort": c.Abort, "reason": c.Reason,
	}, showProtocol(a))
}

type handoverWindowCmd struct {
	roomFlags
	asFlag
	cellArg
	From   time.Time `help:"Beginning (RFC 3339); not needed once it runs." format:"2006-01-02T15:04:05Z07:00"`
	Until  time.Time `help:"End (RFC 3339)." required:"" format:"2006-01-02T15:04:05Z07:00"`
	Reason string    `help:"Why." required:""`
}

// Run moves a window.
func (c *handoverWindowCmd) Run(a *app) error {
	return c.act(a, c.As, "handover.window", map[string]any{"id": c.Cell, "from": c.From, "until": c.Until, "reason": c.Reason}, showProtocol(a))
}

type handoverStatusCmd struct {
	roomFlags
	Cell string `arg:"" optional:"" help:"Protocol (rf-…) or cell (IK/service); all when left out."`
}

// Run prints protocols.
func (c *handoverStatusCmd) Run(a *app) error {
	return c.act(a, "", "handover.status", map[string]string{"id": c.Cell}, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Rückführung ist angekündigt.", "Protokoll Zelle Stufe Fenster angenommen übergeben abgelehnt offen Unterschriften", func(s room.SwitchbackStatus) []string {
			var n recovery.Counted
			for _, b := range s.Now {
				n.Accepted, n.HandedOver, n.Rejected, n.Open = n.Accepted+b.Accepted, n.HandedOver+b.HandedOver, n.Rejected+b.Rejected, n.Open+b.Open
			}
			window := local(s.Window.From) + "–" + local(s.Window.Until)
			if s.Overrun {
				window += " (überschritten)"
			}
			return []string{
				s.ID, string(s.Kasse) + "/" + string(s.Service), s.Stage.Word(), window,
				fmt.Sprint(n.Accepted), fmt.Sprint(n.HandedOver), fmt.Sprint(n.Rejected), fmt.Sprint(n.Open), fmt.Sprint(len(s.Signatures)),
			}
		})
	})
}

type handoverReadOnlyCmd struct {
	roomFlags
	asFlag
	cellArg
}

// Run ends intake.
func (c *handoverReadOnlyCmd) Run(a *app) error {
	return c.act(a, c.As, "handover.readonly", map[string]string{"id": c.Cell}, showProtocol(a))
}

type handoverDrainCmd struct {
	roomFlags
	asFlag
	cellArg
}

// Run hands over.
func (c *handoverDrainCmd) Run(a *app) error {
	raw, err := c.call(a, c.As, "handover.drain", map[string]string{"id": c.Cell})
	if err != nil {
		return err
	}
	var d room.Drained
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	if c.JSON {
		err = printRaw(a, raw, false)
	} else {
		runs, merr := json.Marshal(d.Runs)
		if merr != nil {
			return merr
		}
		err = showRuns(a, runs)
	}
	if err == nil && d.Protocol.Stage == recovery.StageReadOnly {
		err = &exitError{code: exitUndone}
	}
	return err
}

type handoverCompareCmd struct {
	roomFlags
	asFlag
	cellArg
}

// Run compares.
func (c *handoverCompareCmd) Run(a *app) error {
	raw, err := c.call(a, c.As, "handover.compare", map[string]string{"id": c.Cell})
	if err != nil {
		return err
	}
	var out room.CellComparison
	if err := json.Unmarshal(raw, &out); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	if c.JSON {
		err = printRaw(a, raw, false)
	} else {
		showComparison(a, out)
	}
	if err == nil && !out.Agrees {
		err = &exitError{code: exitUndone}
	}
	return err
}

// showComparison prints both sides' lines and every difference.
func showComparison(a *app, out room.CellComparison) {
	for _, p := range out.Protocol.Placements {
		if text, ok := out.Errors[p]; ok {
			fmt.Fprintf(a.stdout, "%s: %s\n", p, text)
			continue
		}
		o := out.Outcomes[p]
		verdict := "beide Bücher gleich"
		if !o.Agrees {
			verdict = fmt.Sprintf("UNGLEICH, %d Abweichungen", len(o.Differences))
		}
		fmt.Fprintf(a.stdout, "%s: %s\n", p, verdict)
		showLines(a, "Notbetrieb", o.Comparison.Ours)
		showLines(a, "Regelsystem", o.Comparison.Theirs)
		for _, d := range o.Differences {
			fmt.Fprintf(a.stdout, "  %s  %s  hier: %s  dort: %s\n", d.ID, differenceWord(d.What), entryText(d.Ours), entryText(d.Theirs))
		}
	}
}

func showLines(a *app, side string, lines []emergency.Line) {
	for _, l := range lines {
		fmt.Fprintf(a.stdout, "  %-12s %-10s %-9s Anzahl %d  Summe %d,%02d  Hash %s…\n", side, l.Kind, l.Result, l.Count, l.Amount/100, l.Amount%100, l.Hash[:16])
	}
}

func differenceWord(what string) string {
	switch what {
	case "missing":
		return "fehlt dort"
	case "surplus":
		return "nur dort"
	case "differs":
		return "verschieden"
	}
	return what
}

func entryText(e *emergency.ListEntry) string {
	if e == nil {
		return "–"
	}
	return fmt.Sprintf("%s %s %s…", e.Kind, e.Result, e.SHA256[:min(16, len(e.SHA256))])
}

type handoverSignCmd struct {
	roomFlags
	asFlag
	cellArg
}

// Run signs.
func (c *handoverSignCmd) Run(a *app) error {
	return c.act(a, c.As, "handover.sign", map[string]string{"id": c.Cell}, func(raw json.RawMessage) error {
		var s room.Signed
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		if s.Done {
			_, err := fmt.Fprintf(a.stdout, "%s: beide Seiten haben unterschrieben, %s/%s ist im Regelbetrieb.\n", s.Protocol.ID, s.Protocol.Kasse, s.Protocol.Service)
			return err
		}
		_, err := fmt.Fprintf(a.stdout, "%s: unterschrieben. Die andere Seite unterschreibt: leitstand handover sign %s (oder leitstand approve %s)\n",
			s.Protocol.ID, s.Protocol.ID, s.Consent.ID)
		return err
	})
}

type handoverBackCmd struct {
	roomFlags
	asFlag
	cellArg
	Reason string `help:"Why." required:""`
}

// Run goes back.
func (c *handoverBackCmd) Run(a *app) error {
	return c.act(a, c.As, "handover.back", map[string]string{"id": c.Cell, "reason": c.Reason}, showProtocol(a))
}

type handoverKeysCmd struct{ roomFlags }

// Run prints public keys.
func (c *handoverKeysCmd) Run(a *app) error { return c.act(a, "", "handover.keys", nil, nil) }

// showProtocol prints a protocol after an act.
func showProtocol(a *app) func(raw json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var s recovery.Switchback
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		_, err := fmt.Fprintf(a.stdout, "%s  %s/%s  %s  Fenster %s–%s  Abbruch: %s\n", s.ID, s.Kasse, s.Service, s.Stage.Word(),
			local(s.Window.From), local(s.Window.Until), s.Abort)
		return err
	}
}

type handoverBeginCmd struct {
	roomFlags
	asFlag
	Placements []string `arg:"" help:"Placements (IK/service/site)."`
	Reason     string   `help:"Why." required:""`
}

// Run begins the handover.
func (c *handoverBeginCmd) Run(a *app) error {
	return c.act(a, c.As, "handover.begin", map[string]any{"placements": c.Placements, "reason": c.Reason}, nil)
}

type handoverRunCmd struct {
	roomFlags
	asFlag
	Placements []string `arg:"" optional:"" help:"Placements; none means all that are handing over."`
}

// Run hands over.
func (c *handoverRunCmd) Run(a *app) error {
	return c.act(a, c.As, "handover.run", map[string]any{"placements": c.Placements}, func(raw json.RawMessage) error { return showRuns(a, raw) })
}

func showRuns(a *app, raw json.RawMessage) error {
	return table(a, raw, "Nichts ist zu übergeben.", "Stelle angenommen übergeben abgelehnt offen abgeglichen Fehler", func(h room.HandedOver) []string {
		place := string(h.Placement)
		if h.First {
			place += " (dringlicher, zuerst)"
		}
		return []string{
			place, fmt.Sprint(h.Counts.Accepted), fmt.Sprint(h.Counts.HandedOver), fmt.Sprint(h.Counts.Rejected),
			fmt.Sprint(h.Counts.Open), fmt.Sprint(h.Agrees), h.Error,
		}
	})
}
