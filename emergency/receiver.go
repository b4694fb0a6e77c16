package emergency

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// Receiver is the regular system's end of the HTTPS channel: the protocol around
// a [Receiving]. It signs what the Receiving says and keeps nothing itself.
type Receiver struct {
	Name      string
	Key       ed25519.PrivateKey
	Token     string // required as bearer token when not empty
	Receiving Receiving
	MaxBytes  int64 // of a request; 0 means 64 MiB
}

// Handler serves POST /parcels, /comparisons and /list.
func (r *Receiver) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /parcels", r.parcels)
	mux.HandleFunc("POST /comparisons", r.comparisons)
	mux.HandleFunc("POST /list", r.list)
	return mux
}

func (r *Receiver) parcels(w http.ResponseWriter, req *http.Request) {
	var p Parcel
	if !r.read(w, req, &p) {
		return
	}
	key := req.Header.Get("Idempotency-Key")
	if key == "" || key != p.Batch {
		http.Error(w, "Idempotency-Key is missing or not the parcel's batch", http.StatusBadRequest)
		return
	}
	if err := p.Check(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	receipt, err := r.Receiving.Receive(req.Context(), p)
	switch {
	case errors.Is(err, ErrConflict):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	case err != nil:
		http.Error(w, "the parcel could not be stored: send it again later", http.StatusServiceUnavailable)
		return
	}
	receipt.Version, receipt.Receiver, receipt.Kasse, receipt.Batch = WireVersion, r.Name, p.Kasse, p.Batch
	if receipt.At.IsZero() {
		receipt.At = time.Now().UTC()
	}
	s, err := SignReceipt(r.Key, receipt)
	r.answer(w, s, err)
}

func (r *Receiver) comparisons(w http.ResponseWriter, req *http.Request) {
	var c Comparison
	if !r.read(w, req, &c) {
		return
	}
	theirs, err := r.Receiving.Compare(req.Context(), c)
	if err != nil {
		http.Error(w, "the books could not be read: ask again later", http.StatusServiceUnavailable)
		return
	}
	c.Receiver, c.Theirs, c.At = r.Name, theirs, time.Now().UTC()
	s, err := sign(r.Key, comparisonContext, c)
	r.answer(w, s, err)
}

func (r *Receiver) list(w http.ResponseWriter, req *http.Request) {
	var q ListQuery
	if !r.read(w, req, &q) {
		return
	}
	list, err := r.Receiving.List(req.Context(), q)
	if err != nil {
		http.Error(w, "the books could not be read: ask again later", http.StatusServiceUnavailable)
		return
	}
	r.answer(w, list, nil)
}

func (r *Receiver) read(w http.ResponseWriter, req *http.Request, v any) bool {
	if r.Token != "" && subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), []byte("Bearer "+r.Token)) != 1 {
		http.Error(w, "token is missing or wrong", http.StatusUnauthorized)
		return false
	}
	most := r.MaxBytes
	if most == 0 {
		most = 64 << 20
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, most))
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		http.Error(w, "request could not be read: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func (r *Receiver) answer(w http.ResponseWriter, v any, err error) {
	if err == nil {
		var b []byte
		if b, err = json.Marshal(v); err == nil {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(b) // a lost answer is asked for again
			return
		}
	}
	http.Error(w, "the answer could not be made", http.StatusInternalServerError)
}
