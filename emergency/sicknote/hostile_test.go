package sicknote_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/emergency/sicknote"
	"leitstand/pure/kimmail"
)

// What attackers send is held like any other mail that cannot be read, costs
// little, and keeps nobody waiting.
func TestHostileMailIsHeldAndStopsNothing(t *testing.T) {
	nested := func(depth int) []byte {
		var b strings.Builder
		b.WriteString("Message-ID: <bomb@x>\r\nReply-To: praxis@praxis.kim.example\r\nSubject: TEAU0_x\r\nMIME-Version: 1.0\r\n")
		for i := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		b.WriteString("Content-Type: text/plain\r\n\r\nx\r\n")
		return []byte(b.String())
	}
	parts := "Message-ID: <parts@x>\r\nSubject: TEAU0_y\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		strings.Repeat("--b\r\nContent-Type: application/xml; name=a.xml\r\n\r\n<a/>\r\n", 20_000) + "--b--\r\n"
	xml := noteXML(t, certificate(1))
	id := certificate(1).ID
	document := func(xml []byte) []byte { return mail(t, kimmail.KindDelivery, id, xml) }
	bombs := map[string][]byte{
		"multipart bomb": nested(3000),
		"many parts":     []byte(parts),
		"entity bomb": document([]byte(`<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>` +
			`<Bundle xmlns="http://hl7.org/fhir"><id value="&b;"/></Bundle>`)),
		"external entity": document([]byte(`<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><Bundle xmlns="http://hl7.org/fhir"><id value="&x;"/></Bundle>`)),
		"depth":           document(bytes.Repeat([]byte("<a>"), 200_000)),
		"long attribute":  document([]byte(`<Bundle xmlns="http://hl7.org/fhir"><id value="` + strings.Repeat("x", 10<<20) + `"/></Bundle>`)),
		"byte order mark": document(append([]byte("\xef\xbb\xbf"), xml...)),
		"UTF-16":          document([]byte("\xff\xfe<\x00B\x00u\x00")),
		"long header":     []byte("Subject: " + strings.Repeat("x", 1<<20) + "\r\n\r\nx\r\n"),
		"broken base64":   bytes.Replace(document(xml), []byte("PD94"), []byte("!!!!"), 1),
		"null bytes":      make([]byte, 10_000),
		"ASN.1 rubbish":   document(append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 100_000)...)),
	}
	r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.Session = time.Minute })
	for _, b := range bombs {
		r.server.put(address, b)
	}
	r.server.put(address, noteMail(t, 2))
	began := time.Now()
	r.poll(t)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("hostile mail took %s", took)
	}
	s := r.status(t)
	if int(s.Held) != len(bombs) || s.Accepted != 1 || r.server.left(address) != 0 {
		t.Errorf("%d bombs: %+v", len(bombs), s)
	}
	list, err := r.intake.List(t.Context(), kasse, sicknote.ClassHeld, 0, 100)
	must(t, err)
	for _, m := range list {
		if m.Reason == "" || len(m.Reason) > 300 || strings.Contains(m.Reason, "xxxxx") {
			t.Errorf("reason %.100q", m.Reason)
		}
	}
}

// A mail of 100 MB stays where it is, with an owner and a deadline, whether the
// server says how large it is or not, and the others go on.
func TestAMailOf100MBStaysOnTheServer(t *testing.T) {
	line := append(bytes.Repeat([]byte("x"), 1022), '\r', '\n')
	large := func() []byte { return bytes.Repeat(line, 100<<20/len(line)) }
	for name, says := range map[string]func(int) int{
		"which the server says":  func(n int) int { return n },
		"which the server hides": func(n int) int { return min(n, 30_000) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.Session = time.Minute })
			r.server.lie = says
			r.server.put(address, noteMail(t, 1))
			r.server.putMade(address, large, 100<<20)
			r.server.put(address, noteMail(t, 2))
			for range 3 { // a session with a lie is lost, the others go on
				_ = r.intake.PollAll(t.Context(), t0)
			}
			s := r.status(t)
			if s.Accepted != 2 || s.Left != 1 || r.server.left(address) != 1 {
				t.Errorf("%+v, %d on the server", s, r.server.left(address))
			}
			if got := r.intake.MaxMail(); got >= 100<<20 {
				t.Errorf("mails of %d bytes are taken", got)
			}
		})
	}
}
