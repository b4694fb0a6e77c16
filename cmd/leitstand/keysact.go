package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"leitstand/pure/paper"
	"leitstand/room"
)

type keysStatusCmd struct{ roomFlags }

// Run says what works.
func (c *keysStatusCmd) Run(a *app) error {
	return c.act(a, "", "keys.status", nil, func(raw json.RawMessage) error {
		var s room.KeyStatus
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		printKeys(a, s)
		for _, w := range s.Works {
			fmt.Fprintf(a.stdout, "  + %s\n", w)
		}
		fmt.Fprintln(a.stdout, "Erst entsperrt:")
		for _, w := range s.WorksNot {
			fmt.Fprintf(a.stdout, "  - %s\n", w)
		}
		return nil
	})
}

func printKeys(a *app, s room.KeyStatus) {
	word := "Der Raum ist entsperrt."
	if s.Locked {
		word = "Der Raum ist gesperrt. " + s.Why
	}
	fmt.Fprintln(a.stdout, word)
	if s.Shared > 0 {
		fmt.Fprintf(a.stdout, "Raumschlüssel: geteilt, %d von %d zusammen (%s)\n", s.Shared, len(s.Holders), strings.Join(s.Holders, ", "))
		if len(s.Waiting) > 0 {
			fmt.Fprintf(a.stdout, "Schon da: %s. Es fehlen %d, innerhalb einer Viertelstunde.\n", strings.Join(s.Waiting, ", "), s.Shared-len(s.Waiting))
		}
	} else {
		fmt.Fprintln(a.stdout, "Raumschlüssel: eine Passphrase")
	}
	old := ""
	if s.OldShare {
		old = ", ÄLTER als der Schlüssel des Buchs: neu drucken"
	}
	fmt.Fprintf(a.stdout, "Hinterlegung auf Papier: %s%s\nSchlüssel des Buchs: %s\n", local(s.Escrow), old, s.Ledger.Public)
	for _, k := range s.Ledger.Before {
		how := "vom alten Schlüssel unterschrieben"
		if k.Lost {
			how = "der alte war verloren und hat nichts unterschrieben"
		}
		fmt.Fprintf(a.stdout, "  davor %s, gewechselt %s von %s und %s (%s): %s\n", k.Old, local(k.At), k.First, k.Second, how, k.Reason)
	}
	fmt.Fprintln(a.stdout, "Auch gesperrt geht:")
}

type keysUnlockCmd struct {
	roomFlags
	asFlag
}

// Run unlocks with the passphrase of --passphrase-file, or asks for it at a terminal.
func (c *keysUnlockCmd) Run(a *app) error {
	pass, err := askPassphrase(a, c.PassphraseFile, "Passphrase von "+c.As)
	if err != nil {
		return err
	}
	c.PassphraseFile = ""
	return c.act(a, c.As, "keys.unlock", map[string]string{"passphrase": string(pass)}, nil)
}

// askPassphrase reads a passphrase from a file, or from a terminal without showing it.
func askPassphrase(a *app, file, question string) ([]byte, error) {
	q := newAsker(a)
	if file != "" || q.tty == nil {
		return readPassphrase(file)
	}
	answer, err := q.secret(question)
	return []byte(answer), err
}

// readHolders reads PERSON=FILE, each file with one person's passphrase.
func readHolders(lines []string) (map[string][]byte, error) {
	if len(lines) == 0 {
		return nil, nil //nolint:nilnil // nobody holds a share
	}
	out := map[string][]byte{}
	for _, line := range lines {
		person, file, ok := strings.Cut(line, "=")
		if !ok || person == "" {
			return nil, fmt.Errorf("%q: want PERSON=FILE", line)
		}
		if _, twice := out[person]; twice {
			return nil, fmt.Errorf("%q is named twice", person)
		}
		pass, err := readPassphrase(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", person, err)
		}
		out[person] = pass
	}
	return out, nil
}

type keysLockCmd struct {
	roomFlags
	asFlag
}

// Run locks.
func (c *keysLockCmd) Run(a *app) error { return c.act(a, c.As, "keys.lock", nil, nil) }

func readPassphrase(file string) ([]byte, error) {
	if file == "" {
		return nil, errors.New("the passphrase is read from a file: --passphrase-file FILE")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

type keysEscrowCmd struct {
	roomFlags
	asFlag
	Second string `help:"Second person, who is there when the shares are printed." required:""`
	Need   int    `help:"How many shares bring the keys back." default:"2"`
	Shares int    `help:"How many shares are printed." default:"3"`
	Out    string `arg:"" help:"New directory for the sheets, one PDF per share. Print them, delete them." type:"path"`
}

// Run prints shares: on sheets, and with --json on standard output as well.
func (c *keysEscrowCmd) Run(a *app) error {
	if err := os.Mkdir(c.Out, 0o700); err != nil {
		return fmt.Errorf("making the directory of the sheets: %w", err)
	}
	raw, err := c.call(a, c.As, "keys.escrow", map[string]any{"second": c.Second, "need": c.Need, "shares": c.Shares})
	if err != nil {
		_ = os.Remove(c.Out) // empty: a second try makes it again
		return err
	}
	var e room.Escrow
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	for i, s := range e.Shares {
		f := paper.Form{
			Title: fmt.Sprintf("Hinterlegung: Anteil %d von %d", i+1, len(e.Shares)),
			Facts: [][2]string{{"Anteil", s}, {"Nötig", fmt.Sprintf("%d Anteile zusammen", e.Need)}},
			Notes: []string{
				"Dieser Anteil allein öffnet nichts. Zusammen mit den anderen und der Datei escrow.locked (im Datenverzeichnis und in jeder Sicherung) bringt er alle Schlüssel des Raums zurück:",
				"leitstand keys recover escrow.locked --share … --share … --passphrase-file NEU --data VERZEICHNIS",
			},
			Fields: []string{"Verwahrt von", "Ort", "Datum", "Unterschrift"}, Foot: "Leitstand, im verschlossenen Umschlag aufbewahren",
		}
		out, err := os.OpenFile(filepath.Join(c.Out, fmt.Sprintf("anteil-%d.pdf", i+1)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("writing a share: %w", err)
		}
		if err := errors.Join(f.PDF(out), out.Close()); err != nil {
			return fmt.Errorf("writing a share: %w", err)
		}
	}
	if c.JSON {
		return printRaw(a, raw, true)
	}
	fmt.Fprintf(a.stdout, "%d Blätter in %s; %d bringen alles zurück. Drucken, Dateien löschen, getrennt verwahren.\n", len(e.Shares), c.Out, e.Need)
	return nil
}

type keysRecoverCmd struct {
	roomFlags
	Bundle string   `arg:"" help:"File escrow.locked, from the data directory or a backup." type:"existingfile"`
	Share  []string `help:"Share as it stands on paper (several times)." required:"" sep:"none"`
}

// Run brings keys back; --passphrase-file holds the new passphrase.
func (c *keysRecoverCmd) Run(a *app) error {
	pass, err := readPassphrase(c.PassphraseFile)
	if err != nil {
		return err
	}
	names, err := room.RecoverKeys(c.Data, c.Bundle, c.Share, pass)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Zurückgebracht: %v. Die neue Passphrase gilt.\n", names)
	return nil
}

type keysRotateCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"Kasse (IK)."`
	Reason string `help:"Why." required:""`
}

// Run asks for a new key pair.
func (c *keysRotateCmd) Run(a *app) error {
	return c.act(a, c.As, "keys.rotate", map[string]string{"kasse": c.Kasse, "reason": c.Reason}, showConsent(a))
}
