package kimmail

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// toBER rewrites DER with indefinite lengths throughout, octet strings in pieces of
// five bytes, lengths longer than needed: the worst that a sender may do. Elements in
// keep stay as they are.
func toBER(t testing.TB, der []byte, keep ...[]byte) []byte {
	t.Helper()
	r := berReader{in: der, lim: DefaultLimits()}
	if _, err := r.measure(0, 0); err != nil {
		t.Fatal(err)
	}
	var out []byte
	var write func(i int)
	write = func(i int) {
		n := r.nodes[i]
		tag := der[n.start : n.start+r.tagOctets(n.start)]
		content := der[n.body : n.body+n.length]
		whole := der[n.start : n.body+n.length]
		switch {
		case slices.ContainsFunc(keep, func(k []byte) bool { return bytes.Equal(k, whole) }):
			out = append(out, whole...)
		case tag[0]&tagConstructed != 0:
			out = append(append(out, tag...), 0x80)
			for c := i + 1; c < n.children; c = r.nodes[c].children {
				write(c)
			}
			out = append(out, 0, 0)
		case tag[0] == 0x04 && len(content) > 5:
			out = append(out, 0x24, 0x80)
			for len(content) > 0 {
				k := min(5, len(content))
				out = appendTLV(out, content[:k], 0x04)
				content = content[k:]
			}
			out = append(out, 0, 0)
		default:
			out = append(append(out, tag...), 0x82, byte(len(content)>>8), byte(len(content))) // not minimal
			out = append(out, content...)
		}
	}
	write(0)
	return out
}

func TestBERBecomesTheSameDER(t *testing.T) {
	w := newWorld(t)
	der, err := signCMS(signRequest{content: []byte(testXML), time: testTime}, w.doctor)
	if err != nil {
		t.Fatal(err)
	}
	same, rest, err := toDER(append(append([]byte{}, der...), "\r\n"...), DefaultLimits())
	if err != nil || !bytes.Equal(same, der) || string(rest) != "\r\n" {
		t.Fatalf("DER is changed, or the rest is %q: %v", rest, err)
	}
	back, rest, err := toDER(toBER(t, der), DefaultLimits())
	if err != nil || len(rest) != 0 || !bytes.Equal(back, der) {
		t.Fatalf("BER does not become the DER it came from: %v", err)
	}
}

func TestHostileBERIsRefused(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x30, 0x80}, 100), bytes.Repeat([]byte{0, 0}, 100)...)
	many := append([]byte{0x30, 0x80}, bytes.Repeat([]byte{5, 0}, 300)...)
	lim := Limits{ASN1Nodes: 200}.withDefaults()
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"empty":                           {nil, ErrMalformed},
		"tag only":                        {[]byte{0x30}, ErrMalformed},
		"length beyond the end":           {[]byte{0x04, 5, 1}, ErrMalformed},
		"length of 2^63":                  {[]byte{0x04, 0x88, 0x80, 0, 0, 0, 0, 0, 0, 0}, ErrMalformed},
		"length of nine octets":           {append([]byte{0x04, 0x89}, make([]byte, 20)...), ErrMalformed},
		"length cut off":                  {[]byte{0x04, 0x82, 1}, ErrMalformed},
		"primitive of indefinite length":  {[]byte{0x04, 0x80, 0, 0}, ErrMalformed},
		"no end mark":                     {[]byte{0x30, 0x80, 5, 0}, ErrMalformed},
		"half an end mark":                {[]byte{0x30, 0x80, 0}, ErrMalformed},
		"wrong end mark":                  {[]byte{0x30, 0x80, 0, 1}, ErrMalformed},
		"end mark inside definite length": {[]byte{0x30, 2, 0, 0}, ErrMalformed},
		"child longer than parent":        {[]byte{0x30, 3, 4, 5, 1, 2, 3, 4, 5}, ErrMalformed},
		"endless tag":                     {bytes.Repeat([]byte{0xff}, 50), ErrMalformed},
		"piece of another type":           {[]byte{0x24, 4, 2, 2, 1, 1}, ErrMalformed},
		"too deep":                        {deep, ErrLimit},
		"too many elements":               {many, ErrLimit},
	} {
		if _, _, err := toDER(c.in, lim); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
