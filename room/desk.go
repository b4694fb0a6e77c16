package room

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/gateway"
)

// doorDesk takes in what is written at doors in emergency operation: each request
// becomes an item of the Kasse's journal, under the epoch of the door at which it
// began, and is handed over to the regular system with everything else.
type doorDesk struct{ room *Room }

// Keep implements [gateway.Keeper]: the receipt is the item's number. The journal
// checks the epoch in the transaction that keeps the item.
func (d doorDesk) Keep(ctx context.Context, door gateway.Door, r *http.Request, body []byte) (string, error) {
	kasse, service, _, ok := door.Placement.Split()
	if !ok {
		return "", fmt.Errorf("%q is no placement", door.Placement)
	}
	j, err := d.room.Journals.Open(ctx, kasse)
	if err != nil {
		return "", err
	}
	now := d.room.Now()
	kept, err := j.Accept(ctx, door.Placement, door.Row.Epoch, now, ledger.System,
		deskDraft(r, body, deskKey(door.Placement, r, rand.Text()), "http:"+string(service), now))
	if err != nil {
		return "", err
	}
	return kept[0].Number.Label(kasse), nil
}

func deskDraft(r *http.Request, body []byte, key, source string, received time.Time) emergency.Draft {
	return emergency.Draft{
		Key: key, Kind: deskKind(r, body), Source: source, Received: received, Media: "message/http", Body: gateway.Message(r, body),
	}
}

// deskKey names a request for ever: by the client's Idempotency-Key, so that what
// is sent again is the same item, else by a key of our own.
func deskKey(p catalogue.PlacementID, r *http.Request, own string) string {
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		return "http\x00" + string(p) + "\x00" + key
	}
	return ownDeskKey(p, own)
}

func ownDeskKey(p catalogue.PlacementID, own string) string {
	return "http\x00" + string(p) + "\x00\x00" + own
}

// deskKind tells what people wrote into our form from what programs send.
func deskKind(r *http.Request, body []byte) emergency.Kind {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if v, err := url.ParseQuery(string(body)); err == nil && v.Has(gateway.FormField) {
			return emergency.KindMessage
		}
	}
	return emergency.KindRequest
}

// emergencyServices are the emergency services that answer over HTTP themselves: eAU for
// employers, when the configuration names them, and what desks names.
func (r *Room) emergencyServices() (map[catalogue.ServiceID]http.Handler, error) {
	out := map[catalogue.ServiceID]http.Handler{}
	_, known, err := r.readEmployers()
	if err != nil {
		return nil, err
	}
	if known != nil {
		out[sickNotes] = r.Intake.EmployerDoor(known, r.Now, gateway.RightOf)
	}
	return out, r.typedServices(out)
}
