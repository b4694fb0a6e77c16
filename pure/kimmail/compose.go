package kimmail

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// Draft is an eAU mail to be written: a delivery, a cancellation or a rejection.
type Draft struct {
	Kind      Kind
	Test      bool   // marks subject and file name T instead of E
	ID        string // document id of the bundle; for a rejection the id of the OperationOutcome
	Version   string // of the Dienstkennung, "V1.2" if empty
	MessageID string // with angle brackets
	Date      time.Time
	From      Address
	To        []Address
	ReplyTo   Address   // left out if empty
	Body      string    // text for people; a rejection puts its details here
	XML       []byte    // the instance
	Signer    *Identity // puts XML into a CAdES container; nil attaches it plainly
	InReplyTo string    // Message-ID that is answered, left out if empty

	// Delivered writes the mail as a Clientmodul hands it out after success,
	// with X-KIM-DecryptionResult 00 and X-KIM-IntegrityCheckResult 01.
	Delivered bool
}

// Compose writes the mail in clear: what a practice's or a Kasse's system gives to
// its Clientmodul, or with Delivered what it gets from it. Headers and names follow
// the Technische Anlage (P5-02, P5-03, KP5-05). A rejection is never signed.
func Compose(d Draft) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	document, suffix, mediaType := d.XML, ".xml", "application/xml"
	if d.Signer != nil && d.Kind != KindRejection {
		var err error
		if document, err = signCMS(signRequest{content: d.XML, time: d.Date}, d.Signer); err != nil {
			return nil, fmt.Errorf("signing document %q: %w", d.ID, err)
		}
		suffix, mediaType = ".p7s", "application/octet-stream"
	}
	subject := Subject{Kind: d.Kind, Test: d.Test, ID: d.ID}.String()
	var b bytes.Buffer
	b.Grow(len(document)*4/3 + len(document)/38 + len(d.Body) + 2048)
	d.writeHeader(&b, subject)
	const boundary = "=_kim" // neither base64 nor quoted-printable can contain "=_"
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n", boundary)
	if d.Body != "" {
		fmt.Fprintf(&b, "--%s\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary)
		if err := writeQuoted(&b, d.Body); err != nil {
			return nil, err
		}
		b.WriteString("\r\n")
	}
	name := subject + suffix
	fmt.Fprintf(&b, "--%s\r\nContent-Type: %s; name=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n"+
		"Content-Disposition: attachment; filename=\"%s\"\r\nContent-Description: %s\r\n\r\n",
		boundary, mediaType, name, name, d.description())
	writeBase64(&b, document)
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes(), nil
}

func (d *Draft) check() error {
	switch d.Kind {
	case KindDelivery, KindCancellation, KindRejection:
	case KindUnknown, KindMail:
		return fmt.Errorf("composing a mail of kind %q is not supported", d.Kind)
	}
	if d.ID == "" || d.MessageID == "" || d.From.Addr == "" || len(d.To) == 0 || d.Date.IsZero() {
		return fmt.Errorf("composing mail %q: id, message id, sender, recipient and date are needed", d.ID)
	}
	values := []string{d.ID, d.Version, d.MessageID, d.InReplyTo, d.From.Name, d.From.Addr, d.ReplyTo.Name, d.ReplyTo.Addr}
	for _, a := range d.To {
		values = append(values, a.Name, a.Addr)
	}
	for _, v := range values {
		if strings.ContainsAny(v, "\r\n\x00") {
			return fmt.Errorf("composing mail %q: a header value contains a line break", d.ID)
		}
	}
	if strings.ContainsAny(d.ID, "\"\\/ ") {
		return fmt.Errorf("composing mail: %q cannot be part of a file name", d.ID)
	}
	return nil
}

func (d *Draft) service() Service {
	s := Service{Application: "eAU", Version: d.Version}
	if s.Version == "" {
		s.Version = "V1.2"
	}
	switch d.Kind {
	case KindDelivery:
		s.Process = "Lieferung"
	case KindCancellation:
		s.Process = "Storno-Arzt"
	case KindRejection:
		s.Process = "Fehler-Kasse"
	case KindUnknown, KindMail:
	}
	return s
}

func (d *Draft) description() string {
	switch d.Kind {
	case KindDelivery:
		return "eAU"
	case KindCancellation:
		return "eAUStorno"
	case KindRejection:
		return "eAUFehler-Kasse"
	case KindUnknown, KindMail:
	}
	return ""
}

func (d *Draft) writeHeader(b *bytes.Buffer, subject string) {
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	field("Message-ID", d.MessageID)
	field("Date", d.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	field("From", d.From.String())
	to := make([]string, len(d.To))
	for i, a := range d.To {
		to[i] = a.String()
	}
	field("To", strings.Join(to, ",\r\n "))
	if d.ReplyTo.Addr != "" {
		field("Reply-To", d.ReplyTo.String())
	}
	field("In-Reply-To", d.InReplyTo)
	field("Subject", mime.QEncoding.Encode("utf-8", subject))
	field("X-KIM-Dienstkennung", d.service().String())
	if d.Delivered {
		field("X-KIM-DecryptionResult", "00")
		field("X-KIM-IntegrityCheckResult", "01")
	}
	field("MIME-Version", "1.0")
}

// quotePhrase writes a display name: an encoded word if it is not ASCII, else a
// quoted string.
func quotePhrase(name string) string {
	for i := range len(name) {
		if name[i] >= 0x7f || name[i] < ' ' {
			return mime.QEncoding.Encode("utf-8", name)
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

func writeQuoted(b *bytes.Buffer, text string) error {
	w := quotedprintable.NewWriter(b)
	if _, err := w.Write([]byte(text)); err != nil {
		return fmt.Errorf("writing mail text: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing mail text: %w", err)
	}
	return nil
}

// writeBase64 writes lines of 76 characters (RFC 2045 §6.8).
func writeBase64(b *bytes.Buffer, content []byte) {
	const perLine = 57
	var line [78]byte
	for len(content) > 0 {
		n := min(perLine, len(content))
		size := base64.StdEncoding.EncodedLen(n)
		base64.StdEncoding.Encode(line[:], content[:n])
		line[size], line[size+1] = '\r', '\n'
		b.Write(line[:size+2])
		content = content[n:]
	}
}
