package web

import (
	"errors"
	"net/http"
	"strings"

	"leitstand/access"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/room"
)

type toldPage struct {
	Last      notice.List
	Draft     *notice.List // nil: the published list says it already
	Notices   []notice.Notice
	Incidents []incident.Incident
	Blocks    []textBlock
	Start     textBlock // the form begins with it
	Actor     actor
}

// textBlock is a proven text to start from; what stands in brackets is to be filled in.
type textBlock struct {
	Key, Title, Text, Certainty string
	Audience                    notice.Audience
}

// textBlocks are the standard texts (continuity R17, R18, R21).
func textBlocks() []textBlock {
	return []textBlock{
		{
			"eau", "eAU bitte nicht erneut senden",
			"Elektronische Arbeitsunfähigkeitsbescheinigungen (eAU) an die betroffenen Krankenkassen werden angenommen und aufbewahrt. Bitte senden Sie eine eAU nur erneut, wenn Sie eine Fehlermeldung erhalten haben. Drucken Sie auf Wunsch die Papierfassung für die versicherte Person aus.",
			"Stand [Uhrzeit]: Annahme durch Probe bestätigt.", notice.Partners,
		},
		{
			"phishing", "Vorsicht vor gefälschten Nachrichten",
			"Kriminelle nutzen solche Störungen aus. Wir fragen nie per E-Mail, SMS oder Telefon nach Passwörtern, TANs oder Bankdaten. Bitte öffnen Sie keine Anhänge aus unerwarteten Nachrichten und wählen Sie nur Rufnummern, die auf dieser Seite oder auf Ihrer Gesundheitskarte stehen.",
			"Vorsorglicher Hinweis; uns liegt kein bestimmter Fall vor.", notice.Public,
		},
		{
			"abfluss", "Keine Hinweise auf abgeflossene Daten",
			"Bisher gibt es keine Hinweise darauf, dass Daten von Versicherten abgeflossen sind. Die Untersuchung läuft. Sollte sich das ändern, sagen wir es hier und informieren die Betroffenen.",
			"Stand [Datum, Uhrzeit]; die Untersuchung ist nicht abgeschlossen.", notice.Public,
		},
		{
			"leistung", "Dringende Leistungen",
			"Dringende medizinische Leistungen werden weiter erbracht. Für dringende Genehmigungen erreichen Sie Ihre Krankenkasse über die Notfallnummer [Rufnummer].",
			"Stand [Datum, Uhrzeit]: mit den genannten Kassen abgestimmt.", notice.Public,
		},
	}
}

// told shows what the public knows, what it does not know yet, and the forms to
// tell it.
func (s *server) told(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	page := toldPage{Blocks: textBlocks()}
	for _, b := range page.Blocks {
		if b.Key == r.URL.Query().Get("baustein") {
			page.Start = b
		}
	}
	var err error
	if page.Last, err = notice.Newest(ctx, s.room.Store); err != nil {
		return err
	}
	draft, err := s.room.ListDraft(ctx, "Vergleich")
	switch {
	case err == nil:
		page.Draft = &draft
	case !errors.Is(err, notice.ErrNoChange):
		return err
	}
	if page.Notices, err = notice.Notices(ctx, s.room.Store); err != nil {
		return err
	}
	if page.Incidents, err = incident.List(ctx, s.room.Store); err != nil {
		return err
	}
	if page.Actor, err = s.actors(r, access.Press, access.CrisisLead); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "mitteilungen", page)
}

// publishList asks a second person to publish the next version of the list.
func (s *server) publishList(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte den Grund der neuen Fassung angeben; er wird mit veröffentlicht.")
	if err != nil {
		return err
	}
	return s.asked(w, r, person, "list.publish", map[string]string{"reason": reason})
}

// releaseNotice asks a second person to release a statement.
func (s *server) releaseNotice(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	n := notice.Notice{Incident: r.PostForm.Get("vorfall"), Audience: notice.Audience(r.PostForm.Get("gruppe"))}
	for _, f := range []struct {
		to              *string
		name, otherwise string
	}{
		{&n.Title, "titel", "Bitte eine Überschrift angeben."},
		{&n.Text, "text", "Bitte den Text der Mitteilung angeben."},
		{&n.Certainty, "stand", "Bitte den Erkenntnisstand angeben: was weiß man, seit wann."},
	} {
		if *f.to, err = needed(r, f.name, f.otherwise); err != nil {
			return err
		}
		if strings.Contains(*f.to, "[") {
			return &failure{status: http.StatusUnprocessableEntity, text: "Im Text steht noch ein Platzhalter in eckigen Klammern. Bitte ausfüllen oder streichen."}
		}
	}
	return s.asked(w, r, person, "notice.release", n)
}

// asked requests consent and shows the request.
func (s *server) asked(w http.ResponseWriter, r *http.Request, person, act string, args any) error {
	c, err := room.Do[access.Consent](r.Context(), s.room, person, act, args)
	if err != nil {
		return err
	}
	return seeOther(w, r, "/entscheidungen/"+c.ID)
}
