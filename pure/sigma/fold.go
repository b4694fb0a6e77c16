package sigma

import (
	"encoding/binary"
	"slices"
	"unicode"
	"unicode/utf8"
)

// fold lowers every character by its simple mapping. Bytes that are no UTF-8
// stay as they are.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || ('A' <= c && c <= 'Z') {
			out, _ := foldInto(make([]byte, 0, len(s)+8), []byte(s))
			return string(out)
		}
	}
	return s
}

const (
	ones8  = 0x0101010101010101
	highs8 = 0x8080808080808080
)

// foldInto appends the folded s to dst: eight ASCII bytes at a time, other
// characters one by one. high says that there were such.
func foldInto(dst, s []byte) (out []byte, high bool) {
	dst = slices.Grow(dst, len(s)+8)
	i := 0
	for i < len(s) {
		for i+8 <= len(s) {
			v := binary.LittleEndian.Uint64(s[i:])
			if v&highs8 != 0 {
				break
			}
			// A byte is upper case when adding 0x3f sets its high bit and adding 0x25 does not.
			upper := (v + (0x80-'A')*ones8) &^ (v + (0x7f-'Z')*ones8) & highs8
			v |= upper >> 2
			dst = binary.LittleEndian.AppendUint64(dst, v)
			i += 8
		}
		for end := min(i+8, len(s)); i < end; {
			c := s[i]
			if c < utf8.RuneSelf {
				if 'A' <= c && c <= 'Z' {
					c += 'a' - 'A'
				}
				dst = append(dst, c)
				i++
				continue
			}
			high = true
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && n <= 1 {
				dst = append(dst, c)
			} else {
				dst = utf8.AppendRune(dst, unicode.ToLower(r))
			}
			i += n
		}
	}
	return dst, high
}
