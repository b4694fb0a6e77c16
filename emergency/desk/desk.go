package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// Fault is what the sender can put right; with status 503 what is known to be not to be
// had in emergency operation.
type Fault struct {
	Status int    `json:"-"` // 4xx or 503; zero is 422
	Field  string `json:"feld,omitempty"`
	Text   string `json:"fehler"` // for people, in German; it repeats nothing of the request
}

// Error is the text with its field.
func (f *Fault) Error() string { return strings.TrimPrefix(f.Field+": "+f.Text, ": ") }

// Desk is where one emergency service is asked.
type Desk struct {
	Service  string // payment, record or contact
	Journals *emergency.Journals
	Clients  *Clients // nil: everybody may ask
	Now      func() time.Time
	// Right tells under which right to write a request came.
	Right func(*http.Request) (emergency.Right, error)
	// Owner is who looks after what waits for people of a Kasse.
	Owner func(catalogue.KasseID) string
	Log   *slog.Logger
}

// Call is one request at a desk.
type Call struct {
	*http.Request
	Desk    *Desk
	Client  Client // zero where everybody may ask
	Right   emergency.Right
	Kasse   catalogue.KasseID
	Journal *emergency.Journal
	Now     time.Time
}

// Answer is what a handler gives: JSON, or a page where Page is set.
type Answer struct {
	Status int
	Value  any
	Page   []byte // HTML
	Media  string // of Body
	Body   []byte // sent as it is
}

// Handler answers one call. A [*Fault] is the sender's; every other error is ours.
type Handler func(ctx context.Context, c Call) (Answer, error)

// Handle makes a handler of net/http.
func (d *Desk) Handle(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, err := d.call(w, r, h)
		if err != nil {
			d.refuse(w, err)
			return
		}
		d.answer(w, a)
	}
}

func (d *Desk) call(w http.ResponseWriter, r *http.Request, h Handler) (Answer, error) {
	c := Call{Request: r, Desk: d, Now: d.Now()}
	var err error
	if c.Right, err = d.Right(r); err != nil {
		return Answer{}, err
	}
	c.Kasse, _, _, _ = c.Right.Placement.Split()
	if d.Clients != nil {
		if c.Client, err = d.Clients.who(r, d.Service, c.Kasse, c.Now); err != nil {
			return Answer{}, err
		}
	}
	if c.Journal, err = d.Journals.Open(r.Context(), c.Kasse); err != nil {
		return Answer{}, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return h(r.Context(), c)
}

// maxBody is more than any request of these services needs: a document of 10 MiB in base64.
const maxBody = 15 << 20

func (d *Desk) answer(w http.ResponseWriter, a Answer) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body, media := a.Body, a.Media
	switch {
	case a.Page != nil:
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
		body, media = a.Page, "text/html; charset=utf-8"
	case a.Body == nil:
		b, err := json.Marshal(a.Value)
		if err != nil {
			d.refuse(w, fmt.Errorf("encoding the answer: %w", err))
			return
		}
		body, media = b, "application/json; charset=utf-8"
	}
	h.Set("Content-Type", media)
	w.WriteHeader(a.Status)
	_, _ = w.Write(body) // who does not get it asks again
}

// refuse tells the sender what is wrong with the request, or that it is our fault.
func (d *Desk) refuse(w http.ResponseWriter, err error) {
	var f *Fault
	if errors.Is(err, emergency.ErrKeyReused) {
		err = &Fault{Status: http.StatusUnprocessableEntity, Text: "Unter dieser Kennung haben wir schon etwas anderes angenommen."}
	}
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		err = &Fault{Status: http.StatusRequestEntityTooLarge, Text: "Die Sendung ist zu groß: höchstens 10 MiB."}
	}
	if !errors.As(err, &f) {
		if d.Log != nil {
			d.Log.Error("emergency service", slog.String("service", d.Service), slog.Any("error", err))
		}
		f = &Fault{Status: http.StatusServiceUnavailable, Text: "Das liegt nicht an Ihnen. Bitte später mit derselben Kennung noch einmal senden; doppelt wird nichts."}
	}
	status := f.Status
	switch status {
	case 0:
		status = http.StatusUnprocessableEntity
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "600")
	}
	d.answer(w, Answer{Status: status, Value: f})
}

// Read reads the JSON of a request, strictly: a field that nobody knows is a mistake that
// the sender should hear of.
func Read[T any](c Call) (T, error) {
	var v T
	b, err := io.ReadAll(c.Body)
	if err != nil {
		return v, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err = dec.Decode(&v)
	if err == nil && dec.More() {
		err = errors.New("more than one value")
	}
	if err != nil {
		field := ""
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			field = t.Field
		}
		return v, &Fault{Status: http.StatusBadRequest, Field: field, Text: "Das ist nicht als JSON mit den bekannten Feldern lesbar."}
	}
	return v, nil
}

// Draft is what a service keeps of a call: its content as JSON, and a key that names it for ever.
func (c Call) Draft(kind emergency.Kind, what, id, person string, content any) (emergency.Draft, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return emergency.Draft{}, fmt.Errorf("encoding a %s: %w", what, err)
	}
	source := c.source(what)
	return emergency.Draft{
		Key: source + "\x00" + string(c.Right.Placement) + "\x00" + id, Kind: kind, Source: source, Received: c.Now, Person: person,
		Media: "application/vnd.leitstand." + what + "+json", Body: body,
	}, nil
}

// source is where an item came from; it names a workplace and no person.
func (c Call) source(what string) string {
	return strings.TrimSuffix(c.Desk.Service+":"+what+":"+c.Client.Name, ":")
}

// Hold makes a draft wait for people.
func (c Call) Hold(reason string, within time.Duration) *emergency.Hold {
	return &emergency.Hold{Reason: reason, Owner: c.Desk.Owner(c.Kasse), Deadline: c.Now.Add(within)}
}

// Keep accepts a draft under the right of the door. adjust, if set, sees the draft sealed
// and may hold it, in the transaction that keeps it.
func (c Call) Keep(ctx context.Context, draft emergency.Draft, adjust func(context.Context, *db.Tx, emergency.Sealed) (emergency.Sealed, error)) (emergency.Accepted, error) {
	sealed, err := c.Journal.Seal(draft)
	if err != nil {
		return emergency.Accepted{}, err
	}
	var out []emergency.Accepted
	err = c.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		s := sealed
		if adjust != nil {
			if s, err = adjust(ctx, tx, s); err != nil {
				return err
			}
		}
		out, err = c.Journal.AcceptTx(ctx, tx, c.Right.Placement, c.Right.Epoch, c.Now, ledger.System, []emergency.Sealed{s})
		return err
	})
	if err != nil {
		return emergency.Accepted{}, err
	}
	return out[0], nil
}

// Own finds an item that the same client handed in as the same kind of thing. Everything
// else is not found: nobody learns what others handed in.
func (c Call) Own(ctx context.Context, what, label string) (emergency.Item, error) {
	gone := &Fault{Status: http.StatusNotFound, Field: "nummer", Text: "Unter dieser Nummer haben Sie hier nichts eingereicht."}
	n, err := emergency.ParseNumber(c.Kasse, label)
	if err != nil {
		return emergency.Item{}, gone
	}
	it, err := c.Journal.Item(ctx, n)
	if errors.Is(err, emergency.ErrNoItem) {
		return it, gone
	}
	if err != nil {
		return it, err
	}
	if it.Source != c.source(what) || it.Placement != c.Right.Placement {
		return it, gone
	}
	return it, nil
}
