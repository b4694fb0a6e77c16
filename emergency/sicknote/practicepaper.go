package sicknote

import (
	"fmt"
	"strings"
	"time"

	"leitstand/pure/paper"
)

// Sender is what stands on prints for practices.
type Sender struct {
	Kasse    string // name
	Phone    string // to call back
	Exercise bool
	Day      time.Time // in the zone that people read
}

func (s Sender) foot() string { return s.Kasse + " · Krankmeldungen im Notbetrieb" }

const dayAndHour = "02.01.2006 15:04"

// CallList is a form to work off by telephone: one box per practice.
func CallList(practices []Practice, s Sender) paper.Form {
	f := paper.Form{
		Title: "Anrufliste: zurückgelegte eAU", Exercise: s.Exercise, Foot: s.foot(),
		Facts: [][2]string{{"Kasse", s.Kasse}, {"Stand", s.Day.Format(dayAndHour)}, {"Praxen", fmt.Sprint(len(practices))}},
		Notes: []string{
			"Der KIM-Dienst hat den Praxen „zugestellt“ gemeldet: Von selbst senden sie nicht noch einmal.",
			"Bitte nur die Kennung des Dokuments nennen, keine versicherte Person: Die Praxis findet die eAU damit.",
		},
		Fields: []string{"Bearbeitet von", "Datum, Zeichen"},
	}
	for _, p := range practices {
		where := "ohne Telefonnummer, Brief senden"
		if p.Phone != "" {
			where = "Tel. " + p.Phone
		}
		lines := []string{fmt.Sprintf("%s, %s; Frist %s", p.title(), where, p.first().In(s.Day.Location()).Format(dayAndHour))}
		for _, it := range p.Items {
			lines = append(lines, it.line(s.Day.Location()))
		}
		f.Steps = append(f.Steps, strings.Join(lines, "\n"))
	}
	return f
}

func (p *Practice) title() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Mail != "":
		return p.Mail
	}
	return "Absender unbekannt"
}

func (it *PracticeItem) line(zone *time.Location) string {
	name := it.Document
	if name == "" {
		name = "ohne lesbares Dokument"
	}
	text := fmt.Sprintf("%s (%s), eingegangen %s: %s", name, it.Label, it.Received.In(zone).Format(dayAndHour), it.Reason)
	if it.Code != "" {
		text += " (Fehlercode " + it.Code + ")"
	}
	return text
}

// Letter tells a practice what became of its mails and what it can do.
func (p *Practice) Letter(s Sender) paper.Form {
	f := paper.Form{
		Title: "Ihre elektronischen Krankmeldungen (eAU)", Exercise: s.Exercise, Foot: s.foot(),
		Facts: [][2]string{{"An", p.title()}},
	}
	for i, line := range p.Address {
		name := ""
		if i == 0 {
			name = "Anschrift"
		}
		f.Facts = append(f.Facts, [2]string{name, line})
	}
	f.Facts = append(f.Facts, [2]string{"Von", s.Kasse}, [2]string{"Datum", s.Day.Format("02.01.2006")})
	f.Notes = append(f.Notes,
		"Sehr geehrte Damen und Herren,",
		"die folgenden Sendungen sind bei uns eingegangen, und Ihr System hat sie als zugestellt gemeldet. Wir konnten sie im Notbetrieb "+
			"nicht verarbeiten. Sie sind nicht zurückgewiesen und werden aufbewahrt:")
	faulty := false
	for _, it := range p.Items {
		f.Notes = append(f.Notes, "– "+it.line(s.Day.Location()))
		faulty = faulty || it.Code != ""
	}
	ask := "Bitte prüfen Sie diese Sendungen. Sie können sie noch einmal senden oder uns die Ausfertigung für die Krankenkasse auf Papier " +
		"schicken; was doppelt ankommt, erkennen wir."
	if faulty {
		ask += " Wo ein Fehlercode steht, erzeugen Sie die eAU bitte neu, bevor Sie sie senden."
	}
	f.Notes = append(f.Notes, ask)
	if s.Phone != "" {
		f.Notes = append(f.Notes, "Rückfragen: Tel. "+s.Phone+".")
	}
	f.Notes = append(f.Notes, "Mit freundlichen Grüßen", s.Kasse)
	return f
}
