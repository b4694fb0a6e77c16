package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/recovery"
	"leitstand/room"
)

// backFailure puts what the way back refuses into words.
func (s *server) backFailure(err error) error {
	switch {
	case errors.Is(err, recovery.ErrStage):
		return &failure{http.StatusConflict, "In diesem Stand der Rückführung geht das nicht. Bitte die Seite neu laden und den nächsten Schritt wählen."}
	case errors.Is(err, recovery.ErrWindow):
		return &failure{http.StatusConflict, "Das Fenster passt nicht: Es beginnt in der Zukunft, dauert höchstens 24 Stunden, und nur darin beginnt „nur lesen“. Sonst bitte ein anderes ankündigen."}
	case errors.Is(err, recovery.ErrNoSwitchback):
		return &failure{http.StatusNotFound, "Diese Rückführung gibt es nicht."}
	case errors.Is(err, emergency.ErrNoConflict):
		return &failure{http.StatusConflict, "Für diesen Vorgang wartet kein Konflikt auf eine Entscheidung."}
	case errors.Is(err, emergency.ErrLocked):
		return &failure{http.StatusConflict, "Der Raum ist verschlossen: Inhalte lassen sich erst nach dem Aufschließen zeigen und übergeben."}
	case errors.Is(err, emergency.ErrNoKey):
		return &failure{http.StatusNotFound, "Diese Kasse hat kein Buch des Notbetriebs."}
	}
	return err
}

// acceptancePage is the acceptance of one cell.
type acceptancePage struct {
	Kasse     catalogue.Kasse
	Service   catalogue.Service
	A         *room.AcceptanceStatus // nil: none yet
	Suggested []recovery.Case
	Actor     actor
	Delegates actor
}

// acceptanceOf is the newest acceptance of a cell.
func (s *server) acceptanceOf(r *http.Request, k catalogue.KasseID, d catalogue.ServiceID) (*room.AcceptanceStatus, error) {
	all, err := room.Do[[]room.AcceptanceStatus](r.Context(), s.room, "", "acceptance.list", struct{}{})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(a room.AcceptanceStatus) bool { return a.Kasse == k && a.Service == d })
	if i < 0 {
		return nil, nil //nolint:nilnil // there is none yet
	}
	return &all[i], nil
}

// acceptance shows what was tested and what is missing.
func (s *server) acceptance(w http.ResponseWriter, r *http.Request) error {
	cell, err := s.cellOf(r)
	if err != nil {
		return err
	}
	page := acceptancePage{Kasse: cell.Kasse, Service: cell.Service, Suggested: recovery.CasesOf(cell.Service.ID)}
	if page.A, err = s.acceptanceOf(r, cell.Kasse.ID, cell.Service.ID); err != nil {
		return err
	}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator); err != nil {
		return err
	}
	if page.Delegates, err = s.actors(r, access.KasseDelegate); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "abnahme", page)
}

// lines are the lines of a text field that say something.
func lines(text string) []string {
	var out []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// changeAcceptance opens an acceptance, or notes a probe, a case or the limits.
func (s *server) changeAcceptance(w http.ResponseWriter, r *http.Request) error {
	cell, err := s.cellOf(r)
	if err != nil {
		return err
	}
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	f := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	args := map[string]any{"id": f("abnahme"), "kasse": cell.Kasse.ID, "service": cell.Service.ID, "seen": f("gesehen"), "passed": f("ergebnis") == "ja"}
	act := ""
	switch f("schritt") {
	case "eroeffnen":
		act = "acceptance.open"
		if args["cases"], err = typedCases(f("faelle")); err != nil {
			return err
		}
	case "probe":
		act, args["ref"] = "acceptance.probe", f("beleg")
		if f("beleg") == "" || f("ergebnis") != "ja" && f("gesehen") == "" {
			return &failure{http.StatusUnprocessableEntity, "Eine Probe nennt ihren Beleg; wer sie nicht besteht, sagt, was zu sehen war."}
		}
	case "fall":
		act, args["name"] = "acceptance.try", f("fall")
		if f("fall") == "" || f("gesehen") == "" {
			return &failure{http.StatusUnprocessableEntity, "Bitte den Geschäftsfall wählen und sagen, was zu sehen war."}
		}
	case "einschraenken":
		act = "acceptance.limit"
		paths, works, not := lines(f("wege")), lines(f("geht")), lines(f("gehtnicht"))
		if n := min(len(paths), len(works), len(not)); n == 0 && len(paths)+len(works)+len(not) > 0 {
			return &failure{http.StatusUnprocessableEntity, "„Eingeschränkt“ nennt die offenen Wege, was geht und was nicht geht; ohne Einschränkung bleiben alle drei leer."}
		}
		args["paths"], args["works"], args["works_not"] = paths, works, not
	default:
		return &failure{http.StatusUnprocessableEntity, "Bitte wählen Sie einen Schritt."}
	}
	if _, err := s.act(r.Context(), person, act, args); err != nil {
		return err
	}
	return seeOther(w, r, r.URL.Path)
}

// typedCases reads named cases, one a line: name = what is expected.
func typedCases(text string) ([]recovery.Case, error) {
	var out []recovery.Case
	for _, l := range lines(text) {
		name, expect, ok := strings.Cut(l, "=")
		if !ok || strings.TrimSpace(name) == "" || strings.TrimSpace(expect) == "" {
			return nil, &failure{http.StatusUnprocessableEntity, "Geschäftsfälle bitte je Zeile als „Name = was zu sehen sein soll“ angeben."}
		}
		out = append(out, recovery.Case{Name: strings.TrimSpace(name), Expect: strings.TrimSpace(expect)})
	}
	return out, nil
}

// conflictsPage is what both sides of a Kasse changed.
type conflictsPage struct {
	Kasse catalogue.Kasse
	List  []emergency.Conflict
	Both  *bothView // the one that is shown
	Actor actor
}

// bothView is a conflict with both contents.
type bothView struct {
	emergency.Both

	Reason             string
	OursText, TheyText string
}

func (s *server) conflictsOf(r *http.Request) (conflictsPage, error) {
	var page conflictsPage
	k, ok := s.room.Catalogue.KasseByIK(r.PathValue("kasse"))
	if !ok {
		return page, &failure{http.StatusNotFound, "Diese Kasse gibt es nicht."}
	}
	page.Kasse = k
	var err error
	if page.List, err = room.Do[[]emergency.Conflict](r.Context(), s.room, "", "handover.conflicts", map[string]any{"kasse": k.ID}); err != nil {
		return page, s.backFailure(err)
	}
	page.Actor, err = s.actors(r, access.KasseDelegate)
	return page, err
}

// conflicts lists conflicts without contents.
func (s *server) conflicts(w http.ResponseWriter, r *http.Request) error {
	page, err := s.conflictsOf(r)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "konflikte", page)
}

// decideConflict shows both versions to the Kasse's delegate, or takes the decision.
func (s *server) decideConflict(w http.ResponseWriter, r *http.Request) error {
	person, reason, err := s.actedOn(w, r, "Bitte einen Grund angeben; er kommt ins Buch der Kasse.")
	if err != nil {
		return err
	}
	args := map[string]any{"kasse": r.PathValue("kasse"), "number": r.PathValue("nummer"), "reason": reason}
	if keep := r.PostForm.Get("gilt"); keep != "" {
		args["keep"] = keep
		if _, err := s.act(r.Context(), person, "handover.decide", args); err != nil {
			return s.backFailure(err)
		}
		return seeOther(w, r, "/konflikte/"+r.PathValue("kasse"))
	}
	b, err := room.Do[emergency.Both](r.Context(), s.room, person, "handover.conflict", args)
	if err != nil {
		return s.backFailure(err)
	}
	page, err := s.conflictsOf(r)
	if err != nil {
		return err
	}
	page.Both = &bothView{Both: b, Reason: reason, OursText: contentText(b.Ours), TheyText: contentText(b.Theirs.Body)}
	return s.render(w, r, http.StatusOK, "konflikte", page)
}

// contentText is a content as a page may show it.
func contentText(b []byte) string {
	if !utf8.Valid(b) {
		return number(len(b)) + " Byte, kein Text: mit der Befehlszeile ausgeben (leitstand handover conflict … --json)"
	}
	return string(b)
}

// DecisionWord is a decision in words.
func (conflictsPage) DecisionWord(d emergency.Decision) string {
	switch d {
	case emergency.Undecided:
		return "offen"
	case emergency.Ours:
		return "die Fassung des Notbetriebs gilt"
	case emergency.Theirs:
		return "die Fassung des Regelsystems gilt"
	case emergency.Merged:
		return "von Hand zusammengeführt"
	}
	return string(d)
}
