package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/room"
)

// checklistsPage lists what is being examined, and opens another list.
type checklistsPage struct {
	Open, Done   []forensics.Checklist
	Kinds        []forensics.Kind
	Environments []catalogue.Environment
	Components   []catalogue.Component
	Actor        actor
}

// checklists shows all check lists of the forensic gate.
func (s *server) checklists(w http.ResponseWriter, r *http.Request) error {
	all, err := room.Do[[]forensics.Checklist](r.Context(), s.room, "", "checklist.list", struct{}{})
	if err != nil {
		return err
	}
	page := checklistsPage{Kinds: forensics.Kinds(), Environments: s.room.Catalogue.Environments, Components: s.room.Catalogue.Components}
	for _, l := range all {
		if len(l.Missing()) > 0 {
			page.Open = append(page.Open, l)
		} else {
			page.Done = append(page.Done, l)
		}
	}
	if page.Actor, err = s.actors(r, access.Examiner, access.Operator); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "pruefungen", page)
}

// scopeOf reads what is examined: from the list, or by kind and name.
func scopeOf(r *http.Request) (forensics.Scope, error) {
	text := r.PostForm.Get("umfang")
	if strings.HasSuffix(text, ":") { // a backup or a realm has a name of its own
		text += strings.TrimSpace(r.PostForm.Get("kennung"))
	}
	scope, err := forensics.ParseScope(text)
	if err != nil {
		return scope, &failure{status: http.StatusUnprocessableEntity, text: "Bitte wählen, was geprüft wird; eine Sicherung oder Domäne braucht ihren Namen."}
	}
	return scope, nil
}

// openChecklist begins a list for a scope.
func (s *server) openChecklist(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	scope, err := scopeOf(r)
	if err != nil {
		return err
	}
	l, err := room.Do[forensics.Checklist](r.Context(), s.room, person, "checklist.open", map[string]any{
		"kind": r.PostForm.Get("art"), "scope": scope, "reason": strings.TrimSpace(r.PostForm.Get("grund")),
	})
	if err != nil {
		return err
	}
	return seeOther(w, r, "/pruefungen/"+l.ID)
}

// checklistPage is one list at work.
type checklistPage struct {
	forensics.Checklist
	Settled   int
	Doubts    []string
	Rotations int  // points that change credentials and are done
	Rotated   bool // all of them: the proof of rotation can be given
	Covering  bool // a backup or realm stands for environments and components
	Subjects  []catalogue.EnvironmentID
	Machinery []catalogue.Component
	Proven    []forensics.Rotation // of this scope
	Cleared   []forensics.Clearance
	Until     string
	Now       string
	Actor     actor
	Examiners actor
}

func (s *server) oneChecklist(r *http.Request) (forensics.Checklist, error) {
	l, err := forensics.ChecklistByID(r.Context(), s.room.Store, r.PathValue("id"))
	if err != nil {
		return l, &failure{status: http.StatusNotFound, text: "Diese Prüfliste gibt es nicht."}
	}
	return l, nil
}

// checklist shows one list with the forms for its points, and what it leads to.
func (s *server) checklist(w http.ResponseWriter, r *http.Request) error {
	l, err := s.oneChecklist(r)
	if err != nil {
		return err
	}
	now, state := s.room.Now(), s.room.Operation.Current()
	page := checklistPage{
		Checklist: l, Settled: len(l.Points) - len(l.Missing()), Doubts: l.Doubts(), Rotated: true,
		Covering: l.Scope.Kind == forensics.Backup || l.Scope.Kind == forensics.Realm, Machinery: s.room.Catalogue.Components,
		Until: now.Add(30 * 24 * time.Hour).In(s.zone).Format("2006-01-02T15:04"), Now: now.In(s.zone).Format("2006-01-02T15:04"),
	}
	for _, e := range s.room.Catalogue.Environments {
		page.Subjects = append(page.Subjects, e.ID)
	}
	for _, p := range l.Points {
		if p.Rotation && len(p.Evidence) > 0 {
			page.Rotations++
		}
		page.Rotated = page.Rotated && (!p.Rotation || len(p.Evidence) > 0)
	}
	for _, v := range state.Rotations() {
		if v.Scope == l.Scope {
			page.Proven = append(page.Proven, v)
		}
	}
	for _, c := range state.Clearances() {
		if c.Scope == l.Scope {
			page.Cleared = append(page.Cleared, c)
		}
	}
	if page.Actor, err = s.actors(r, access.Examiner, access.Operator); err != nil {
		return err
	}
	if page.Examiners, err = s.actors(r, access.Examiner); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "pruefung", page)
}

// evidenceOf reads one file of evidence from a form: its name, size and hash. The
// file itself stays with the examiner. otherwise is said when something is missing.
func evidenceOf(r *http.Request, otherwise string) ([]forensics.Evidence, error) {
	f := r.PostForm
	hash := strings.ToLower(strings.TrimSpace(f.Get("hash")))
	size, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(f.Get("groesse")), ".", ""), 10, 64)
	name := strings.TrimSpace(f.Get("beleg"))
	if !sha256Text.MatchString(hash) || name == "" || err != nil || size <= 0 {
		return nil, &failure{
			status: http.StatusUnprocessableEntity,
			text:   otherwise + ": Bitte Namen, Größe in Bytes und SHA-256 der Belegdatei (64 Zeichen 0–9, a–f) angeben.",
		}
	}
	return []forensics.Evidence{{Name: name, SHA256: hash, Size: size}}, nil
}

// settlePoint answers a point: done with evidence, or not done, because.
func (s *server) settlePoint(w http.ResponseWriter, r *http.Request) error {
	if err := parseEvidence(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	id, point := r.PathValue("id"), r.PathValue("punkt")
	args := map[string]any{"list": id, "point": point}
	if because := strings.TrimSpace(r.PostForm.Get("weil")); because != "" {
		args["not_done"] = because
		if r.PostForm.Get("beleg")+r.PostForm.Get("hash") != "" {
			return &failure{status: http.StatusUnprocessableEntity, text: "Erledigt mit Beleg oder nicht erledigt mit Grund: bitte nur eines von beiden."}
		}
	} else if args["evidence"], err = evidenceOf(r, "Ohne Beleg und ohne „nicht erledigt, weil“ ist der Punkt offen"); err != nil {
		return err
	}
	if _, err := s.act(r.Context(), person, "checklist.settle", args); err != nil {
		return err
	}
	return seeOther(w, r, "/pruefungen/"+id+"#"+point)
}

// rotatedByList proves that credentials were changed, by the evidence of the
// list's points about them.
func (s *server) rotatedByList(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	l, err := s.oneChecklist(r)
	if err != nil {
		return err
	}
	at, err := s.localTime(r.PostForm.Get("gewechselt"))
	if err != nil {
		return err
	}
	var evidence []forensics.Evidence
	for _, p := range l.Points {
		if p.Rotation && len(p.Evidence) == 0 {
			return &failure{status: http.StatusConflict, text: "Der Punkt " + p.ID + " ist nicht mit Beleg erledigt: Der Wechsel der Kennungen ist nicht nachgewiesen."}
		}
		if p.Rotation {
			evidence = append(evidence, p.Evidence...)
		}
	}
	_, err = s.act(r.Context(), person, "rotation.prove", map[string]any{
		"scope": l.Scope, "covers": r.PostForm["umfasst"], "evidence": evidence, "rotated_at": at, "reason": "Prüfliste " + l.ID,
	})
	if err != nil {
		return err
	}
	return seeOther(w, r, "/pruefungen/"+l.ID+"#wechsel")
}

// clearByList asks a second person to clear what a complete list is about. The
// room adds the hash of every list of the scope and what was not done.
func (s *server) clearByList(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	l, err := s.oneChecklist(r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte einen Grund angeben.")
	if err != nil {
		return err
	}
	until, err := s.localTime(r.PostForm.Get("bis"))
	if err != nil {
		return err
	}
	c, err := room.Do[access.Consent](r.Context(), s.room, person, "clearance.grant", struct {
		forensics.Application
		Reason string `json:"reason"`
	}{forensics.Application{
		Scope: l.Scope, Covers: r.PostForm["umfasst"], Check: forensics.Check(r.PostForm.Get("pruefung")), Until: until,
		Conditions: strings.TrimSpace(r.PostForm.Get("auflagen")),
	}, reason})
	if err != nil {
		return err
	}
	return seeOther(w, r, "/entscheidungen/"+c.ID)
}

// revocationPage shows what revoking a clearance would reach, before and after.
type revocationPage struct {
	forensics.Clearance
	Preview room.RevocationPreview
	Names   []string
	Gone    bool // revoked already: what is flagged now
	Flagged []catalogue.PlacementID
	Parts   []catalogue.ComponentID // flagged as well
	Actor   actor
}

// revocation shows what rests on a clearance and the cut that a revocation asks
// for; after it, what must go down.
func (s *server) revocation(w http.ResponseWriter, r *http.Request) error {
	state := s.room.Operation.Current()
	i := slices.IndexFunc(state.Clearances(), func(c forensics.Clearance) bool { return c.ID == r.PathValue("id") })
	if i < 0 {
		return &failure{status: http.StatusNotFound, text: "Diese Freigabe gibt es nicht."}
	}
	page := revocationPage{Clearance: state.Clearances()[i]}
	page.Gone = page.State == forensics.Revoked
	var err error
	if page.Gone {
		for _, p := range state.Placements() {
			if p.Flag != nil && p.Flag.Clearance == page.ID {
				page.Flagged, page.Preview.Deadline = append(page.Flagged, p.ID), p.Flag.By
			}
		}
		page.Names = s.placementNames(page.Flagged)
		for _, m := range state.Components() {
			if m.Flag != nil && m.Flag.Clearance == page.ID {
				page.Parts, page.Preview.Deadline = append(page.Parts, m.ID), m.Flag.By
				page.Names = append(page.Names, s.nodeName(string(m.ID)))
			}
		}
	} else {
		if page.Preview, err = room.Do[room.RevocationPreview](r.Context(), s.room, "", "clearance.preview-revoke", map[string]string{"id": page.ID}); err != nil {
			return err
		}
		page.Names = s.nodeNames(page.Preview.Flagged)
	}
	if page.Actor, err = s.actors(r, access.Examiner, access.CrisisLead); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "widerruf", page)
}

func listWord(k forensics.Kind) string {
	words := map[forensics.Kind]string{
		forensics.WindowsDomain: "Windows-Domäne", forensics.LinuxServer: "Linux-Server", forensics.BackupSet: "Sicherung",
	}
	return orItself(words[k], k)
}
