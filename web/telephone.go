package web

import (
	"net/http"
	"strconv"
	"time"

	"leitstand/access"
	"leitstand/room"
)

type telephonePage struct {
	Consent access.Consent
	Asked   *access.CodeAsked // nil: nobody has been called yet
	Problem string
	Actor   actor
	People  []access.Person // who may be called
}

// telephone is for a person who agrees over the telephone: it says what to read
// out and which code to ask for, and takes the code.
func (s *server) telephone(w http.ResponseWriter, r *http.Request) error {
	return s.showTelephone(w, r, http.StatusOK, nil, "")
}

func (s *server) showTelephone(w http.ResponseWriter, r *http.Request, status int, asked *access.CodeAsked, problem string) error {
	c, err := access.ConsentByID(r.Context(), s.room.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	page := telephonePage{Consent: c, Asked: asked, Problem: problem}
	if page.Actor, err = s.actors(r); err != nil {
		return err
	}
	for _, p := range page.Actor.People {
		if p.ID != c.AskedBy {
			page.People = append(page.People, p)
		}
	}
	return s.render(w, r, status, "telefon", page)
}

// telephoneStep asks for the number of a code, or takes what was read out.
func (s *server) telephoneStep(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	called, err := needed(r, "person", "Bitte wählen, wer angerufen wird.")
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if r.PostForm.Get("was") != "code" {
		asked, err := room.Do[access.CodeAsked](r.Context(), s.room, person, "code.ask", map[string]string{"id": id, "person": called})
		if err != nil {
			f := s.explain(err)
			return s.showTelephone(w, r, f.status, nil, f.text)
		}
		return s.showTelephone(w, r, http.StatusOK, &asked, "")
	}
	code, err := needed(r, "code", "Bitte den Code eingeben, der vorgelesen wurde.")
	if err != nil {
		return err
	}
	if _, err := s.act(r.Context(), person, "code.approve", map[string]string{"id": id, "person": called, "code": code}); err != nil {
		f := s.explain(err)
		return s.showTelephone(w, r, f.status, askedBefore(r, id, called), f.text)
	}
	return seeOther(w, r, "/entscheidungen/"+id)
}

// askedBefore is what the page showed when the code was asked for, so that a
// wrong digit does not lose it. The room does not believe it.
func askedBefore(r *http.Request, id, person string) *access.CodeAsked {
	number, err := strconv.ParseInt(r.PostForm.Get("nummer"), 10, 64)
	if err != nil || number < 1 || number > access.SheetSize {
		return nil
	}
	end, err := time.Parse(time.RFC3339, r.PostForm.Get("bis"))
	if err != nil {
		return nil
	}
	return &access.CodeAsked{Consent: id, Person: person, Number: number, Sheet: r.PostForm.Get("blatt"), Word: r.PostForm.Get("wort"), Expires: end}
}
