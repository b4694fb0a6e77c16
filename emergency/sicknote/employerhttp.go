package sicknote

import (
	"encoding/json"
	"errors"
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
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, Employer){
		"POST /{kasse}/requests": func(w http.ResponseWriter, req *http.Request, who Employer) {
			in.ask(w, req, who, clock())
		},
		"GET /{kasse}/reports": in.reports,
		"DELETE /{kasse}/reports/{id}": func(w http.ResponseWriter, req *http.Request, who Employer) {
			act := Act{At: clock(), Actor: "employer:" + who.Number}
			err := in.Fetched(req.Context(), kasseOf(req), who.Number, []string{req.PathValue("id")}, act)
			answerEmployer(w, struct{}{}, err)
		},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			who, err := known.who(req, clock())
			if err != nil {
				http.Error(w, err.Error(), http.StatusUnauthorized)
				return
			}
			h(w, req, who)
		})
	}
	return mux
}

func kasseOf(req *http.Request) catalogue.KasseID {
	return catalogue.KasseID(req.PathValue("kasse"))
}

func (in *Intake) ask(w http.ResponseWriter, req *http.Request, who Employer, now time.Time) {
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
		http.Error(w, "betriebsnummer is not that of the token or certificate", http.StatusForbidden)
		return
	}
	r.Kasse = kasseOf(req)
	a, err := in.Answer(req.Context(), r, now)
	answerEmployer(w, a, err)
}

// mostReports is how many reports one answer has; the rest come when these are fetched.
const mostReports = 500

func (in *Intake) reports(w http.ResponseWriter, req *http.Request, who Employer) {
	reports, err := in.Reports(req.Context(), kasseOf(req), who.Number, mostReports)
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
