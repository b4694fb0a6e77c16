package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/notice"
)

// publicPage is what anybody may see. It holds what two people released, and
// nothing about who they are.
type publicPage struct {
	View     string // versicherte, partner, leicht, en
	T        publicWords
	Version  int
	At       time.Time
	Reason   string
	Kassen   []publicKasse
	Notices  []publicNotice
	Versions []publicVersion
	Query    string // filter by name
	One      bool   // page of one Kasse
}

func (p publicPage) lang() string { return p.T.Lang }

// publicKasse is one Kasse with what does not run as usual.
type publicKasse struct {
	ID      catalogue.KasseID
	Name    string
	Entries []notice.Entry
}

type publicNotice struct {
	ID, Title, Text, Certainty string
	At                         time.Time
}

// publicVersion is one version of the list with its changes, without names of people.
type publicVersion struct {
	Version                 int
	At                      time.Time
	Reason                  string
	Entries                 int
	Added, Removed, Changed []notice.Change
}

// public shows what works and what does not, in one of its views.
func (s *server) public(w http.ResponseWriter, r *http.Request) error {
	view := r.PathValue("view")
	if view == "" {
		view = "versicherte"
	}
	words, ok := publicTexts()[view]
	if !ok {
		return &failure{status: http.StatusNotFound, text: "Diese Seite gibt es nicht."}
	}
	page, err := s.publicData(r, words, view)
	if err != nil {
		return err
	}
	page.Query = strings.TrimSpace(r.URL.Query().Get("kasse"))
	if page.Query != "" {
		page.Kassen = slices.DeleteFunc(page.Kassen, func(k publicKasse) bool {
			return !strings.Contains(strings.ToLower(k.Name), strings.ToLower(page.Query)) && string(k.ID) != page.Query
		})
	}
	return s.show(w, r, http.StatusOK, "oeffentlich", false, page)
}

// publicKasse shows one Kasse, also when everything runs, so that it can be linked to.
func (s *server) publicKasse(w http.ResponseWriter, r *http.Request) error {
	k, ok := s.room.Catalogue.KasseByIK(r.PathValue("kasse"))
	if !ok {
		return &failure{status: http.StatusNotFound, text: "Diese Kasse steht nicht in unserer Liste."}
	}
	page, err := s.publicData(r, publicTexts()["versicherte"], "versicherte")
	if err != nil {
		return err
	}
	page.One, page.Query = true, k.Name
	found := slices.DeleteFunc(page.Kassen, func(p publicKasse) bool { return p.ID != k.ID })
	if len(found) == 0 {
		found = []publicKasse{{ID: k.ID, Name: k.Name}}
	}
	page.Kassen = found
	return s.show(w, r, http.StatusOK, "oeffentlich", false, page)
}

// publicChanges shows all versions with what was added, removed and changed, and why.
func (s *server) publicChanges(w http.ResponseWriter, r *http.Request) error {
	page, err := s.publicData(r, publicTexts()["versicherte"], "aenderungen")
	if err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "aenderungen", false, page)
}

// publicData reads the released lists and notices of a view.
func (s *server) publicData(r *http.Request, words publicWords, view string) (publicPage, error) {
	lists, err := notice.Lists(r.Context(), s.room.Store)
	if err != nil {
		return publicPage{}, err
	}
	notices, err := notice.Notices(r.Context(), s.room.Store)
	if err != nil {
		return publicPage{}, err
	}
	page := publicPage{View: view, T: words}
	for _, n := range notices {
		if n.Audience == notice.Public || n.Audience == notice.Partners && view == "partner" {
			page.Notices = append(page.Notices, publicNotice{n.ID, n.Title, n.Text, n.Certainty, n.ReleasedAt})
		}
	}
	for _, l := range lists {
		page.Versions = append(page.Versions, versionOf(l))
	}
	if len(lists) > 0 {
		page.Version, page.At, page.Reason = lists[0].Version, lists[0].At, lists[0].Reason
		page.Kassen = byKasse(lists[0].Entries)
	}
	return page, nil
}

func versionOf(l notice.List) publicVersion {
	v := publicVersion{Version: l.Version, At: l.At, Reason: l.Reason, Entries: len(l.Entries)}
	for _, c := range l.Changes {
		switch c.Kind {
		case "added":
			v.Added = append(v.Added, c)
		case "removed":
			v.Removed = append(v.Removed, c)
		default:
			v.Changed = append(v.Changed, c)
		}
	}
	return v
}

// byKasse groups entries, Kassen in the order of their names.
func byKasse(entries []notice.Entry) []publicKasse {
	var out []publicKasse
	at := map[catalogue.KasseID]int{}
	for _, e := range entries {
		i, ok := at[e.Kasse]
		if !ok {
			i = len(out)
			at[e.Kasse] = i
			out = append(out, publicKasse{ID: e.Kasse, Name: e.KasseName})
		}
		out[i].Entries = append(out[i].Entries, e)
	}
	slices.SortFunc(out, func(a, b publicKasse) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return out
}

// Sign is the sign beside the word of an entry: never colour alone.
func (publicPage) Sign(e notice.Entry) string {
	switch e.Word {
	case "eingeschränkt":
		return "◐"
	case "im Notbetrieb":
		return "✚"
	case "im Probebetrieb":
		return "◇"
	}
	return "✕"
}

// Key is the colour of an entry.
func (publicPage) Key(e notice.Entry) string {
	switch e.Word {
	case "eingeschränkt":
		return "limited"
	case "im Notbetrieb":
		return "emergency"
	case "im Probebetrieb":
		return "trial"
	}
	return "failed"
}

// Word is the word of an entry in the language of the page.
func (p publicPage) Word(e notice.Entry) string {
	if w, ok := p.T.States[e.Word]; ok {
		return w
	}
	return e.Word
}
