package eau

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 §5.5 makes version 5 UUIDs with it; nothing secret rests on it
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// xmlWriter appends elements with one tab a level, as practice software does.
type xmlWriter struct {
	b     []byte
	depth int
	bad   string // the first element with a value that XML cannot carry
}

// finish returns the document, or an error if a value could not be written.
func (w *xmlWriter) finish() ([]byte, error) {
	if w.bad != "" {
		return nil, fmt.Errorf("the value of %q contains bytes that XML in UTF-8 cannot carry", w.bad)
	}
	return append(w.b, '\n'), nil
}

// carry reports whether XML can carry a value (XML 1.0 §2.2).
func carry(s string) bool {
	for _, r := range s {
		if !isXMLChar(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

func (w *xmlWriter) indent() {
	if len(w.b) > 0 {
		w.b = append(w.b, '\n')
	}
	for range w.depth {
		w.b = append(w.b, '\t')
	}
}

func (w *xmlWriter) raw(parts ...string) {
	for _, p := range parts {
		w.b = append(w.b, p...)
	}
}

// open starts elements, each inside the one before; shut with the same list ends them.
func (w *xmlWriter) open(names ...string) {
	for _, n := range names {
		w.indent()
		w.raw("<", n, ">")
		w.depth++
	}
}

func (w *xmlWriter) shut(names ...string) {
	for _, n := range slices.Backward(names) {
		w.depth--
		w.indent()
		w.raw("</", n, ">")
	}
}

// val writes an element with a value; an empty value writes nothing, because
// FHIR knows no empty values.
func (w *xmlWriter) val(name, value string) {
	if value == "" {
		return
	}
	w.indent()
	w.raw("<", name, " value=\"")
	w.escape(name, value)
	w.raw("\"/>")
}

// ext opens an extension and returns nothing to remember: shut("extension") ends it.
func (w *xmlWriter) ext(url string) {
	w.indent()
	w.raw("<extension url=\"", url, "\">")
	w.depth++
}

// extVal writes an extension with a primitive value, or nothing if it is empty.
func (w *xmlWriter) extVal(url, name, value string) {
	if value == "" {
		return
	}
	w.ext(url)
	w.val(name, value)
	w.shut("extension")
}

// extCode writes an extension with a Coding, or nothing if the code is empty.
func (w *xmlWriter) extCode(url, system, code string) {
	if code == "" {
		return
	}
	w.ext(url)
	w.open("valueCoding")
	w.val("system", system)
	w.val("code", code)
	w.shut("extension", "valueCoding")
}

// coding writes the elements around one Coding.
func (w *xmlWriter) coding(system, code string, around ...string) {
	w.open(around...)
	w.open("coding")
	w.val("system", system)
	w.val("code", code)
	w.shut("coding")
	w.shut(around...)
}

// ref writes a Reference.
func (w *xmlWriter) ref(name, target string) {
	w.open(name)
	w.val("reference", target)
	w.shut(name)
}

func (w *xmlWriter) escape(name, s string) {
	if w.bad == "" && !carry(s) {
		w.bad = name
	}
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			w.raw("&amp;")
		case '<':
			w.raw("&lt;")
		case '>':
			w.raw("&gt;")
		case '"':
			w.raw("&quot;")
		case '\n':
			w.raw("&#10;")
		case '\t':
			w.raw("&#9;")
		case '\r':
			w.raw("&#13;")
		default:
			w.b = append(w.b, c)
		}
	}
}

// NewID derives a UUID of version 5 from a name, as the Technische Anlage wants
// for Bundle.identifier: the same name gives the same UUID. space keeps
// generators apart.
func NewID(space, name string) string {
	sum := sha1.Sum([]byte(space + "\x00" + name)) //nolint:gosec // see the import
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[0:8], sum[0:4])
	hex.Encode(out[9:13], sum[4:6])
	hex.Encode(out[14:18], sum[6:8])
	hex.Encode(out[19:23], sum[8:10])
	hex.Encode(out[24:36], sum[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// isUUID reports the lower-case form 8-4-4-4-12.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !strings.Contains("0123456789abcdef", s[i:i+1]) {
				return false
			}
		}
	}
	return true
}
