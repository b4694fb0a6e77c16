package web

import (
	"net/http"
	"net/url"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
)

// backRoutes are the pages of handing over and switching back (Rückführung).
func (s *server) backRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /rueckstand":                  s.backlog,
		"POST /rueckstand":                 s.orderBacklog,
		"GET /rueckfuehrung":               s.switchbacks,
		"POST /rueckfuehrung":              s.announceSwitchback,
		"GET /rueckfuehrung/{id}":          s.switchback,
		"POST /rueckfuehrung/{id}":         s.moveSwitchback,
		"GET /abnahme/{kasse}/{service}":   s.acceptance,
		"POST /abnahme/{kasse}/{service}":  s.changeAcceptance,
		"GET /konflikte/{kasse}":           s.conflicts,
		"POST /konflikte/{kasse}/{nummer}": s.decideConflict,
	} {
		mux.Handle(pattern, s.inside(h))
	}
}

// switchbacksPage is the way back of all cells.
type switchbacksPage struct {
	Protocols []room.SwitchbackStatus
	Waiting   []operation.Cell // in emergency operation, nothing announced
	Actor     actor
}

// Open is what a cell has still to hand over, in all its placements.
func (switchbacksPage) Open(s room.SwitchbackStatus) (n int64) {
	for _, at := range s.Now {
		n += at.Open
	}
	return n
}

// switchbacks lists the protocols, those under way first, and the cells that may follow.
func (s *server) switchbacks(w http.ResponseWriter, r *http.Request) error {
	var page switchbacksPage
	var err error
	if page.Protocols, err = room.Do[[]room.SwitchbackStatus](r.Context(), s.room, "", "handover.status", struct{}{}); err != nil {
		return err
	}
	open := map[[2]string]bool{}
	for _, p := range page.Protocols {
		if !p.Stage.Over() {
			open[[2]string{string(p.Kasse), string(p.Service)}] = true
		}
	}
	for _, c := range s.room.Cells() {
		if !open[[2]string{string(c.Kasse), string(c.Service)}] && (c.Emergency == operation.Active || c.Emergency == operation.HandingOver) {
			page.Waiting = append(page.Waiting, c)
		}
	}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.KasseDelegate); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "rueckfuehrungen", page)
}

// announceSwitchback announces a window.
func (s *server) announceSwitchback(w http.ResponseWriter, r *http.Request) error {
	person, reason, err := s.actedOn(w, r, "Ein Fenster ankündigen heißt sagen, warum: Bitte begründen.")
	if err != nil {
		return err
	}
	from, until, err := s.window(r)
	if err != nil {
		return err
	}
	abort, err := needed(r, "abbruch", "Bitte sagen, wann abgebrochen wird.")
	if err != nil {
		return err
	}
	kasse, service, _ := cutCell(r.PostForm.Get("zelle"))
	p, err := room.Do[recovery.Switchback](r.Context(), s.room, person, "handover.announce", map[string]any{
		"kasse": kasse, "service": service, "from": from, "until": until, "abort": abort, "reason": reason,
	})
	if err != nil {
		return s.backFailure(err)
	}
	return seeOther(w, r, "/rueckfuehrung/"+p.ID)
}

// switchbackPage is one protocol.
type switchbackPage struct {
	P          room.SwitchbackStatus
	Steps      []backStep
	Compared   *room.CellComparison // just now: with the list of differences
	Runs       []room.HandedOver    // just now
	Conflicts  int                  // undecided
	Acceptance *room.AcceptanceStatus
	Actor      actor
}

// backStep is one step of the protocol and when it was reached.
type backStep struct {
	recovery.Stage

	Done, Here bool
}

// switchback shows a protocol with what may follow.
func (s *server) switchback(w http.ResponseWriter, r *http.Request) error {
	page, err := s.switchbackOf(r)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "rueckfuehrung", page)
}

func (s *server) switchbackOf(r *http.Request) (switchbackPage, error) {
	var page switchbackPage
	all, err := room.Do[[]room.SwitchbackStatus](r.Context(), s.room, "", "handover.status", map[string]string{"id": r.PathValue("id")})
	if err != nil {
		return page, s.backFailure(err)
	}
	page.P = all[0]
	for _, stage := range []recovery.Stage{recovery.StageAnnounced, recovery.StageReadOnly, recovery.StageDrained, recovery.StageCompared, recovery.StageRegular} {
		_, done := page.P.Times[stage]
		page.Steps = append(page.Steps, backStep{Stage: stage, Done: done, Here: page.P.Stage == stage})
	}
	conflicts, err := room.Do[[]emergency.Conflict](r.Context(), s.room, "", "handover.conflicts", map[string]any{"kasse": page.P.Kasse})
	if err != nil {
		return page, err
	}
	for _, c := range conflicts {
		if c.Decision == emergency.Undecided {
			page.Conflicts++
		}
	}
	if page.Acceptance, err = s.acceptanceOf(r, page.P.Kasse, page.P.Service); err != nil {
		return page, err
	}
	page.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.KasseDelegate)
	return page, err
}

// moveSwitchback carries out the step whose button was pressed. Handing over and
// comparing show at once what they brought: the list of differences is kept nowhere.
func (s *server) moveSwitchback(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	id := map[string]any{"id": r.PathValue("id")}
	step := r.PostForm.Get("schritt")
	switch step {
	case "uebergeben":
		d, err := room.Do[room.Drained](r.Context(), s.room, person, "handover.drain", id)
		return s.shownStep(w, r, err, func(p *switchbackPage) { p.Runs = d.Runs })
	case "abgleichen":
		c, err := room.Do[room.CellComparison](r.Context(), s.room, person, "handover.compare", id)
		return s.shownStep(w, r, err, func(p *switchbackPage) { p.Compared = &c })
	case "fenster":
		if id["reason"], err = needed(r, "grund", "Ein Fenster zu verschieben braucht einen Grund."); err != nil {
			return err
		}
		if id["from"], id["until"], err = s.window(r); err != nil {
			return err
		}
	case "zurueck":
		if id["reason"], err = needed(r, "grund", "Abbrechen braucht einen Grund."); err != nil {
			return err
		}
	}
	act, ok := map[string]string{
		"fenster": "handover.window", "lesen": "handover.readonly", "unterschreiben": "handover.sign", "zurueck": "handover.back",
	}[step]
	if !ok {
		return &failure{http.StatusUnprocessableEntity, "Bitte wählen Sie einen Schritt."}
	}
	if _, err := s.act(r.Context(), person, act, id); err != nil {
		return s.backFailure(err)
	}
	return seeOther(w, r, "/rueckfuehrung/"+url.PathEscape(r.PathValue("id")))
}

func (s *server) shownStep(w http.ResponseWriter, r *http.Request, err error, fill func(p *switchbackPage)) error {
	if err != nil {
		return s.backFailure(err)
	}
	page, err := s.switchbackOf(r)
	if err != nil {
		return err
	}
	fill(&page)
	return s.render(w, r, http.StatusOK, "rueckfuehrung", page)
}

// differenceView is one difference in words.
type differenceView struct{ ID, Word, Ours, Theirs string }

// Differences are the differences of all placements.
func (p switchbackPage) Differences() []differenceView {
	if p.Compared == nil {
		return nil
	}
	words := map[string]string{"missing": "fehlt im Regelsystem", "surplus": "nur im Regelsystem", "differs": "verschieden"}
	text := func(e *emergency.ListEntry) string {
		if e == nil {
			return "–"
		}
		return string(e.Kind) + ", " + resultWord(e.Result) + ", " + e.SHA256[:min(16, len(e.SHA256))] + "…"
	}
	var out []differenceView
	for _, place := range p.P.Placements {
		for _, d := range p.Compared.Outcomes[place].Differences {
			out = append(out, differenceView{d.ID, orItself(words[d.What], d.What), text(d.Ours), text(d.Theirs)})
		}
	}
	return out
}

// resultWord is what became of items in German.
func resultWord(s emergency.State) string {
	switch s {
	case emergency.Applied:
		return "ausgeführt"
	case emergency.Known:
		return "war schon da"
	case emergency.Rejected:
		return "abgewiesen"
	case emergency.Unread, emergency.Pending, emergency.Held, emergency.Duplicate, emergency.Sent, emergency.Receipted, emergency.Reconciled:
	}
	return string(s)
}

// SideWord is for whom somebody signs.
func (p switchbackPage) SideWord(side recovery.Side) string {
	if side == recovery.RegularSide {
		return "für das Regelsystem (Kasse)"
	}
	return "für den Notbetrieb"
}

// Cell is the cell's path.
func (p switchbackPage) Cell() string { return string(p.P.Kasse) + "/" + string(p.P.Service) }

// window reads the two times of a form.
func (s *server) window(r *http.Request) (from, until any, err error) {
	a, err := s.localTime(r.PostForm.Get("von"))
	if err != nil {
		return nil, nil, err
	}
	b, err := s.localTime(r.PostForm.Get("bis"))
	if err == nil && b.IsZero() {
		err = &failure{http.StatusUnprocessableEntity, "Bitte das Ende des Fensters angeben."}
	}
	return a, b, err
}

func cutCell(v string) (catalogue.KasseID, catalogue.ServiceID, bool) {
	for i := range v {
		if v[i] == '/' {
			return catalogue.KasseID(v[:i]), catalogue.ServiceID(v[i+1:]), true
		}
	}
	return catalogue.KasseID(v), "", false
}
