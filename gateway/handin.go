package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
)

// Waiting is a request that another gateway kept and that a room takes in.
type Waiting struct {
	Node      string // that kept it
	ID        string // of the request, for life
	Receipt   string // that the client has
	Placement catalogue.PlacementID
	Epoch     int64
	At        time.Time
	Emergency bool // it came to a door in emergency operation
	Request   *http.Request
	Body      []byte
}

// ErrNoSpool says that a directory holds no spool.
var ErrNoSpool = errors.New("there is no spool (files *" + spoolSuffix + ")")

// Kassen are those whose requests the spool keeps.
func (s *Spool) Kassen() []catalogue.KasseID {
	var out []catalogue.KasseID
	for _, f := range s.all() {
		out = append(out, f.kasse)
	}
	return out
}

// HandIn gives what waits of a Kasse to take, in the order in which it was accepted,
// and writes down that it was handed in. It stops at the first error of take. After a
// crash the last few are given again: take must know them by their ID.
func (s *Spool) HandIn(ctx context.Context, k catalogue.KasseID, o emergency.Opener, take func(context.Context, Waiting) error) (err error) {
	f, err := s.of(k)
	if err != nil {
		return err
	}
	f.mu.Lock()
	waiting := append([]*keptRequest(nil), f.open...)
	f.mu.Unlock()
	var marks []*spoolJob
	defer func() { err = errors.Join(err, settle(marks)) }()
	for _, kept := range waiting {
		w, err := f.waiting(kept, o)
		if err != nil {
			return err
		}
		if err := take(ctx, w); err != nil {
			return fmt.Errorf("handing in %s of Kasse %s: %w", w.Receipt, k, err)
		}
		clear(w.Body)
		j, err := s.done(ctx, f, kept, doneMeta{Delivered: true, At: time.Now().UTC()})
		if err != nil {
			return err
		}
		if marks = append(marks, j); len(marks) == replayMarks {
			err := settle(marks)
			if marks = nil; err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *spoolFile) waiting(k *keptRequest, o emergency.Opener) (Waiting, error) {
	head, body, err := f.openKept(k, o)
	if err != nil {
		return Waiting{}, err
	}
	u, err := url.ParseRequestURI(head.URI)
	if err != nil {
		return Waiting{}, fmt.Errorf("request %d of Kasse %s: %w", k.number, f.kasse, err)
	}
	return Waiting{
		Node: f.node, ID: k.ID, Receipt: f.receiptOf(k), Placement: k.Placement, Epoch: k.Epoch, At: k.At, Emergency: k.Emergency,
		Request: &http.Request{
			Method: head.Method, URL: u, RequestURI: head.URI, Host: head.Host, Header: head.Header.Clone(),
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader("")),
		},
		Body: body,
	}, nil
}
