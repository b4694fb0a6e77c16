// Package contact lets insured people reach their Kasse in emergency operation, without a
// login: a message, a request to be called back, and later what has become of it.
//
// Promises: what is written is kept, sealed, before it is acknowledged; who wants a call
// has a place in the list, urgent care and money to live on first; number and PIN show
// nothing but how far it is.
package contact

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"leitstand/emergency"
	"leitstand/emergency/desk"
)

// Message is what an insured person writes.
type Message struct {
	ID      string `json:"nachricht_id,omitempty"` // of programs that may send again; people have none
	Topic   string `json:"thema"`                  // see Topics
	Name    string `json:"name"`
	Born    string `json:"geburtsdatum,omitempty"` // YYYY-MM-DD
	Insured string `json:"versichertennummer,omitempty"`
	Phone   string `json:"telefon,omitempty"`
	Mail    string `json:"email,omitempty"`
	Call    bool   `json:"rueckruf,omitempty"`
	When    string `json:"zeit,omitempty"` // vormittag, nachmittag, abend
	Text    string `json:"text"`
}

// Topic is what a message is about, and how long it may wait.
type Topic struct {
	ID, Words, English string
	Within             time.Duration
}

// Topics are what can be written about, the most pressing first: urgent care, then money
// that somebody lives on, as the Kassen ordered it in 2023.
func Topics() []Topic {
	return []Topic{
		{"versorgung", "Dringende Behandlung, Hilfsmittel, Pflege", "Urgent care", 4 * time.Hour},
		{"geld", "Krankengeld, Pflegegeld und anderes, wovon ich lebe", "Sick pay and other money I live on", 24 * time.Hour},
		{"bescheinigung", "Bescheinigung", "Certificates", 48 * time.Hour},
		{"sonstiges", "Etwas anderes", "Something else", 72 * time.Hour},
	}
}

func topic(id string) (Topic, bool) {
	all := Topics()
	i := slices.IndexFunc(all, func(t Topic) bool { return t.ID == id })
	if i < 0 {
		return Topic{}, false
	}
	return all[i], true
}

// Receipt is what the sender gets.
type Receipt struct {
	Number string    `json:"nummer"`
	PIN    string    `json:"pin,omitempty"`
	State  string    `json:"zustand"`
	Place  int       `json:"platz,omitempty"` // in the list of calls, from 1
	Until  time.Time `json:"bis,omitzero"`    // when we mean to have called
}

// CallReason begins the reason for which a message with a wish to be called is held.
const CallReason = "Rückruf: "

// Handler answers at a desk without clients:
//
//	GET  /                  a form that needs no script
//	POST /messages          a [Message] as JSON or from the form; 202 with a [Receipt]
//	GET  /messages/{number} ?pin=…: a [Receipt]
//
// prefix is that of the door's route: the form posts below it.
func Handler(d *desk.Desk, prefix string) http.Handler {
	mux := http.NewServeMux()
	f := formOf(strings.TrimSuffix(prefix, "/") + desk.Segment + "messages")
	mux.HandleFunc("GET /{$}", d.Handle(f.ask(http.StatusOK)))
	mux.HandleFunc("GET /elsewhere", d.Handle(f.ask(http.StatusServiceUnavailable))) // a page of the regular service is not here
	mux.HandleFunc("POST /messages", d.Handle(f.take))
	mux.HandleFunc("GET /messages/{number}", d.Handle(show))
	return mux
}

var phone = regexp.MustCompile(`^\+?[0-9][0-9 ()/-]{4,28}$`)

func (m *Message) check() error {
	fault := func(field, text string) error { return &desk.Fault{Field: field, Text: text} }
	if _, ok := topic(m.Topic); !ok {
		return fault("thema", "Bitte ein Thema wählen.")
	}
	switch {
	case len(m.ID) > 64:
		return fault("nachricht_id", "Höchstens 64 Zeichen.")
	case strings.TrimSpace(m.Name) == "" || len(m.Name) > 120:
		return fault("name", "Bitte den Namen angeben (höchstens 120 Zeichen).")
	case m.Insured != "" && !emergency.InsuredNumber(m.Insured):
		return fault("versichertennummer", "Das ist keine Versichertennummer; sie steht auf der Karte. Ohne Nummer geht es auch.")
	case strings.TrimSpace(m.Text) == "" || len(m.Text) > 8000:
		return fault("text", "Bitte schreiben, worum es geht (höchstens 8000 Zeichen).")
	case m.Phone != "" && !phone.MatchString(m.Phone):
		return fault("telefon", "Das ist keine Telefonnummer.")
	case m.Call && m.Phone == "":
		return fault("telefon", "Für einen Rückruf brauchen wir eine Telefonnummer.")
	case m.Phone == "" && m.Mail == "" && m.Insured == "":
		return fault("telefon", "Bitte Telefon, E-Mail oder Versichertennummer angeben, damit wir antworten können.")
	case m.When != "" && !slices.Contains([]string{"vormittag", "nachmittag", "abend"}, m.When):
		return fault("zeit", "vormittag, nachmittag oder abend.")
	}
	if _, err := time.Parse(time.DateOnly, m.Born); m.Born != "" && err != nil {
		return fault("geburtsdatum", "JJJJ-MM-TT.")
	}
	if m.Mail != "" {
		if a, err := mail.ParseAddress(m.Mail); err != nil || a.Address != m.Mail || len(m.Mail) > 254 {
			return fault("email", "Das ist keine E-Mail-Adresse.")
		}
	}
	return nil
}

func (f formOf) take(ctx context.Context, c desk.Call) (desk.Answer, error) {
	m, page, err := readMessage(c)
	if err != nil {
		return desk.Answer{}, err
	}
	if err := m.check(); err != nil {
		fault, theirs := errors.AsType[*desk.Fault](err)
		if !page || !theirs {
			return desk.Answer{}, err
		}
		return f.again(m, fault)
	}
	t, _ := topic(m.Topic) // checked
	what, id := "message", m.ID
	if id == "" {
		id = rand()
	}
	draft, err := c.Draft(emergency.KindMessage, what, id, m.Insured, m)
	if err != nil {
		return desk.Answer{}, err
	}
	if m.Call {
		draft.Hold = c.Hold(strings.TrimSuffix(CallReason+t.Words+", "+m.When, ", "), t.Within)
	}
	got, err := c.Keep(ctx, draft, nil)
	if err != nil {
		return desk.Answer{}, err
	}
	r, err := receipt(ctx, c, got.Number)
	if err != nil {
		return desk.Answer{}, err
	}
	r.PIN = pin(c.Journal, got.ID)
	if page {
		b, err := render(donePage, r)
		return desk.Answer{Status: http.StatusAccepted, Page: b}, err
	}
	return desk.Answer{Status: http.StatusAccepted, Value: r}, nil
}

// readMessage reads JSON, or what the form sends.
func readMessage(c desk.Call) (m Message, page bool, err error) {
	media, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		m, err = desk.Read[Message](c)
		return m, false, err
	}
	b, err := io.ReadAll(io.LimitReader(c.Body, 64<<10))
	if err != nil {
		return m, true, err
	}
	v, err := url.ParseQuery(string(b))
	if err != nil {
		return m, true, &desk.Fault{Status: http.StatusBadRequest, Text: "Das Formular ist nicht lesbar."}
	}
	return Message{
		ID: v.Get("nachricht_id"), Topic: v.Get("thema"), Name: v.Get("name"), Born: v.Get("geburtsdatum"), Insured: strings.ToUpper(v.Get("versichertennummer")),
		Phone: v.Get("telefon"), Mail: v.Get("email"), Call: v.Get("rueckruf") != "", When: v.Get("zeit"), Text: v.Get("text"),
	}, true, nil
}

// pin is what shows that somebody handed an item in: only the journal can make it.
func pin(j *emergency.Journal, id string) string {
	return strings.ToUpper(j.Index("contact pin", id)[:10])
}

func show(ctx context.Context, c desk.Call) (desk.Answer, error) {
	it, err := c.Own(ctx, "message", c.PathValue("number"))
	if err != nil {
		return desk.Answer{}, err
	}
	given := strings.ToUpper(strings.TrimSpace(c.URL.Query().Get("pin")))
	if subtle.ConstantTimeCompare([]byte(given), []byte(pin(c.Journal, it.ID))) != 1 {
		return desk.Answer{}, &desk.Fault{Status: http.StatusNotFound, Field: "pin", Text: "Nummer und PIN passen nicht zusammen."}
	}
	r, err := receipt(ctx, c, it.Number)
	return desk.Answer{Status: http.StatusOK, Value: r}, err
}

func receipt(ctx context.Context, c desk.Call, n emergency.Number) (Receipt, error) {
	it, err := c.Journal.Item(ctx, n)
	if err != nil {
		return Receipt{}, err
	}
	r := Receipt{Number: n.Label(c.Kasse), State: "angenommen, wird bearbeitet"}
	switch {
	case it.Result == emergency.Rejected:
		r.State = "abgeschlossen"
	case it.Result != "":
		r.State = "an die Kasse übergeben"
	case it.State == emergency.Held:
		r.State, r.Until = "Rückruf vorgesehen", it.Deadline
		r.Place, err = place(ctx, c.Journal, it)
	}
	return r, err
}

// place is how many calls come before one and itself, by when they are due.
func place(ctx context.Context, j *emergency.Journal, it emergency.Item) (int, error) {
	n, err := j.DueBefore(ctx, emergency.KindMessage, it.Deadline, it.Number)
	return n + 1, err
}

func render(t *template.Template, v any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("writing a page: %w", err)
	}
	return b.Bytes(), nil
}
