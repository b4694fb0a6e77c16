package kimmail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"
)

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

const nestedMail = `Return-Path: <a@b.kim.telematik>
Received: from x
 by y; Fri, 09 Sep 2022 15:50:05 +0200 (CEST)
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?q?_aus_K=F6ln?=
From: "Dr. med. \"Eins\", M" <a@b.kim.telematik>
To: Gruppe: c@d, "e, f" <g@h>;, (Kommentar) i@j
Date: Fri, 9 Sep 2022 15:50 +0200 (CEST)
X-KIM-DecryptionResult: 00
X-KIM-IntegrityCheckResult: 02 (Signatur falsch)
X-KIM-IntegrityCheckResult: 08, 09
X-KIM-IntegrityCheckResult: X17
X-KIM-Fehlermeldung: 4008
MIME-Version: 1.0
Content-Type: multipart/mixed;
	boundary="aussen"

Vorspann
--aussen
Content-Type: multipart/alternative; boundary=innen

--innen
Content-Type: text/plain; charset=iso-8859-15
Content-Transfer-Encoding: quoted-printable

10 =A4 f=FCr=
 alle
--innen
Content-Type: text/html

<p>--innen2</p>
--innen--
--aussen-
--aussen
Content-Type: application/octet-stream; name*=utf-8''Gr%C3%BC%C3%9Fe.p7s
Content-Disposition: attachment
Content-Transfer-Encoding: BASE64
Content-Description: =?utf-8?q?eAU?=

PD94
bWw+
--aussen--
Nachspann
`

func TestANestedMailIsTakenApart(t *testing.T) {
	for name, raw := range map[string][]byte{"CRLF": crlf(nestedMail), "LF": []byte(nestedMail)} {
		t.Run(name, func(t *testing.T) {
			m := parse(t, raw)
			if m.Subject != "Grüße aus Köln" {
				t.Errorf("subject %q", m.Subject)
			}
			want := []Address{{`Dr. med. "Eins", M`, "a@b.kim.telematik"}}
			if diff := cmp.Diff(want, m.From); diff != "" {
				t.Error(diff)
			}
			want = []Address{{"", "c@d"}, {"e, f", "g@h"}, {"", "i@j"}}
			if diff := cmp.Diff(want, m.To); diff != "" {
				t.Error(diff)
			}
			if want := time.Date(2022, 9, 9, 13, 50, 0, 0, time.UTC); !m.Date.Equal(want) {
				t.Errorf("date %v", m.Date)
			}
			faults := []Fault{FaultTampered, FaultHeaderMismatch, FaultRecipients, FaultVendor}
			if diff := cmp.Diff(faults, m.Results.Faults()); diff != "" || m.Results.Messages[0] != "4008" {
				t.Errorf("results %+v\n%s", m.Results, diff)
			}
			if len(m.Parts) != 3 || len(m.Defects) != 0 {
				t.Fatalf("%d parts, defects %q", len(m.Parts), m.Defects)
			}
			if got := m.Parts[0].Text(); got != "10 € für alle" || m.Parts[0].Path != "1.1" {
				t.Errorf("part %s: %q", m.Parts[0].Path, got)
			}
			if got := m.Parts[1].Text(); !strings.HasPrefix(got, "<p>--innen2</p>") {
				t.Errorf("part %s: %q", m.Parts[1].Path, got)
			}
			p := m.Parts[2]
			if p.FileName != "Grüße.p7s" || !p.Attachment || p.Path != "2" || p.Description != "eAU" || string(p.Content) != "<?xml>" {
				t.Errorf("part %+v", p)
			}
			if len(m.Documents) != 1 || m.Kind() != KindDelivery {
				t.Errorf("%d documents, kind %v", len(m.Documents), m.Kind())
			}
		})
	}
}

// The second opinion on MIME is go-message, on what our writer writes and on the
// nested mail above.
func TestGoMessageReadsTheSameParts(t *testing.T) {
	w := newWorld(t)
	d := w.draft()
	// go-message refuses charsets it has no table for, and lines that nearly are boundaries.
	nested := strings.NewReplacer("iso-8859-15", "utf-8", "--aussen-\n", "").Replace(nestedMail)
	d.Body = "Sehr geehrte Damen und Herren,\r\n\r\nGrüße = 100 %\r\n.\r\nFrom hier\r\n" + strings.Repeat("lang ", 300)
	for name, raw := range map[string][]byte{"ours": compose(t, d), "nested": crlf(nested)} {
		m := parse(t, raw)
		e, err := message.Read(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		err = e.Walk(func(_ []int, part *message.Entity, err error) error {
			if err != nil || part.MultipartReader() != nil {
				return err
			}
			content, err := io.ReadAll(part.Body)
			if err != nil {
				return err
			}
			if !bytes.Equal(content, m.Parts[i].Content) {
				t.Errorf("%s: part %d is %q, go-message reads %q", name, i, clip(m.Parts[i].Content), clip(content))
			}
			i++
			return nil
		})
		if err != nil || i != len(m.Parts) {
			t.Errorf("%s: %d of %d parts: %v", name, i, len(m.Parts), err)
		}
		for _, f := range m.Header {
			if got := e.Header.Get(f.Name); f.Name != "Received" && !strings.HasPrefix(f.Name, "X-KIM-I") && got != f.Value {
				t.Errorf("%s: %s is %q, go-message reads %q", name, f.Name, f.Value, got)
			}
		}
	}
}

// nest wraps a body into n multiparts.
func nest(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\nx\r\n")
	for i := n - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--b%d--\r\n", i)
	}
	return b.Bytes()
}

func TestBombsAreRefusedWithinTheirLimits(t *testing.T) {
	many := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 300) + "--b--\r\n"
	for name, c := range map[string]struct {
		raw  []byte
		lim  Limits
		want error
	}{
		"mail too large":            {append([]byte("A: b\r\n\r\n"), make([]byte, 2000)...), Limits{MailBytes: 1000}, ErrLimit},
		"nested too deep":           {nest(9), Limits{}, ErrLimit},
		"nested as deep as allowed": {nest(8), Limits{}, nil},
		"nested a thousand times":   {nest(1000), Limits{}, ErrLimit},
		"too many parts":            {[]byte(many), Limits{}, ErrLimit},
		"header too long":           {[]byte(strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 300)), Limits{}, ErrLimit},
		"too many fields":           {[]byte(strings.Repeat("A: b\r\n", 1001)), Limits{}, ErrLimit},
		"field too long":            {[]byte("A: " + strings.Repeat("b", 70_000) + "\r\n\r\n"), Limits{}, ErrLimit},
		"folded field too long":     {[]byte("A: b\r\n" + strings.Repeat(" "+strings.Repeat("b", 1000)+"\r\n", 70)), Limits{}, ErrLimit},
		"header of a part too long": {append(crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n"), strings.Repeat("A: b\r\n", 1001)...), Limits{}, ErrLimit},
		"empty":                     {nil, Limits{}, ErrMalformed},
		"empty header":              {[]byte("\r\nA: b"), Limits{}, ErrMalformed},
		"no header":                 {[]byte("hello"), Limits{}, ErrMalformed},
		"field name with a space":   {[]byte("A b: c\r\n\r\n"), Limits{}, ErrMalformed},
		"binary":                    {[]byte{0x30, 0x80, 0, 0}, Limits{}, ErrMalformed},
	} {
		m, err := Parse(c.raw, c.lim)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		_ = m
	}
}

func TestDamageIsReportedAndTheRestIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		raw     string
		defects int
		texts   []string
	}{
		"closing boundary missing": {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n", 1, []string{"one", "two\r\n"}},
		"boundary missing":         {"Content-Type: multipart/mixed; boundary=b\n\none\n", 1, nil},
		"boundary not named":       {"Content-Type: multipart/mixed\n\none\n", 0, []string{"one\r\n"}},
		"header of one part bad":   {"Content-Type: multipart/mixed; boundary=b\n\n--b\n)(\none\n--b\n\ntwo\n--b--\n", 1, []string{")(\r\none", "two"}},
		"base64 with a comment":    {"Content-Transfer-Encoding: base64\n\nYW*Jj\n", 1, []string{"abc"}},
		"base64 cut off":           {"Content-Transfer-Encoding: base64\n\nYWJjZ\n", 1, []string{"abc"}},
		"unknown encoding":         {"Content-Transfer-Encoding: x-uuencode\n\nabc\n", 1, []string{"abc\r\n"}},
		"content type of nonsense": {"Content-Type: ;;;=\n\nabc\n", 0, []string{"abc\r\n"}},
		"header only":              {"A: b\n", 0, []string{""}},
		"boundary as prefix":       {"Content-Type: multipart/mixed; boundary=b\n\n--bb\n\nno\n--b\n\none\n--bb--\n--b  \n\ntwo\n--b--", 0, []string{"one\r\n--bb--", "two"}},
	} {
		m := parse(t, crlf(c.raw))
		var texts []string
		for i := range m.Parts {
			texts = append(texts, m.Parts[i].Text())
		}
		if diff := cmp.Diff(c.texts, texts); diff != "" || len(m.Defects) != c.defects {
			t.Errorf("%s: defects %q\n%s", name, m.Defects, diff)
		}
	}
}

func TestDocumentsAreFoundByMarkElseByLooks(t *testing.T) {
	part := func(description, name, content string) string {
		return "--b\nContent-Description: " + description + "\nContent-Type: application/octet-stream; name=" + name + "\n\n" + content + "\n"
	}
	mail := func(parts ...string) *Message {
		return parse(t, crlf("Content-Type: multipart/mixed; boundary=b\n\n"+strings.Join(parts, "")+"--b--\n"))
	}
	for name, c := range map[string]struct {
		m    *Message
		xml  []string
		kind Kind
	}{
		"marked":              {mail(part("x", "a.xml", "<a/>"), part("eAU", "b.p7s", "<b/>")), []string{"<b/>"}, KindDelivery},
		"storno":              {mail(part("eAUStorno", "b.p7s", "<b/>")), []string{"<b/>"}, KindCancellation},
		"error message":       {mail(part("eAUFehler-Kasse", "b.xml", "<b/>")), []string{"<b/>"}, KindRejection},
		"two marked":          {mail(part("eAU", "a", "<a/>"), part("EAU", "b", "<b/>")), []string{"<a/>", "<b/>"}, KindDelivery},
		"by name":             {mail(part("x", "a.txt", "a"), part("x", "B.P7S", "<b/>")), []string{"<b/>"}, KindUnknown},
		"none":                {mail(part("x", "a.txt", "a")), nil, KindUnknown},
		"damaged container":   {mail(part("eAU", "b.p7s", "0\x80\x06")), []string{""}, KindDelivery},
		"detached signature":  {mail(part("eAU", "b.p7s", detached)), []string{""}, KindDelivery},
		"container of nobody": {mail(part("eAU", "b.p7s", unsignedContainer)), []string{"ab"}, KindDelivery},
	} {
		var xml []string
		for i := range c.m.Documents {
			d := &c.m.Documents[i]
			xml = append(xml, string(d.XML))
			if (d.XML == nil) != (d.Defect != "") || d.Signed() {
				t.Errorf("%s: document %+v", name, d)
			}
			if sig := d.Verify(nil, testTime); sig.State != SignatureAbsent {
				t.Errorf("%s: signature %v", name, sig.State)
			}
		}
		if diff := cmp.Diff(c.xml, xml); diff != "" || c.m.Kind() != c.kind {
			t.Errorf("%s: kind %v\n%s", name, c.m.Kind(), diff)
		}
	}
}

const (
	signedDataHead    = "0\x80\x06\x09" + oidSignedData + "\xa0\x800\x80\x02\x01\x011\x000\x80\x06\x09" + oidData
	detached          = signedDataHead + "\x00\x001\x00\x00\x00\x00\x00\x00\x00"
	unsignedContainer = signedDataHead + "\xa0\x80\x24\x80\x04\x01a\x04\x01b\x00\x00\x00\x00\x00\x001\x00\x00\x00\x00\x00\x00\x00"
)

func TestServiceAndSubjectAreRead(t *testing.T) {
	for s, want := range map[string]Kind{
		"eAU;Lieferung;V1.2": KindDelivery, "eau; lieferung ;v1.1": KindDelivery, "eAU;Storno-Arzt;V1.2": KindCancellation,
		"eAU;Fehler-Kasse;V1.2": KindRejection, "KIM-Mail;Default;V1.5": KindMail, "eAU": KindUnknown, "": KindUnknown,
		"eAU;Lieferung": KindDelivery, "eAU;Lieferung;V1.2;mehr": KindDelivery, "xAU;Lieferung;V1.2": KindUnknown,
	} {
		if got := ParseService(s).Kind(); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
	for _, s := range []string{"EEAU0_4711", "TEAU0_Storno_1", "EEAU0_Fehler_1"} {
		sub, ok := ParseSubject(s)
		if !ok || sub.String() != s {
			t.Errorf("%q: %+v, %v", s, sub, ok)
		}
	}
	for _, s := range []string{"", "EEAU0_", "XEAU0_1", "KOM-LE-Nachricht", "EEAU1_1"} {
		if sub, ok := ParseSubject(s); ok {
			t.Errorf("%q: %+v", s, sub)
		}
	}
	if sub, _ := ParseSubject(" teau0_storno_A1 "); sub != (Subject{Kind: KindCancellation, Test: true, ID: "A1"}) {
		t.Errorf("%+v", sub)
	}
}

func TestDatesOfManyShapesAreRead(t *testing.T) {
	want := time.Date(2022, 9, 9, 13, 47, 0, 0, time.UTC)
	for _, s := range []string{
		"Fri, 9 Sep 2022 15:47:00 +0200", "Fri, 09 Sep 2022 15:47:00 +0200 (CEST)", "9 Sep 2022 15:47:00 +0200",
		"Fri,  9 Sep 2022  15:47 +0200", "Fri, 9 Sep 2022 13:47:00 GMT", "Thu, 9 Sep 2022 15:47:00 +0200",
	} {
		if got := parseDate(s); !got.Equal(want) {
			t.Errorf("%q: %v", s, got)
		}
	}
	for _, s := range []string{"", "gestern", "2022-09-09"} {
		if got := parseDate(s); !got.IsZero() {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestComposingRefusesWhatWouldBreakTheMail(t *testing.T) {
	for name, change := range map[string]func(*Draft){
		"line break in the id":      func(d *Draft) { d.ID = "1\r\nBcc: x@y" },
		"quote in the id":           func(d *Draft) { d.ID = `1"` },
		"line break in an address":  func(d *Draft) { d.To[0].Addr = "a@b\r\nBcc: x@y" },
		"line break in a name":      func(d *Draft) { d.From.Name = "a\nb" },
		"line break in the version": func(d *Draft) { d.Version = "V1.2\r\n" },
		"no id":                     func(d *Draft) { d.ID = "" },
		"no recipient":              func(d *Draft) { d.To = nil },
		"no date":                   func(d *Draft) { d.Date = time.Time{} },
		"no kind":                   func(d *Draft) { d.Kind = KindUnknown },
	} {
		d := testDraft()
		change(&d)
		if raw, err := Compose(d); err == nil {
			t.Errorf("%s: %q", name, raw)
		}
	}
}

func TestARejectionIsPlainXMLWithItsDetailsInTheText(t *testing.T) {
	d := testDraft()
	d.Kind, d.Delivered, d.InReplyTo, d.Body = KindRejection, false, "<x@y>", "Zeile 12: Größe\r\n"
	d.Signer = newWorld(t).practice // must not be used
	m := parse(t, compose(t, d))
	if m.Kind() != KindRejection || m.Subject != "TEAU0_Fehler_"+d.ID || m.Service.String() != "eAU;Fehler-Kasse;V1.2" ||
		m.Header.Get("In-Reply-To") != "<x@y>" || m.Header.Get("Disposition-Notification-To") != "" {
		t.Errorf("header %v", m.Header)
	}
	if m.Parts[0].Text() != d.Body || m.Parts[1].MediaType != "application/xml" || m.Parts[1].FileName != "TEAU0_Fehler_"+d.ID+".xml" {
		t.Errorf("parts %+v", m.Parts)
	}
	if doc := m.Documents[0]; string(doc.XML) != testXML || doc.SignedBytes != nil {
		t.Errorf("document %+v", doc)
	}
}

func TestFaultsHaveTheCodesOfTheTechnischeAnlage(t *testing.T) {
	for fault, want := range map[Fault][2]string{
		FaultNoKey: {"313", "314"}, FaultEnvelope: {"307", "301"}, FaultUnsigned: {"309", "303"}, FaultSignatureFormat: {"310", "304"},
		FaultTampered: {"311", "305"}, FaultBundleSigner: {"201", "203"}, FaultBundleTampered: {"202", "204"},
	} {
		eau, _ := fault.EAUCode(KindDelivery)
		storno, _ := fault.EAUCode(KindCancellation)
		if [2]string{eau, storno} != want {
			t.Errorf("%s: %s, %s", fault.Text(), eau, storno)
		}
	}
	for f := FaultNone; f <= FaultBundleTampered; f++ {
		if f.Text() == Fault(-1).Text() {
			t.Errorf("fault %d has no text", f)
		}
	}
}
