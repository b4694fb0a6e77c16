package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
		word := "Der Raum ist entsperrt."
		if s.Locked {
			word = "Der Raum ist gesperrt. " + s.Why
		}
		fmt.Fprintf(a.stdout, "%s\nHinterlegung auf Papier: %s\nAuch gesperrt geht:\n", word, local(s.Escrow))
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

type keysUnlockCmd struct {
	roomFlags
	asFlag
}

// Run unlocks with the passphrase of --passphrase-file.
func (c *keysUnlockCmd) Run(a *app) error {
	pass, err := readPassphrase(c.PassphraseFile)
	if err != nil {
		return err
	}
	c.PassphraseFile = ""
	return c.act(a, c.As, "keys.unlock", map[string]string{"passphrase": string(pass)}, nil)
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

// Run prints shares.
func (c *keysEscrowCmd) Run(a *app) error {
	if err := os.Mkdir(c.Out, 0o700); err != nil {
		return fmt.Errorf("making the directory of the sheets: %w", err)
	}
	raw, err := c.call(a, c.As, "keys.escrow", map[string]any{"second": c.Second, "need": c.Need, "shares": c.Shares})
	if err != nil {
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

type keysRotateRoomCmd struct {
	roomFlags
	asFlag
	NewPassphraseFile string `help:"File with the new passphrase." required:"" type:"existingfile"`
	Reason            string `help:"Why." required:""`
}

// Run rotates the master key.
func (c *keysRotateRoomCmd) Run(a *app) error {
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	if opt.Passphrase, err = readPassphrase(c.PassphraseFile); err != nil {
		return err
	}
	pass, err := readPassphrase(c.NewPassphraseFile)
	if err != nil {
		return err
	}
	if err := room.RotateMaster(a.ctx, opt, pass, c.As, c.Reason); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "Der Raum hat einen neuen Hauptschlüssel. Die alte Hinterlegung öffnet ihn nicht mehr: leitstand keys escrow")
	return nil
}
