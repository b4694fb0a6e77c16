package sicknote

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/eau"
)

// Paper is a certificate that came as a print for the Kasse: the 28 fields of its
// barcode (Technische Anlage zur eAU, chapter 7, table 22), or typed in from it.
// Dates are YYYY-MM-DD.
type Paper struct {
	Version       string          `json:"version"` // "12"; "11" and above are eAU
	CoverageEnd   string          `json:"versicherungsschutz_ende,omitempty"`
	Payer         string          `json:"kostentraeger"` // IK
	Insured       string          `json:"versicherten_id"`
	Status        string          `json:"versichertenart,omitempty"`
	Group         string          `json:"personengruppe,omitempty"`
	DMP           string          `json:"dmp,omitempty"`
	BSNR          string          `json:"bsnr,omitempty"`
	LANR          string          `json:"lanr,omitempty"`
	Issued        string          `json:"ausgestellt_am"`
	Type          eau.AUType      `json:"art"`
	WorkAccident  bool            `json:"arbeitsunfall,omitempty"`
	Doctor        bool            `json:"durchgangsarzt,omitempty"`
	Since         string          `json:"au_seit,omitempty"`
	Until         string          `json:"au_bis"`
	Determined    string          `json:"festgestellt_am,omitempty"`
	OtherAccident bool            `json:"sonstiger_unfall,omitempty"`
	Compensation  bool            `json:"ser,omitempty"`
	Rehab         bool            `json:"rehabilitation,omitempty"`
	Reintegration bool            `json:"wiedereingliederung,omitempty"`
	OtherStep     string          `json:"sonstige_massnahmen,omitempty"`
	SickPay       bool            `json:"krankengeldfall,omitempty"`
	Diagnoses     []eau.Diagnosis `json:"diagnosen,omitempty"`
	Note          string          `json:"hinweise,omitempty"`
}

// ErrPaper says that a barcode or what was typed is not a certificate.
var ErrPaper = errors.New("not a certificate for the Kasse")

const paperFields = 28

// ParsePaper reads what a scanner sends: 28 fields separated by tabs, in
// ISO 8859-15 or, as many scanners translate it, UTF-8. Errors name the field by
// number and never its content.
func ParsePaper(scanned []byte) (Paper, error) {
	text := strings.TrimRight(latin9(scanned), "\r\n")
	f := strings.Split(text, "\t")
	if len(f) != paperFields {
		return Paper{}, fmt.Errorf("%d fields, want %d: %w", len(f), paperFields, ErrPaper)
	}
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	if f[0] != "01" || f[1] != "a" {
		return Paper{}, fmt.Errorf("field 1 and 2: another form: %w", ErrPaper)
	}
	r := &paperReader{fields: f}
	p := Paper{
		Version: r.match(3, paperVersion), CoverageEnd: r.date(4), Payer: r.match(5, nineDigits), Insured: r.match(6, paperInsured),
		Status: r.match(7, paperStatus), Group: r.match(8, twoDigits), DMP: r.match(9, twoDigits), BSNR: r.match(10, nineDigits), LANR: r.match(11, nineDigits),
		Issued: r.date(12), WorkAccident: r.tick(15), Doctor: r.tick(16), Since: r.date(17), Until: r.date(18), Determined: r.date(19),
		OtherAccident: r.tick(20), Compensation: r.tick(21), Rehab: r.tick(22), Reintegration: r.tick(23), OtherStep: r.text(24),
		SickPay: r.tick(25), Diagnoses: r.diagnoses(27), Note: r.text(28),
	}
	p.Type = paperType(r.tick(13), r.tick(14), r.tick(26))
	if r.err != nil {
		return Paper{}, r.err
	}
	return p, p.check()
}

func paperType(first, follow, end bool) eau.AUType {
	switch {
	case first && !follow && end:
		return eau.ErstEnd
	case first && !follow:
		return eau.Erst
	case follow && !first && end:
		return eau.FolgeEnd
	case follow && !first:
		return eau.Folge
	}
	return ""
}

// check is for scanned and typed certificates alike.
func (p *Paper) check() error {
	switch {
	case p.Type == "":
		return fmt.Errorf("either first or follow-up certificate must be ticked: %w", ErrPaper)
	case p.Insured == "" || !catalogue.ValidIK(p.Payer):
		return fmt.Errorf("insured number or payer is missing or wrong: %w", ErrPaper)
	case !isDate(p.Issued) || !isDate(p.Until):
		return fmt.Errorf("day of issue or last day is missing: %w", ErrPaper)
	case p.Type.First() && !isDate(p.Since):
		return fmt.Errorf("a first certificate needs its first day: %w", ErrPaper)
	case p.Since != "" && p.Since > p.Until:
		return fmt.Errorf("it ends before it begins: %w", ErrPaper)
	}
	return nil
}

var (
	paperVersion = regexp.MustCompile(`^1[1-9]$`)
	paperInsured = regexp.MustCompile(`^[A-Z0-9]{1,12}$`)
	paperStatus  = regexp.MustCompile(`^[135]$`)
	nineDigits   = regexp.MustCompile(`^[0-9]{9}$`)
	twoDigits    = regexp.MustCompile(`^[0-9]{2}$`)
	paperICD     = regexp.MustCompile(`^([A-Z][0-9]{2}(?:\.[0-9-]{1,2})?)(?: ([GVZA]))?(?: ([RLB]))?$`)
)

// paperReader reads fields by the number they have in the table; it keeps the first fault.
type paperReader struct {
	fields []string
	err    error
}

func (r *paperReader) wrong(n int, why string) {
	if r.err == nil {
		r.err = fmt.Errorf("field %d: %s: %w", n, why, ErrPaper)
	}
}

func (r *paperReader) match(n int, form *regexp.Regexp) string {
	v := r.fields[n-1]
	if v != "" && !form.MatchString(v) {
		r.wrong(n, "has another form")
	}
	return v
}

func (r *paperReader) date(n int) string {
	v := r.fields[n-1]
	if v == "" {
		return ""
	}
	t, err := time.Parse("20060102", v)
	if err != nil {
		r.wrong(n, "is no date JJJJMMTT")
		return ""
	}
	return t.Format(time.DateOnly)
}

func (r *paperReader) tick(n int) bool {
	switch r.fields[n-1] {
	case "":
		return false
	case "1":
		return true
	}
	r.wrong(n, "is neither empty nor 1")
	return false
}

func (r *paperReader) text(n int) string {
	v := r.fields[n-1]
	if len([]rune(v)) > 70 {
		r.wrong(n, "is longer than 70 characters")
	}
	return v
}

func (r *paperReader) diagnoses(n int) []eau.Diagnosis {
	if r.fields[n-1] == "" {
		return nil
	}
	var out []eau.Diagnosis
	for one := range strings.SplitSeq(r.fields[n-1], ",") {
		m := paperICD.FindStringSubmatch(strings.TrimSpace(one))
		if m == nil || len(out) == 6 {
			r.wrong(n, "are no ICD-10 codes, or more than six")
			return nil
		}
		out = append(out, eau.Diagnosis{Code: m[1], Certainty: m[2], Side: m[3]})
	}
	return out
}

// ParseDiagnoses reads ICD-10 codes as they stand on the form: separated by commas,
// each with its certainty and side, such as "J06.9 G, S51.9 G L". Empty text is
// none. The error never repeats the text.
func ParseDiagnoses(text string) ([]eau.Diagnosis, error) {
	r := &paperReader{fields: make([]string, paperFields)}
	const field = 27
	r.fields[field-1] = strings.TrimSpace(text)
	return r.diagnoses(field), r.err
}

// latin9 turns ISO 8859-15 into UTF-8; text that is UTF-8 already stays.
func latin9(b []byte) string {
	if strings.ToValidUTF8(string(b), "") == string(b) {
		return string(b)
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
		switch c { // the eight places where 8859-15 differs from 8859-1
		case 0xa4:
			out[i] = '€'
		case 0xa6:
			out[i] = 'Š'
		case 0xa8:
			out[i] = 'š'
		case 0xb4:
			out[i] = 'Ž'
		case 0xb8:
			out[i] = 'ž'
		case 0xbc:
			out[i] = 'Œ'
		case 0xbd:
			out[i] = 'œ'
		case 0xbe:
			out[i] = 'Ÿ'
		}
	}
	return string(out)
}

// Media of paper, as it is kept and handed over.
const (
	MediaScanned = "text/tab-separated-values" // the 28 fields as the barcode has them
	MediaTyped   = "application/json"          // a [Paper]
)

// TypePaper is a certificate that a person typed in, as the body to keep. The
// same content gives the same bytes, so that it is recognised when typed again.
func TypePaper(p Paper) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("writing down a certificate: %w", err)
	}
	return b, nil
}

// sourcePaper is the mailbox under which paper stands.
const sourcePaper = "paper"

// TakePaper accepts a certificate on paper: body is what was scanned or typed in,
// kept as it is, media its type. It goes through the same judgement as mail: the
// same paper twice is a duplicate, and it answers employers.
func (in *Intake) TakePaper(ctx context.Context, k catalogue.KasseID, p Paper, body []byte, media string, act Act) (Mail, error) {
	if err := p.check(); err != nil {
		return Mail{}, err
	}
	mb, err := in.mailboxOf(k)
	if err != nil {
		return Mail{}, err
	}
	open, epoch := in.config.Door.EmergencyDoor(mb.Placement)
	if !open {
		return Mail{}, fmt.Errorf("taking paper: %s is not in emergency operation: %w", mb.Placement, emergency.ErrNotOpen)
	}
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return Mail{}, err
	}
	same, err := TypePaper(p) // scanned, photographed or typed in: what it says tells whether it is the same
	if err != nil {
		return Mail{}, err
	}
	sum := sha256.Sum256(same)
	sealed, err := j.Seal(emergency.Draft{
		Key: "paper\x00" + newUUID(), Kind: emergency.KindPaper, Source: sourcePaper, Received: act.At, Media: media, Body: body, Unread: true,
	})
	if err != nil {
		return Mail{}, err
	}
	r := reading{
		kind: DocPaper, payer: p.Payer, person: p.Insured, document: body,
		leave: leave{
			since: p.Since, until: p.Until, determined: p.Determined, kind: p.Type,
			workAccident: p.WorkAccident, accident: p.WorkAccident || p.OtherAccident, accidentDoctor: p.Doctor,
		},
	}
	h := hashed{reading: &r, content: j.Index("document", string(sum[:])), person: j.Index("person", p.Insured)}
	err = j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		accepted, err := j.AcceptTx(ctx, tx, mb.Placement, epoch, act.At, act.Actor, []emergency.Sealed{sealed})
		if err != nil {
			return err
		}
		h.number = accepted[0].Number
		m := &mailRow{Number: h.number, Mailbox: sourcePaper, Fetched: db.Micro(act.At)}
		if err := putMail(ctx, tx, m); err != nil {
			return err
		}
		_, err = ledger.Append(ctx, tx, ledger.Entry{At: act.At, Actor: act.Actor, Kind: "paper.taken", Subject: h.number.Label(k), Rows: []ledger.Row{m.row()}})
		if err != nil {
			return err
		}
		return in.settleTx(ctx, tx, j, mb, act.At, []hashed{h})
	})
	if err != nil {
		return Mail{}, fmt.Errorf("taking paper for Kasse %s: %w", k, err)
	}
	list, err := in.List(ctx, k, "", h.number-1, 1)
	if err != nil || len(list) != 1 {
		return Mail{}, errors.Join(err, fmt.Errorf("reading item %s", h.number.Label(k)))
	}
	return list[0], nil
}

// mailboxOf is the first mailbox of a Kasse: its eAU intake.
func (in *Intake) mailboxOf(k catalogue.KasseID) (*Mailbox, error) {
	for _, b := range in.boxes {
		if b.Kasse == k {
			return b.Mailbox, nil
		}
	}
	return nil, fmt.Errorf("mailbox of Kasse %s: %w", k, ErrNoMailbox)
}
