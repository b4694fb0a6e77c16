package emergency

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
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
	signed, err := r.take(req.Context(), p)
	switch {
	case errors.Is(err, ErrConflict):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case err != nil:
		http.Error(w, "the parcel could not be stored: send it again later", http.StatusServiceUnavailable)
	default:
		r.answer(w, signed, nil)
	}
}

// take gives a checked parcel to the Receiving and signs what it says.
func (r *Receiver) take(ctx context.Context, p Parcel) (Signed, error) {
	receipt, err := r.Receiving.Receive(ctx, p)
	if err != nil {
		return Signed{}, err
	}
	receipt.Version, receipt.Receiver, receipt.Kasse, receipt.Batch = WireVersion, r.Name, p.Kasse, p.Batch
	if receipt.At.IsZero() {
		receipt.At = time.Now().UTC()
	}
	return SignReceipt(r.Key, receipt)
}

// Question is what a sender wants to know.
type Question string

// The questions, as files and mails name them.
const (
	AskParcel     Question = "parcel"
	AskComparison Question = "comparison"
	AskList       Question = "list"
)

// Answer answers a question that came on a channel other than HTTPS, in JSON as
// HTTPS would. An error says that there is no answer now: ask again later.
func (r *Receiver) Answer(ctx context.Context, q Question, body []byte) ([]byte, error) {
	var out any
	var err error
	switch q {
	case AskParcel:
		var p Parcel
		if err = json.Unmarshal(body, &p); err == nil {
			err = p.Check()
		}
		if err == nil {
			out, err = r.take(ctx, p)
		}
	case AskComparison:
		var c Comparison
		if err = json.Unmarshal(body, &c); err == nil {
			out, err = r.weigh(ctx, c)
		}
	case AskList:
		var l ListQuery
		if err = json.Unmarshal(body, &l); err == nil {
			out, err = r.Receiving.List(ctx, l)
		}
	default:
		err = fmt.Errorf("%q is no question", q)
	}
	if err != nil {
		return nil, fmt.Errorf("answering a %s: %w", q, err)
	}
	return json.Marshal(out)
}

func (r *Receiver) comparisons(w http.ResponseWriter, req *http.Request) {
	var c Comparison
	if !r.read(w, req, &c) {
		return
	}
	signed, err := r.weigh(req.Context(), c)
	if err != nil {
		http.Error(w, "the books could not be read: ask again later", http.StatusServiceUnavailable)
		return
	}
	r.answer(w, signed, nil)
}

// weigh adds the receiver's side to a comparison and signs both.
func (r *Receiver) weigh(ctx context.Context, c Comparison) (Signed, error) {
	theirs, err := r.Receiving.Compare(ctx, c)
	if err != nil {
		return Signed{}, err
	}
	c.Receiver, c.Theirs, c.At = r.Name, theirs, time.Now().UTC()
	return sign(r.Key, comparisonContext, c)
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
