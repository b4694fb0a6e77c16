package emergency

// InsuredNumber reports whether a text is the unchanging part of a number of an insured
// person (§ 290 SGB V): a letter, eight digits and a check digit over the number of the
// letter (two digits) and the digits, weights 1 and 2 in turn, digit sums, mod 10.
func InsuredNumber(s string) bool {
	if len(s) != 10 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	n := int(s[0]-'A') + 1
	sum := 0
	for i, d := range []int{n / 10, n % 10} {
		sum += digitSum(d * (1 + i%2))
	}
	for i := 1; i < 9; i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		sum += digitSum(int(s[i]-'0') * (1 + (i+1)%2))
	}
	return s[9] == byte('0'+sum%10)
}

func digitSum(n int) int { return n/10 + n%10 }
