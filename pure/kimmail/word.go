package kimmail

import (
	"fmt"
	"io"
	"mime"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// decodeWords decodes RFC 2047 encoded words. Text that cannot be decoded is
// returned as it came: a subject is shown to people and matched, never executed.
func decodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	dec := mime.WordDecoder{CharsetReader: charsetReader}
	out, err := dec.DecodeHeader(s)
	if err != nil {
		return s
	}
	return out
}

// charsetReader knows the single-byte sets that German mail programs use beside
// those that package mime handles itself (UTF-8, ISO-8859-1, US-ASCII).
func charsetReader(charset string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "windows-1252", "cp1252":
		return charmap.Windows1252.NewDecoder().Reader(input), nil
	case "iso-8859-15", "latin-9", "latin9":
		return charmap.ISO8859_15.NewDecoder().Reader(input), nil
	case "iso-8859-2":
		return charmap.ISO8859_2.NewDecoder().Reader(input), nil
	default:
		return nil, fmt.Errorf("charset %q is not supported", charset)
	}
}

// textUTF8 converts a text part. Unknown sets are read as Windows-1252, which
// has a character for nearly every byte, so that a person sees something.
func textUTF8(content []byte, charset string) string {
	switch strings.ToLower(charset) {
	case "", "utf-8", "us-ascii", "ascii":
		return strings.ToValidUTF8(string(content), "\uFFFD")
	case "iso-8859-15", "latin-9", "latin9":
		return decodeCharmap(charmap.ISO8859_15, content)
	case "iso-8859-2":
		return decodeCharmap(charmap.ISO8859_2, content)
	default:
		return decodeCharmap(charmap.Windows1252, content)
	}
}

func decodeCharmap(m *charmap.Charmap, content []byte) string {
	out, err := m.NewDecoder().Bytes(content)
	if err != nil {
		return strings.ToValidUTF8(string(content), "\uFFFD")
	}
	return string(out)
}
