package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/recovery"
	"leitstand/room"
)

// stepRoutes are the pages on which the plan is carried out.
func (s *server) stepRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /wiederherstellung/schritte":    s.stepsPage,
		"GET /wiederherstellung/schritt":     s.stepPage,
		"POST /wiederherstellung/schritt":    s.changeStep,
		"GET /wiederherstellung/auftrag.pdf": s.stepOrder,
		"GET /wiederherstellung/beobachtung": s.observedPage,
	} {
		mux.Handle(pattern, s.inside(h))
	}
}

// observedPage shows which environments the early warning watches more closely.
func (s *server) observedPage(w http.ResponseWriter, r *http.Request) error {
	all, err := room.Do[[]room.Observed](r.Context(), s.room, "", "step.observed", nil)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "beobachtung", all)
}

// stepPart is one part of the list of steps.
type stepPart struct {
	Title string
	Views []recovery.StepView
	More  int // not shown
}

// stepsView is the list of steps.
type stepsView struct {
	Parts  []stepPart
	Kassen []catalogue.Kasse
	Kasse  catalogue.KasseID
	Total  int
	Over   int
}

// mostSteps is how many steps a part of the list shows.
const mostSteps = 40

// stepsPage shows what waits for a word, what is under way, what may begin and
// what waits for something else.
func (s *server) stepsPage(w http.ResponseWriter, r *http.Request) error {
	page := stepsView{Kassen: s.room.Catalogue.Kassen, Kasse: catalogue.KasseID(r.URL.Query().Get("kasse"))}
	all, err := room.Do[[]recovery.StepView](r.Context(), s.room, "", "step.list", map[string]any{"kasse": page.Kasse})
	if err != nil {
		return err
	}
	page.Total = len(all)
	page.Parts = []stepPart{{Title: "Wartet auf das Wort eines Menschen"}, {Title: "In Arbeit"}, {Title: "Kann beginnen"}, {Title: "Gescheitert oder angehalten"}, {Title: "Wartet"}, {Title: "Erledigt oder ausgelassen"}}
	for _, v := range all {
		n := stepPartOf(&v)
		if n == 5 {
			page.Over++
		}
		p := &page.Parts[n]
		if len(p.Views) == mostSteps {
			p.More++
			continue
		}
		p.Views = append(p.Views, v)
	}
	page.Parts = slices.DeleteFunc(page.Parts, func(p stepPart) bool { return len(p.Views) == 0 })
	return s.render(w, r, http.StatusOK, "schritte", page)
}

// stepPartOf is the part of the list that a step belongs to.
func stepPartOf(v *recovery.StepView) int {
	switch {
	case v.State.NeedsWord():
		return 0
	case v.State == recovery.StepStarted || v.State == recovery.StepOrdered:
		return 1
	case v.State.Over() || !v.Needed:
		return 5
	case v.Ready():
		return 2
	case v.State == recovery.StepFailed || v.State == recovery.StepStopped || v.State == recovery.StepUndone:
		return 3
	}
	return 4
}

// stepView is one step with what may be done about it.
type stepView struct {
	room.StepDetail
	Actor    actor
	Deciders actor
}

// Can says whether an act fits the state of a step.
func (p *stepView) Can(act string) bool {
	st := p.State
	switch act {
	case "beginnen":
		return p.Ready()
	case "erledigt":
		return st == recovery.StepStarted && len(p.Lacks) == 0 || st.NeedsWord()
	case "gescheitert":
		return st == recovery.StepStarted
	case "auslassen":
		return st == recovery.StepOpen && p.Needed || st == recovery.StepFailed || st == recovery.StepStopped || st == recovery.StepUndone
	case "anhalten":
		return p.Needed && st == recovery.StepOpen || st == recovery.StepStarted || st == recovery.StepOrdered || st == recovery.StepFailed || st.NeedsWord()
	case "wiederholen":
		return st != recovery.StepOpen && st != recovery.StepOrdered && st != recovery.StepStarted
	case "zuruecknehmen":
		return p.Driver != "" && (st == recovery.StepDone || st == recovery.StepUnclear || st == recovery.StepFailed)
	}
	return false
}

func (s *server) stepPage(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("id")
	page := stepView{}
	var err error
	if page.StepDetail, err = room.Do[room.StepDetail](r.Context(), s.room, "", "step.show", map[string]string{"task": id}); err != nil {
		return err
	}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.Examiner, access.KasseDelegate); err != nil {
		return err
	}
	if page.Deciders, err = s.actors(r, access.CrisisLead, access.Operator); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "schritt", &page)
}

// changeStep carries out what somebody says about a step.
func (s *server) changeStep(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	f := r.PostForm
	act, ok := map[string]string{
		"beginnen": "step.start", "erledigt": "step.done", "gescheitert": "step.fail", "auslassen": "step.skip",
		"anhalten": "step.stop", "wiederholen": "step.repeat", "zuruecknehmen": "step.undo",
	}[f.Get("tat")]
	if !ok {
		return &failure{http.StatusUnprocessableEntity, "Bitte sagen, was mit dem Schritt geschehen soll."}
	}
	args := map[string]any{"task": f.Get("id")}
	switch act {
	case "step.start":
		args["who"], args["by_hand"] = f.Get("wer"), f.Get("weg") == "hand"
	case "step.done":
		if args["evidence"], err = needed(r, "nachweis", "Bitte den Nachweis nennen: Nummer oder Ablage."); err != nil {
			return err
		}
		args["who"] = f.Get("wer")
	default:
		if args["reason"], err = needed(r, "grund", "Bitte begründen."); err != nil {
			return err
		}
	}
	out, err := room.Do[room.StepResult](r.Context(), s.room, person, act, args)
	if err != nil {
		return err
	}
	if out.Consent != nil {
		return seeOther(w, r, "/entscheidungen/"+out.Consent.ID)
	}
	return seeOther(w, r, "/wiederherstellung/schritt?"+url.Values{"id": {f.Get("id")}}.Encode())
}

// stepOrder is a step on paper, with a field for the signature.
func (s *server) stepOrder(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("id")
	o, err := room.Do[room.StepOrder](r.Context(), s.room, "", "step.print", map[string]string{"task": id})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", `inline; filename="auftrag.pdf"`)
	_, _ = w.Write(o.PDF) // the visitor is gone
	return nil
}

// stepForm is a form about a step.
type stepForm struct {
	Page  *stepView
	Act   string
	Actor actor
}

// form says who may be chosen in a form: who reports, or who decides.
func (p *stepView) form(act string) stepForm {
	switch act {
	case "beginnen", "erledigt", "gescheitert":
		return stepForm{p, act, p.Actor}
	}
	return stepForm{p, act, p.Deciders}
}

// stepLink is the address of a step's page.
func stepLink(id string) string {
	return "/wiederherstellung/schritt?" + url.Values{"id": {strings.TrimSpace(id)}}.Encode()
}
