package web

import (
	"net/http"
	"time"
)

type entrancePage struct {
	Link    string // for one more device, just made
	End     time.Time
	Devices int
}

// entrance shows how many devices are inside.
func (s *server) entrance(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, "zugang", entrancePage{Devices: s.room.Links.Devices()})
}

// changeEntrance makes a link for one more device, or shuts all others out. The
// link stands on the answer alone: no address and no history keeps it.
func (s *server) changeEntrance(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	switch r.PostForm.Get("was") {
	case "link":
		link, end, err := s.room.Links.Further(time.Now())
		if err != nil {
			return &failure{status: http.StatusConflict, text: "Dieser Kontrollraum hat keine eigene Adresse; es kann kein Link entstehen."}
		}
		return s.render(w, r, http.StatusOK, "zugang", entrancePage{Link: link, End: end, Devices: s.room.Links.Devices()})
	case "allein":
		s.room.Links.OnlyMe(pass(r))
		return seeOther(w, r, "/zugang")
	}
	return &failure{status: http.StatusBadRequest, text: "Bitte wählen Sie, was geschehen soll. Es wurde nichts geändert."}
}
