package kimmail

import (
	"bytes"
	"strings"
)

// Document is what an eAU mail is sent for: one XML instance, mostly inside a
// CAdES container. Its XML is not looked at here.
type Document struct {
	Part        int    // index in Message.Parts
	Kind        Kind   // by Content-Description, KindUnknown if it says nothing
	FileName    string // as sent
	XML         []byte // nil if the container cannot be opened
	SignedBytes []byte // the container as received, nil if the XML came without one
	Defect      string // why XML is nil or doubtful

	signed *signedData
}

// Signed tells whether the document came in a container that names a signer.
// Whether that signature holds is for [Document.Verify] to say.
func (d *Document) Signed() bool { return d.signed != nil && len(d.signed.signers) > 0 }

// findDocuments takes the parts marked with the Content-Description of the
// Technische Anlage; without any, those that look like a container or XML.
func (m *Message) findDocuments() {
	for _, marked := range []bool{true, false} {
		for i := range m.Parts {
			if isDocument(&m.Parts[i], marked) {
				m.Documents = append(m.Documents, readDocument(i, &m.Parts[i], m.lim))
			}
		}
		if len(m.Documents) > 0 {
			return
		}
	}
}

func descriptionKind(description string) Kind {
	switch strings.ToLower(description) {
	case "eau":
		return KindDelivery
	case "eaustorno":
		return KindCancellation
	case "eaufehler-kasse":
		return KindRejection
	}
	return KindUnknown
}

func isDocument(p *Part, marked bool) bool {
	if marked {
		return descriptionKind(p.Description) != KindUnknown
	}
	name := strings.ToLower(p.FileName)
	if strings.HasSuffix(name, ".p7s") || strings.HasSuffix(name, ".p7m") || strings.HasSuffix(name, ".xml") {
		return true
	}
	switch p.MediaType {
	case "application/xml", "text/xml", "application/fhir+xml", "application/pkcs7-signature", "application/pkcs7-mime":
		return true
	}
	return false
}

func readDocument(index int, p *Part, lim Limits) Document {
	d := Document{Part: index, Kind: descriptionKind(p.Description), FileName: p.FileName, Defect: p.Defect}
	// 0x30 is an ASN.1 SEQUENCE and the digit zero, with which no XML begins.
	if !bytes.HasPrefix(p.Content, []byte{0x30}) {
		d.XML = p.Content
		return d
	}
	d.SignedBytes = p.Content
	sd, err := readSignedData(p.Content, lim)
	if err != nil {
		d.Defect = err.Error()
		return d
	}
	d.signed = sd
	if sd.content == nil {
		d.Defect = "the signature container holds no document"
		return d
	}
	d.XML = sd.content
	return d
}
