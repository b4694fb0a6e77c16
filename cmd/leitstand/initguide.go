package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/room"
	"leitstand/warning"
)

// guide leads through the set-up. What is confirmed is durable: whoever stops
// half-way goes on with a second run, which asks for what is missing and changes
// nothing unasked.
func (c *initCmd) guide(a *app) error {
	q := newAsker(a)
	q.say("Einrichtung eines Raums in %s.\nEnter nimmt den Vorschlag in [Klammern]. Strg-C hört auf; was bestätigt ist, bleibt, und ein zweiter Aufruf setzt fort.", c.Data)
	if !room.Exists(c.Data) {
		if err := c.guideRoom(a, q); err != nil {
			return err
		}
	} else if err := c.sayRoom(a, q); err != nil {
		return err
	}
	for _, step := range []func(*app, *asker) error{c.guidePeople, c.guideMail, c.guideAlarm} {
		if err := step(a, q); err != nil {
			return err
		}
	}
	q.say("\nFertig. Was noch zu tun ist (Sicherung, Schlüssel auf Papier, Zeuge, Vertretungen), sagt:\n  leitstand doctor --data %s\nDas Handbuch für die Nacht, zweimal drucken:\n  leitstand manual\nWeiter mit:\n  leitstand serve --data %s", c.Data, c.Data)
	return nil
}

// sayRoom says what is there already.
func (c *initCmd) sayRoom(a *app, q *asker) error {
	people, err := c.people(a)
	if err != nil {
		return err
	}
	q.say("Hier ist schon ein Raum mit %d Personen. Nichts davon wird entfernt.", len(people))
	return nil
}

// guideRoom asks for what a room cannot begin without, and makes it.
func (c *initCmd) guideRoom(a *app, q *asker) error {
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	q.say("\n1. Der Raum")
	if c.Name, err = q.line("Name", c.Name); err != nil {
		return err
	}
	if !c.Example && c.Catalogue == "" {
		if c.Example, err = q.yes("Nur zum Üben, mit erfundenen Kassen, für immer als ÜBUNG gekennzeichnet?", false); err != nil {
			return err
		}
	}
	if c.Example {
		s, err := c.setup(opt)
		if err != nil {
			return err
		}
		return c.make(a, opt, s)
	}
	s := room.Setup{Name: c.Name, Passphrase: opt.Passphrase}
	if s.Catalogue, err = c.guideCatalogue(q); err != nil {
		return err
	}
	if len(s.Passphrase) == 0 {
		if s.Passphrase, err = guidePassphrase(q); err != nil {
			return err
		}
	}
	if s.People, err = c.guideFirst(q, s.Catalogue); err != nil {
		return err
	}
	s.Owner = s.People[0].ID
	return c.make(a, opt, s)
}

func (c *initCmd) guideCatalogue(q *asker) (*catalogue.Catalogue, error) {
	q.say("\n2. Der Katalog: Kassen, Dienste, Standorte und worauf sie ruhen (CSV oder YAML, Datei oder Verzeichnis).\n   Ein Muster zum Ausfüllen: leitstand catalogue export --example --to muster")
	var cat *catalogue.Catalogue
	read := func(path string) (err error) {
		if path == "" {
			return errors.New("ein Raum braucht einen Katalog")
		}
		if cat, err = importCatalogue(path); err == nil {
			err = cat.Validate()
		}
		return err
	}
	var err error
	if c.Catalogue != "" {
		err = read(c.Catalogue)
	} else {
		_, err = q.valid("Datei oder Verzeichnis", "", read)
	}
	if err == nil {
		q.say("   gelesen: %d Kassen, %d Dienste, %d Stellen", len(cat.Kassen), len(cat.Services), len(cat.Placements))
	}
	return cat, err
}

// minPassphrase is the fewest characters of a passphrase that a person makes up.
const minPassphrase = 16

func guidePassphrase(q *asker) ([]byte, error) {
	q.say("\n3. Die Passphrase verschließt die Schlüssel aller Notbetriebsbücher. Sie liegt nirgends: ohne sie bleibt verschlossen,\n   was angenommen wurde. Auf Papier, in zwei Umschläge, an zwei Orte.")
	if q.tty != nil {
		own, err := q.yes("Soll eine erzeugt werden?", true)
		if err != nil {
			return nil, err
		}
		if own {
			made := strings.Join(slices.Collect(chunks(rand.Text()[:24], 4)), "-")
			q.say("\n      %s\n", made)
			_, err := q.valid("Aufschreiben, dann zur Probe abtippen", "", func(s string) error {
				if !strings.EqualFold(s, made) {
					return errors.New("das ist sie nicht")
				}
				return nil
			})
			if err == nil {
				q.wipe() // who comes by later must not read it
				q.say("   Richtig. Der Bildschirm ist geleert.")
			}
			return []byte(made), err
		}
	}
	for {
		first, err := q.secret(fmt.Sprintf("Passphrase, mindestens %d Zeichen", minPassphrase))
		if err != nil {
			return nil, err
		}
		again, err := q.secret("Noch einmal")
		if err != nil {
			return nil, err
		}
		var bad error
		switch {
		case len([]rune(first)) < minPassphrase:
			bad = fmt.Errorf("die Passphrase hat weniger als %d Zeichen", minPassphrase)
		case first != again:
			bad = errors.New("die beiden Eingaben sind verschieden")
		default:
			return []byte(first), nil
		}
		if q.tty == nil {
			return nil, bad
		}
		q.say("   %v", bad)
	}
}

func chunks(s string, n int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > 0 && yield(s[:min(n, len(s))]) {
			s = s[min(n, len(s)):]
		}
	}
}

// guideFirst asks for the first two people: the crisis lead and one more.
func (c *initCmd) guideFirst(q *asker, cat *catalogue.Catalogue) ([]access.Person, error) {
	q.say("\n4. Die Personen. Ohne zwei gibt es keinen Raum: nichts von Gewicht geschieht allein.")
	if c.People != "" {
		return readPeople(c.People)
	}
	q.say("   Zuerst jemand mit der Rolle Leitung des Stabs, dann eine zweite Person; weitere folgen gleich.")
	var out []access.Person
	var kassen []string
	for _, k := range cat.Kassen {
		kassen = append(kassen, string(k.ID))
	}
	sayRoles(q)
	for len(out) < 2 {
		var need access.Role
		if len(out) == 0 {
			need = access.CrisisLead
		}
		p, err := guidePerson(q, kassen, out, need)
		if err != nil {
			return nil, err
		}
		if p.ID == "" {
			bad := errors.New("zwei Personen sind das Mindeste")
			if q.tty == nil {
				return nil, bad
			}
			q.say("   %v", bad)
			continue
		}
		out = append(out, p)
	}
	return out, nil
}

// sayRoles lists the roles with their numbers.
func sayRoles(q *asker) {
	var b strings.Builder
	for i, r := range roleNames {
		fmt.Fprintf(&b, "   %d %s", i+1, r.name)
		if i == 3 {
			b.WriteString("\n")
		}
	}
	q.say("%s", b.String())
}

// roleNames are the roles as people call them, in the order in which they are asked.
var roleNames = [...]struct {
	role access.Role
	name string
}{
	{access.CrisisLead, "Leitung des Stabs"},
	{access.Operator, "Betrieb"},
	{access.Examiner, "Forensik"},
	{access.KasseDelegate, "Vertretung einer Kasse"},
	{access.PaymentReleaser, "Zahlungsfreigabe"},
	{access.Press, "Öffentlichkeitsarbeit"},
	{access.Auditor, "Revision"},
}

// guidePerson asks for one person; without an id there is none. need is a role
// that the person must have, or "".
func guidePerson(q *asker, kassen []string, have []access.Person, need access.Role) (access.Person, error) {
	p := access.Person{Active: true}
	var err error
	p.ID, err = q.optionalValid("Kennung der nächsten Person, etwa anna.b", func(s string) error {
		if access.CheckID(s) != nil {
			return errors.New("2 bis 40 Zeichen: kleine Buchstaben ohne Umlaute, Ziffern, Punkt, Strich; vorn ein Buchstabe")
		}
		return nil
	})
	if err != nil || p.ID == "" {
		return p, err
	}
	for _, h := range have {
		if h.ID == p.ID {
			p = h
			q.say("   %s ist schon eingetragen und wird geändert.", h.ID)
		}
	}
	if p.Name, err = q.valid("Name", p.Name, notEmpty); err != nil {
		return p, err
	}
	_, err = q.valid("Rollen (Nummern, mehrere mit Komma)", "", func(s string) (err error) {
		if p.Roles, err = rolesOf(s); err == nil && need != "" && !p.Has(need) {
			err = errors.New("die erste Person braucht die Rolle Leitung des Stabs (1), damit sie weitere eintragen kann")
		}
		return err
	})
	if err != nil {
		return p, err
	}
	if p.Has(access.KasseDelegate) {
		_, err = q.valid("IK der Kasse", string(p.Kasse), func(s string) error {
			p.Kasse = catalogue.KasseID(s)
			return inCatalogue(kassen, s)
		})
	}
	if err == nil {
		err = p.Check()
	}
	return p, err
}

func inCatalogue(kassen []string, ik string) error {
	if !slices.Contains(kassen, ik) {
		return fmt.Errorf("die Kasse %q steht nicht im Katalog", ik)
	}
	return nil
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("das fehlt noch")
	}
	return nil
}

func rolesOf(s string) ([]access.Role, error) {
	var out []access.Role
	for f := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(f)
		if err == nil && n >= 1 && n <= len(roleNames) {
			out = append(out, roleNames[n-1].role)
			continue
		}
		if !slices.Contains(access.Roles(), access.Role(f)) {
			return nil, fmt.Errorf("%q ist keine Rolle: Nummern von 1 bis %d", f, len(roleNames))
		}
		out = append(out, access.Role(f))
	}
	if len(out) == 0 {
		return nil, errors.New("mindestens eine Rolle")
	}
	return out, nil
}

// guidePeople adds people until Enter, each at once, and says which roles nobody has.
func (c *initCmd) guidePeople(a *app, q *asker) error {
	people, err := c.people(a)
	if err != nil {
		return err
	}
	kassen, err := c.kassen(a)
	if err != nil {
		return err
	}
	q.say("\nWeitere Personen (im Raum: %d)", len(people))
	sayRoles(q)
	for {
		p, err := guidePerson(q, kassen, people, "")
		if err != nil {
			return err
		}
		if p.ID == "" {
			break
		}
		if err := c.put(a, p); err != nil {
			return err
		}
		people = append(slices.DeleteFunc(people, func(h access.Person) bool { return h.ID == p.ID }), p)
	}
	var thin []string
	for _, r := range roleNames {
		n := 0
		for _, p := range people {
			if p.Active && p.Has(r.role) {
				n++
			}
		}
		if n < 2 && r.role != access.KasseDelegate {
			thin = append(thin, fmt.Sprintf("%s (%d)", r.name, n))
		}
	}
	if len(thin) > 0 {
		q.say("   Hinweis: zwei sind das Mindeste für Tag und Nacht; noch fehlt jemand bei:\n   %s.", strings.Join(thin, ", "))
	}
	return nil
}

// guideMail adds mailboxes until Enter and probes them.
func (c *initCmd) guideMail(a *app, q *asker) error {
	q.say("\n5. Postfächer der eAU-Annahme im Notbetrieb. Viele auf einmal:\n   leitstand init --data %s --mailboxes LISTE.csv", c.Data)
	if c.Mailboxes != "" {
		boxes, err := readMailboxes(c.Mailboxes)
		if err == nil {
			err = c.addMailboxes(a, boxes)
		}
		if err != nil {
			return err
		}
	}
	kassen, err := c.kassen(a)
	if err != nil {
		return err
	}
	for {
		kasse, err := q.optionalValid("IK der Kasse mit dem nächsten Postfach", func(s string) error { return inCatalogue(kassen, s) })
		if err != nil {
			return err
		}
		if kasse == "" {
			break
		}
		m, err := c.guideMailbox(a, q, kasse)
		if err != nil {
			return err
		}
		if err := c.addMailboxes(a, []mailboxConfig{m}); err != nil {
			return err
		}
	}
	return c.guideProbe(a, q)
}

func (c *initCmd) guideMailbox(a *app, q *asker, kasse string) (m mailboxConfig, err error) {
	m.Kasse = kasse
	known, err := c.placements(a)
	if err != nil {
		return m, err
	}
	known = slices.DeleteFunc(known, func(p string) bool { return !strings.HasPrefix(p, kasse+"/") })
	proposal := kasse + "/eau/"
	if i := slices.IndexFunc(known, func(p string) bool { return strings.HasPrefix(p, proposal) }); i >= 0 {
		proposal = known[i]
	}
	ask := func(to *string, question, proposal string, check func(string) error) {
		if err == nil {
			*to, err = q.valid(question, proposal, check)
		}
	}
	ask(&m.Placement, "Stelle (Kasse/Dienst/Standort)", proposal, func(s string) error {
		if !slices.Contains(known, s) {
			return fmt.Errorf("die Kasse %s hat keine solche Stelle; alle zeigt leitstand door list", kasse)
		}
		return nil
	})
	ask(&m.Address, "Mailadresse", "", notEmpty)
	ask(&m.POP3, "POP3-Server (Name:Port)", "", nameAndPort)
	ask(&m.Security, "Verschlüsselung (tls, stls, plain)", "tls", func(s string) error {
		if !slices.Contains([]string{"tls", "stls", "plain"}, s) {
			return errors.New("tls, stls oder plain")
		}
		if s == "plain" && loopback(m.POP3) != nil {
			return errors.New("plain geht nur zum eigenen Rechner")
		}
		return nil
	})
	ask(&m.User, "Konto", m.Address, notEmpty)
	if err != nil {
		return m, err
	}
	password, err := q.secret("Passwort")
	if err != nil {
		return m, err
	}
	m.PasswordFile = filepath.Join("secrets", kasse+".pop3")
	file := filepath.Join(filepath.Dir(c.configFile()), m.PasswordFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return m, fmt.Errorf("keeping the password: %w", err)
	}
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return m, fmt.Errorf("keeping the password: %w", err)
	}
	m.SMTP, err = q.optionalValid("SMTP-Server für Antworten (Name:Port)", nameAndPort)
	return m, err
}

func nameAndPort(s string) error {
	if hostPort(s) != nil {
		return errors.New("Name und Port werden erwartet, etwa kim.example:995")
	}
	return nil
}

// kassen are the IK of all Kassen of the room.
func (c *initCmd) kassen(a *app) ([]string, error) {
	placements, err := c.placements(a)
	out := make([]string, len(placements))
	for i, p := range placements {
		out[i], _, _ = strings.Cut(p, "/")
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

func (c *initCmd) guideProbe(a *app, q *asker) error {
	conf, err := c.config()
	if err != nil || len(conf.Mail.Mailboxes) == 0 {
		return err
	}
	yes, err := q.yes("Postfächer jetzt erproben? Es wird nichts gelöscht und nichts übernommen.", true)
	if err != nil || !yes {
		return err
	}
	err = (&sicknoteProbeCmd{roomFlags: c.roomFlags}).Run(a)
	if err != nil { // the set-up goes on: doctor asks again
		q.say("   Noch nicht alle Postfächer sind zu gebrauchen. Die Einrichtung geht weiter; erneut: leitstand sicknote probe --data %s", c.Data)
	}
	return nil
}

// guideAlarm tries the way from an alarm to a person.
func (c *initCmd) guideAlarm(a *app, q *asker) error {
	q.say("\n6. Probealarm: erscheint auf der Lage und unter Signale, deutlich als Probe; jemand quittiert ihn.")
	if !c.TestAlarm {
		yes, err := q.yes("Jetzt auslösen?", true)
		if err != nil || !yes {
			return err
		}
	}
	return c.alarm(a)
}

// sayAlarm says how a test alarm is answered.
func sayAlarm(a *app, raw json.RawMessage) error {
	var s warning.Signal
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Probealarm %s ausgelöst, Frist %s. Quittieren:\n  leitstand signal acknowledge %s --as %s\n", s.ID, local(s.Deadline), s.ID, s.Owner)
	return nil
}
