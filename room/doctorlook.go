package room

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
)

// lookTimeSource asks the kernel whether something keeps the clock right.
func (r *Room) lookTimeSource(_ context.Context, c *Checkup) error {
	synced, off, err := r.timeSource()
	if err != nil {
		c.add("Zeitquelle", Warn, "Zeitquelle des Rechners von Hand prüfen.", "%v", err)
		return nil
	}
	c.add("Zeitquelle", grade(false, !synced || off > time.Second), "Zeitdienst einrichten (systemd-timesyncd, chrony), notfalls nach Funkuhr stellen; Fristen und Meldungen rechnen mit dieser Uhr.",
		"%s, größte Abweichung %s", map[bool]string{true: "wird nachgeführt", false: "läuft frei"}[synced], off)
	return nil
}

// lookCertificates reads when certificates end.
func (r *Room) lookCertificates(_ context.Context, c *Checkup) error {
	for _, file := range r.opt.Certificates {
		end, err := certificateEnd(file)
		if err != nil {
			c.add("Zertifikat "+filepath.Base(file), Bad, "Datei prüfen; der laufende Dienst behält das alte, bis er neu startet.", "%v", err)
			continue
		}
		left := end.Sub(c.At)
		c.add("Zertifikat "+filepath.Base(file), grade(left < r.opt.Limits.Certificate/4, left < r.opt.Limits.Certificate),
			"Neues Zertifikat ausstellen, Datei ersetzen, dann: kill -HUP (keine Verbindung geht verloren).", "gilt bis %s (%d Tage)", end.Format(time.DateOnly), int(left.Hours()/24))
	}
	return nil
}

// certificateEnd is when the first of the certificates in a file ends.
func certificateEnd(file string) (time.Time, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	var end time.Time
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return end, fmt.Errorf("reading %s: %w", file, err)
		}
		if end.IsZero() || cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	if end.IsZero() {
		return end, fmt.Errorf("%s holds no certificate", file)
	}
	return end, nil
}

// lookAlarm says when the way from an alarm to a person was last tried.
func (r *Room) lookAlarm(ctx context.Context, c *Checkup) error {
	at, answered, err := r.lastTestAlarm(ctx)
	if err != nil {
		return err
	}
	const todo = "leitstand signal test --as PERSON, und quittieren lassen, wer Dienst hat."
	if at.IsZero() {
		c.add("Probealarm", Warn, todo, "noch keiner")
		return nil
	}
	c.add("Probealarm", grade(false, !answered || c.At.Sub(at) > 90*24*time.Hour), todo, "zuletzt %s, %s", when(at),
		map[bool]string{true: "quittiert", false: "nicht quittiert"}[answered])
	return nil
}

// lookWitness says how old the newest head is that somebody outside keeps.
func (r *Room) lookWitness(ctx context.Context, c *Checkup) error {
	const todo = "leitstand ledger head einem Zeugen geben oder drucken, dann: leitstand ledger witnessed WER --as PERSON"
	last, ok, err := r.lastAbout(ctx, witnessSubject)
	if err != nil {
		return err
	}
	if !ok {
		c.add("Zeuge", Warn, todo, "noch keiner: wer das ganze Buch besitzt, könnte es unbemerkt neu schreiben")
		return nil
	}
	age := c.At.Sub(last.At)
	c.add("Zeuge", grade(false, age > r.opt.Limits.WitnessAge), todo, "zuletzt %s", when(last.At))
	return nil
}

// witnessSubject is the subject of entries that a witness keeps a head.
const witnessSubject = "witness"

type witnessArgs struct {
	Who  string `json:"who"`
	Note string `json:"note,omitempty"` // the signed head that was given; default: the newest
}

// Witnessed is what a witness keeps.
type Witnessed struct {
	Who  string `json:"who"`
	Size int64  `json:"size"`
}

// noteWitness records that somebody outside keeps a head of the room's ledger.
func noteWitness(ctx context.Context, r *Room, as access.Person, a witnessArgs) (Witnessed, error) {
	out := Witnessed{Who: a.Who}
	if a.Who == "" {
		return out, errors.New("who keeps the head? Name a person, an office, or paper in an envelope")
	}
	if as.Has(access.KasseDelegate) && len(as.Roles) == 1 {
		return out, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Zeugen trägt ein, wer im Raum eine Rolle für alle Kassen hat."}
	}
	h, ok, err := ledger.Newest(ctx, r.Store, r.Public())
	if err != nil || !ok {
		return out, errors.Join(err, errNoHead(ok))
	}
	if a.Note != "" {
		if h, err = ledger.ParseHead(a.Note, r.Public()); err != nil {
			return out, fmt.Errorf("this is no head of this room's ledger: %w", err)
		}
	}
	out.Size = h.Size
	return out, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: r.Now(), Actor: as.ID, Kind: "head.witnessed", Subject: witnessSubject, Data: map[string]any{"who": a.Who, "size": h.Size},
		})
		return err
	})
}

func errNoHead(ok bool) error {
	if ok {
		return nil
	}
	return errors.New("the ledger has no head yet")
}

// lookAnswers counts answers to practices that wait or failed.
func (r *Room) lookAnswers(ctx context.Context, c *Checkup) error {
	if r.Intake == nil {
		return nil
	}
	waiting, late, failed := 0, 0, 0
	for _, k := range r.Catalogue.Kassen {
		all, err := r.Intake.Answers(ctx, k.ID)
		if err != nil {
			return err
		}
		for _, a := range all {
			switch a.State {
			case sicknote.AnswerReleased, sicknote.AnswerSending:
				waiting++
				if c.At.Sub(a.Made) > r.opt.Limits.OutboxAge {
					late++
				}
			case sicknote.AnswerFailed, sicknote.AnswerUnknown:
				failed++
			case sicknote.AnswerPrepared, sicknote.AnswerSent, sicknote.AnswerWithdrawn: // nothing is under way
			}
		}
	}
	c.add("Ausgang", grade(failed > 0, late > 0), "leitstand sicknote status und das Protokoll des Raums zeigen, an welchem Server es liegt.", "%d Antworten unterwegs, %d mit Fehler", waiting, failed)
	return nil
}

// lookDrivers says how measures act on the outside world.
func (r *Room) lookDrivers(ctx context.Context, c *Checkup) error {
	if r.Settings.Exercise {
		c.add("Treiber", Good, "", "Übungsraum: wirkt auf nichts draußen")
		return nil
	}
	x, err := r.acting()
	switch {
	case errors.Is(err, ErrNoDrivers):
		c.add("Treiber", Warn, "drivers.yml anlegen (docs/containment.md); ohne sie wird von Hand abgetrennt und von Hand nachgewiesen.", "keine")
		return nil
	case err != nil:
		c.add("Treiber", Bad, "drivers.yml berichtigen: leitstand config check", "%v", err)
		return nil
	}
	open, err := x.Open(ctx)
	if err != nil {
		return err
	}
	covered := len(x.Drivers.Environments())
	c.add("Treiber", grade(len(open) > 0, covered < len(r.Catalogue.Environments)), "Absichten ohne Ergebnis entscheiden (leitstand driver open); fehlende Umgebungen in drivers.yml eintragen.",
		"%d von %d Umgebungen, %d Absichten ohne Ergebnis", covered, len(r.Catalogue.Environments), len(open))
	return nil
}

// lookProbes logs in to every mailbox and deletes nothing.
func (r *Room) lookProbes(ctx context.Context, c *Checkup) error {
	if r.Intake == nil || len(r.mailboxes) == 0 {
		return nil
	}
	bad, first := 0, ""
	var next sicknote.Probe // whose certificate ends first
	for _, p := range r.probeAll(ctx) {
		if !p.Certificate.IsZero() && (next.Certificate.IsZero() || p.Certificate.Before(next.Certificate)) {
			next = p
		}
		if !p.Reached || p.Mails > 0 && !p.UIDL || p.Keys != "" {
			if bad++; first == "" {
				first = p.Mailbox + ": " + cmp.Or(p.Problem, p.Keys)
			}
		}
	}
	c.add("Postfächer erprobt", grade(bad > 0, false), "leitstand sicknote probe zeigt jedes einzeln. Zuerst: "+first, "%d angemeldet, %d nicht zu gebrauchen", len(r.mailboxes)-bad, bad)
	if !next.Certificate.IsZero() {
		left := next.Certificate.Sub(c.At)
		c.add("Zertifikate der Mailserver", grade(left < r.opt.Limits.Certificate/4, left < r.opt.Limits.Certificate),
			"Den Betreiber des Mailservers an das neue Zertifikat erinnern: danach holt der Raum dort keine Mail mehr.",
			"das erste endet %s (%d Tage, %s)", next.Certificate.Format(time.DateOnly), int(left.Hours()/24), next.Mailbox)
	}
	return nil
}
