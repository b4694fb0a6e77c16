// Package sepa checks what stands in SEPA payments: accounts and texts. It writes and
// reads no files yet.
package sepa

import (
	"errors"
	"fmt"
	"strings"
)

// Most is the largest amount of one transfer, in cents (EPC rulebook: 999,999,999.99 EUR).
const Most = 99_999_999_999

// Errors of a field.
var (
	ErrIBAN = errors.New("no valid IBAN")
	ErrText = errors.New("not a text that banks take")
)

// length is how long an IBAN of a SEPA country is, 0 where there is none (ISO 13616
// registry; SEPA as of 2025).
func length(country string) int {
	const registry = "AD24 AL28 AT20 BE16 BG22 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GI23 GR27 HR21 HU28 IE22 IS26 IT27 " +
		"LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MT31 NL18 NO15 PL28 PT25 RO24 RS22 SE24 SI19 SK24 SM27 VA22"
	i := strings.Index(registry, country)
	if i < 0 || i%5 != 0 {
		return 0
	}
	return int(registry[i+2]-'0')*10 + int(registry[i+3]-'0')
}

// IBAN checks country, length and check digits (ISO 7064 mod 97-10), and returns the
// number without blanks in capital letters.
func IBAN(text string) (string, error) {
	s := strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(text), " ", ""))
	if len(s) < 5 {
		return "", fmt.Errorf("%w: too short", ErrIBAN)
	}
	want := length(s[:2])
	if want == 0 {
		return "", fmt.Errorf("%w: the country is not in SEPA", ErrIBAN)
	}
	if len(s) != want {
		return "", fmt.Errorf("%w: %d characters, %s has %d", ErrIBAN, len(s), s[:2], want)
	}
	rest := 0
	for _, c := range s[4:] + s[:4] {
		switch {
		case c >= '0' && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return "", fmt.Errorf("%w: a character is no letter or digit", ErrIBAN)
		}
	}
	if rest != 1 {
		return "", fmt.Errorf("%w: the check digits do not fit", ErrIBAN)
	}
	return s, nil
}

// Text checks a name or remittance text: at most so many characters, of the set that
// banks take (EPC217-08, and the German letters that German banks convert).
func Text(text string, most int) error {
	n := 0
	for _, c := range text {
		n++
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-?:().,'+ ÄÖÜäöüß&", c) {
			return fmt.Errorf("%w: character %q", ErrText, c)
		}
	}
	if n > most {
		return fmt.Errorf("%w: %d characters, at most %d", ErrText, n, most)
	}
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("%w: empty", ErrText)
	}
	return nil
}
