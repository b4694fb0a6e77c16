package web

import (
	"net/http"

	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
	"leitstand/room"
)

type emergencyPage struct {
	Connected  bool
	Sum        sicknote.Status
	Kassen     []sicknote.Status
	Placements []emergencyRow
	Problems   []sicknote.BoxStatus
}

// emergencyRow is one placement in emergency operation with its books.
type emergencyRow struct {
	Placement catalogue.PlacementID
	Kasse     catalogue.KasseID
	Service   string
	Word      string
	Books     operation.Counts
	Balanced  bool
}

// emergency shows what emergency operation took in and what became of it.
func (s *server) emergency(w http.ResponseWriter, r *http.Request) error {
	page := emergencyPage{Connected: s.room.Intake != nil}
	all, err := room.Do[[]sicknote.Status](r.Context(), s.room, "", "sicknote.status", struct{}{})
	if err != nil {
		return err
	}
	for _, k := range all {
		page.Sum = page.Sum.Add(k)
		if len(k.Mailboxes) > 0 || k.Fetched > 0 {
			page.Kassen = append(page.Kassen, k)
		}
		for _, b := range k.Mailboxes {
			if b.Problem != "" {
				page.Problems = append(page.Problems, b)
			}
		}
	}
	for _, p := range s.room.Operation.Current().Placements() {
		if p.Emergency == operation.Active || p.Emergency == operation.HandingOver || p.Starting != operation.NotStarting {
			word := p.Emergency.Word()
			if p.Starting != operation.NotStarting {
				word = "angeordnet, wartet auf den Nachweis, dass die Regelseite zu ist"
			}
			page.Placements = append(page.Placements, emergencyRow{
				Placement: p.ID, Kasse: p.Kasse, Service: s.serviceName(p.Service), Word: word, Books: p.Journal, Balanced: p.Journal.Balanced(),
			})
		}
	}
	return s.render(w, r, http.StatusOK, "notbetrieb", page)
}
