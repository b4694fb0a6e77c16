package kimmail

import (
	"strings"
)

// Address is one mailbox: a display name, decoded, and the addr-spec as sent.
type Address struct {
	Name string
	Addr string
}

// SameMailbox compares addr-specs without case, as gematik's FAQ rules for KIM.
func SameMailbox(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// String writes the address for a header field.
func (a Address) String() string {
	if a.Name == "" {
		return a.Addr
	}
	return quotePhrase(a.Name) + " <" + a.Addr + ">"
}

// maxAddresses bounds one field; KIM sends to a handful.
const maxAddresses = 500

// parseAddresses reads an address list (RFC 5322 §3.4) leniently: comments are
// skipped, group names dropped, and an entry without "@" is kept as it stands,
// because the caller must be able to show what was there.
func parseAddresses(value string) []Address {
	var list []Address
	for value != "" && len(list) < maxAddresses {
		var entry string
		entry, value = cutAddress(value)
		if a, ok := parseAddress(entry); ok {
			list = append(list, a)
		}
	}
	return list
}

// cutAddress takes the text up to the next separator outside quotes, comments
// and angle brackets. A group "name: a, b;" loses its name.
func cutAddress(s string) (entry, rest string) {
	var sb strings.Builder
	angle, comment := false, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case comment > 0:
			switch c {
			case '\\':
				i++
			case '(':
				comment++
			case ')':
				comment--
			}
		case c == '(':
			comment++
		case c == '"':
			end := quotedEnd(s, i)
			sb.WriteString(s[i:end])
			i = end - 1
		case c == '<':
			angle = true
			sb.WriteByte(c)
		case c == '>':
			angle = false
			sb.WriteByte(c)
		case !angle && (c == ',' || c == ';'):
			return sb.String(), s[i+1:]
		case !angle && c == ':':
			sb.Reset()
		default:
			sb.WriteByte(c)
		}
	}
	return sb.String(), ""
}

// quotedEnd returns the index after the quoted string that starts at s[i].
func quotedEnd(s string, i int) int {
	for j := i + 1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return len(s)
}

func parseAddress(entry string) (Address, bool) {
	entry = strings.TrimSpace(entry)
	if entry == "" {
		return Address{}, false
	}
	open := strings.LastIndexByte(entry, '<')
	if open < 0 {
		return Address{Addr: entry}, true
	}
	addr, _, _ := strings.Cut(entry[open+1:], ">")
	if i := strings.LastIndexByte(addr, ':'); i >= 0 && strings.HasPrefix(addr, "@") {
		addr = addr[i+1:] // obsolete source route
	}
	return Address{Name: unquote(strings.TrimSpace(entry[:open])), Addr: strings.TrimSpace(addr)}, true
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return decodeWords(s)
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var sb strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		sb.WriteByte(s[i])
	}
	return sb.String()
}
