package exercise

import (
	"fmt"
	"time"

	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// refusal composes the error message of a Kasse about a mail, and says to whom
// it goes: to Reply-To, else to From (Technische Anlage). It names the bundle when
// that can be read and byMessage is false, else the mail.
func refusal(ik string, m *kimmail.Message, byMessage bool, at time.Time) (mail []byte, to string, err error) {
	to = m.ReplyAddress()
	n := eau.ErrorNotice{ID: eau.NewID("leitstand-uebung-fehler-"+ik, m.MessageID), Test: true, Code: "101", MessageID: m.MessageID}
	if m.Kind() == kimmail.KindCancellation {
		n.Code = "102"
	}
	if len(m.Documents) > 0 && !byMessage {
		if doc, err := eau.Read(m.Documents[0].XML); err == nil && doc.Identifier != "" {
			n.BundleIdentifier, n.MessageID = doc.Identifier, ""
		}
	}
	xml, err := eau.WriteError(n)
	if err != nil {
		return nil, "", fmt.Errorf("answering mail %q: %w", m.MessageID, err)
	}
	from := kimmail.Address{Name: "ÜBUNG Kasse " + ik, Addr: KasseAddress(ik)}
	mail, err = kimmail.Compose(kimmail.Draft{
		Kind: kimmail.KindRejection, Test: true, ID: n.ID, MessageID: "<" + n.ID + "@" + ik + "." + MailDomain + ">", Date: at,
		From: from, ReplyTo: kimmail.Address{Addr: from.Addr}, To: []kimmail.Address{{Addr: to}},
		Body: mailText + "Das Dokument konnte nicht verarbeitet werden.\r\n", XML: xml, InReplyTo: m.MessageID, Delivered: true,
	})
	if err != nil {
		return nil, "", fmt.Errorf("answering mail %q: %w", m.MessageID, err)
	}
	return mail, to, nil
}

// mailDocument finds the document in a mail. What cannot be read at all counts
// as a document of its own, so that it is kept like any other.
func mailDocument(raw []byte) (m *kimmail.Message, content []byte, id string) {
	m, err := kimmail.Parse(raw, kimmail.DefaultLimits())
	if err != nil {
		id, _ = identify(raw)
		return nil, raw, id
	}
	content = raw
	if len(m.Documents) > 0 {
		switch d := &m.Documents[0]; {
		case d.XML != nil:
			content = d.XML
		case d.SignedBytes != nil:
			content = d.SignedBytes
		}
	}
	id, _ = identify(content)
	if sub, ok := kimmail.ParseSubject(m.Subject); ok { // what the practice calls it
		if _, err := eau.Read(content); err != nil {
			id = sub.ID
		}
	}
	return m, content, id
}

// faultOf says why a clerk must look at a document; empty when the system can
// take it by itself. It asks for no more than a regular system needs to file it.
func faultOf(content []byte) string {
	doc, err := eau.Read(content)
	switch {
	case err != nil:
		return "nicht lesbar: " + err.Error()
	case doc.Kind == eau.KindEAU && (doc.Certificate.Until == "" || doc.Identifier == ""):
		return "Zeitraum oder Kennung fehlt"
	case doc.Kind == eau.KindStorno && doc.Storno.Cancels == "":
		return "Storno ohne Bezug"
	case doc.Kind == eau.KindEAU, doc.Kind == eau.KindStorno:
		return ""
	}
	return "keine eAU"
}
