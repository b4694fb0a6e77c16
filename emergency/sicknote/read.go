package sicknote

import (
	"errors"
	"slices"
	"strings"
	"time"

	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// DocKind says what a mail turned out to carry.
type DocKind string

// The kinds. Other is anything that is no readable eAU document.
const (
	DocNote   DocKind = "eau"
	DocStorno DocKind = "storno"
	DocPaper  DocKind = "paper" // a print for the Kasse, scanned or typed in
	DocOther  DocKind = "other"
)

// reader turns raw mails into readings. It holds no state.
type reader struct {
	limits kimmail.Limits
	trust  *kimmail.Trust
	check  func(xml []byte, at time.Time) []Fault
}

// Fault is one finding about a bundle that makes it invalid.
type Fault struct {
	Text string // German, without personal data
	Code string // of KBV_CS_SFHIR_EAU_AU_ERROR_KASSE, "" when none is assigned
}

// reading is what a mail says. Of personal data it holds only what is indexed.
type reading struct {
	kind      DocKind
	messageID string
	document  []byte // as a file, the bytes inside the mail; nil when there is none
	media     string // of document
	id        string // Bundle.identifier without "urn:uuid:"
	cancels   string // the same of the eAU that a Storno cancels
	payer     string // IK in the bundle
	person    string // KVNR
	test      bool   // marked as test data
	marked    bool   // says whether it is test or real
	leave     leave
	flags     []string // see Flags
	problem   string   // why it must be held; "" when it is fine
	code      string   // error code for the problem, "" when nobody may be told
	keysAway  bool     // its keys did not answer, such as a token that is out of reach: worth another try
	answerTo  string   // address for an error message
	version   string   // of the profiles that an error message must use
}

// leave is what an employer may know of a certificate.
type leave struct {
	since, until, determined string // YYYY-MM-DD; since is empty on follow-ups
	kind                     eau.AUType
	workAccident, accident   bool
	accidentDoctor           bool
}

func (r *reader) read(raw []byte, keys kimmail.Decrypter, at time.Time) reading {
	out := reading{kind: DocOther}
	m, err := kimmail.Parse(raw, r.limits)
	if err != nil {
		out.problem = "Mail nicht lesbar"
		if errors.Is(err, kimmail.ErrLimit) {
			out.problem = "Mail überschreitet die Grenzen für Größe oder Verschachtelung"
		}
		return out
	}
	out.header(m)
	faults := m.Results.Faults()
	if m.Form != kimmail.FormClear {
		opened, err := m.Open(kimmail.Options{Keys: keys, Trust: r.trust, At: at})
		if err != nil {
			out.cannotOpen(err, m)
			return out
		}
		m, faults = opened.Inner, opened.Faults()
		out.header(m)
	}
	out.protection(faults, m)
	r.attachment(&out, m, at)
	return out
}

// header takes what the mail's header says; of an encrypted mail first the outer,
// then the inner one.
func (out *reading) header(m *kimmail.Message) {
	if m.MessageID != "" {
		out.messageID = m.MessageID
	}
	out.answerTo = m.ReplyAddress()
	out.version = "1.2"
	if m.Service.Version == "V1.1" { // Technische Anlage P5-08: when the document does not say
		out.version = "1.1.0"
	}
	if s, ok := kimmail.ParseSubject(m.Subject); ok {
		out.marked, out.test = true, s.Test
	}
}

func (out *reading) hold(problem, code string) {
	if out.problem == "" {
		out.problem, out.code = problem, code
	}
}

func (out *reading) cannotOpen(err error, m *kimmail.Message) {
	var open *kimmail.OpenError
	if !errors.As(err, &open) {
		out.hold("Mail überschreitet die Grenzen für Größe oder Verschachtelung", "")
		return
	}
	out.keysAway = open.Fault == kimmail.FaultModule
	code := ""
	if open.Fault != kimmail.FaultNoKey { // the key may be missing only here
		code, _ = open.Fault.EAUCode(m.Kind())
	}
	out.hold(open.Fault.Text(), code)
}

// protection judges what is wrong with signature and encryption. What may be our
// own fault, such as a directory that cannot be reached, is noted and stops nothing.
func (out *reading) protection(faults []kimmail.Fault, m *kimmail.Message) {
	for _, f := range faults {
		switch f {
		case kimmail.FaultNone:
		case kimmail.FaultChain, kimmail.FaultUnchecked, kimmail.FaultRevocation, kimmail.FaultVendor:
			out.flag(FlagUnverified)
		case kimmail.FaultNoKey, kimmail.FaultModule: // our side
			out.hold(f.Text(), "")
		case kimmail.FaultEnvelope, kimmail.FaultTampered, kimmail.FaultUnsigned, kimmail.FaultSignatureFormat,
			kimmail.FaultHeaderMismatch, kimmail.FaultRecipients, kimmail.FaultSender,
			kimmail.FaultBundleSigner, kimmail.FaultBundleTampered:
			code, _ := f.EAUCode(m.Kind())
			out.hold(f.Text(), code)
		}
	}
}

// attachment finds the document and reads it.
func (r *reader) attachment(out *reading, m *kimmail.Message, at time.Time) {
	if m.KAS != nil {
		out.hold("Inhalt liegt auf einem KIM-Anhangsdienst und wurde nicht abgeholt", "")
		return
	}
	if len(m.Documents) == 0 {
		out.hold("keine eAU in der Mail", "")
		return
	}
	if len(m.Documents) > 1 {
		out.flag(FlagSeveral)
		out.hold("mehr als ein Dokument in der Mail", "")
	}
	d := &m.Documents[0]
	if test, ok := markOf(d.FileName); ok && !out.marked {
		out.marked, out.test = true, test
	}
	out.document, out.media = d.XML, "application/fhir+xml"
	if d.XML == nil {
		out.document, out.media = d.SignedBytes, "application/pkcs7-mime"
		out.hold("Dokument lässt sich nicht auspacken", wrongDocument(m.Kind()))
		return
	}
	out.signature(d, r.trust, m.Kind(), at)
	r.xml(out, m.Kind(), at)
}

// markOf tells by the file name whether a document is test data: TEAU0_ or EEAU0_.
func markOf(name string) (test, ok bool) {
	upper := strings.ToUpper(name)
	test = strings.HasPrefix(upper, "TEAU0_")
	return test, test || strings.HasPrefix(upper, "EEAU0_")
}

func (out *reading) signature(d *kimmail.Document, trust *kimmail.Trust, kind kimmail.Kind, at time.Time) {
	s := d.Verify(trust, at)
	switch s.State {
	case kimmail.SignatureAbsent:
		out.flag(FlagUnsigned)
	case kimmail.SignatureUnsupported, kimmail.SignatureUntrusted:
		out.flag(FlagUnverified)
	case kimmail.SignatureBroken:
		code, _ := kimmail.FaultBundleTampered.EAUCode(kind)
		out.hold(kimmail.FaultBundleTampered.Text(), code)
	case kimmail.SignatureIntact, kimmail.SignatureTrusted:
	}
}

// wrongDocument is the code for a document that is not conform.
func wrongDocument(k kimmail.Kind) string {
	if k == kimmail.KindCancellation {
		return "102"
	}
	return "101"
}

func (r *reader) xml(out *reading, kind kimmail.Kind, at time.Time) {
	doc, err := eau.Read(out.document)
	if err != nil {
		code := wrongDocument(kind)
		var syntax *eau.SyntaxError
		if errors.As(err, &syntax) && syntax.Kind == eau.FaultCharset {
			code = map[string]string{"101": "103", "102": "104"}[code]
		}
		out.hold("Dokument nicht lesbar: "+err.Error(), code)
		return
	}
	out.id = strings.TrimPrefix(doc.Identifier, "urn:uuid:")
	switch doc.ProfileVersion {
	case "1.1.0", "1.2":
		out.version = doc.ProfileVersion
	}
	switch doc.Kind {
	case eau.KindEAU:
		out.kind = DocNote
		out.certificate(doc.Certificate)
	case eau.KindStorno:
		out.kind = DocStorno
		out.cancels = strings.TrimPrefix(doc.Storno.Cancels, "urn:uuid:")
		if out.cancels == "" {
			out.hold("Storno nennt keine eAU", "102")
		}
	case eau.KindError:
		out.hold("Fehlernachricht einer Kasse, an diese Kasse gesandt", "")
	case eau.KindUnknown:
		out.hold("Dokument ist weder eAU noch Storno", wrongDocument(kind))
	}
	if out.id == "" {
		out.hold("Dokument ohne Kennung", wrongDocument(kind))
	}
	if r.check != nil && out.problem == "" {
		for _, f := range r.check(out.document, at) {
			out.hold("Dokument fehlerhaft: "+f.Text, f.Code)
		}
	}
}

// certificate takes what is indexed, and notices the gaps that make a sick note useless.
func (out *reading) certificate(c *eau.Certificate) {
	out.payer = c.Coverage.PayorIK
	out.person = c.Patient.KVNR
	out.leave = leave{
		since: c.Since, until: c.Until, determined: c.Determined, kind: c.Type,
		workAccident: c.WorkAccident(), accident: c.Accident(), accidentDoctor: c.AccidentInsuranceDoctor(),
	}
	switch {
	case !isDate(c.Until):
		out.hold("eAU ohne Ende der Arbeitsunfähigkeit", "101")
	case c.Since != "" && !isDate(c.Since) || c.Since == "" && c.Type.First():
		out.hold("eAU ohne Beginn der Arbeitsunfähigkeit", "101")
	}
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// Flags of a mail that do not stop it.
const (
	FlagReused     = "id_reused"     // same bundle identifier or Message-ID as another one with other content
	FlagForeign    = "foreign_payer" // the bundle names another Kasse
	FlagUnsigned   = "unsigned"      // the document came without a container
	FlagUnverified = "unverified"    // a signature could not be traced to an anchor
	FlagSeveral    = "several"       // more than one document in the mail
	FlagWaiting    = "waiting"       // a Storno whose eAU is not here
	FlagCancelled  = "cancelled"     // an eAU that a Storno cancelled
)

func (out *reading) flag(f string) { out.flags = addFlag(out.flags, f) }

func addFlag(flags []string, f string) []string {
	if slices.Contains(flags, f) {
		return flags
	}
	return append(flags, f)
}
