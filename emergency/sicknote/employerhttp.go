package sicknote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
)

// EmployerHandler answers employers over HTTP. It stands in for eXTra over the
// GKV-Kommunikationsserver, whose schemas are not public:
//
//	POST   /{kasse}/requests      a [Request]; the answer is an [Answer]
//	GET    /{kasse}/reports       what the Kasse reports by itself and nobody has fetched yet: [Answer]s
//	DELETE /{kasse}/reports/{id}  the employer has it
//
// Who asks is told by a token or a client certificate (see [Employers]) and speaks
// for one employer; clock says what time it is in the room.
func (in *Intake) EmployerHandler(known *Employers, clock func() time.Time) http.Handler {
	return in.employerHandler(known, clock, func(*http.Request) (*emergency.Right, error) { return nil, nil })
}

// EmployerDoor is EmployerHandler behind doors in emergency operation. right tells
// under which right to write a request came; each write checks it in its own
// transaction, and one that is not the present one is answered 503.
func (in *Intake) EmployerDoor(known *Employers, clock func() time.Time, right func(*http.Request) (emergency.Right, error)) http.Handler {
	return in.employerHandler(known, clock, func(req *http.Request) (*emergency.Right, error) {
		r, err := right(req)
		if err != nil {
			return nil, err
		}
		if k, _, _, _ := r.Placement.Split(); k != kasseOf(req) {
			return nil, fmt.Errorf("the door of %s does not lead to Kasse %s: %w", r.Placement, kasseOf(req), emergency.ErrNoKey)
		}
		return &r, nil
	})
}

// asked is a request of an employer whom we know.
type asked struct {
	*http.Request
	who   Employer
	right *emergency.Right
	now   time.Time
}

func (in *Intake) employerHandler(known *Employers, clock func() time.Time, right func(*http.Request) (*emergency.Right, error)) http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, asked){
		"POST /{kasse}/requests":       in.ask,
		"GET /{kasse}/reports":         in.reports,
		"DELETE /{kasse}/reports/{id}": in.fetched,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			a := asked{Request: req, now: clock()}
			var err error
			if a.who, err = known.who(req, a.now); err != nil {
				http.Error(w, err.Error(), http.StatusUnauthorized)
				return
			}
			if a.right, err = right(req); err != nil {
				answerEmployer(w, nil, err)
				return
			}
			h(w, a)
		})
	}
	return mux
}

func kasseOf(req *http.Request) catalogue.KasseID {
	return catalogue.KasseID(req.PathValue("kasse"))
}

func (in *Intake) ask(w http.ResponseWriter, req asked) {
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
	if r.Employer != req.who.Number {
		http.Error(w, "betriebsnummer is not that of the token or certificate", http.StatusForbidden)
		return
	}
	r.Kasse, r.Right = kasseOf(req.Request), req.right
	a, err := in.Answer(req.Context(), r, req.now)
	answerEmployer(w, a, err)
}

func (in *Intake) fetched(w http.ResponseWriter, req asked) {
	act := Act{At: req.now, Actor: "employer:" + req.who.Number, Right: req.right}
	err := in.Fetched(req.Context(), kasseOf(req.Request), req.who.Number, []string{req.PathValue("id")}, act)
	answerEmployer(w, struct{}{}, err)
}

// mostReports is how many reports one answer has; the rest come when these are fetched.
const mostReports = 500

func (in *Intake) reports(w http.ResponseWriter, req asked) {
	reports, err := in.Reports(req.Context(), kasseOf(req.Request), req.who.Number, mostReports)
	answers := make([]Answer, len(reports))
	for i, r := range reports {
		answers[i] = r.Answer
	}
	answerEmployer(w, answers, err)
}

func answerEmployer(w http.ResponseWriter, v any, err error) {
	switch {
	case errors.Is(err, ErrRequest):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case errors.Is(err, ErrNoReport):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case errors.Is(err, emergency.ErrNoKey):
		http.Error(w, "this Kasse is not served here", http.StatusNotFound)
		return
	case err != nil:
		w.Header().Set("Retry-After", "60")
		http.Error(w, "no answer at the moment: ask again later", http.StatusServiceUnavailable)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "no answer at the moment: ask again later", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // who does not get it asks again
}
