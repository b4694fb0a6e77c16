package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
)

// planRoutes are the pages around the way back (Wiederherstellung, Rückführung).
func (s *server) planRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"POST /wiederherstellung":                         s.makePlan,
		"GET /wiederherstellung/kasse/{kasse}":            s.planKasse,
		"GET /wiederherstellung/tag":                      s.planDay,
		"GET /wiederherstellung/tagesplan.pdf":            s.planDayPDF,
		"GET /wiederherstellung/waswaere":                 s.planWhatIf,
		"GET /wiederherstellung/vereinbarungen":           s.terms,
		"POST /wiederherstellung/vereinbarungen/vorschau": s.compareTerms,
		"POST /wiederherstellung/vereinbarungen":          s.askTerms,
		"POST /wiederherstellung/meldung":                 s.planReport,
	} {
		mux.Handle(pattern, s.inside(h))
	}
}

// planPage is the way back of everybody.
type planPage struct {
	Away     int // cells that are to return
	Plan     *room.PlanView
	Forecast *recovery.Forecast
	Gantt    template.HTML
	BurnUp   template.HTML
	Kassen   []planKasseRow
	Teams    []planTeam // with work today
	Today    string
	Moved    []planMove
	More     int // moves not shown
	Services []catalogue.Service
	All      []catalogue.Kasse
	Sites    []catalogue.Site
	Staff    []recovery.Team
	Actor    actor
}

type planKasseRow struct {
	Kasse catalogue.KasseID
	Cells int
	recovery.Range
}

type planTeam struct {
	ID, Name string
	Count    int
}

type planMove struct {
	Label    string
	From, To time.Time
}

// mostMoves is how many moves a page shows.
const mostMoves = 30

// restoration shows the way back: how many cells are back when, as a range, what each
// Kasse may reckon with, and what the newest plan changed.
func (s *server) restoration(w http.ResponseWriter, r *http.Request) error {
	page := planPage{
		Today: s.room.Now().In(s.zone).Format(time.DateOnly), Services: orderedServices(s.room.Catalogue),
		All: s.room.Catalogue.Kassen, Sites: s.room.Catalogue.Sites,
	}
	for _, c := range s.room.Cells() {
		if c.Regular != operation.Running && c.Regular != operation.Limited {
			page.Away++
		}
	}
	var err error
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator); err != nil {
		return err
	}
	terms, err := room.Do[recovery.Terms](r.Context(), s.room, "", "plan.terms", struct{}{})
	if err != nil {
		return err
	}
	page.Staff = terms.Teams
	v, err := room.Do[room.PlanView](r.Context(), s.room, "", "plan.show", struct{}{})
	if errors.Is(err, recovery.ErrNoPlan) {
		return s.render(w, r, http.StatusOK, "wiederherstellung", page)
	}
	if err != nil {
		return err
	}
	page.Plan = &v
	if err := s.fillPlan(r, &page); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "wiederherstellung", page)
}

func (s *server) fillPlan(r *http.Request, page *planPage) error {
	var err error
	if page.Forecast, err = room.Do[*recovery.Forecast](r.Context(), s.room, "", "plan.forecast", struct{}{}); err != nil {
		return err
	}
	g, err := room.Do[room.Picture](r.Context(), s.room, "", "plan.gantt", map[string]any{"forecast": true})
	if err != nil {
		return err
	}
	page.Gantt = template.HTML(g.SVG)                       //nolint:gosec // drawn by us, with every name escaped
	page.BurnUp = template.HTML(page.Forecast.Draw(s.zone)) //nolint:gosec // drawn by us, without names
	cells := map[catalogue.KasseID]int{}
	for _, c := range page.Plan.Cells {
		cells[c.Kasse]++
	}
	for _, k := range page.Forecast.Kassen {
		page.Kassen = append(page.Kassen, planKasseRow{k.Kasse, cells[k.Kasse], k.Range})
	}
	days, err := room.Do[[]recovery.Day](r.Context(), s.room, "", "plan.day", map[string]string{"date": page.Today})
	if err != nil {
		return err
	}
	for _, d := range days {
		page.Teams = append(page.Teams, planTeam{d.Team, d.Name, len(d.Of)})
	}
	if c := page.Plan.Change; c != nil {
		for _, m := range c.Moved[:min(len(c.Moved), mostMoves)] {
			page.Moved = append(page.Moved, planMove{s.taskWord(m.Task), m.From, m.To})
		}
		page.More = len(c.Moved) - len(page.Moved)
	}
	return nil
}

// taskWord puts the id of a position into words.
func (s *server) taskWord(id string) string {
	kind, subject, _ := strings.Cut(id, ":")
	word := recovery.TaskKind(kind).Word()
	kasse, service, ok := strings.Cut(subject, "/")
	if ok && !strings.Contains(service, "/") {
		return word + ": " + s.serviceName(catalogue.ServiceID(service)) + ", " + s.kasseName(catalogue.KasseID(kasse))
	}
	return word + ": " + s.nodeName(subject)
}

// makePlan plans afresh or anew and puts the plan in force.
func (s *server) makePlan(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte sagen, warum jetzt geplant wird.")
	if err != nil {
		return err
	}
	act, args := "plan.make", map[string]any{"reason": reason, "seed": 1}
	if r.PostForm.Get("art") == "neu" {
		act = "plan.replan"
		args["trusted"] = r.PostForm.Get("vertrauen") == "ja"
	}
	if v := r.PostForm.Get("sekunden"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 60 {
			return &failure{http.StatusUnprocessableEntity, "Die Rechenzeit bitte in ganzen Sekunden von 1 bis 60 angeben."}
		}
		args["seconds"] = n
	}
	if _, err := room.Do[room.PlanView](r.Context(), s.room, person, act, args); err != nil {
		return err
	}
	http.Redirect(w, r, "/wiederherstellung", http.StatusSeeOther)
	return nil
}

type planKassePage struct {
	Kasse     catalogue.Kasse
	Plan      room.PlanView
	Gantt     template.HTML
	Cells     []recovery.CellRange
	Positions []recovery.PlanPosition
	Actor     actor
}

// planKasse shows the way back of one Kasse, every position with its reasons.
func (s *server) planKasse(w http.ResponseWriter, r *http.Request) error {
	k, ok := s.room.Catalogue.Kasse(catalogue.KasseID(r.PathValue("kasse")))
	if !ok {
		return &failure{http.StatusNotFound, "Diese Kasse gibt es nicht."}
	}
	page := planKassePage{Kasse: k}
	var err error
	if page.Plan, err = room.Do[room.PlanView](r.Context(), s.room, "", "plan.show", map[string]any{"kasse": k.ID, "positions": true}); err != nil {
		return err
	}
	g, err := room.Do[room.Picture](r.Context(), s.room, "", "plan.gantt", map[string]any{"kasse": k.ID, "forecast": true})
	if err != nil {
		return err
	}
	page.Gantt = template.HTML(g.SVG) //nolint:gosec // drawn by us, with every name escaped
	f, err := room.Do[*recovery.Forecast](r.Context(), s.room, "", "plan.forecast", struct{}{})
	if err != nil {
		return err
	}
	for _, c := range f.Cells {
		if c.Kasse == k.ID {
			page.Cells = append(page.Cells, c)
		}
	}
	page.Positions = page.Plan.Positions
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.Examiner, access.KasseDelegate); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "wegkasse", page)
}

type planDayPage struct {
	Date, Before, After string
	When                time.Time
	Days                []recovery.Day
}

// planDay shows what each team does on a day, made to be printed.
func (s *server) planDay(w http.ResponseWriter, r *http.Request) error {
	date, days, err := s.daysOf(r)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "tagesplan", planDayPage{
		Date: date.Format(time.DateOnly), Before: date.AddDate(0, 0, -1).Format(time.DateOnly), After: date.AddDate(0, 0, 1).Format(time.DateOnly),
		When: date, Days: days,
	})
}

func (s *server) daysOf(r *http.Request) (time.Time, []recovery.Day, error) {
	v := r.URL.Query().Get("datum")
	if v == "" {
		v = s.room.Now().In(s.zone).Format(time.DateOnly)
	}
	date, err := time.ParseInLocation(time.DateOnly, v, s.zone)
	if err != nil {
		return date, nil, &failure{http.StatusUnprocessableEntity, "Das Datum bitte als Jahr-Monat-Tag angeben, zum Beispiel 2023-05-04."}
	}
	days, err := room.Do[[]recovery.Day](r.Context(), s.room, "", "plan.day", map[string]string{"date": v, "team": r.URL.Query().Get("team")})
	return date, days, err
}

// planDayPDF is the day of one team on paper.
func (s *server) planDayPDF(w http.ResponseWriter, r *http.Request) error {
	date, days, err := s.daysOf(r)
	if err != nil {
		return err
	}
	if len(days) != 1 {
		return &failure{http.StatusNotFound, "An diesem Tag hat dieses Team nichts zu tun."}
	}
	var buf bytes.Buffer
	if err := days[0].Form(s.zone).PDF(&buf); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`inline; filename="tagesplan-%s.pdf"`, date.Format(time.DateOnly)))
	_, _ = buf.WriteTo(w) // the visitor is gone
	return nil
}

type planAnswerPage struct {
	Question []string
	Answer   *recovery.Answer
}

// planWhatIf answers a question; nothing changes.
func (s *server) planWhatIf(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page, args := planAnswerPage{}, map[string]any{"seed": 1}
	if team := q.Get("team"); team != "" {
		n, err := strconv.Atoi(q.Get("mehr"))
		if err != nil || n == 0 || n < -100 || n > 100 {
			return &failure{http.StatusUnprocessableEntity, "Wie viele Personen mehr (oder weniger), bitte als Zahl von -100 bis 100."}
		}
		args["people"] = map[string]int{team: n}
		page.Question = append(page.Question, fmt.Sprintf("Team %s: %+d Personen je Schicht", team, n))
	}
	if id := q.Get("dienst"); id != "" {
		v, err := strconv.ParseFloat(strings.Replace(q.Get("gewicht"), ",", ".", 1), 64)
		if err != nil || !(v >= 0 && v <= 1000) {
			return &failure{http.StatusUnprocessableEntity, "Das Gewicht bitte als Zahl von 0 bis 1000 angeben."}
		}
		args["services"] = map[string]float64{id: v}
		page.Question = append(page.Question, fmt.Sprintf("%s: Gewicht %g", s.serviceName(catalogue.ServiceID(id)), v))
	}
	for name, key := range map[string]string{"zuerst": "first", "standort": "lost", "widerruf": "revoked"} {
		if v := q.Get(name); v != "" {
			args[key] = []string{v}
		}
	}
	if v := q.Get("zuerst"); v != "" {
		page.Question = append(page.Question, s.kasseName(catalogue.KasseID(v))+" zuerst")
	}
	if v := q.Get("standort"); v != "" {
		page.Question = append(page.Question, "Standort "+s.siteName(catalogue.SiteID(v))+" aufgegeben")
	}
	if v := q.Get("widerruf"); v != "" {
		page.Question = append(page.Question, "Freigabe widerrufen: "+s.nodeName(v))
	}
	if len(page.Question) == 0 {
		return &failure{http.StatusUnprocessableEntity, "Bitte mindestens eine Frage stellen."}
	}
	var err error
	if page.Answer, err = room.Do[*recovery.Answer](r.Context(), s.room, "", "plan.whatif", args); err != nil {
		if errors.Is(err, recovery.ErrNothing) {
			return err
		}
		return &failure{http.StatusUnprocessableEntity, "Die Frage lässt sich nicht beantworten: " + err.Error()}
	}
	return s.render(w, r, http.StatusOK, "waswaere", page)
}

// planReport takes a report on one position.
func (s *server) planReport(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	at, err := s.localTime(r.PostForm.Get("zeit"))
	if err != nil {
		return err
	}
	rep := recovery.Report{Task: r.PostForm.Get("aufgabe"), What: recovery.Progress(r.PostForm.Get("stand")), At: at, Reason: r.PostForm.Get("grund")}
	if rep.At.IsZero() {
		rep.At = s.room.Now()
	}
	if err := rep.Check(); err != nil {
		return &failure{http.StatusUnprocessableEntity, "Bitte Aufgabe und Stand wählen; Verzug und Wiederholung brauchen einen Grund."}
	}
	if _, err := room.Do[[]recovery.Report](r.Context(), s.room, person, "plan.report", map[string]any{"reports": []recovery.Report{rep}}); err != nil {
		return err
	}
	back := "/wiederherstellung"
	for _, k := range s.room.Catalogue.Kassen {
		if string(k.ID) == r.PostForm.Get("kasse") {
			back = "/wiederherstellung/kasse/" + string(k.ID)
		}
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}
