package main

import (
	"encoding/json"
	"fmt"
	"os"

	"leitstand/room"
)

type shareCmd struct {
	Make   shareMakeCmd   `cmd:"" help:"Write everything that concerns one Kasse to a directory: its ledger, its items, what was accepted (closed to its own recipients), and the room's entries about it with proofs."`
	Verify shareVerifyCmd `cmd:"" help:"Check a share with nothing but the room's public key; no room is needed. Exit 1 when something is wrong."`
	Erase  shareEraseCmd  `cmd:"" help:"Ask a second person to agree to deleting what was accepted for one Kasse, with its keys; refused before everything is reconciled. The proof is in the next share."`
}

type shareMakeCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"IK of the Kasse."`
	To     string `arg:"" help:"New directory." type:"path"`
	Reason string `help:"Why; it is put on record." required:""`
}

// Run makes a share.
func (c *shareMakeCmd) Run(a *app) error {
	return c.act(a, c.As, "share.make", map[string]string{"kasse": c.Kasse, "to": c.To, "reason": c.Reason}, func(raw json.RawMessage) error {
		var m room.ShareManifest
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%d Vorgänge, %d Inhalte (versiegelt), %d Einträge der Kasse, %d des Raums und %d weitere nur als Hash nach %s.\n"+
			"Prüfen, auch ohne diesen Raum (den Schlüssel auf anderem Weg mitgeben):\n  leitstand share verify %s --key %s\n",
			m.Items, m.Bodies, m.Entries, m.Whole, m.Withheld, c.To, c.To, m.Public)
		return nil
	})
}

type shareVerifyCmd struct {
	identityFlags
	Dir  string   `arg:"" help:"Directory of the share." type:"existingdir"`
	Key  string   `help:"The room's public key: its text, or a file such as ledger.pub. It must not come with the share." required:""`
	Head []string `help:"File with a signed head of either ledger that was kept elsewhere (several times)." type:"existingfile"`
	JSON bool     `name:"json" help:"Print JSON for machines."`
}

// Run verifies a share without a room.
func (c *shareVerifyCmd) Run(a *app) error {
	key, err := room.ReadKey(c.Key)
	if err != nil {
		return err
	}
	ids, err := room.ReadIdentities(c.Identity...)
	if err != nil {
		return err
	}
	var heads []string
	for _, name := range c.Head {
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading a head: %w", err)
		}
		heads = append(heads, string(b))
	}
	rep, err := room.VerifyShare(c.Dir, key, ids, heads...)
	if err != nil {
		return &exitError{code: 1, err: err}
	}
	if err := c.print(a, rep); err != nil {
		return err
	}
	if n := len(rep.Problems); n > 0 {
		return &exitError{code: 1, err: fmt.Errorf("%d problems: this share is not what the room has made", n)}
	}
	return nil
}

func (c *shareVerifyCmd) print(a *app, rep room.ShareReport) error {
	if c.JSON {
		raw, err := json.Marshal(rep)
		if err != nil {
			return err
		}
		return printRaw(a, raw, false)
	}
	for _, p := range rep.Problems {
		fmt.Fprintf(a.stdout, "%s: %s\n", p.Kind, p.Text)
	}
	m := rep.Manifest
	bodies := fmt.Sprintf("%d Inhalte gelesen", rep.Counts.Bodies)
	if rep.Sealed {
		bodies = fmt.Sprintf("%d Inhalte nicht gelesen (--identity fehlt)", m.Bodies)
	}
	fmt.Fprintf(a.stdout, "Kasse %s, Raum %q, Stand %s: %d Vorgänge, %s, %d gelöscht, %d offen; %d Einträge der Kasse; %d Einträge des Raums bewiesen, %d weitere nur als Hash. %d Auffälligkeiten.\n",
		m.Kasse, m.Room, local(m.Made), rep.Counts.Items, bodies, rep.Counts.Erased, rep.Counts.Open, m.Entries, rep.Proven, rep.Withheld, len(rep.Problems))
	for _, d := range rep.Deleted {
		fmt.Fprintf(a.stdout, "Gelöscht am %s durch %s und %s (Eintrag %d des Raums): %d Inhalte, Schlüssel %v vernichtet. Grund: %s\n",
			local(d.At), d.First, d.Second, d.Seq, d.Bodies, d.Keys, d.Reason)
		if d.Copies > 0 {
			fmt.Fprintf(a.stdout, "  %d Sicherungen von damals können es noch enthalten, die jüngste vom %s: zu vernichten.\n", d.Copies, local(d.Newest))
		}
	}
	return nil
}

type shareEraseCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"IK of the Kasse."`
	Reason string `help:"Why; it is put on record." required:""`
}

// Run asks for consent to a deletion.
func (c *shareEraseCmd) Run(a *app) error {
	return c.act(a, c.As, "share.erase", map[string]string{"kasse": c.Kasse, "reason": c.Reason}, showConsent(a))
}
