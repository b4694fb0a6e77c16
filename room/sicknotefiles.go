package room

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
)

// sickNoteFileActs are the ways of sick notes past the mailboxes: files, paper,
// probes, deletion, and answers whose outcome is open.
func sickNoteFileActs() map[string]handler {
	all := map[string]handler{
		"sicknote.import":  doing(importMails),
		"sicknote.export":  doing(exportSickNotes),
		"sicknote.probe":   reading(probeMailboxes),
		"sicknote.paper":   doing(takePaper),
		"sicknote.kept":    reading(keptSickNotes),
		"sicknote.erase":   doing(eraseSickNotes),
		"sicknote.answers": reading(sentAnswers),
		"sicknote.resolve": doing(resolveAnswer),

		"sicknote.practices": doing(callPractices),
	}
	maps.Copy(all, sickNoteEmployerActs())
	return all
}

// mayHandle says who works in the intake of a Kasse without reading documents:
// operators and the Kasse.
func (r *Room) mayHandle(as access.Person, k catalogue.KasseID) error {
	if as.Has(access.Operator) || r.mayRead(as, k) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "In der eAU-Annahme einer Kasse arbeiten der Betrieb und die Vertretung der Kasse."}
}

// mayOwn says who decides about a Kasse's documents: the Kasse alone.
func (r *Room) mayOwn(as access.Person, k catalogue.KasseID) error {
	if r.mayRead(as, k) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Über die Krankmeldungen einer Kasse verfügt allein ihre Vertretung."}
}

type importArgs struct {
	Kasse   catalogue.KasseID `json:"kasse"`
	Mailbox string            `json:"mailbox,omitempty"` // default: the Kasse's first
	Path    string            `json:"path"`              // on the machine of the room, absolute
}

// importMails takes mail files as if they had been fetched.
func importMails(ctx context.Context, r *Room, as access.Person, a importArgs) (sicknote.Imported, error) {
	if r.Intake == nil {
		return sicknote.Imported{}, errNoIntake
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return sicknote.Imported{}, err
	}
	if !filepath.IsAbs(a.Path) {
		return sicknote.Imported{}, fmt.Errorf("path %q: name it from the root, the room's process may stand elsewhere", a.Path)
	}
	return r.Intake.ImportFor(ctx, a.Kasse, a.Mailbox, r.Now(), sicknote.MailFiles(a.Path, r.Intake.MaxMail()))
}

type dirArgs struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	Dir    string            `json:"dir"` // on the machine of the room, absolute; new or empty
	Reason string            `json:"reason"`
}

// exportSickNotes writes a Kasse's documents to a folder.
func exportSickNotes(ctx context.Context, r *Room, as access.Person, a dirArgs) (sicknote.Exported, error) {
	if r.Intake == nil {
		return sicknote.Exported{}, errNoIntake
	}
	if err := r.mayOwn(as, a.Kasse); err != nil {
		return sicknote.Exported{}, err
	}
	if !filepath.IsAbs(a.Dir) || a.Reason == "" {
		return sicknote.Exported{}, errors.New("an export needs a folder, named from the root, and a reason: it is put on record")
	}
	return r.Intake.Export(ctx, a.Kasse, a.Dir, sicknote.Act{At: r.Now(), Actor: as.ID, Reason: a.Reason})
}

type probeArgs struct {
	Kasse catalogue.KasseID `json:"kasse,omitempty"` // default: all
}

// probeMailboxes looks into mailboxes and deletes nothing.
func probeMailboxes(ctx context.Context, r *Room, a probeArgs) ([]sicknote.Probe, error) {
	if r.Intake == nil {
		return nil, errNoIntake
	}
	return r.Intake.ProbeAll(ctx, a.Kasse, r.Now()), nil
}

type paperArgs struct {
	Kasse   catalogue.KasseID `json:"kasse"`
	Scanned []byte            `json:"scanned,omitempty"` // what a scanner sent
	Image   []byte            `json:"image,omitempty"`   // a photograph or scan of it, PNG or JPEG
	Typed   *sicknote.Paper   `json:"typed,omitempty"`   // what a person typed
	Reason  string            `json:"reason,omitempty"`
}

// takePaper accepts certificates on paper: scanned, photographed or typed in.
// An image may show several.
func takePaper(ctx context.Context, r *Room, as access.Person, a paperArgs) ([]sicknote.Mail, error) {
	if r.Intake == nil {
		return nil, errNoIntake
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return nil, err
	}
	papers, media, err := a.papers()
	if err != nil {
		return nil, err
	}
	out := []sicknote.Mail{}
	for _, p := range papers {
		m, err := r.Intake.TakePaper(ctx, a.Kasse, p.Paper, p.Text, media, sicknote.Act{At: r.Now(), Actor: as.ID, Reason: a.Reason})
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
	return out, nil
}

// papers reads what one act brings, and says of which media type it is kept.
func (a *paperArgs) papers() (papers []sicknote.Scanned, media string, err error) {
	given := 0
	for _, there := range []bool{a.Typed != nil, len(a.Scanned) > 0, len(a.Image) > 0} {
		if there {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, "", errors.New("a certificate on paper is either scanned, photographed or typed in")
	case a.Typed != nil:
		body, err := sicknote.TypePaper(*a.Typed)
		return []sicknote.Scanned{{Paper: *a.Typed, Text: body}}, sicknote.MediaTyped, err
	case len(a.Image) > 0:
		papers, err = sicknote.ReadPaperImage(a.Image)
		return papers, sicknote.MediaScanned, err
	}
	p, err := sicknote.ParsePaper(a.Scanned)
	return []sicknote.Scanned{{Paper: p, Text: a.Scanned}}, sicknote.MediaScanned, err
}

type eraseArgs struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	Before time.Time         `json:"before"`
	Reason string            `json:"reason,omitempty"`
}

// keptSickNotes says what of a Kasse is kept and may be erased.
func keptSickNotes(ctx context.Context, r *Room, a eraseArgs) ([]sicknote.Retention, error) {
	out := []sicknote.Retention{}
	if r.Intake == nil {
		return out, nil
	}
	for _, k := range r.Catalogue.Kassen {
		if a.Kasse != "" && a.Kasse != k.ID {
			continue
		}
		kept, err := r.Intake.Kept(ctx, k.ID, a.Before)
		if err != nil {
			return nil, err
		}
		out = append(out, kept)
	}
	return out, nil
}

// eraseSickNotes deletes what is reconciled; when is the Kasse's decision.
func eraseSickNotes(ctx context.Context, r *Room, as access.Person, a eraseArgs) (sicknote.Erased, error) {
	if r.Intake == nil {
		return sicknote.Erased{}, errNoIntake
	}
	if err := r.mayOwn(as, a.Kasse); err != nil {
		return sicknote.Erased{}, err
	}
	if a.Reason == "" || a.Before.IsZero() {
		return sicknote.Erased{}, errors.New("erasing needs a day and a reason: both are put on record")
	}
	return r.Intake.Erase(ctx, a.Kasse, a.Before, sicknote.Act{At: r.Now(), Actor: as.ID, Reason: a.Reason})
}

// sentAnswers lists error messages to practices, whatever has become of them.
func sentAnswers(ctx context.Context, r *Room, a sickNoteArgs) ([]sicknote.SentAnswer, error) {
	if r.Intake == nil {
		return nil, errNoIntake
	}
	out, err := r.Intake.Answers(ctx, a.Kasse)
	if out == nil {
		out = []sicknote.SentAnswer{}
	}
	return out, err
}

type resolveAnswerArgs struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	ID     string            `json:"id"`
	Again  bool              `json:"again"` // send it again; otherwise it has arrived
	Reason string            `json:"reason"`
}

// resolveAnswer is a person's word about an answer whose outcome nobody knows.
func resolveAnswer(ctx context.Context, r *Room, as access.Person, a resolveAnswerArgs) (string, error) {
	if r.Intake == nil {
		return "", errNoIntake
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return "", err
	}
	if a.Reason == "" {
		return "", errors.New("say how you know: it is put on record")
	}
	return a.ID, r.Intake.ResolveAnswer(ctx, a.Kasse, a.ID, a.Again, sicknote.Act{At: r.Now(), Actor: as.ID, Reason: a.Reason})
}
