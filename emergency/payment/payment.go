// Package payment takes requests for payments in emergency operation: sick pay, care
// allowance, advances to providers. It stands behind the door of the payments' service.
//
// Promises: a request is checked and kept before it is answered; none is released but by
// two people; what is above a limit, or looks like one that was asked for before, waits
// with that reason; what goes to a blocked account is never released. Amounts are cents.
package payment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/desk"
	"leitstand/pure/sepa"
)

// Request is what somebody asks to be paid.
type Request struct {
	ID       string `json:"auftrag_id"` // of the client; the same id is the same request for ever
	Kind     string `json:"art"`        // see Kinds
	Insured  string `json:"versichertennummer,omitempty"`
	Provider string `json:"leistungserbringer_ik,omitempty"` // instead of an insured person
	Payee    string `json:"empfaenger"`
	IBAN     string `json:"iban"`
	Cents    int64  `json:"betrag_cent"`
	From     string `json:"von"` // YYYY-MM-DD, of the time that is paid for
	Until    string `json:"bis"`
	Purpose  string `json:"verwendungszweck"`
	Reason   string `json:"grund"`              // why it cannot wait
	Advance  bool   `json:"abschlag,omitempty"` // to be offset later
}

// Kinds are the payments that emergency operation knows, the most pressing first.
func Kinds() []string {
	return []string{"krankengeld", "kinderkrankengeld", "mutterschaftsgeld", "pflegegeld", "leistungserbringer", "sonstiges"}
}

// Limits are what two people may release without the crisis lead.
type Limits struct {
	Most int64 // of one payment; default 5,000 EUR
	Day  int64 // of a Kasse's payments of 24 hours; default 500,000 EUR
	// Blocked are SHA-256 in hex of IBANs without blanks that get nothing.
	Blocked []string
}

func (l Limits) withDefaults() Limits {
	if l.Most <= 0 {
		l.Most = 5_000_00
	}
	if l.Day <= 0 {
		l.Day = 500_000_00
	}
	return l
}

// Check says whether the limits are well formed.
func (l Limits) Check() error {
	for _, h := range l.Blocked {
		if b, err := hex.DecodeString(h); err != nil || len(b) != sha256.Size {
			return errors.New("blocked_iban_sha256: 64 hex digits each")
		}
	}
	return nil
}

// The reasons for which a payment waits. Every one waits for release; more than that is
// appended.
const (
	Waits     = "wartet auf die Freigabe durch zwei Personen"
	overMost  = "über der Einzelgrenze"
	overDay   = "über der Tagesgrenze"
	maybeSame = "möglicherweise doppelt zu "
	Blocked   = "Konto auf der Sperrliste"
)

// Plain reports whether nothing but the release is missing.
func Plain(reason string) bool { return reason == Waits }

// Never reports whether a payment may not be released at all.
func Never(reason string) bool { return strings.Contains(reason, Blocked) }

func (r *Request) check() error {
	fault := func(field, text string) error { return &desk.Fault{Field: field, Text: text} }
	switch {
	case r.ID == "" || len(r.ID) > 64:
		return fault("auftrag_id", "Es fehlt eine Kennung von höchstens 64 Zeichen.")
	case !slices.Contains(Kinds(), r.Kind):
		return fault("art", "Bekannt sind: "+strings.Join(Kinds(), ", ")+".")
	case (r.Insured == "") == (r.Provider == ""):
		return fault("versichertennummer", "Entweder eine Versichertennummer oder das IK eines Leistungserbringers.")
	case r.Insured != "" && !emergency.InsuredNumber(r.Insured):
		return fault("versichertennummer", "Das ist keine Versichertennummer: die Prüfziffer passt nicht.")
	case r.Provider != "" && !catalogue.ValidIK(r.Provider):
		return fault("leistungserbringer_ik", "Das ist kein IK: die Prüfziffer passt nicht.")
	case r.Cents < 1 || r.Cents > sepa.Most:
		return fault("betrag_cent", "Der Betrag in Cent liegt zwischen 1 und 99999999999.")
	case strings.TrimSpace(r.Reason) == "" || len(r.Reason) > 500:
		return fault("grund", "Es fehlt der Grund, warum die Zahlung nicht warten kann (höchstens 500 Zeichen).")
	}
	from, err := time.Parse(time.DateOnly, r.From)
	until, err2 := time.Parse(time.DateOnly, r.Until)
	if err != nil || err2 != nil || until.Before(from) {
		return fault("von", "von und bis sind Tage (JJJJ-MM-TT), und bis liegt nicht vor von.")
	}
	if r.IBAN, err = sepa.IBAN(r.IBAN); err != nil {
		return fault("iban", "Das ist keine gültige IBAN eines SEPA-Landes.")
	}
	if sepa.Text(r.Payee, 70) != nil {
		return fault("empfaenger", "Name des Kontos: 1 bis 70 Zeichen, die Banken annehmen.")
	}
	if sepa.Text(r.Purpose, 140) != nil {
		return fault("verwendungszweck", "1 bis 140 Zeichen, die Banken annehmen.")
	}
	return nil
}

// person is whom a payment is for.
func (r *Request) person() string {
	if r.Insured != "" {
		return r.Insured
	}
	return "ik:" + r.Provider
}

// Receipt is what the client gets.
type Receipt struct {
	Number string `json:"nummer"`
	State  string `json:"zustand"`
	Cents  int64  `json:"betrag_cent"`
}

// Handler answers at a desk:
//
//	POST /payments           a [Request]; 202 with a [Receipt]
//	GET  /payments/{number}  a [Receipt]: what has become of it
func Handler(d *desk.Desk, l Limits) http.Handler {
	s := service{l.withDefaults()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /payments", d.Handle(s.take))
	mux.HandleFunc("GET /payments/{number}", d.Handle(s.show))
	return mux
}

type service struct{ limits Limits }

// what names payments in sources and media types.
const what = "payment"

func (s service) take(ctx context.Context, c desk.Call) (desk.Answer, error) {
	r, err := desk.Read[Request](c)
	if err != nil {
		return desk.Answer{}, err
	}
	if err := r.check(); err != nil {
		return desk.Answer{}, err
	}
	draft, err := c.Draft(emergency.KindPayment, what, r.ID, r.person(), r)
	if err != nil {
		return desk.Answer{}, err
	}
	draft.Amount, draft.Hold = r.Cents, c.Hold(Waits, waitsFor)
	got, err := c.Keep(ctx, draft, func(ctx context.Context, tx *db.Tx, sealed emergency.Sealed) (emergency.Sealed, error) {
		reason, err := s.reason(ctx, c, tx, &r)
		if err != nil || reason == Waits {
			return sealed, err
		}
		return sealed.Held(*c.Hold(reason, waitsFor))
	})
	if err != nil {
		return desk.Answer{}, err
	}
	it, err := c.Journal.Item(ctx, got.Number)
	if err != nil {
		return desk.Answer{}, err
	}
	return desk.Answer{Status: http.StatusAccepted, Value: receipt(c, it)}, nil
}

const (
	waitsFor = 12 * time.Hour      // best known case of 2023: 48 hours to the first payment
	sameFor  = 10 * 24 * time.Hour // in which the same amount to the same person is suspect
)

// reason says for what a payment waits, beside the two people.
func (s service) reason(ctx context.Context, c desk.Call, tx *db.Tx, r *Request) (string, error) {
	reasons := []string{Waits}
	if sum := sha256.Sum256([]byte(r.IBAN)); slices.ContainsFunc(s.limits.Blocked, func(h string) bool { return strings.EqualFold(h, hex.EncodeToString(sum[:])) }) {
		reasons = append(reasons, Blocked)
	}
	if r.Cents > s.limits.Most {
		reasons = append(reasons, overMost)
	}
	before, err := c.Journal.ItemsIn(ctx, tx, emergency.Filter{
		Kind: emergency.KindPayment, Subject: c.Journal.Subject(r.person()), Since: c.Now.Add(-sameFor), Limit: 1000,
	})
	if err != nil {
		return "", err
	}
	for _, it := range before {
		if it.Amount == r.Cents && it.Result != emergency.Rejected {
			reasons = append(reasons, maybeSame+it.Number.Label(c.Kasse))
			break
		}
	}
	day, err := c.Journal.SumSince(ctx, tx, emergency.KindPayment, c.Now.Add(-24*time.Hour))
	if err != nil {
		return "", err
	}
	if day+r.Cents > s.limits.Day {
		reasons = append(reasons, overDay)
	}
	return strings.Join(reasons, "; "), nil
}

func (s service) show(ctx context.Context, c desk.Call) (desk.Answer, error) {
	it, err := c.Own(ctx, what, c.PathValue("number"))
	if err != nil {
		return desk.Answer{}, err
	}
	return desk.Answer{Status: http.StatusOK, Value: receipt(c, it)}, nil
}

func receipt(c desk.Call, it emergency.Item) Receipt {
	return Receipt{Number: it.Number.Label(c.Kasse), State: stateWord(it), Cents: it.Amount}
}

func stateWord(it emergency.Item) string {
	switch {
	case it.Result == emergency.Rejected:
		return "abgelehnt: " + it.Reason
	case it.Reason != "" && it.Result == "":
		return it.Reason // held, also while it travels with its reason
	case it.Result != "":
		return "an das Regelsystem übergeben"
	}
	return "freigegeben"
}

// Total is the sum of payments and a hash over which and how much: what two people
// compare, and read to each other over the telephone.
func Total(k catalogue.KasseID, items []emergency.Item) (cents int64, digest string) {
	h := sha256.New()
	for _, it := range items {
		cents += it.Amount
		_, _ = fmt.Fprintf(h, "%s %s %d\n", it.Number.Label(k), it.ID, it.Amount) // a hash takes everything
	}
	return cents, hex.EncodeToString(h.Sum(nil)[:8])
}
