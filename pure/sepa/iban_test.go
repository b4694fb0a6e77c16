package sepa_test

import (
	"errors"
	"strings"
	"testing"

	"leitstand/pure/sepa"
)

func TestAnIBANIsTakenOnlyWithCountryLengthAndCheckDigits(t *testing.T) {
	for in, want := range map[string]string{
		"DE89 3704 0044 0532 0130 00":     "DE89370400440532013000", // the example of the registry
		" de89370400440532013000 ":        "DE89370400440532013000",
		"GB29 NWBK 6016 1331 9268 19":     "GB29NWBK60161331926819",
		"FR1420041010050500013M02606":     "FR1420041010050500013M02606",
		"MT84MALT011000012345MTLCAST001S": "MT84MALT011000012345MTLCAST001S",
	} {
		if got, err := sepa.IBAN(in); got != want || err != nil {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, bad := range []string{
		"", "DE", "DE89 3704 0044 0532 0130 01", "DE98370400440532013000", "DE8937040044053201300", "DE893704004405320130000",
		"US89370400440532013000", "E289370400440532013000", "DE89370400440532O13000", "DE8937040044053201300ü",
	} {
		if _, err := sepa.IBAN(bad); !errors.Is(err, sepa.ErrIBAN) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Every single wrong digit and every swap of different neighbours is found: what mod 97 promises.
func TestNoSlipInAnIBANGoesUnnoticed(t *testing.T) {
	const good = "DE89370400440532013000"
	for i := 2; i < len(good); i++ {
		for d := byte('0'); d <= '9'; d++ {
			slip := good[:i] + string(d) + good[i+1:]
			if _, err := sepa.IBAN(slip); slip != good && err == nil {
				t.Errorf("%s", slip)
			}
		}
		if i+1 < len(good) && good[i] != good[i+1] {
			slip := good[:i] + string(good[i+1]) + string(good[i]) + good[i+2:]
			if _, err := sepa.IBAN(slip); err == nil {
				t.Errorf("%s", slip)
			}
		}
	}
}

func TestATextIsWhatBanksTake(t *testing.T) {
	for _, good := range []string{"Erika Mustermann", "Müller & Söhne (Praxis), Nr. 4/2", strings.Repeat("ä", 70)} {
		if err := sepa.Text(good, 70); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "  ", strings.Repeat("a", 71), "a\nb", "<script>", "Ação", "a\x00"} {
		if err := sepa.Text(bad, 70); !errors.Is(err, sepa.ErrText) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
