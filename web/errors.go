package web

import (
	"errors"
	"net/http"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/room"
)

// explain puts the errors that people decide on into words. This is the one table.
func (s *server) explain(err error) error {
	for known, f := range map[error]failure{
		access.ErrSamePerson:    {http.StatusConflict, "Die zweite Person muss eine andere sein als die erste."},
		access.ErrChanged:       {http.StatusConflict, "Seit der Vorschau hat sich die Lage geändert. Bitte neu anordnen."},
		access.ErrExpired:       {http.StatusConflict, "Die Anfrage ist abgelaufen. Bitte neu anordnen."},
		access.ErrDecided:       {http.StatusConflict, "Darüber ist schon entschieden."},
		access.ErrNoConsent:     {http.StatusNotFound, "Diese Anfrage gibt es nicht."},
		access.ErrUnknownPerson: {http.StatusForbidden, "Diese Person gibt es nicht oder sie ist nicht mehr tätig."},
		db.ErrDiskFull:          {http.StatusInsufficientStorage, "Die Festplatte ist voll. Es wurde nichts gespeichert; bitte Platz schaffen, dann geht es weiter."},
		db.ErrReadOnly:          {http.StatusInsufficientStorage, "Der Datenträger ist nur lesbar. Es wurde nichts gespeichert."},
	} {
		if errors.Is(err, known) {
			return &f
		}
	}
	if refused, ok := errors.AsType[*room.Failure](err); ok {
		return &failure{http.StatusConflict, refused.Text}
	}
	return err
}
