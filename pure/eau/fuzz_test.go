package eau

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzCheck feeds hostile bytes to reader and checker: no panic, both agree on
// what is no document, and what we take as XML the standard library takes too.
func FuzzCheck(f *testing.F) {
	for _, b := range documents(f) {
		f.Add(b)
	}
	for _, s := range []string{"", "<a/>", `<?xml version="1.0"?><a b="&amp;&#x41;"/>`, "<f:a xmlns:f='urn:x'><![CDATA[x]]></f:a>", "<a><!-- --></a>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Read(b)
		both, r := ReadAndCheck(b, Options{At: "2026-11-21"})
		if (err == nil) != (both != nil) {
			t.Fatalf("Read says %v, ReadAndCheck has a document: %v", err, both != nil)
		}
		if err != nil {
			var se *SyntaxError
			if !errors.As(err, &se) || len(r.Findings) != 1 || r.Valid {
				t.Fatalf("%v, report %+v", err, r)
			}
			return
		}
		if d.Kind != r.Kind {
			t.Fatalf("Read says %v, Check %v", d.Kind, r.Kind)
		}
		for _, finding := range r.Findings {
			if finding.Key == "" || finding.Text == "" || finding.Line < 1 || finding.Line > 1+bytes.Count(b, []byte("\n")) {
				t.Fatalf("finding %+v", finding)
			}
		}
		if err := standardXML(b); err != nil {
			t.Fatalf("we take what encoding/xml refuses: %v", err)
		}
	})
}

// standardXML reads all tokens. It is stricter about names than we are, so
// names beyond ASCII are not compared.
func standardXML(b []byte) error {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return nil
		}
	}
	if bytes.Contains(b, []byte("<?")) || bytes.Contains(b, []byte(":")) {
		return nil // instructions and namespaces have rules of their own there
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// FuzzWrite puts hostile text into every field: what is written is read back as
// it was, or refused.
func FuzzWrite(f *testing.F) {
	f.Add("Erika", "Übungsbeck & Söhne", "S93.40", "2026-11-20")
	f.Add("<>\"'&", "\t\n\r", "", "x")
	f.Fuzz(func(t *testing.T, given, family, code, day string) {
		c := SampleCertificate()
		c.Patient.Name.Given, c.Patient.Name.Family, c.Diagnoses[0].Code, c.Date = given, family, code, day
		b, err := Write(c)
		if err != nil {
			return
		}
		d, err := Read(b)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		got := d.Certificate
		if got.Patient.Name.Given != given || family != "" && got.Patient.Name.Family != family || got.Diagnoses[0].Code != code || got.Date != day {
			t.Fatalf("given %q %q %q %q, read %q %q %q %q", given, family, code, day,
				got.Patient.Name.Given, got.Patient.Name.Family, got.Diagnoses[0].Code, got.Date)
		}
		if strings.Contains(string(b), "\x00") {
			t.Fatal("a zero byte was written")
		}
	})
}
