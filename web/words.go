package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/forensics"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/warning"
)

// moment is a time as people read it: absolute with its zone, and relative.
type moment struct {
	ISO, Abs, Short, Rel string
	Clock, Day, Zone     string // the parts of Abs
}

// What parts of pages need that several pages share.
type (
	whoField struct {
		Actor actor
		ID    string // makes the field's id unique on the page
	}
	reasonField struct {
		ID, Label string
		Needed    bool
	}
	changePart struct {
		Word string
		Of   []notice.Change
	}
	deadlinePart struct {
		Word string
		Of   []deadline
	}
	navItem struct {
		Link, Word string
		Here       bool
	}
)

// menuItem is an entry of a menu; it is marked on its page and those below it.
func menuItem(path, link, word string) navItem {
	path, _, _ = strings.Cut(path, "?")
	return navItem{link, word, path == link || link != "/" && link != "/oeffentlich" && strings.HasPrefix(path, link+"/")}
}

// shorten cuts a summary for the wall, at a word.
func shorten(s string) string {
	const most = 70
	r := []rune(s)
	if len(r) <= most {
		return string(r)
	}
	cut := string(r[:most])
	if i := strings.LastIndexByte(cut, ' '); i > most/2 {
		cut = cut[:i]
	}
	return cut + " …"
}

var (
	weekdays = [...]string{"So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"}
	zones    = map[string]string{"CET": "MEZ", "CEST": "MESZ"}
)

// functions are what templates may call.
func (s *server) functions() template.FuncMap {
	return template.FuncMap{
		"wann":       func(t time.Time) moment { return s.moment(t, s.room.Now()) },
		"zahl":       number[int],
		"zahl64":     number[int64],
		"komma":      decimal,
		"stunden":    func(v float64) string { return number(int(math.Round(v))) },
		"mehr":       moreOrLess,
		"ergebnis":   resultWord,
		"plus":       func(a, b int) int { return a + b },
		"person":     s.personName,
		"kassenname": func(id any) string { return s.kasseName(catalogue.KasseID(fmt.Sprint(id))) },
		"ort":        s.siteName,
		"dienstname": func(id catalogue.ServiceID) string { return s.serviceName(id) },
		"prozent":    func(share float64) float64 { return 100 * share },
		"stelle":     func(id any) string { return s.nodeName(fmt.Sprint(id)) },
		"rolle":      access.Role.Word,
		"grad":       gradeWord,
		"gewissheit": certaintyWord,
		"signal":     signalWord,
		"stufe":      levelWord,
		"massnahme":  measureWord,
		"pruefung":   checkWord,
		"liste":      listWord,
		"umfangsart": scopeWord,
		"freigabe":   clearanceWord,
		"gesundheit": healthWord,
		"sprung":     s.jumpWords,
		"verhalten":  behaviourWord,
		"gruppe":     audienceWord,
		"vorn":       func(v string) string { return firstPart(s.summaryText(v)) },
		"kurz":       shorten,
		"punkt":      menuItem,
		"wer":        func(a actor, id string) whoField { return whoField{a, id} },
		"grund":      func(id, label string, needed bool) reasonField { return reasonField{id, label, needed} },
		"fristen":    func(word string, of []deadline) deadlinePart { return deadlinePart{word, of} },
		"aenderung":  func(word string, of []notice.Change) changePart { return changePart{word, of} },
		"art":        kindWord,
		"schritt":    stepLink,
		"tat":        func(p *stepView, act string) stepForm { return p.form(act) },
	}
}

// moment puts a time into words. The zero time gives an empty one.
func (s *server) moment(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	l := t.In(s.zone)
	zone, _ := l.Zone()
	if z, ok := zones[zone]; ok {
		zone = z
	}
	short := l.Format("15:04")
	if l.Format(time.DateOnly) != now.In(s.zone).Format(time.DateOnly) {
		short = weekdays[l.Weekday()] + l.Format(" 02.01. 15:04")
	}
	return moment{
		ISO: t.UTC().Format(time.RFC3339), Abs: weekdays[l.Weekday()] + l.Format(" 02.01.2006, 15:04 ") + zone, Short: short,
		Rel:   relative(t.Sub(now)),
		Clock: l.Format("15:04"), Day: weekdays[l.Weekday()] + l.Format(" 02.01.2006"), Zone: zone,
	}
}

// relative says how far away something is, in at most two units.
func relative(d time.Duration) string {
	abs := d.Abs()
	switch {
	case abs < time.Minute:
		return "jetzt"
	case d < 0:
		return "vor " + span(abs)
	}
	return "in " + span(abs)
}

// span is a length of time in at most two units.
func span(d time.Duration) string {
	d = d.Round(time.Minute)
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days >= 3:
		return fmt.Sprintf("%d Tagen", days)
	case days > 0:
		return fmt.Sprintf("%d h", days*24+hours)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%d h", hours)
	}
	return fmt.Sprintf("%d min", minutes)
}

// number groups thousands as German does.
func number[T ~int | ~int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "." + digits[i:]
	}
	return sign + digits
}

// moreOrLess writes a difference in whole units with its sign.
func moreOrLess(v float64) string {
	switch n := int(math.Round(v)); {
	case n > 0:
		return "+" + number(n)
	case n < 0:
		return "−" + number(-n)
	}
	return "±0"
}

// decimal writes a number with so many digits behind the comma.
func decimal(digits int, v float64) string {
	return strings.ReplaceAll(strconv.FormatFloat(v, 'f', digits, 64), ".", ",")
}

func (s *server) kasseName(id catalogue.KasseID) string {
	if k, ok := s.room.Catalogue.Kasse(id); ok {
		return k.Name
	}
	return string(id)
}

func (s *server) siteName(id catalogue.SiteID) string {
	if v, ok := s.room.Catalogue.Site(id); ok {
		return v.Name
	}
	return string(id)
}

func (s *server) serviceName(id catalogue.ServiceID) string {
	if v, ok := s.room.Catalogue.Service(id); ok {
		return v.Name
	}
	return string(id)
}

// nodeName is a placement, component, environment, Kasse, service or site in words.
func (s *server) nodeName(id string) string {
	c := s.room.Catalogue
	if k, d, at, ok := catalogue.PlacementID(id).Split(); ok {
		return s.kasseName(k) + ": " + s.serviceName(d) + " (" + s.siteName(at) + ")"
	}
	if v, ok := c.Component(catalogue.ComponentID(id)); ok {
		if site := s.siteName(v.Site); !strings.Contains(v.Name, site) {
			return v.Name + " (" + site + ")"
		}
		return v.Name
	}
	if k, at, ok := catalogue.EnvironmentID(id).Split(); ok {
		if _, known := c.Environment(catalogue.EnvironmentID(id)); known {
			return "Umgebung " + s.kasseName(k) + " (" + s.siteName(at) + ")"
		}
	}
	if v, ok := c.Kasse(catalogue.KasseID(id)); ok {
		return v.Name
	}
	if v, ok := c.Service(catalogue.ServiceID(id)); ok {
		return v.Name
	}
	return s.siteName(catalogue.SiteID(id))
}

func gradeWord(g incident.Grade) string {
	words := map[incident.Grade]string{incident.Stoerung: "Störung", incident.Notfall: "Notfall", incident.Krise: "Krise"}
	return orItself(words[g], g)
}

func certaintyWord(c incident.Certainty) string {
	words := map[incident.Certainty]string{incident.Proven: "✓ belegt", incident.Suspected: "? vermutet", incident.Refuted: "✕ widerlegt"}
	return orItself(words[c], c)
}

func signalWord(v warning.State) string {
	words := map[warning.State]string{
		warning.Open: "! offen", warning.Acknowledged: "◐ in Arbeit", warning.Dismissed: "– verworfen", warning.Attached: "✓ gehört zu einem Vorfall",
	}
	return orItself(words[v], v)
}

func levelWord(l string) string {
	words := map[string]string{"critical": "kritisch", "high": "hoch", "medium": "mittel", "low": "niedrig", "informational": "Hinweis"}
	return orItself(words[l], l)
}

func measureWord(v containment.State) string {
	words := map[containment.State]string{
		containment.Unconfirmed: "! wartet auf die zweite Person", containment.Ordered: "✓ von zwei Personen angeordnet", containment.Undone: "↶ zurückgenommen",
	}
	return orItself(words[v], v)
}

func checkWord(c forensics.Check) string {
	words := map[forensics.Check]string{
		forensics.Rebuilt: "neu aufgebaut", forensics.Cleaned: "untersucht und bereinigt", forensics.Untouched: "nachweislich unberührt",
	}
	return orItself(words[c], c)
}

func clearanceWord(v forensics.State) string {
	words := map[forensics.State]string{forensics.Granted: "✓ gültig", forensics.Warned: "! abgelaufen", forensics.Revoked: "✕ widerrufen"}
	return orItself(words[v], v)
}

func behaviourWord(b catalogue.Behaviour) string {
	switch b {
	case catalogue.Buffer:
		return "puffern"
	case catalogue.Notice:
		return "Hinweis geben"
	case catalogue.Refuse:
		return "mit Klartext abweisen"
	}
	return b.String()
}

func audienceWord(a notice.Audience) string {
	words := map[notice.Audience]string{
		notice.Public: "Versicherte und Öffentlichkeit", notice.Partners: "Praxen, Apotheken, Arbeitgeber", notice.Kassen: "Kassen", notice.Authorities: "Behörden",
	}
	return orItself(words[a], a)
}

func scopeWord(k forensics.ScopeKind) string {
	words := map[forensics.ScopeKind]string{
		forensics.Environment: "Kassenumgebung", forensics.Component: "gemeinsame Technik", forensics.Backup: "Sicherung", forensics.Realm: "Kennungsbereich",
	}
	return orItself(words[k], k)
}

func orItself[T ~string](word string, v T) string {
	if word == "" {
		return string(v)
	}
	return word
}
