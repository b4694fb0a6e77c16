package web

import (
	"net/http"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/room"
)

type keysPage struct {
	room.KeyStatus
	Missing int // people who are still to come, of a shared key
	Pairs   []kassePairs
	Actor   actor
	Problem string
}

// kassePairs is how many key pairs a Kasse has had.
type kassePairs struct {
	Kasse catalogue.KasseID
	Count int
}

// keys shows whether the room is locked, and what works while it is.
func (s *server) keys(w http.ResponseWriter, r *http.Request) error {
	return s.showKeys(w, r, http.StatusOK, "")
}

func (s *server) showKeys(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	st, err := room.Do[room.KeyStatus](r.Context(), s.room, "", "keys.status", nil)
	if err != nil {
		return err
	}
	page := keysPage{KeyStatus: st, Missing: st.Shared - len(st.Waiting), Problem: problem}
	for _, k := range sortedKeys(st.Kassen) {
		page.Pairs = append(page.Pairs, kassePairs{k, st.Kassen[k]})
	}
	if page.Actor, err = s.actors(r, access.Operator, access.CrisisLead); err != nil {
		return err
	}
	return s.render(w, r, status, "schluessel", page)
}

// changeKeys unlocks, locks, or asks for a new key pair of a Kasse. A passphrase
// stands in no address, no answer and no log.
func (s *server) changeKeys(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	switch r.PostForm.Get("was") {
	case "auf":
		pass := r.PostForm.Get("passphrase")
		if pass == "" {
			return &failure{status: http.StatusUnprocessableEntity, text: "Bitte die Passphrase eingeben."}
		}
		_, err = s.act(r.Context(), person, "keys.unlock", map[string]string{"passphrase": pass})
		if err != nil {
			f := s.explain(err)
			return s.showKeys(w, r, f.status, f.text)
		}
	case "zu":
		_, err = s.act(r.Context(), person, "keys.lock", nil)
	case "kasse":
		reason, rerr := needed(r, "grund", "Bitte den Grund nennen.")
		if rerr != nil {
			return rerr
		}
		c, aerr := room.Do[access.Consent](r.Context(), s.room, person, "keys.rotate", map[string]string{"kasse": r.PostForm.Get("kasse"), "reason": reason})
		if aerr != nil {
			return aerr
		}
		return seeOther(w, r, "/entscheidungen/"+c.ID)
	default:
		return &failure{status: http.StatusBadRequest, text: "Bitte wählen Sie, was geschehen soll. Es wurde nichts geändert."}
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/schluessel")
}
