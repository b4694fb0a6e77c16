package kimmail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"strconv"
	"strings"
)

// Part is one leaf of a mail's body, its transfer encoding undone. An attached
// mail (message/rfc822) is a leaf as well: [Parse] can read its Content.
type Part struct {
	Header      Header
	MediaType   string // lower case, "text/plain" if absent
	Charset     string
	FileName    string // of Content-Disposition or the name of Content-Type
	Description string // Content-Description
	Attachment  bool   // Content-Disposition says so
	Content     []byte
	Path        string // position: "1", "2.1"
	Defect      string // why Content may not be what was sent; "" if all is well
}

// Text returns the content as UTF-8; meant for text parts.
func (p *Part) Text() string { return textUTF8(p.Content, p.Charset) }

// mimeReader takes a body apart within limits.
type mimeReader struct {
	lim     Limits
	parts   []Part
	defects []string
	count   int
}

// walk reads the entity with this header and body. Errors are limits only:
// everything else is a defect of a part, so that one bad part hides no other.
func (r *mimeReader) walk(h Header, body []byte, path string, depth int) error {
	r.count++
	if r.count > r.lim.Parts {
		return overLimit("parts", r.count, r.lim.Parts)
	}
	if depth > r.lim.Depth {
		return overLimit("nesting of parts", depth, r.lim.Depth)
	}
	mediaType, params := mediaTypeOf(h.Get("Content-Type"))
	if boundary := params["boundary"]; strings.HasPrefix(mediaType, "multipart/") && boundary != "" {
		return r.multipart(body, boundary, path, depth)
	}
	p := Part{Header: h, MediaType: mediaType, Charset: params["charset"], Path: path}
	p.Description = strings.TrimSpace(h.Text("Content-Description"))
	disposition, dparams := mediaTypeOf(h.Get("Content-Disposition"))
	p.Attachment = disposition == "attachment"
	if p.FileName = decodeWords(dparams["filename"]); p.FileName == "" {
		p.FileName = decodeWords(params["name"])
	}
	p.Content, p.Defect = decodeTransfer(body, h.Get("Content-Transfer-Encoding"))
	if p.Path == "" {
		p.Path = "1"
	}
	r.parts = append(r.parts, p)
	return nil
}

// multipart reads the parts between boundaries (RFC 2046 §5.1.1).
func (r *mimeReader) multipart(body []byte, boundary, path string, depth int) error {
	delim := []byte("--" + boundary)
	rest, found := nextDelimiter(&body, delim, nil)
	if !found {
		r.defects = append(r.defects, "multipart without its boundary")
		return nil
	}
	for n := 1; ; n++ {
		if closed := bytes.HasPrefix(rest, []byte("--")); closed {
			return nil
		}
		_, rest = cutLine(rest)
		var part []byte
		next, more := nextDelimiter(&rest, delim, &part)
		h, content, err := readHeader(part, r.lim)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				return err
			}
			r.defects = append(r.defects, "part "+childPath(path, n)+": "+err.Error())
			h, content = nil, part
		}
		if err := r.walk(h, content, childPath(path, n), depth+1); err != nil {
			return err
		}
		if !more {
			r.defects = append(r.defects, "multipart without its closing boundary")
			return nil
		}
		rest = next
	}
}

// nextDelimiter finds the next line that starts with delim. before, if not nil,
// gets what stood in front of it without the line end that belongs to it.
func nextDelimiter(b *[]byte, delim []byte, before *[]byte) (after []byte, found bool) {
	s := *b
	for from := 0; ; {
		i := bytes.Index(s[from:], delim)
		if i < 0 {
			if before != nil {
				*before = s
			}
			return nil, false
		}
		i += from
		if (i == 0 || s[i-1] == '\n') && endsDelimiter(s[i+len(delim):]) {
			if before != nil {
				*before = trimLineEnd(s[:i])
			}
			return s[i+len(delim):], true
		}
		from = i + len(delim)
	}
}

// endsDelimiter: after a boundary come "--" or white space up to the line end,
// so that a boundary which is a prefix of another is not taken for it.
func endsDelimiter(s []byte) bool {
	if bytes.HasPrefix(s, []byte("--")) {
		return true
	}
	for _, c := range s {
		switch c {
		case '\n':
			return true
		case ' ', '\t', '\r':
		default:
			return false
		}
	}
	return true
}

func trimLineEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	return bytes.TrimSuffix(b, []byte{'\r'})
}

func childPath(path string, n int) string {
	if path == "" {
		return strconv.Itoa(n)
	}
	return path + "." + strconv.Itoa(n)
}

// mediaTypeOf parses a Content-Type or Content-Disposition value; on damage it
// keeps the type and what parameters it can.
func mediaTypeOf(value string) (string, map[string]string) {
	if value == "" {
		return "text/plain", nil
	}
	t, params, err := mime.ParseMediaType(strings.TrimRight(value, "; \t"))
	if err != nil {
		t, _, _ = strings.Cut(value, ";")
		t = strings.ToLower(strings.TrimSpace(t))
	}
	return t, params
}

// decodeTransfer undoes a Content-Transfer-Encoding (RFC 2045 §6).
func decodeTransfer(body []byte, encoding string) (content []byte, defect string) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "7bit", "8bit", "binary":
		return body, ""
	case "base64":
		return decodeBase64(body)
	case "quoted-printable":
		out, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
		if err != nil {
			return out, "quoted-printable: " + err.Error()
		}
		return out, ""
	default:
		return body, "transfer encoding is unknown"
	}
}

// decodeBase64 drops line ends first, which keeps the decoder on its fast path.
// Characters outside the alphabet are skipped (RFC 2045 §6.8) but reported.
func decodeBase64(body []byte) (content []byte, defect string) {
	packed := make([]byte, 0, len(body))
	for rest := body; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		packed = append(packed, bytes.Trim(line, " \t\r")...)
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(packed)))
	n, err := base64.StdEncoding.Decode(out, packed)
	if err == nil {
		return out[:n], ""
	}
	kept := packed[:0]
	for _, c := range body {
		if isBase64(c) {
			kept = append(kept, c)
		}
	}
	n, err = base64.StdEncoding.Decode(out, kept)
	if err != nil {
		return out[:n], "base64 is damaged"
	}
	return out[:n], "base64 with foreign characters"
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '='
}
