package exercise

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"
)

// fault is what is wrong with a sick note when it leaves the practice.
type fault int

// Faults that practice software really produces.
const (
	faultNone     fault = iota
	faultTorn           // XML that ends in the middle
	faultLatin1         // declared UTF-8, written in ISO 8859-1
	faultNoPeriod       // a bundle that does not say how long
	faultPage           // the error page of a server instead of a document
	faultKinds    = iota - 1
)

// String is the word in the book.
func (f fault) String() string {
	switch f {
	case faultNone:
		return ""
	case faultTorn:
		return "torn"
	case faultLatin1:
		return "latin1"
	case faultNoPeriod:
		return "no-period"
	case faultPage:
		return "page"
	}
	return fmt.Sprintf("fault(%d)", int(f))
}

// spoil damages a document as f says. It fails when the document has nothing to spoil.
func (f fault) spoil(xml []byte) ([]byte, error) {
	switch f {
	case faultNone:
		return xml, nil
	case faultTorn:
		return xml[:len(xml)*3/5], nil
	case faultLatin1:
		if out := latin1(xml); !utf8.Valid(out) {
			return out, nil
		}
	case faultNoPeriod:
		begin, end := bytes.Index(xml, []byte("<onsetPeriod>")), bytes.Index(xml, []byte("</onsetPeriod>"))
		if begin > 0 && end > begin {
			return append(bytes.Clone(xml[:begin]), xml[end+len("</onsetPeriod>"):]...), nil
		}
	case faultPage:
		// Something of the document stays, so that no two pages are the same file.
		return fmt.Appendf(nil, "<html><body><h1>404 Page not found</h1><!-- ÜBUNG %x --></body></html>\n", sha256.Sum256(xml)), nil
	}
	return nil, fmt.Errorf("a document of %d bytes has nothing to spoil as %q", len(xml), f)
}

// latin1 writes what fits in one byte per character.
func latin1(utf []byte) []byte {
	out := make([]byte, 0, len(utf))
	for _, r := range string(utf) {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}
