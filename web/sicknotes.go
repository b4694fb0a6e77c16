package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"
	"leitstand/room"
)

// sickNotesPage is one Kasse's intake: what waits for a person.
type sickNotesPage struct {
	Kasse    catalogue.KasseID
	Sum      sicknote.Status
	Held     []sicknote.Mail // the nearest deadline first
	More     bool
	Prepared room.Prepared
	Codes    []string // of prepared answers
	Types    []paperType
	Taken    string // number of the certificate that was just taken
	Actor    actor
	Releaser actor
}

type paperType struct {
	Value eau.AUType
	Word  string
}

// shownHeld is how many held mails one page shows.
const shownHeld = 200

// sickNotes shows what of a Kasse is held, the answers that wait for release, and
// the form for certificates on paper.
func (s *server) sickNotes(w http.ResponseWriter, r *http.Request) error {
	k := catalogue.KasseID(r.PathValue("kasse"))
	page := sickNotesPage{Kasse: k, Taken: r.URL.Query().Get("genommen"), Types: paperTypes()}
	if _, ok := s.room.Catalogue.Kasse(k); !ok {
		return &failure{status: http.StatusNotFound, text: "Diese Kasse steht nicht im Katalog."}
	}
	if s.room.Intake == nil {
		return &failure{status: http.StatusNotFound, text: "Der Raum ist mit keinem Postfach verbunden: Es werden keine eAU abgeholt."}
	}
	var err error
	if page.Sum, err = s.room.Intake.Status(r.Context(), k, s.room.Now()); err != nil {
		return err
	}
	held, err := room.Do[[]sicknote.Mail](r.Context(), s.room, "", "sicknote.list", map[string]any{"kasse": k, "class": sicknote.ClassHeld, "limit": 1000})
	if err != nil {
		return err
	}
	page.Held, page.More = nearest(held)
	if page.Prepared, err = room.Do[room.Prepared](r.Context(), s.room, "", "sicknote.prepared", map[string]any{"kasse": k}); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range page.Prepared.Answers {
		seen[a.Code] = true
	}
	page.Codes = sortedKeys(seen)
	if page.Actor, err = s.actors(r, access.Operator, access.KasseDelegate); err != nil {
		return err
	}
	if page.Releaser, err = s.actors(r, access.CrisisLead, access.KasseDelegate); err != nil {
		return err
	}
	page.Actor.People, page.Releaser.People = ofKasse(page.Actor.People, k), ofKasse(page.Releaser.People, k)
	return s.render(w, r, http.StatusOK, "krankmeldungen", page)
}

// ofKasse leaves the delegates of other Kassen out.
func ofKasse(people []access.Person, k catalogue.KasseID) []access.Person {
	var out []access.Person
	for _, p := range people {
		if p.Kasse == "" || p.Kasse == k {
			out = append(out, p)
		}
	}
	return out
}

func nearest(held []sicknote.Mail) (out []sicknote.Mail, more bool) {
	for _, m := range held {
		if m.State == emergency.Held {
			out = append(out, m)
		}
	}
	sortMails(out)
	if len(out) > shownHeld {
		return out[:shownHeld], true
	}
	return out, false
}

func paperTypes() []paperType {
	return []paperType{
		{eau.Erst, "Erstbescheinigung"},
		{eau.Folge, "Folgebescheinigung"},
		{eau.ErstEnd, "Erst- und Endbescheinigung"},
		{eau.FolgeEnd, "Folge- und Endbescheinigung"},
	}
}

// decideHeld lets a held mail pass or gives it another owner and deadline.
func (s *server) decideHeld(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte einen Grund angeben; er kommt ins Buch der Kasse.")
	if err != nil {
		return err
	}
	k := r.PathValue("kasse")
	args := map[string]any{"kasse": k, "number": r.PathValue("nummer"), "reason": reason}
	act := "sicknote.accept"
	if r.PostForm.Get("zuweisen") != "" {
		act = "sicknote.assign"
		if args["owner"], err = needed(r, "an", "Bitte wählen Sie, wer sich kümmert."); err != nil {
			return err
		}
		due, err := s.localTime(r.PostForm.Get("frist"))
		if err != nil {
			return err
		}
		if !due.After(s.room.Now()) {
			return &failure{status: http.StatusUnprocessableEntity, text: "Bitte eine Frist angeben, die in der Zukunft liegt."}
		}
		args["deadline"] = due
	} else if r.PostForm.Get("annehmen") == "" {
		return &failure{status: http.StatusUnprocessableEntity, text: "Bitte wählen Sie, was mit der Sendung geschieht."}
	}
	if _, err := s.act(r.Context(), person, act, args); err != nil {
		return heldFailure(err)
	}
	return seeOther(w, r, "/notbetrieb/eau/"+k)
}

func heldFailure(err error) error {
	switch {
	case errors.Is(err, sicknote.ErrNotHeld):
		return &failure{status: http.StatusConflict, text: "Diese Sendung ist nicht mehr zurückgelegt: Jemand hat schon entschieden."}
	case errors.Is(err, emergency.ErrIllegal):
		return &failure{status: http.StatusConflict, text: "In dieser Sendung ist keine Krankmeldung, die angenommen werden könnte."}
	}
	return err
}

// releaseAnswers asks a second person to let prepared error messages go.
func (s *server) releaseAnswers(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte einen Grund angeben.")
	if err != nil {
		return err
	}
	c, err := room.Do[access.Consent](r.Context(), s.room, person, "sicknote.release",
		map[string]any{"kasse": r.PathValue("kasse"), "code": r.PostForm.Get("code"), "reason": reason})
	if err != nil {
		return err
	}
	return seeOther(w, r, "/entscheidungen/"+c.ID)
}

// takePaper takes a certificate that was scanned or typed in.
func (s *server) takePaper(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	k := r.PathValue("kasse")
	args := map[string]any{"kasse": k, "reason": "Posteingang"}
	if scan := r.PostForm.Get("barcode"); strings.TrimSpace(scan) != "" {
		args["scanned"] = []byte(strings.Trim(scan, "\r\n"))
	} else {
		p, err := typedPaper(r)
		if err != nil {
			return err
		}
		args["typed"] = p
	}
	return s.paperTaken(w, r, person, args)
}

// paperTaken hands certificates on paper to the room and says under which numbers they are kept.
func (s *server) paperTaken(w http.ResponseWriter, r *http.Request, person string, args map[string]any) error {
	taken, err := s.act(r.Context(), person, "sicknote.paper", args)
	if errors.Is(err, sicknote.ErrPaper) && args["image"] == nil {
		return &failure{status: http.StatusUnprocessableEntity, text: "Das ist keine vollständige Bescheinigung: " + strings.TrimSuffix(err.Error(), ": "+sicknote.ErrPaper.Error())}
	}
	if err != nil {
		return imageFailure(err)
	}
	mails, ok := taken.([]sicknote.Mail)
	if !ok || len(mails) == 0 {
		return errors.New("taking paper gave no item")
	}
	labels := make([]string, 0, len(mails))
	for _, m := range mails {
		labels = append(labels, m.Label)
	}
	return seeOther(w, r, "/notbetrieb/eau/"+r.PathValue("kasse")+"?"+url.Values{"genommen": {strings.Join(labels, ", ")}}.Encode())
}

// typedPaper reads the fields that were typed in.
func typedPaper(r *http.Request) (json.RawMessage, error) {
	f := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	diagnoses, err := sicknote.ParseDiagnoses(strings.ToUpper(f("diagnosen")))
	if err != nil {
		return nil, &failure{status: http.StatusUnprocessableEntity, text: "Die Diagnosen bitte als ICD-10-Codes angeben, durch Komma getrennt, höchstens sechs: J06.9 G, S51.9 G L."}
	}
	p := sicknote.Paper{
		Version: "12", Payer: f("kostentraeger"), Insured: strings.ToUpper(f("versicherte")), BSNR: f("bsnr"), LANR: f("lanr"),
		Issued: f("ausgestellt"), Type: eau.AUType(f("art")), Since: f("seit"), Until: f("bis"), Determined: f("festgestellt"),
		WorkAccident: f("arbeitsunfall") != "", Doctor: f("d_arzt") != "", OtherAccident: f("unfall") != "", SickPay: f("krankengeld") != "",
		Diagnoses: diagnoses, Note: f("hinweis"),
	}
	return json.Marshal(p)
}

// sortMails puts the nearest deadline first.
func sortMails(mails []sicknote.Mail) {
	slices.SortStableFunc(mails, func(a, b sicknote.Mail) int { return a.Deadline.Compare(b.Deadline) })
}

// preparedAnswers fills the view of a request to release error messages, and
// returns what the room binds the consent to.
func (s *server) preparedAnswers(r *http.Request, v *consentView) (any, error) {
	v.Kind = "Fehlermeldungen an Praxen"
	var a struct {
		Kasse catalogue.KasseID `json:"kasse"`
		Code  string            `json:"code"`
	}
	if err := json.Unmarshal(v.Payload, &a); err != nil {
		return nil, err
	}
	p, err := room.Do[room.Prepared](r.Context(), s.room, "", "sicknote.prepared", map[string]any{"kasse": a.Kasse, "code": a.Code})
	v.Answers = &p
	return p, err
}
