package emergency

import (
	"fmt"
	"strconv"
	"strings"

	"leitstand/catalogue"
)

// Number counts the items of one Kasse from 1 without gaps.
type Number int64

// checkAlphabet has a prime number of characters, so that one wrong character
// and one swapped pair of neighbours are always noticed; letters that look like
// digits or like each other on paper are missing.
const checkAlphabet = "0123456789ABCDEFGHJKMNPQRTUVWXY"

// Label is the number as people read, say and type it: seven digits or more and
// a check character, such as "0012387-Q". The check takes in the Kasse: a number
// looked up in another Kasse's journal is noticed as well.
func (n Number) Label(k catalogue.KasseID) string {
	digits := fmt.Sprintf("%07d", int64(n))
	return digits + "-" + string(checkCharacter(k, digits))
}

// ParseNumber reads a label.
func ParseNumber(k catalogue.KasseID, label string) (Number, error) {
	digits, check, ok := strings.Cut(strings.ToUpper(strings.TrimSpace(label)), "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 1 || len(check) != 1 {
		return 0, fmt.Errorf("item number %q: want digits, a hyphen and a check character", label)
	}
	if check[0] != checkCharacter(k, fmt.Sprintf("%07d", n)) {
		return 0, fmt.Errorf("item number %q does not fit Kasse %s: a character is wrong, or it is another Kasse's", label, k)
	}
	return Number(n), nil
}

// checkCharacter is a weighted sum modulo 31 with weights 2, 3, 4, … from the
// right (weight 1 is the check character's own).
func checkCharacter(k catalogue.KasseID, digits string) byte {
	const p = len(checkAlphabet)
	text, sum := string(k)+digits, 0
	for i := range len(text) {
		weight := (len(text)-i)%(p-1) + 1 // never 0 modulo p, neighbours differ
		sum += weight * int(text[i]-'0')
	}
	return checkAlphabet[(p-sum%p)%p]
}
