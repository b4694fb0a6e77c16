package web

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/room"
)

// consentView is one request with everything that is consented to.
type consentView struct {
	access.Consent
	Kind    string // in words
	Measure *containment.Preview
	Picture template.HTML // of what the measure takes with it
	Doors   []doorChoice
	List    *notice.List
	Notice  *notice.Notice
	Fields  []field // of a command of operation
	Answers *room.Prepared
	Terms   *room.TermsCompared
	// Changed says that the act would not do any more what the first person was
	// shown; the room refuses consent then.
	Changed bool
	Problem string // why it cannot be shown
}

// field is one thing that a command says.
type field struct {
	Name   string
	Values []string
}

type doorChoice struct {
	Service, Word string
}

type decisionsPage struct {
	Open   []consentView
	Single bool
	Actor  actor
}

// decisions shows what waits for a second person.
func (s *server) decisions(w http.ResponseWriter, r *http.Request) error {
	open, err := access.Open(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	page := decisionsPage{}
	for _, c := range open {
		page.Open = append(page.Open, s.consentView(r, c))
	}
	if page.Actor, err = s.actors(r); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "entscheidungen", page)
}

// decision shows one request, whatever its state.
func (s *server) decision(w http.ResponseWriter, r *http.Request) error {
	c, err := access.ConsentByID(r.Context(), s.room.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	a, err := s.actors(r)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "entscheidungen", decisionsPage{Open: []consentView{s.consentView(r, c)}, Single: true, Actor: a})
}

// consentView works out what the request would do now, and whether that is what
// the first person was shown.
func (s *server) consentView(r *http.Request, c access.Consent) consentView {
	v := consentView{Consent: c, Kind: kindWord(c.Kind)}
	shown, err := s.shown(r, &v)
	if err != nil {
		v.Changed, v.Problem = true, s.explain(err).text
		return v
	}
	hash, err := access.HashShown(c.Kind, c.Payload, shown)
	v.Changed = err != nil || hash != c.Hash
	return v
}

// shown fills the view and returns what the room binds the consent to.
func (s *server) shown(r *http.Request, v *consentView) (any, error) {
	switch v.Consent.Kind {
	case "measure":
		v.Kind = "Maßnahme"
		var plan containment.Plan
		if err := json.Unmarshal(v.Payload, &plan); err != nil {
			return nil, err
		}
		pre, err := containment.MakePreview(s.room.Catalogue, s.room.Operation.Current(), plan)
		v.Measure, v.Doors = &pre, s.doorChoices(plan)
		if err == nil {
			v.Picture = s.picture(pre)
		}
		return pre, err
	case "list":
		v.Kind = "Öffentliche Liste"
		var a struct{ Reason string }
		if err := json.Unmarshal(v.Payload, &a); err != nil {
			return nil, err
		}
		l, err := s.room.ListDraft(r.Context(), a.Reason)
		v.List = &l
		return l, err
	case "notice":
		v.Kind = "Mitteilung"
		v.Notice = &notice.Notice{}
		err := json.Unmarshal(v.Payload, v.Notice)
		return *v.Notice, err
	}
	if v.Consent.Kind == "answers" {
		return s.preparedAnswers(r, v)
	}
	if shown, ok, err := s.room.Shown(r.Context(), v.Consent); ok {
		if word, known := keepingWord(v.Consent.Kind); known {
			v.Kind = word
		}
		v.Fields = s.rawFields(shown)
		if o, is := shown.(room.ShownOrder); is {
			v.Fields = s.orderFields(o)
		}
		if o, is := shown.(room.ShownTerms); is && err == nil {
			v.Fields = []field{{"Grund", one(o.Reason)}}
			var compared room.TermsCompared
			compared, err = s.room.TermsRequest(r.Context(), v.Consent)
			v.Terms = &compared
		}
		return shown, err
	}
	cmd, err := operation.Decode(v.Consent.Kind, v.Payload)
	if err != nil {
		return nil, err
	}
	v.Fields = s.commandFields(cmd)
	return cmd, nil
}

// keepingWord is the German of what is asked for about keeping the room.
func keepingWord(kind string) (word string, ok bool) {
	word, ok = map[string]string{
		"key.rotate": "Neuer Schlüssel einer Kasse", "role.handover": "Übergabe von Rollen", "recipients": "Empfänger der Sicherungen", "kasse.erase": "Löschen, was für eine Kasse angenommen wurde",
		"merge": "Zusammenführen mit dem ersten Rechner", "switchback": "Rückführung in den Regelbetrieb",
		"backlog.order": "Reihenfolge beim Abarbeiten", "plan.terms": "Vereinbarungen der Wiederherstellung",
		"step.skip": "Auslassen eines Schritts der Wiederherstellung", "step.start": "Schritt der Wiederherstellung durch einen Treiber",
	}[kind]
	return word, ok
}

func (s *server) doorChoices(p containment.Plan) []doorChoice {
	var out []doorChoice
	for _, svc := range orderedServices(s.room.Catalogue) {
		if b, ok := p.Behaviour[svc.ID]; ok {
			out = append(out, doorChoice{svc.Name, behaviourWord(b)})
		}
	}
	return out
}

// commandFields puts what a command does into words, every field of it. A kind
// that is not asked for consent today is shown by its fields as they stand.
func (s *server) commandFields(cmd operation.Command) []field {
	switch c := cmd.(type) {
	case *operation.GrantClearance:
		return s.clearanceFields(c)
	case *operation.EnterTrial:
		return []field{{"Grund", one(c.Reason)}, {"Was in den Probebetrieb geht", s.nodeNames(c.Nodes)}, {"Wer testen darf", c.Testers}}
	case *operation.Accept:
		return []field{{"Grund", one(c.Reason)}, {"Was abgenommen wird", s.nodeNames(c.Nodes)}, {"Danach", one(c.To.Word())}, {"Erlaubte Wege", c.Paths}}
	case *operation.UndoCut:
		return []field{{"Grund", one(c.Reason)}, {"Was wieder ans Netz geht", s.nodeNames(c.Nodes)}}
	case *operation.StartEmergency:
		return []field{{"Grund", one(c.Reason)}, {"Wo der Notbetrieb beginnt", s.placementNames(c.Placements)}}
	case *operation.LiftFlag:
		return []field{{"Grund", one(c.Reason)}, {"Was am Netz bleiben darf", s.nodeNames(c.Nodes)}}
	case *operation.RuleOutAttack:
		return []field{{"Grund", one(c.Reason)}, {"Ursache", one(c.Cause)}, {"Was wieder läuft", s.nodeNames(c.Nodes)}}
	}
	return s.rawFields(cmd)
}

func (s *server) clearanceFields(c *operation.GrantClearance) []field {
	var evidence []string
	for _, e := range c.Evidence {
		evidence = append(evidence, evidenceText(e))
	}
	from := "ab sofort"
	if !c.From.IsZero() {
		from = s.moment(c.From, s.room.Now()).Abs
	}
	return []field{
		{"Was freigegeben wird", one(scopeWord(c.Scope.Kind) + ": " + s.nodeName(c.Scope.ID))},
		{"Wie geprüft wurde", one(checkWord(c.Check))},
		{"Gilt auch für", s.nodeNames(c.Covers)},
		{"Belege", evidence},
		{"Gilt", one(from + " bis " + s.moment(c.Until, s.room.Now()).Abs)},
		{"Auflagen", one(c.Conditions)},
		{"Grund", one(c.Reason)},
	}
}

// rawFields shows the fields of a command or request by their names in files.
func (s *server) rawFields(cmd any) []field {
	b, err := json.Marshal(cmd)
	if err != nil {
		return []field{{"Inhalt", one("nicht darstellbar: " + err.Error())}}
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return []field{{"Inhalt", one(string(b))}}
	}
	var out []field
	for _, k := range sortedKeys(m) {
		var list []string
		var text string
		switch {
		case json.Unmarshal(m[k], &list) == nil:
			out = append(out, field{k, s.nodeNames(list)})
		case json.Unmarshal(m[k], &text) == nil:
			out = append(out, field{k, one(text)})
		default:
			out = append(out, field{k, one(string(m[k]))})
		}
	}
	return out
}

func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

func (s *server) nodeNames(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = s.nodeName(id)
	}
	return out
}

func (s *server) placementNames(ids []catalogue.PlacementID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = s.nodeName(string(id))
	}
	return out
}

// decide gives or refuses consent.
func (s *server) decide(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	act := "approve"
	if r.PostForm.Get("nein") != "" {
		act = "decline"
		if strings.TrimSpace(r.PostForm.Get("grund")) == "" {
			return &failure{status: http.StatusUnprocessableEntity, text: "Wer ablehnt, nennt bitte einen Grund."}
		}
	}
	c, err := access.ConsentByID(r.Context(), s.room.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	if r.PostForm.Get("hash") != c.Hash {
		return access.ErrChanged
	}
	if _, err := s.act(r.Context(), person, act, map[string]string{"id": c.ID, "reason": r.PostForm.Get("grund")}); err != nil {
		return err
	}
	return seeOther(w, r, "/entscheidungen/"+c.ID)
}

// Left is how much time a request has.
func (v consentView) Left(now time.Time) string { return relative(v.Expires.Sub(now)) }

// Pending says that somebody may still decide.
func (v consentView) Pending() bool { return v.State == access.Pending }

// StateWord is the state in words.
func (v consentView) StateWord() string {
	words := map[access.ConsentState]string{
		access.Pending: "wartet", access.Given: "✓ zugestimmt", access.Declined: "✕ abgelehnt", access.Withdrawn: "↶ zurückgezogen", access.Expired: "– abgelaufen",
	}
	return orItself(words[v.State], v.State)
}
