package kimmail

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options govern how a mail is opened.
type Options struct {
	Keys  Decrypter // needed for enveloped mails
	Trust *Trust    // nil: signatures are at best "intact, trust not checked"
	At    time.Time // when the mail arrived: certificates must be valid then

	// TelematikID looks an address up in a directory (VZD), so that sender and
	// signer can be compared. nil: compared is only what the mail itself holds.
	TelematikID func(address string) (id string, ok bool)
}

// Opened is what was found under the envelope.
type Opened struct {
	Inner     *Message   // the mail itself, with its parts and documents
	Signature Signature  // of the KIM message
	Sender    SenderBond // does the signer speak for the sender?
	Findings  []Finding  // everything wrong, in the order it was noticed
}

// Finding is a fault with what exactly was seen.
type Finding struct {
	Fault  Fault
	Detail string
}

// OpenError says why a mail could not be opened, in the words of the KIM result
// codes. It wraps the cause.
type OpenError struct {
	Fault Fault
	Err   error
}

func (e *OpenError) Error() string { return "opening a KIM mail: " + e.Err.Error() }

func (e *OpenError) Unwrap() error { return e.Err }

// SenderBond is the relation of the From address to the certificate that signed.
type SenderBond int

// KIM signatures bind no address by themselves; see docs/kim.md.
const (
	SenderUnknown SenderBond = iota // nothing to compare
	SenderListed                    // the signer counts From among those he encrypted to
	SenderProven                    // directory or certificate tie From to the signer
	SenderDiffers                   // they name somebody else
)

// Open takes an enveloped (or signed) mail apart: decrypts, checks signature,
// recipients, header and sender, and reads the mail inside. With an error there is
// no mail: an [*OpenError], or one wrapping [ErrLimit]. Everything that is wrong
// with a mail that could be read stands in Findings.
func (m *Message) Open(opt Options) (*Opened, error) {
	var content []byte
	var env *envelope
	switch m.Form {
	case FormEnveloped:
		var err error
		if env, content, err = m.decrypt(opt.Keys); err != nil {
			return nil, err
		}
	case FormSigned:
		content = m.cms
	case FormClear:
		return nil, errors.New("opening a KIM mail: it is in clear already")
	default:
		return nil, fmt.Errorf("opening a KIM mail: form %d is invalid", m.Form)
	}
	o := new(Opened)
	mail, err := o.unwrapSigned(content, m, env, opt)
	if err != nil {
		return nil, err
	}
	inner, err := Parse(mail, m.lim)
	if err != nil {
		return nil, openFailure(FaultEnvelope, err)
	}
	inner.Results = Results{} // a sender cannot vouch for himself
	o.Inner = inner
	for _, diff := range compareHeaders(m, inner) {
		o.add(FaultHeaderMismatch, diff)
	}
	o.Sender = o.bond(inner, opt)
	return o, nil
}

func (o *Opened) add(f Fault, detail string) {
	o.Findings = append(o.Findings, Finding{Fault: f, Detail: detail})
}

// Faults returns the kinds of faults among the findings.
func (o *Opened) Faults() []Fault {
	faults := make([]Fault, len(o.Findings))
	for i := range o.Findings {
		faults[i] = o.Findings[i].Fault
	}
	return faults
}

// openFailure keeps limits apart from faults of the sender.
func openFailure(f Fault, err error) error {
	if errors.Is(err, ErrLimit) {
		return fmt.Errorf("opening a KIM mail: %w", err)
	}
	return &OpenError{Fault: f, Err: err}
}

func (m *Message) decrypt(keys Decrypter) (*envelope, []byte, error) {
	env, err := readEnvelope(m.cms, m.lim)
	if err != nil {
		return nil, nil, openFailure(FaultEnvelope, err)
	}
	if keys == nil {
		return nil, nil, &OpenError{Fault: FaultNoKey, Err: ErrNoKey}
	}
	plain, err := env.open(keys)
	switch {
	case err == nil:
		return env, plain, nil
	case errors.Is(err, ErrNoKey):
		return nil, nil, &OpenError{Fault: FaultNoKey, Err: err}
	case errors.Is(err, ErrMalformed):
		return nil, nil, openFailure(FaultEnvelope, err)
	default: // the keys themselves failed: a token out of reach is our fault
		return nil, nil, &OpenError{Fault: FaultModule, Err: err}
	}
}

// unwrapSigned goes through the MIME layer around the SignedData, checks it, and
// returns the mail that was signed.
func (o *Opened) unwrapSigned(content []byte, m *Message, env *envelope, opt Options) ([]byte, error) {
	cms, isSigned, err := signedLayer(content, m.lim)
	if err != nil {
		return nil, err
	}
	if !isSigned {
		o.add(FaultUnsigned, "under the envelope is no SignedData")
		return mailLayer(content, m.lim), nil
	}
	sd, err := readSignedData(cms, m.lim)
	if err != nil {
		if mail, ok := salvageContent(cms); ok && errors.Is(err, ErrMalformed) {
			o.Signature = Signature{State: SignatureUnsupported, Detail: "line ends inside the signature were converted"}
			o.add(FaultSignatureFormat, o.Signature.Detail)
			return mailLayer(mail, m.lim), nil
		}
		return nil, openFailure(FaultSignatureFormat, err)
	}
	if sd.content == nil {
		return nil, &OpenError{Fault: FaultSignatureFormat, Err: malformed("SignedData without content")}
	}
	o.Signature = sd.verify(opt.Trust, opt.At)
	o.judgeSignature(sd)
	o.judgeRecipients(env)
	return mailLayer(sd.content, m.lim), nil
}

// signedLayer returns the CMS under the MIME header of "application/pkcs7-mime;
// smime-type=signed-data", or what already is CMS.
func signedLayer(content []byte, lim Limits) (cms []byte, isSigned bool, err error) {
	if len(content) > 0 && content[0] == 0x30 {
		return content, true, nil
	}
	h, body, err := readHeader(content, lim)
	if err != nil || smimeForm(h) != FormSigned {
		if errors.Is(err, ErrLimit) {
			return nil, false, openFailure(FaultEnvelope, err)
		}
		return nil, false, nil // not a MIME layer that we know: the caller reads it as a mail
	}
	cms, defect := decodeTransfer(body, h.Get("Content-Transfer-Encoding"))
	if defect != "" {
		return nil, false, &OpenError{Fault: FaultSignatureFormat, Err: malformed("%s", defect)}
	}
	return cms, true, nil
}

// mailLayer takes off "Content-Type: message/rfc822" and the empty line, if they
// stand alone before the mail.
func mailLayer(content []byte, lim Limits) []byte {
	h, body, err := readHeader(content, lim)
	if err != nil || h.Get("From") != "" {
		return content
	}
	if t, _ := mediaTypeOf(h.Get("Content-Type")); t != "message/rfc822" {
		return content
	}
	return bytes.TrimLeft(body, "\r\n")
}

func (o *Opened) judgeSignature(sd *signedData) {
	if len(sd.signers) > 1 {
		o.add(FaultSignatureFormat, "more than one signer")
	}
	switch o.Signature.State {
	case SignatureAbsent:
		o.add(FaultUnsigned, o.Signature.Detail)
	case SignatureUnsupported:
		o.add(FaultSignatureFormat, o.Signature.Detail)
	case SignatureBroken:
		o.add(FaultTampered, o.Signature.Detail)
	case SignatureUntrusted:
		o.add(FaultChain, o.Signature.Detail)
	case SignatureIntact, SignatureTrusted:
	}
}

// judgeRecipients compares the signed recipient-emails attribute with that of the
// envelope. Without it a recipient could re-encrypt a mail to somebody else and the
// signature would still hold.
func (o *Opened) judgeRecipients(env *envelope) {
	if env == nil || !o.Signature.State.Intact() {
		return
	}
	switch {
	case !o.Signature.hasEmails:
		o.add(FaultRecipients, "the signature has no recipient-emails attribute")
	case !env.hasEmails:
		o.add(FaultRecipients, "the envelope has no recipient-emails attribute")
	case !sameRecipients(o.Signature.emails, env.emails):
		o.add(FaultRecipients, "recipient-emails of signature and envelope differ")
	}
}

// bond compares sender and signer. The certificate of an institution (SMC-B) rarely
// names a KIM address; the Telematik-ID of the directory entry decides if there is one.
func (o *Opened) bond(inner *Message, opt Options) SenderBond {
	cert := o.Signature.Signer
	if cert == nil || !o.Signature.State.Intact() || len(inner.From) != 1 {
		return SenderUnknown
	}
	from := inner.From[0].Addr
	if opt.TelematikID != nil && cert.TelematikID != "" {
		if id, ok := opt.TelematikID(from); ok {
			if id == cert.TelematikID {
				return SenderProven
			}
			o.add(FaultSender, fmt.Sprintf("directory: %s, signer: %s", id, cert.TelematikID))
			return SenderDiffers
		}
	}
	for _, mail := range cert.Emails {
		if SameMailbox(mail, from) {
			return SenderProven
		}
	}
	for _, e := range o.Signature.emails {
		if SameMailbox(e.Address, from) {
			return SenderListed
		}
	}
	if o.Signature.hasEmails {
		o.add(FaultSender, "From is not among the addresses that the signer encrypted to")
		return SenderDiffers
	}
	return SenderUnknown
}

// compareHeaders lists the differences between outer and inner header that
// gemSMIME_KOMLE forbids. Addresses compare without case and display name, dates
// as instants. A field that one of the two lacks is a difference, except Message-ID
// and Dienstkennung, which older Clientmodule did not copy.
func compareHeaders(outer, inner *Message) []string {
	var diffs []string
	for _, f := range []struct {
		name string
		a, b []Address
	}{
		{"From", outer.From, inner.From},
		{"Sender", outer.Sender, inner.Sender},
		{"Reply-To", outer.ReplyTo, inner.ReplyTo},
		{"To", outer.To, inner.To},
		{"Cc", outer.Cc, inner.Cc},
	} {
		if !sameAddresses(f.a, f.b) {
			diffs = append(diffs, f.name)
		}
	}
	sameDate := outer.Header.Get("Date") == inner.Header.Get("Date")
	if !outer.Date.IsZero() && !inner.Date.IsZero() {
		sameDate = outer.Date.Equal(inner.Date)
	}
	if !sameDate {
		diffs = append(diffs, "Date")
	}
	if outer.MessageID != "" && inner.MessageID != "" && outer.MessageID != inner.MessageID {
		diffs = append(diffs, "Message-ID")
	}
	a, b := outer.Service.String(), inner.Service.String()
	if a != "" && b != "" && !strings.EqualFold(a, b) {
		diffs = append(diffs, "X-KIM-Dienstkennung")
	}
	return diffs
}

func sameAddresses(a, b []Address) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !SameMailbox(a[i].Addr, b[i].Addr) {
			return false
		}
	}
	return true
}
