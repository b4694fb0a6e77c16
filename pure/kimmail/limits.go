package kimmail

import (
	"errors"
	"fmt"
)

// ErrLimit is wrapped by every error that means "too large, too deep or too
// many": the mail may be well formed, but we refuse to take it apart.
var ErrLimit = errors.New("limit exceeded")

// ErrMalformed is wrapped by every error that means "these bytes are not what
// they claim to be".
var ErrMalformed = errors.New("malformed")

// Limits bounds what a reader spends on one mail. A zero field means the value
// of [DefaultLimits], so the zero Limits is safe.
type Limits struct {
	MailBytes   int // whole mail as fetched
	HeaderBytes int // header of the mail, and of each part
	FieldBytes  int // one header field, unfolded
	Fields      int // header fields of the mail, and of each part
	Depth       int // nesting of multiparts
	Parts       int // parts of all levels together
	ASN1Depth   int // nesting of CMS structures
	ASN1Nodes   int // elements of one CMS structure
}

// DefaultLimits admits every mail that KIM itself admits: 15 MiB of client mail
// grow to about 2.2 times that when signed, encrypted and base64 encoded.
func DefaultLimits() Limits {
	return Limits{
		MailBytes: 40 << 20, HeaderBytes: 256 << 10, FieldBytes: 64 << 10, Fields: 1000,
		Depth: 8, Parts: 256, ASN1Depth: 32, ASN1Nodes: 200_000,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *int }{
		{&l.MailBytes, &d.MailBytes},
		{&l.HeaderBytes, &d.HeaderBytes},
		{&l.FieldBytes, &d.FieldBytes},
		{&l.Fields, &d.Fields},
		{&l.Depth, &d.Depth},
		{&l.Parts, &d.Parts},
		{&l.ASN1Depth, &d.ASN1Depth},
		{&l.ASN1Nodes, &d.ASN1Nodes},
	} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	return l
}

func overLimit(what string, have, limit int) error {
	return fmt.Errorf("%s: %d, at most %d: %w", what, have, limit, ErrLimit)
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrMalformed)
}
