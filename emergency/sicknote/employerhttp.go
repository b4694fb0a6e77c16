package sicknote

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
)

// Employer is who may ask, found by the SHA-256 of a token.
type Employer struct {
	Number string // Betriebsnummer
}

// EmployerHandler answers POST /{kasse}/requests with a JSON [Answer]. It stands in
// for eXTra over the GKV-Kommunikationsserver, whose schemas are not public. A
// token speaks for one employer; clock says what time it is in the room.
func (in *Intake) EmployerHandler(employers map[[32]byte]Employer, clock func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{kasse}/requests", func(w http.ResponseWriter, req *http.Request) {
		token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		who, known := employers[sha256.Sum256([]byte(token))]
		if !ok || !known {
			http.Error(w, "token is missing or wrong", http.StatusUnauthorized)
			return
		}
		var r Request
		const most = 4 << 10
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, most))
		if err == nil {
			err = json.Unmarshal(body, &r)
		}
		if err != nil {
			http.Error(w, "request could not be read", http.StatusBadRequest)
			return
		}
		if r.Employer != who.Number {
			http.Error(w, "betriebsnummer is not the token's", http.StatusForbidden)
			return
		}
		r.Kasse = catalogue.KasseID(req.PathValue("kasse"))
		a, err := in.Answer(req.Context(), r, clock())
		writeAnswer(w, a, err)
	})
	return mux
}

func writeAnswer(w http.ResponseWriter, a Answer, err error) {
	switch {
	case errors.Is(err, ErrRequest):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case errors.Is(err, emergency.ErrNoKey):
		http.Error(w, "this Kasse is not served here", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "no answer at the moment: ask again later", http.StatusServiceUnavailable)
		return
	}
	b, err := json.Marshal(a)
	if err != nil {
		http.Error(w, "no answer at the moment: ask again later", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // who does not get it asks again
}
