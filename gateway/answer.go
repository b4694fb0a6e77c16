package gateway

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"leitstand/emergency"
)

// words is what a person is told, in German and English.
type words struct {
	title, text, english string
	receipt              string
}

// notice tells that the service is off for now.
func (g *Gateway) notice(w http.ResponseWriter, r *http.Request, d *Door) {
	w.Header().Set("Retry-After", retryAfter)
	what := "Der Dienst"
	if d.Service != "" {
		what += " „" + d.Service + "“ der " + d.Kasse
	}
	text := what + " ist zurzeit vom Netz. Das liegt nicht an Ihnen; Ihre Daten sind davon nicht verändert."
	if d.Advice != "" {
		text += " Bitte nutzen Sie solange: " + d.Advice + "."
	}
	g.say(w, r, http.StatusServiceUnavailable, words{
		title: "Dieser Dienst ist zurzeit nicht erreichbar", text: text,
		english: "This service is offline for now. It is not your fault. Please try again later.",
	})
}

// busy tells that a limited door lets no more through just now.
func (g *Gateway) busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "5")
	g.say(w, r, http.StatusServiceUnavailable, words{
		title: "Gerade sind zu viele Menschen auf einmal hier", text: "Der Dienst läuft eingeschränkt. Bitte versuchen Sie es in einigen Sekunden noch einmal.",
		english: "The service runs with limited capacity. Please try again in a few seconds.",
	})
}

// keep stores a request and answers 202 with its number, or 503 when it could
// not be stored. There is nothing to store of a request that only reads.
func (g *Gateway) keep(w http.ResponseWriter, r *http.Request, d *Door) {
	if reads(r) || g.Keeper == nil {
		g.notice(w, r, d)
		return
	}
	body, ok := g.whole(w, r)
	if !ok {
		return
	}
	receipt, err := g.Keeper.Keep(r.Context(), *d, r, body)
	g.kept(w, r, d, receipt, err)
}

// whole reads the body of a request that will be stored; ok is false when the
// client has been told that it is too long.
func (g *Gateway) whole(w http.ResponseWriter, r *http.Request) (body []byte, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		g.say(w, r, http.StatusRequestEntityTooLarge, words{
			title: "Die Sendung ist zu groß", text: "Es sind höchstens 25 MiB möglich. Bitte teilen Sie die Sendung.",
			english: "The request is too large (limit 25 MiB).",
		})
		return nil, false
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off: nothing is acknowledged, and silence would be a 200
	}
	return body, true
}

// kept answers what came of storing a request.
func (g *Gateway) kept(w http.ResponseWriter, r *http.Request, d *Door, receipt string, err error) {
	if errors.Is(err, ErrKeyReused) || errors.Is(err, emergency.ErrKeyReused) {
		g.say(w, r, http.StatusUnprocessableEntity, words{
			title: "Dieser Schlüssel ist vergeben", text: "Unter demselben Idempotency-Key haben wir schon eine andere Sendung angenommen.",
			english: "The idempotency key was used for another request.",
		})
		return
	}
	if err != nil {
		if g.Log != nil {
			g.Log.Error("request could not be kept", slog.String("placement", string(d.Placement)), slog.Any("error", err))
		}
		g.notice(w, r, d)
		return
	}
	g.say(w, r, http.StatusAccepted, words{
		title: "Angenommen", receipt: receipt,
		text:    "Wir haben Ihre Sendung sicher gespeichert und liefern sie nach. Bitte senden Sie sie nicht noch einmal.",
		english: "We have stored your request safely and will deliver it. Please do not send it again.",
	})
}

// say answers in the form that the client asks for: FHIR, JSON or HTML.
func (g *Gateway) say(w http.ResponseWriter, r *http.Request, status int, t words) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	if g.Banner != "" {
		h.Set("X-Leitstand-Exercise", "1")
	}
	var body []byte
	var err error
	switch form := wanted(r); form {
	case fhirJSON:
		h.Set("Content-Type", form+"; charset=utf-8")
		body, err = json.Marshal(outcome(status, t))
	case fhirXML:
		h.Set("Content-Type", form+"; charset=utf-8")
		body, err = xml.Marshal(outcome(status, t))
		body = append([]byte(xml.Header), body...)
	case plainJSON:
		h.Set("Content-Type", form+"; charset=utf-8")
		body, err = json.Marshal(map[string]string{"title": t.title, "text": t.text, "english": t.english, "receipt": t.receipt})
	default:
		h.Set("Content-Type", "text/html; charset=utf-8")
		var buf bytes.Buffer
		err = page.Execute(&buf, map[string]string{
			"Banner": g.Banner, "Title": t.title, "Text": t.text, "English": t.english, "Receipt": t.receipt,
		})
		body = buf.Bytes()
	}
	if err != nil {
		http.Error(w, t.title, http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone: it learned nothing wrong
	}
}

// The forms of our answers besides HTML.
const (
	fhirJSON  = "application/fhir+json"
	fhirXML   = "application/fhir+xml"
	plainJSON = "application/json"
)

// wanted is the form that the client asks for, or in which it speaks itself where it
// takes anything; HTML otherwise.
func wanted(r *http.Request) string {
	asks := strings.Join(r.Header["Accept"], ",")
	if asks == "" || asks == "*/*" {
		asks = r.Header.Get("Content-Type")
	}
	switch {
	case strings.Contains(asks, "fhir+json"):
		return fhirJSON
	case strings.Contains(asks, "fhir+xml"):
		return fhirXML
	case strings.Contains(asks, "text/html"):
		return ""
	case strings.Contains(asks, "json"):
		return plainJSON
	}
	return ""
}

// operationOutcome is the resource of FHIR R4.
type operationOutcome struct {
	XMLName  xml.Name    `json:"-" xml:"http://hl7.org/fhir OperationOutcome"`
	Resource string      `json:"resourceType" xml:"-"`
	Issue    []fhirIssue `json:"issue" xml:"issue"`
}

type fhirIssue struct {
	Severity    fhirValue `json:"severity" xml:"severity"`
	Code        fhirValue `json:"code" xml:"code"`
	Details     fhirText  `json:"details" xml:"details"`
	Diagnostics fhirValue `json:"diagnostics" xml:"diagnostics"`
}

type fhirText struct {
	Text fhirValue `json:"text" xml:"text"`
}

// fhirValue is a string, in XML an attribute.
type fhirValue string

// MarshalXML writes it as FHIR does.
func (v fhirValue) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	start.Attr = append(start.Attr, xml.Attr{Name: xml.Name{Local: "value"}, Value: string(v)})
	return errors.Join(e.EncodeToken(start), e.EncodeToken(start.End()))
}

// outcome says it in German (diagnostics) and English (details).
func outcome(status int, t words) operationOutcome {
	i := fhirIssue{Severity: "error", Code: "transient", Details: fhirText{fhirValue(t.english)}}
	text := t.title + ": " + t.text
	switch status {
	case http.StatusAccepted:
		i.Severity, i.Code = "information", "informational"
	case http.StatusNotFound:
		i.Code = "not-found"
	case http.StatusRequestEntityTooLarge:
		i.Code = "too-long"
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		i.Code = "invalid"
	}
	if t.receipt != "" {
		text += " Nummer " + t.receipt
		i.Details.Text += fhirValue(" Number " + t.receipt)
	}
	i.Diagnostics = fhirValue(text)
	return operationOutcome{Resource: "OperationOutcome", Issue: []fhirIssue{i}}
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="de"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{with .Banner}}{{.}} · {{end}}{{.Title}}</title>
<style>body{font:1.125rem/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#171a2b}
h1{font-size:1.6rem;line-height:1.3}.b{background:#171a2b;color:#fff;padding:.25rem .75rem;display:inline-block;font-weight:700}
.n{font-size:1.4rem;font-weight:700;letter-spacing:.04em}p[lang=en]{color:#4a4f66}</style></head>
<body>{{with .Banner}}<p class="b">{{.}}</p>{{end}}<h1>{{.Title}}</h1><p>{{.Text}}</p>
{{with .Receipt}}<p>Ihre Eingangsnummer: <span class="n">{{.}}</span></p>{{end}}
<p lang="en">{{.English}}</p></body></html>
`))
