package web

import (
	"context"
	"encoding/json"
	"net/http"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/room"
)

// actor is the choice of who acts, on every form. The room has no logins yet: it
// believes whoever has the token; the ledger records what was chosen.
type actor struct {
	People []access.Person
	Chosen string
}

// actors lists who may act, those with the given roles first to choose from; no
// roles mean everybody.
func (s *server) actors(r *http.Request, roles ...access.Role) (actor, error) {
	people, err := access.List(r.Context(), s.room.Store)
	if err != nil {
		return actor{}, err
	}
	a := actor{}
	if c, err := r.Cookie(personCookie); err == nil {
		a.Chosen = c.Value
	}
	for _, p := range people {
		fits := len(roles) == 0
		for _, role := range roles {
			fits = fits || p.Has(role)
		}
		if p.Active && fits {
			a.People = append(a.People, p)
		}
	}
	return a, nil
}

// as is who acts by a form; the choice is remembered.
func as(w http.ResponseWriter, r *http.Request) (string, error) {
	id := r.PostForm.Get("als")
	if id == "" {
		return "", &failure{status: http.StatusUnprocessableEntity, text: "Bitte wählen Sie, wer handelt."}
	}
	setCookie(w, personCookie, id)
	return id, nil
}

// act carries out an act of the room with typed arguments.
func (s *server) act(ctx context.Context, person, name string, args any) (any, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	return s.room.Do(ctx, room.Act{Name: name, As: person, Args: raw})
}

// refreshNames reads how people are called, for the templates.
func (s *server) refreshNames(ctx context.Context) error {
	people, err := access.List(ctx, s.room.Store)
	if err != nil {
		return err
	}
	names := make(map[string]string, len(people))
	for _, p := range people {
		names[p.ID] = p.Name
	}
	s.names.Store(&names)
	return nil
}

// personName is how somebody is called on screens; unknown ids stand for themselves.
func (s *server) personName(id string) string {
	switch id {
	case ledger.System:
		return "der Leitstand selbst"
	case "":
		return "niemand"
	}
	if names := s.names.Load(); names != nil && (*names)[id] != "" {
		return (*names)[id]
	}
	return id
}
