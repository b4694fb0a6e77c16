package operation

import "fmt"

// Rule is one of the seven.
type Rule int

// The seven rules.
const (
	RuleGate        Rule = 1 + iota // no way into trial but through the gate
	RuleOneWriter                   // never two writers
	RuleNothingLost                 // accepted = handed over + rejected + open
	RuleTwoPeople                   // two people of the right roles
	RuleOnRecord                    // nothing changes without an entry and a reason
	RuleComplete                    // every placement has a state, an owner, a confirmation
	RuleRevocation                  // revocation reaches all that rests on it
)

// Refused is why an act was not done: the rule and, in German, what to do.
type Refused struct {
	Rule Rule   `json:"rule"`
	Text string `json:"text"`
}

// Error names rule and text.
func (r *Refused) Error() string { return fmt.Sprintf("refused by rule %d: %s", r.Rule, r.Text) }

func refuse(r Rule, format string, args ...any) *Refused {
	return &Refused{Rule: r, Text: fmt.Sprintf(format, args...)}
}
