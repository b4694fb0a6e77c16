package room

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/warning"
)

// Health is how one thing stands.
type Health string

// The grades. A bad thing must be mended before a crisis, a warning soon.
const (
	Good Health = "good"
	Warn Health = "warn"
	Bad  Health = "bad"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	Name   string `json:"name"`
	Health Health `json:"health"`
	Text   string `json:"text"`           // what is so
	Todo   string `json:"todo,omitempty"` // what to do about it
}

// Checkup is the outcome. Score is the share of what is good, in percent.
type Checkup struct {
	At       time.Time `json:"at"`
	Score    int       `json:"score"`
	Findings []Finding `json:"findings"`
}

func (c *Checkup) add(name string, h Health, todo, format string, args ...any) {
	if h == Good {
		todo = ""
	}
	c.Findings = append(c.Findings, Finding{Name: name, Health: h, Text: fmt.Sprintf(format, args...), Todo: todo})
}

// grade turns two conditions into a grade.
func grade(bad, warn bool) Health {
	switch {
	case bad:
		return Bad
	case warn:
		return Warn
	}
	return Good
}

type doctorArgs struct {
	// Probe logs in to every mailbox. Without it, only how polling goes is told.
	Probe bool `json:"probe,omitempty"`
}

// doctor looks at everything that a room needs in a crisis. It changes nothing.
// What cannot be looked at is bad and does not keep it from the rest.
func doctor(ctx context.Context, r *Room, a doctorArgs) (Checkup, error) {
	c := Checkup{At: r.Now()}
	looks := []func(context.Context, *Checkup) error{
		r.lookDisk, r.lookGrowth, r.lookFiles, r.lookClock, r.lookTimeSource, r.lookCertificates, r.lookPeople, r.lookRules, r.lookSignals, r.lookAlarm,
		r.lookReach, r.lookLife, r.lookBackup, r.lookRestoreTest, r.lookCopy, r.lookUpgrade, r.lookWitness, r.lookKeys, r.lookMail, r.lookAnswers, r.lookDrivers,
	}
	if a.Probe {
		looks = append(looks, r.lookProbes)
	}
	for i, look := range looks {
		if err := look(ctx, &c); err != nil && ctx.Err() != nil {
			return c, err
		} else if err != nil {
			c.add(fmt.Sprintf("Prüfung %d", i+1), Bad, "Den Fehler beheben, dann erneut prüfen.", "%v", err)
		}
	}
	good := 0
	for _, f := range c.Findings {
		if f.Health == Good {
			good++
		}
	}
	c.Score = 100 * good / len(c.Findings)
	return c, nil
}

func (r *Room) lookDisk(_ context.Context, c *Checkup) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(r.opt.Data, &s); err != nil {
		return fmt.Errorf("looking at the disk: %w", err)
	}
	free := s.Bavail * uint64(s.Bsize)
	share := 100 * float64(s.Bavail) / float64(max(1, s.Blocks))
	c.add("Festplatte", grade(free < uint64(r.opt.Limits.DiskFree)/10, free < uint64(r.opt.Limits.DiskFree) || share < 5), "Platz schaffen oder das Datenverzeichnis auf einen größeren Datenträger legen.",
		"%s GB frei (%.0f %%)", comma(float64(free)/1e9), share)
	return nil
}

// comma is a number with one decimal, as German texts write it.
func comma(x float64) string { return strings.Replace(strconv.FormatFloat(x, 'f', 1, 64), ".", ",", 1) }

// when is a time as people on duty read it, by German clocks.
func when(t time.Time) string { return t.In(berlin()).Format("02.01.2006 15:04:05 MST") }

func (r *Room) lookFiles(_ context.Context, c *Checkup) error {
	needed := []string{".", "ledger.key", "index.key", masterFile, settingsFile}
	older := OlderFiles(r.opt.Data)
	if len(older) > 0 {
		c.add("Konfiguration", Warn, "Nach "+ConfigFile+" übertragen (leitstand config example zeigt die Schlüssel), dann die Datei entfernen.", "veraltet: %s", strings.Join(older, ", "))
	}
	for i, name := range slices.Concat(needed, []string{ConfigFile, containment.DriversFile, "secrets"}, older) {
		info, err := os.Stat(filepath.Join(r.opt.Data, name))
		if errors.Is(err, os.ErrNotExist) && i >= len(needed) {
			continue // a room may do without
		}
		if errors.Is(err, os.ErrNotExist) {
			c.add(fileName(name), Bad, "Aus der Sicherung oder Hinterlegung holen; ohne sie öffnet der Raum nach einem Neustart nicht.", "fehlt")
			continue
		}
		if err != nil {
			return fmt.Errorf("looking at %q: %w", name, err)
		}
		open := info.Mode().Perm()&0o077 != 0
		c.add(fileName(name), grade(open, false), "Rechte auf den Eigentümer beschränken: chmod go= "+filepath.Join(r.opt.Data, name),
			"%s (%s)", map[bool]string{true: "auch andere dürfen hinein", false: "nur der Eigentümer darf hinein"}[open], info.Mode().Perm())
	}
	return nil
}

func fileName(name string) string {
	if name == "." {
		return "Datenverzeichnis"
	}
	return "Datei " + name
}

func (r *Room) lookPeople(ctx context.Context, c *Checkup) error {
	people, err := access.List(ctx, r.Store)
	if err != nil {
		return err
	}
	deputies, err := access.Deputies(ctx, r.Store)
	if err != nil {
		return err
	}
	for _, role := range []access.Role{access.CrisisLead, access.Operator, access.Examiner, access.PaymentReleaser, access.Press} {
		r.lookRole(c, role, people, deputies)
	}
	without := 0
	for _, k := range r.Catalogue.Kassen {
		found := false
		for _, p := range people {
			found = found || p.Has(access.KasseDelegate) && p.Kasse == k.ID
		}
		if !found {
			without++
		}
	}
	c.add("Vertretungen der Kassen", grade(false, without > 0), "Für jede Kasse eine Vertretung benennen (ohne sie kann sie nichts abnehmen): leitstand person put KENNUNG NAME --role kasse_delegate --kasse IK --as PERSON",
		"%d von %d Kassen ohne Vertretung", without, len(r.Catalogue.Kassen))
	return nil
}

// lookRole counts who has a role, and who of them has nobody to stand in.
func (r *Room) lookRole(c *Checkup, role access.Role, people []access.Person, deputies []access.Deputy) {
	n, without := 0, 0
	for _, p := range people {
		if !p.Active || !p.Has(role) {
			continue
		}
		n++
		if !slices.ContainsFunc(deputies, func(d access.Deputy) bool {
			return d.Person == p.ID && d.State != access.Ended && slices.Contains(d.Roles, role)
		}) {
			without++
		}
	}
	c.add("Rolle "+role.Word(), grade(n == 0, n < r.opt.Limits.PeoplePerRole), "Weitere Person benennen: leitstand person put KENNUNG NAME --role "+string(role)+" --as PERSON", "%s", catalogue.Counted(n, "1 Person", "%s Personen"))
	c.add("Vertretung "+role.Word(), grade(false, without > 0 && n < 2*r.opt.Limits.PeoplePerRole),
		"Vertretung vorher benennen: leitstand person deputy name PERSON VERTRETUNG --role "+string(role)+" --reason … --as PERSON", "für %d von %s benannt", n-without, catalogue.Counted(n, "1 Person", "%s Personen"))
}

func (r *Room) lookRules(_ context.Context, c *Checkup) error {
	state := r.Operation.Current()
	broken := operation.CheckInvariants(state, c.At)
	c.add("Sieben Regeln", grade(len(broken) > 0, false), "leitstand ledger verify --state ausführen und das Datenverzeichnis als Beweis sichern.", "%d Verletzungen", len(broken))
	unknown := 0
	for _, cell := range operation.Cells(state, c.At) {
		if cell.Unknown {
			unknown++
		}
	}
	c.add("Bestätigte Zustände", grade(false, unknown > 0), "Nachsehen, ob es so ist, dann bestätigen: leitstand state confirm STELLE … --as PERSON", "%d Zellen unbekannt (Bestätigung zu alt)", unknown)
	return nil
}

func (r *Room) lookSignals(ctx context.Context, c *Checkup) error {
	all, err := warning.List(ctx, r.Store)
	if err != nil {
		return err
	}
	open, late := 0, 0
	for _, s := range all {
		if s.State == warning.Open {
			open++
			if s.Escalated > 0 {
				late++
			}
		}
	}
	c.add("Signale", grade(late > 0, open > 0), "Entscheiden: leitstand signal list", "%d offen, davon %d über der Frist", open, late)
	return nil
}

// lookBackup reads when the last backup was made.
func (r *Room) lookBackup(ctx context.Context, c *Checkup) error {
	last, err := ledger.About(ctx, r.Store, "backup", 1)
	if err != nil {
		return err
	}
	if len(last) == 0 {
		c.add("Sicherung", Bad, "leitstand backup VERZEICHNIS --as PERSON, und die Rückspielung proben.", "noch keine")
		return nil
	}
	age := c.At.Sub(last[0].At)
	c.add("Sicherung", grade(age > 7*r.opt.Limits.Backup, age > r.opt.Limits.Backup), "leitstand backup VERZEICHNIS --as PERSON", "zuletzt %s", when(last[0].At))
	return nil
}

func (r *Room) lookKeys(ctx context.Context, c *Checkup) error {
	s, err := keyStatus(ctx, r, none{})
	if err != nil {
		return err
	}
	how := "eine Passphrase öffnet ihn"
	if s.Shared > 0 {
		how = fmt.Sprintf("%d von %d Personen öffnen ihn zusammen", s.Shared, len(s.Holders))
	}
	c.add("Schlüssel", grade(false, s.Locked), "Entsperren, sobald übergeben werden soll: leitstand keys unlock, oder --passphrase-file beim Start. Annehmen geht auch gesperrt.",
		"%s, %s", map[bool]string{true: "gesperrt", false: "entsperrt"}[s.Locked], how)
	const paper = "Anteile drucken und getrennt verwahren: leitstand keys escrow VERZEICHNIS --as PERSON --second PERSON"
	switch {
	case s.Escrow.IsZero():
		c.add("Hinterlegung", Warn, paper, "keine: geht die Passphrase verloren, ist alles Angenommene verloren")
	default:
		c.add("Hinterlegung", grade(false, s.OldShare), paper, "zuletzt %s%s", s.Escrow.Format(time.DateOnly),
			map[bool]string{true: ", älter als der Schlüssel des Buchs", false: ""}[s.OldShare])
	}
	return nil
}

func (r *Room) lookMail(ctx context.Context, c *Checkup) error {
	if r.Intake == nil {
		c.add("Postfächer", Warn, "Postfächer unter mail in "+ConfigFile+" eintragen (leitstand init führt hin): sonst kann die eAU-Annahme nicht in den Notbetrieb.", "keine eingerichtet")
		return nil
	}
	all, err := sickNoteStatus(ctx, r, none{})
	if err != nil {
		return err
	}
	boxes, failing, overdue := 0, 0, int64(0)
	for _, s := range all {
		overdue += s.Overdue
		for _, b := range s.Mailboxes {
			boxes++
			if b.Failures > 0 {
				failing++
			}
		}
	}
	c.add("Postfächer", grade(failing > 0, boxes < len(r.Catalogue.Kassen)), "leitstand sicknote status zeigt den Grund; fehlende unter mail in "+ConfigFile+" eintragen, für jede Kasse eines.", "%d eingerichtet, %d gestört", boxes, failing)
	c.add("Zurückgelegtes", grade(overdue > 0, false), "Ansehen und entscheiden: leitstand sicknote list IK --class held", "%d über der Frist", overdue)
	return nil
}
