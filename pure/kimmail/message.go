package kimmail

import (
	"encoding/json"
	"strings"
	"time"
)

// Form is how a mail is protected when it reaches us.
type Form int

// A mail is clear after a Clientmodul decrypted it, enveloped as it comes from a
// Fachdienst, signed if somebody only removed the envelope.
const (
	FormClear Form = iota + 1
	FormEnveloped
	FormSigned
)

func (f Form) String() string {
	switch f {
	case FormClear:
		return "clear"
	case FormEnveloped:
		return "enveloped"
	case FormSigned:
		return "signed"
	}
	return "invalid"
}

// Message is one mail. Of an enveloped or signed one only the outer header is
// known; [Message.Open] yields the mail inside.
type Message struct {
	Form      Form
	Header    Header
	MediaType string // of the whole body, such as "multipart/mixed"

	MessageID string // as sent, with angle brackets
	Subject   string // decoded
	From      []Address
	Sender    []Address
	ReplyTo   []Address
	To        []Address
	Cc        []Address
	Date      time.Time // zero if absent or unreadable
	Service   Service   // X-KIM-Dienstkennung
	Results   Results   // what a Clientmodul found

	Parts     []Part
	Documents []Document    // the sick note, cancellation or rejection it carries
	KAS       *KASReference // set if the content lies on a KIM Attachment Service
	Defects   []string      // damage that did not prevent reading

	cms []byte // body of an enveloped or signed mail, BER
	lim Limits
}

// KASReference is where the content of an oversized mail lies (KIM 1.5). It is
// kept and reported; this package never follows it. Key opens that content: do
// not log it.
type KASReference struct {
	Link string `json:"link"`
	Key  string `json:"k"`
	Hash string `json:"hash"`
	Size int64  `json:"size"`
}

// Parse reads a mail. An error means that not even the header could be read
// ([ErrMalformed]) or that a limit was exceeded ([ErrLimit]); everything else
// that is wrong stands in Defects, in the parts and in the documents.
func Parse(raw []byte, lim Limits) (*Message, error) {
	lim = lim.withDefaults()
	if len(raw) > lim.MailBytes {
		return nil, overLimit("mail bytes", len(raw), lim.MailBytes)
	}
	h, body, err := readHeader(raw, lim)
	if err != nil {
		return nil, err
	}
	if len(h) == 0 {
		return nil, malformed("mail without a header")
	}
	m := newMessage(h, lim)
	if form := smimeForm(h); form != FormClear {
		m.Form = form
		var defect string
		if m.cms, defect = decodeTransfer(body, h.Get("Content-Transfer-Encoding")); defect != "" {
			m.Defects = append(m.Defects, defect)
		}
		return m, nil
	}
	return m, m.readBody(body)
}

func newMessage(h Header, lim Limits) *Message {
	m := &Message{
		Form: FormClear, Header: h, lim: lim,
		MessageID: h.Get("Message-ID"),
		Subject:   h.Text("Subject"),
		From:      parseAddresses(h.Get("From")),
		Sender:    parseAddresses(h.Get("Sender")),
		ReplyTo:   parseAddresses(h.Get("Reply-To")),
		To:        parseAddresses(h.Get("To")),
		Cc:        parseAddresses(h.Get("Cc")),
		Date:      parseDate(h.Get("Date")),
		Service:   ParseService(h.Get("X-KIM-Dienstkennung")),
		Results:   readResults(h),
	}
	m.MediaType, _ = mediaTypeOf(h.Get("Content-Type"))
	return m
}

func (m *Message) readBody(body []byte) error {
	r := mimeReader{lim: m.lim}
	if err := r.walk(m.Header, body, "", 0); err != nil {
		return err
	}
	m.Parts, m.Defects = r.parts, append(m.Defects, r.defects...)
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Defect != "" {
			m.Defects = append(m.Defects, "part "+p.Path+": "+p.Defect)
		}
		if disposition, _ := mediaTypeOf(p.Header.Get("Content-Disposition")); disposition == "x-kas" {
			m.readKAS(p)
		}
	}
	m.findDocuments()
	return nil
}

func (m *Message) readKAS(p *Part) {
	ref := new(KASReference)
	if err := json.Unmarshal(p.Content, ref); err != nil {
		m.Defects = append(m.Defects, "part "+p.Path+": x-kas reference cannot be read")
		return
	}
	m.KAS = ref
}

// Kind says what the mail is for: by its Dienstkennung, else by its subject, else
// by the Content-Description of what it carries.
func (m *Message) Kind() Kind {
	if k := m.Service.Kind(); k != KindUnknown && k != KindMail {
		return k
	}
	if sub, ok := ParseSubject(m.Subject); ok {
		return sub.Kind
	}
	for i := range m.Documents {
		if m.Documents[i].Kind != KindUnknown {
			return m.Documents[i].Kind
		}
	}
	return m.Service.Kind()
}

// ReplyAddress is where the Technische Anlage sends an answer: Reply-To, else From.
func (m *Message) ReplyAddress() string {
	for _, list := range [][]Address{m.ReplyTo, m.From} {
		if len(list) > 0 {
			return list[0].Addr
		}
	}
	return ""
}

// smimeForm tells by the header whether the body is CMS.
func smimeForm(h Header) Form {
	t, params := mediaTypeOf(h.Get("Content-Type"))
	if t != "application/pkcs7-mime" && t != "application/x-pkcs7-mime" {
		return FormClear
	}
	switch strings.ToLower(params["smime-type"]) {
	case "signed-data":
		return FormSigned
	default:
		return FormEnveloped
	}
}

// parseDate reads RFC 5322 §3.3 with the obsolete forms that occur.
func parseDate(s string) time.Time {
	if i := strings.IndexByte(s, '('); i >= 0 {
		s = s[:i]
	}
	s = strings.Join(strings.Fields(s), " ")
	for _, layout := range [...]string{
		"Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700",
		"Mon, 2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 MST",
		"Mon, 2 Jan 2006 15:04 -0700", "2 Jan 2006 15:04 -0700",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
