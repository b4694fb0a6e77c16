package emergency_test

import (
	"testing"

	"leitstand/emergency"
)

func TestANumberOfAnInsuredPersonHasItsCheckDigit(t *testing.T) {
	for _, good := range []string{"A123456780", "B123456782", "Z000000005"} {
		if !emergency.InsuredNumber(good) {
			t.Errorf("%s", good)
		}
		for d := byte('0'); d <= '9'; d++ {
			if bad := good[:9] + string(d); bad != good && emergency.InsuredNumber(bad) {
				t.Errorf("%s", bad)
			}
		}
	}
	for _, bad := range []string{"", "A12345678", "a123456780", "1123456780", "A12345678X", "A1234567800", "Ä12345678"} {
		if emergency.InsuredNumber(bad) {
			t.Errorf("%q", bad)
		}
	}
}
