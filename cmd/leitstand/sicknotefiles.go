package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leitstand/emergency/sicknote"
	"leitstand/pure/paper"
	"leitstand/room"
)

// sicknoteFileCmds are the ways of sick notes past the mailboxes.
type sicknoteFileCmds struct {
	Import    sicknoteImportCmd    `cmd:"" help:"Take mail files (.eml, mbox, Maildir, folders of these) as if they had been fetched. Files taken before are known again."`
	Export    sicknoteExportCmd    `cmd:"" help:"Write a Kasse's documents into a new folder, with index.csv and SHA256SUMS. On record; no handover, for there is no receipt."`
	Probe     sicknoteProbeCmd     `cmd:"" help:"Try mailboxes: log in, list, read up to three mails. Nothing is deleted. Exit 1 when one cannot be used."`
	Paper     sicknotePaperCmd     `cmd:"" help:"Take a certificate on paper: text of a scanner, photograph or scan, or typed in."`
	Erase     sicknoteEraseCmd     `cmd:"" help:"Delete what the regular system has and both sides reconciled; prints the proof."`
	Kept      sicknoteKeptCmd      `cmd:"" help:"What Kassen still keep, and how much of it may be erased."`
	Answers   sicknoteAnswersCmd   `cmd:"" help:"Error messages to practices, whatever has become of them."`
	Practices sicknotePracticesCmd `cmd:"" help:"Whom to call about held mails: a call list, and letters as PDF. It opens held mails, on record."`
	Resolve   sicknoteResolveCmd   `cmd:"" help:"Say what became of an answer that was cut off: it arrived, or it is to be sent again."`
}

type sicknoteImportCmd struct {
	roomFlags
	asFlag
	Kasse   string `arg:"" help:"IK."`
	Path    string `arg:"" help:"File or folder, on the machine of the room." type:"path"`
	Mailbox string `help:"Mailbox that they belong to; without it, the Kasse's first."`
}

// Run imports mail files.
func (c *sicknoteImportCmd) Run(a *app) error {
	args := map[string]string{"kasse": c.Kasse, "mailbox": c.Mailbox, "path": c.Path}
	return c.act(a, c.As, "sicknote.import", args, func(raw json.RawMessage) error {
		var got sicknote.Imported
		if err := json.Unmarshal(raw, &got); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%d Mails gelesen, %d gespeichert, %d waren schon da.\n", got.Read, got.Stored, got.Known)
		return nil
	})
}

type sicknoteExportCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"IK."`
	Dir    string `arg:"" help:"New or empty folder, on the machine of the room." type:"path"`
	Reason string `help:"Why; it is put on record." required:""`
}

// Run exports a Kasse's documents.
func (c *sicknoteExportCmd) Run(a *app) error {
	args := map[string]string{"kasse": c.Kasse, "dir": c.Dir, "reason": c.Reason}
	return c.act(a, c.As, "sicknote.export", args, func(raw json.RawMessage) error {
		var got sicknote.Exported
		if err := json.Unmarshal(raw, &got); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%d Dokumente in %s.\nPrüfsumme der Liste (aufschreiben): %s\nPrüfen mit:\n  cd %s && sha256sum -c SHA256SUMS\n", got.Files, c.Dir, got.List, c.Dir)
		return nil
	})
}

type sicknoteProbeCmd struct {
	roomFlags
	Kasse string `arg:"" optional:"" help:"IK; without it, all Kassen."`
}

// Run tries mailboxes.
func (c *sicknoteProbeCmd) Run(a *app) error {
	raw, err := c.call(a, "", "sicknote.probe", map[string]string{"kasse": c.Kasse})
	if err != nil {
		return err
	}
	var found []sicknote.Probe
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	if c.JSON {
		err = printRaw(a, raw, false)
	} else {
		err = table(a, raw, "Kein Postfach.", "Postfach erreicht Mails Bytes zu_groß UIDL lesbar Befund", func(p sicknote.Probe) []string {
			return []string{p.Mailbox, yes(p.Reached), fmt.Sprint(p.Mails), fmt.Sprint(p.Bytes), fmt.Sprint(p.TooLarge), yes(p.UIDL || p.Mails == 0), fmt.Sprintf("%d/%d", p.Readable, p.Tried), strings.TrimSpace(p.Keys + " " + p.Problem)}
		})
	}
	for _, p := range found {
		if !p.Reached || p.Keys != "" {
			return errors.Join(err, &exitError{code: 1})
		}
	}
	return err
}

func yes(b bool) string {
	if b {
		return "ja"
	}
	return "nein"
}

type sicknotePaperCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"IK."`
	Scan   string `help:"Text of the barcode as a scanner sends it: 28 fields, separated by tabs (- for standard input)." placeholder:"FILE" xor:"paper" required:""`
	Image  string `help:"Photograph or scan of the certificate (PNG, JPEG; - for standard input): its PDF417 barcodes are read." placeholder:"FILE" xor:"paper" required:""`
	Typed  string `help:"What was typed in, as JSON (- for standard input), with the fields of docs/sicknote.md." placeholder:"FILE" xor:"paper" required:""`
	Reason string `help:"Where it came from." default:"Posteingang"`
}

// How much of a certificate is read: its text, or a photograph, which must fit
// into an act (16 MiB with its encoding).
const (
	maxPaper      = 64 << 10
	maxPaperImage = 11 << 20
)

// Run takes a certificate.
func (c *sicknotePaperCmd) Run(a *app) error {
	args := map[string]any{"kasse": c.Kasse, "reason": c.Reason}
	most := int64(maxPaper)
	if c.Image != "" {
		most = maxPaperImage
	}
	content, err := a.content(c.Scan+c.Typed+c.Image, most)
	if err != nil {
		return err
	}
	switch {
	case c.Image != "":
		args["image"] = content
	case c.Typed != "":
		var p sicknote.Paper
		if err := decodeStrict(content, &p); err != nil {
			return fmt.Errorf("reading %q: %w", c.Typed, err)
		}
		args["typed"] = p
	default:
		args["scanned"] = content
	}
	return c.act(a, c.As, "sicknote.paper", args, func(raw json.RawMessage) error {
		var taken []sicknote.Mail
		if err := json.Unmarshal(raw, &taken); err != nil {
			return err
		}
		for _, m := range taken {
			fmt.Fprintf(a.stdout, "%s: %s %s\n", m.Label, m.Class, m.Of)
		}
		return nil
	})
}

// content is a file, or standard input for "-", up to a limit.
func (a *app) content(name string, most int64) ([]byte, error) {
	in := a.stdin
	if name != "-" {
		f, err := os.Open(filepath.Clean(name))
		if err != nil {
			return nil, fmt.Errorf("reading a file: %w", err)
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%q is larger than %d bytes", name, most)
	}
	return b, nil
}

// decodeStrict refuses unknown fields: a typing mistake must not leave one out.
func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

type sicknoteEraseCmd struct {
	roomFlags
	asFlag
	Kasse  string    `arg:"" help:"IK."`
	Before time.Time `help:"Only what was received before this day (YYYY-MM-DD)." required:"" format:"2006-01-02"`
	Reason string    `help:"Why; it is put on record." required:""`
}

// Run deletes and prints the proof.
func (c *sicknoteEraseCmd) Run(a *app) error {
	args := map[string]any{"kasse": c.Kasse, "before": c.Before, "reason": c.Reason}
	return c.act(a, c.As, "sicknote.erase", args, func(raw json.RawMessage) error {
		var e sicknote.Erased
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "Gelöscht: %d Dokumente, %d Zeiträume, %d Fehlermeldungen, %d Anfragen. Behalten, weil nicht abgeglichen: %d.\n",
			e.Bodies, e.Leaves, e.Letters, e.Asked, e.Kept)
		fmt.Fprintf(a.stdout, "Nachweis im Buch der Kasse: Einträge %v, unterschriebener Stand:\n%s", e.Entries, e.Head)
		return nil
	})
}

type sicknoteKeptCmd struct {
	roomFlags
	Kasse  string    `arg:"" optional:"" help:"IK; without it, all Kassen."`
	Before time.Time `help:"Count what may be erased of what was received before this day (YYYY-MM-DD); without it, nothing." format:"2006-01-02"`
}

// Run prints what is kept.
func (c *sicknoteKeptCmd) Run(a *app) error {
	args := map[string]any{"kasse": c.Kasse, "before": c.Before}
	return c.act(a, "", "sicknote.kept", args, func(raw json.RawMessage) error {
		return table(a, raw, "Kein Postfach.", "Kasse Dokumente löschbar ältestes", func(k sicknote.Retention) []string {
			return []string{string(k.Kasse), fmt.Sprint(k.Bodies), fmt.Sprint(k.Due), local(k.Oldest)}
		})
	})
}

type sicknoteAnswersCmd struct {
	roomFlags
	Kasse string `arg:"" help:"IK."`
}

// Run prints error messages.
func (c *sicknoteAnswersCmd) Run(a *app) error {
	return c.act(a, "", "sicknote.answers", map[string]string{"kasse": c.Kasse}, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Fehlermeldung.", "Kennung Nummer Code gemacht Zustand Grund", func(s sicknote.SentAnswer) []string {
			return []string{s.ID, s.Label, s.Code, local(s.Made), string(s.State), s.Reason + " " + s.Error}
		})
	})
}

type sicknoteResolveCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"IK."`
	ID     string `arg:"" help:"The answer."`
	Again  bool   `help:"Send it again. Without it: it has arrived."`
	Reason string `help:"How you know; it is put on record." required:""`
}

// Run settles an answer.
func (c *sicknoteResolveCmd) Run(a *app) error {
	return c.act(a, c.As, "sicknote.resolve", map[string]any{"kasse": c.Kasse, "id": c.ID, "again": c.Again, "reason": c.Reason}, nil)
}

type sicknotePracticesCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"IK."`
	Reason string `help:"Why; it is put on record." required:""`
	Out    string `help:"New or empty folder for anrufliste.pdf and brief-NNN.pdf." type:"path" placeholder:"DIR"`
	Phone  string `help:"Number of the Kasse for the letters."`
}

// Run prints a call list and writes letters.
func (c *sicknotePracticesCmd) Run(a *app) error {
	raw, err := c.call(a, c.As, "sicknote.practices", map[string]string{"kasse": c.Kasse, "reason": c.Reason})
	if err != nil {
		return err
	}
	var l room.PracticeList
	if err := json.Unmarshal(raw, &l); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	s := sicknote.Sender{Kasse: l.Kasse, Phone: c.Phone, Exercise: l.Exercise, Day: l.At.Local()}
	list := sicknote.CallList(l.Practices, s)
	if c.Out != "" {
		if err := c.letters(l.Practices, s, list); err != nil {
			return err
		}
	}
	if c.JSON {
		return printRaw(a, raw, false)
	}
	_, err = fmt.Fprintln(a.stdout, strings.Join(list.Text(), "\n"))
	return err
}

func (c *sicknotePracticesCmd) letters(practices []sicknote.Practice, s sicknote.Sender, list paper.Form) error {
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return fmt.Errorf("making the folder of letters: %w", err)
	}
	forms := map[string]paper.Form{"anrufliste.pdf": list}
	for i := range practices {
		forms[fmt.Sprintf("brief-%03d.pdf", i+1)] = practices[i].Letter(s)
	}
	for name, form := range forms {
		f, err := os.OpenFile(filepath.Join(c.Out, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("writing a letter: %w", err)
		}
		if err := errors.Join(form.PDF(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
