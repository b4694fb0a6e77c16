package record

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"leitstand/emergency"
	"leitstand/emergency/desk"
)

const whatAccess = "access"

// ask takes a request for access in. The request itself is on record, whatever comes of it.
func ask(ctx context.Context, c desk.Call) (desk.Answer, error) {
	a, err := desk.Read[Access](c)
	if err != nil {
		return desk.Answer{}, err
	}
	switch {
	case !telematikID.MatchString(a.Who):
		return desk.Answer{}, fault("wer", "Es fehlt die Telematik-ID dessen, der behandelt.")
	case strings.TrimSpace(a.Reason) == "" || len(a.Reason) > 500:
		return desk.Answer{}, fault("grund", "Es fehlt der Grund, warum es nicht warten kann (höchstens 500 Zeichen).")
	}
	if err := checkIDs("anfrage_id", a.ID, a.Insured); err != nil {
		return desk.Answer{}, err
	}
	draft, err := c.Draft(emergency.KindRecord, whatAccess, a.ID, a.Insured, a)
	if err != nil {
		return desk.Answer{}, err
	}
	draft.Hold = c.Hold(Waits, waitsFor)
	return accepted(ctx, c, draft, Waits)
}

func show(ctx context.Context, c desk.Call) (desk.Answer, error) {
	it, err := c.Own(ctx, whatAccess, c.PathValue("number"))
	if err != nil {
		return desk.Answer{}, err
	}
	out := Receipt{Number: it.Number.Label(c.Kasse), State: it.Reason}
	switch {
	case it.Result == emergency.Rejected:
		out.State = "abgelehnt: " + it.Reason
	case it.Reason != Granted:
	case open(it, c.Now):
		out.State, out.Until = "gewährt", it.Deadline
	default:
		out.State = "abgelaufen"
	}
	return desk.Answer{Status: http.StatusOK, Value: out}, nil
}

// open reports whether an access stands open now.
func open(it emergency.Item, now time.Time) bool {
	return it.State == emergency.Held && it.Reason == Granted && now.Before(it.Deadline)
}

// Entry is a document as a list shows it.
type Entry struct {
	Number   string    `json:"nummer"`
	Received time.Time `json:"eingegangen"`
	Size     int64     `json:"groesse"` // of what was kept, in bytes
}

var errShut = &desk.Fault{Status: http.StatusForbidden, Field: "nummer", Text: "Der Zugriff ist nicht gewährt, oder seine Zeit ist um."}

// opened is the access of a call, open now and not barred by an objection.
func opened(ctx context.Context, c desk.Call) (emergency.Item, error) {
	it, err := c.Own(ctx, whatAccess, c.PathValue("number"))
	if err != nil {
		return it, err
	}
	if !open(it, c.Now) {
		return it, errShut
	}
	barred, err := objected(ctx, c, it.Subject)
	if err == nil && barred {
		err = &desk.Fault{Status: http.StatusForbidden, Text: "Die versicherte Person hat der Akte widersprochen."}
	}
	return it, err
}

// objected reports whether the newest word of a person on the whole record is no.
func objected(ctx context.Context, c desk.Call, subject string) (bool, error) {
	items, err := c.Journal.Items(ctx, emergency.Filter{
		Kind: emergency.KindRecord, Subject: subject, Source: c.Desk.Service + ":" + whatObjection, Limit: 1000,
	})
	if err != nil {
		return false, err
	}
	no := false
	for _, it := range items {
		b, err := c.Journal.Body(ctx, it)
		if errors.Is(err, emergency.ErrErased) {
			continue // handed over and past its retention: the regular system obeys it
		}
		if err != nil {
			return false, err // what cannot be read might be a no
		}
		var o Objection
		if err := json.Unmarshal(b, &o); err != nil {
			return false, fmt.Errorf("reading an objection: %w", err)
		}
		if o.Scope == "akte" {
			no = o.Decision == "widerspruch"
		}
	}
	return no, nil
}

func documents(ctx context.Context, c desk.Call, subject string) ([]emergency.Item, error) {
	return c.Journal.Items(ctx, emergency.Filter{
		Kind: emergency.KindRecord, Subject: subject, Source: c.Desk.Service + ":" + whatDocument, Limit: 1000,
	})
}

func list(ctx context.Context, c desk.Call) (desk.Answer, error) {
	it, err := opened(ctx, c)
	if err != nil {
		return desk.Answer{}, err
	}
	items, err := documents(ctx, c, it.Subject)
	if err != nil {
		return desk.Answer{}, err
	}
	out := make([]Entry, 0, len(items))
	for _, d := range items {
		out = append(out, Entry{Number: d.Number.Label(c.Kasse), Received: d.Received, Size: d.Size})
	}
	return desk.Answer{Status: http.StatusOK, Value: out}, nil
}

// read gives one document away: on record first, then the bytes.
func read(ctx context.Context, c desk.Call) (desk.Answer, error) {
	it, err := opened(ctx, c)
	if err != nil {
		return desk.Answer{}, err
	}
	items, err := documents(ctx, c, it.Subject)
	if err != nil {
		return desk.Answer{}, err
	}
	for _, d := range items {
		if d.Number.Label(c.Kasse) != c.PathValue("document") {
			continue
		}
		_, b, err := c.Journal.ReadBody(ctx, d.Number, c.Now, "client:"+c.Client.Name, "Notzugriff "+it.Number.Label(c.Kasse))
		if err != nil {
			return desk.Answer{}, err
		}
		var doc Document
		if err := json.Unmarshal(b, &doc); err != nil {
			return desk.Answer{}, fmt.Errorf("reading a document: %w", err)
		}
		content, err := base64.StdEncoding.DecodeString(doc.Content)
		if err != nil {
			return desk.Answer{}, fmt.Errorf("reading a document: %w", err)
		}
		return desk.Answer{Status: http.StatusOK, Media: doc.Media, Body: content}, nil
	}
	return desk.Answer{}, &desk.Fault{Status: http.StatusNotFound, Field: "document", Text: "Dieses Dokument gehört nicht zu diesem Zugriff."}
}
