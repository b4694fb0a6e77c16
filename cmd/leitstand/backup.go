package main

import (
	"encoding/json"
	"fmt"
	"time"

	"leitstand/catalogue"
	"leitstand/room"
)

type backupCmd struct {
	roomFlags
	asFlag
	To    string `arg:"" help:"New directory for the backup, such as one on a stick or a second machine." type:"path"`
	Kasse string `help:"Only the journal of this Kasse (IK)."`
}

// Run backs a room up while it runs.
func (c *backupCmd) Run(a *app) error {
	began := time.Now()
	return c.act(a, c.As, "backup", map[string]string{"to": c.To, "kasse": c.Kasse}, func(raw json.RawMessage) error {
		var m room.Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		var size int64
		for _, f := range m.Files {
			size += f.Size
		}
		fmt.Fprintf(a.stdout, "%d Dateien, %.1f MB in %s nach %s. Prüfen mit:\n  leitstand restore %s --data NEUES_VERZEICHNIS\n",
			len(m.Files), float64(size)/1e6, time.Since(began).Round(time.Millisecond), c.To, c.To)
		return nil
	})
}

type restoreCmd struct {
	roomFlags
	identityFlags
	From  string `arg:"" help:"Directory of a backup or of the continuous copy." type:"existingdir"`
	Kasse string `help:"Put only this Kasse's journal into the existing room in --data." xor:"what"`
	Test  bool   `help:"Restore beside the room in --data, verify, remove again, and put the outcome on record." xor:"what"`
	As    string `help:"Person who tests (id)." env:"LEITSTAND_AS"`
}

// identityFlags open what a backup sealed.
type identityFlags struct {
	Identity []string `help:"File with an age identity that opens the backup (several times)." type:"existingfile" env:"LEITSTAND_IDENTITY"`
}

// Run restores a backup into a new directory and verifies it.
func (c *restoreCmd) Run(a *app) error {
	if c.Test {
		return c.test(a)
	}
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	if opt.Identities, err = room.ReadIdentities(c.Identity...); err != nil {
		return err
	}
	began := time.Now()
	var m room.Manifest
	var reports []room.Verified
	if c.Kasse != "" {
		m, reports, err = room.RestoreKasse(a.ctx, c.From, catalogue.KasseID(c.Kasse), opt)
	} else {
		m, reports, err = room.Restore(a.ctx, c.From, opt)
	}
	if err != nil {
		return err
	}
	return c.report(a, m, reports, time.Since(began))
}

func (c *restoreCmd) report(a *app, m room.Manifest, reports []room.Verified, took time.Duration) error {
	problems := 0
	for _, r := range reports {
		problems += len(r.Problems)
		for _, p := range r.Problems {
			fmt.Fprintf(a.stdout, "%s: %s: %s\n", r.Ledger, p.Kind, p.Text)
		}
	}
	if c.JSON {
		raw, err := json.Marshal(map[string]any{"made": m.Made, "files": len(m.Files), "ledgers": reports, "problems": problems})
		if err != nil {
			return err
		}
		if err := printRaw(a, raw, false); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "Stand der Sicherung: %s. %d Bücher geprüft, %d Auffälligkeiten, in %s.\n",
			local(m.Made), len(reports), problems, took.Round(time.Millisecond))
		if c.Kasse == "" {
			fmt.Fprintln(a.stdout, "Zum Weiterarbeiten nicht diese Kopie öffnen, sondern übernehmen: leitstand takeover run (sonst schreiben zwei).")
		}
	}
	if problems > 0 {
		return &exitError{code: 1, err: fmt.Errorf("%d problems: do not work with this copy, use another backup", problems)}
	}
	return nil
}

// test lets the room restore a backup on trial; exit 1 when it does not verify.
func (c *restoreCmd) test(a *app) error {
	raw, err := c.call(a, c.As, "backup.test", map[string]any{"from": c.From, "identities": c.Identity})
	if err != nil {
		return err
	}
	var t room.BackupTest
	if err := json.Unmarshal(raw, &t); err != nil {
		return err
	}
	if c.JSON {
		err = printRaw(a, raw, false)
	} else {
		_, err = fmt.Fprintf(a.stdout, "Stand der Sicherung: %s. %d Bücher mit %d Einträgen geprüft, %d Auffälligkeiten, in %s. Die Probe steht im Buch.\n",
			local(t.Made), t.Ledgers, t.Entries, t.Problems, t.Took.Round(time.Millisecond))
	}
	if err == nil && t.Problems > 0 {
		return &exitError{code: 1, err: fmt.Errorf("this is no backup to rely on: %s", t.First)}
	}
	return err
}
