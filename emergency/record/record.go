// Package record stands behind the door of access to health records in emergency
// operation. A Kasse cannot and must not read records: what it can do is tell the truth
// about them, take in what must not wait, and let those who treat somebody see what they
// themselves put in meanwhile.
//
// Promises: objections and documents are kept, sealed, in the order in which they came,
// and handed over; access in an emergency needs a reason and two people, lasts half an
// hour, and every document read is on record before its first byte leaves; after an
// objection to the whole record nobody gets in.
package record

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"leitstand/emergency"
	"leitstand/emergency/desk"
)

// Objection is what an insured person forbids, or allows again (§§ 337, 353 SGB V).
type Objection struct {
	ID       string    `json:"vorgang_id"`
	Insured  string    `json:"versichertennummer"`
	Scope    string    `json:"umfang"` // see Scopes
	Provider string    `json:"einrichtung,omitempty"`
	Decision string    `json:"entscheidung"` // widerspruch or ruecknahme
	Received time.Time `json:"eingegangen"`  // when the insured person said so
	Way      string    `json:"weg"`          // schriftlich, persoenlich or telefonisch
}

// Scopes are what can be objected to.
func Scopes() []string { return []string{"akte", "medikation", "abrechnungsdaten", "einrichtung"} }

// Document is what a treating institution, or the Kasse, puts in.
type Document struct {
	ID       string `json:"dokument_id"`
	Insured  string `json:"versichertennummer"`
	Category string `json:"kategorie"` // see Categories
	Media    string `json:"medientyp"`
	Content  string `json:"inhalt"` // base64, at most 10 MiB of content
	Replaces string `json:"ersetzt,omitempty"`
}

// Categories are what is needed in an emergency.
func Categories() []string {
	return []string{"medikationsliste", "notfalldaten", "medikationsplan", "impfpass", "mutterpass", "befund", "sonstiges"}
}

// Access is a request to see what is there about somebody.
type Access struct {
	ID      string `json:"anfrage_id"`
	Insured string `json:"versichertennummer"`
	Who     string `json:"wer"`   // Telematik-ID of who treats
	Reason  string `json:"grund"` // why it cannot wait
	Present bool   `json:"patient_anwesend"`
}

// Receipt is what the client gets.
type Receipt struct {
	Number string    `json:"nummer"`
	State  string    `json:"zustand"`
	Until  time.Time `json:"bis,omitzero"` // of an access that was granted
}

// The states of an access, as reasons for which its item is held.
const (
	Waits   = "Notzugriff wartet auf die Entscheidung von zwei Personen"
	Granted = "Notzugriff gewährt; Versicherte sind binnen 24 Stunden zu benachrichtigen"
)

// The spans of an access.
const (
	waitsFor = time.Hour
	// OpenFor is how long an access stays open once granted.
	OpenFor = 30 * time.Minute
)

// Handler answers at a desk:
//
//	GET  /information/api/v1/ehr/{kvnr}          503: nobody knows now whether there is a record
//	POST /objections                             an [Objection]
//	POST /documents                              a [Document]
//	POST /access                                 an [Access]
//	GET  /access/{number}                        a [Receipt]
//	GET  /access/{number}/documents              what may be read now
//	GET  /access/{number}/documents/{document}   one of them
func Handler(d *desk.Desk) http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]desk.Handler{
		"GET /information/api/v1/ehr/{kvnr}":                  status,
		"GET /information/api/v1/ehr/{kvnr}/consentdecisions": status,
		"POST /objections":                                    object,
		"POST /documents":                                     put,
		"POST /access":                                        ask,
		"GET /access/{number}":                                show,
		"GET /access/{number}/documents":                      list,
		"GET /access/{number}/documents/{document}":           read,
	} {
		mux.HandleFunc(pattern, d.Handle(h))
	}
	return mux
}

func fault(field, text string) error { return &desk.Fault{Field: field, Text: text} }

func checkIDs(field, id, insured string) error {
	if id == "" || len(id) > 64 {
		return fault(field, "Es fehlt eine Kennung von höchstens 64 Zeichen.")
	}
	if !emergency.InsuredNumber(insured) {
		return fault("versichertennummer", "Das ist keine Versichertennummer: die Prüfziffer passt nicht.")
	}
	return nil
}

// errUnknown is 503, never "there is none", which would send a practice away for good.
var errUnknown = &desk.Fault{Status: http.StatusServiceUnavailable, Text: "Ob eine Akte da ist, kann im Notbetrieb niemand sagen. Bitte später wieder fragen."}

// status is the one question of the Information Service that can be answered truthfully.
func status(_ context.Context, c desk.Call) (desk.Answer, error) {
	if !emergency.InsuredNumber(c.PathValue("kvnr")) {
		return desk.Answer{}, &desk.Fault{Status: http.StatusBadRequest, Field: "kvnr", Text: "Das ist keine Versichertennummer."}
	}
	return desk.Answer{}, errUnknown
}

const whatObjection = "objection"

func object(ctx context.Context, c desk.Call) (desk.Answer, error) {
	o, err := desk.Read[Objection](c)
	if err == nil {
		err = o.check(c.Now)
	}
	if err != nil {
		return desk.Answer{}, err
	}
	return keep(ctx, c, whatObjection, o.ID, o.Insured, o)
}

func (o *Objection) check(now time.Time) error {
	switch {
	case !slices.Contains(Scopes(), o.Scope):
		return fault("umfang", "Bekannt sind: "+strings.Join(Scopes(), ", ")+".")
	case o.Scope == "einrichtung" && (o.Provider == "" || len(o.Provider) > 128):
		return fault("einrichtung", "Es fehlt die Einrichtung (Telematik-ID).")
	case o.Decision != "widerspruch" && o.Decision != "ruecknahme":
		return fault("entscheidung", "widerspruch oder ruecknahme.")
	case !slices.Contains([]string{"schriftlich", "persoenlich", "telefonisch"}, o.Way):
		return fault("weg", "schriftlich, persoenlich oder telefonisch.")
	case o.Received.IsZero() || o.Received.After(now.Add(time.Hour)):
		return fault("eingegangen", "Wann die Erklärung einging, nicht in der Zukunft.")
	}
	return checkIDs("vorgang_id", o.ID, o.Insured)
}

const (
	whatDocument = "document"
	mostDocument = 10 << 20 // bytes of content
)

var mediaType = regexp.MustCompile(`^[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}$`)

func put(ctx context.Context, c desk.Call) (desk.Answer, error) {
	d, err := desk.Read[Document](c)
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return desk.Answer{}, err
	}
	return keep(ctx, c, whatDocument, d.ID, d.Insured, d)
}

func (d *Document) check() error {
	content, err := base64.StdEncoding.DecodeString(d.Content)
	switch {
	case err != nil || len(content) == 0:
		return fault("inhalt", "Der Inhalt fehlt oder ist kein Base64.")
	case len(content) > mostDocument:
		return &desk.Fault{Status: http.StatusRequestEntityTooLarge, Field: "inhalt", Text: "Ein Dokument hat höchstens 10 MiB."}
	case !mediaType.MatchString(d.Media):
		return fault("medientyp", "Zum Beispiel application/pdf.")
	case !slices.Contains(Categories(), d.Category):
		return fault("kategorie", "Bekannt sind: "+strings.Join(Categories(), ", ")+".")
	case len(d.Replaces) > 64:
		return fault("ersetzt", "Höchstens 64 Zeichen.")
	}
	return checkIDs("dokument_id", d.ID, d.Insured)
}

// keep takes in what is handed over as it came.
func keep(ctx context.Context, c desk.Call, what, id, insured string, content any) (desk.Answer, error) {
	draft, err := c.Draft(emergency.KindRecord, what, id, insured, content)
	if err != nil {
		return desk.Answer{}, err
	}
	return accepted(ctx, c, draft, "angenommen, wird übergeben")
}

func accepted(ctx context.Context, c desk.Call, draft emergency.Draft, state string) (desk.Answer, error) {
	got, err := c.Keep(ctx, draft, nil)
	if err != nil {
		return desk.Answer{}, err
	}
	return desk.Answer{Status: http.StatusAccepted, Value: Receipt{Number: got.Number.Label(c.Kasse), State: state}}, nil
}

var telematikID = regexp.MustCompile(`^[0-9]{1,2}-[A-Za-z0-9._-]{1,120}$`)
