package eau

import (
	_ "embed" // the tables of rules
	"fmt"
	"sync"
)

// The tables are text so that a person can hold them against the profiles.
var (
	//go:embed rules/r4.txt
	tableR4 string
	//go:embed rules/codes.txt
	tableCodes string
	//go:embed rules/invariants.txt
	tableInvariants string
	//go:embed rules/1.0.2.txt
	table102 string
	//go:embed rules/1.1.0.txt
	table110 string
	//go:embed rules/1.2.txt
	table12 string
)

var (
	rules102 = sync.OnceValue(func() *ruleset { return mustCompile(V102, table102) })
	rules110 = sync.OnceValue(func() *ruleset { return mustCompile(V110, table110) })
	rules120 = sync.OnceValue(func() *ruleset { return mustCompile(V120, table12) })
	rules121 = sync.OnceValue(func() *ruleset { return mustCompile(V121, table12) })
)

func rulesFor(v Version) *ruleset {
	switch v {
	case V102:
		return rules102()
	case V110:
		return rules110()
	case V120:
		return rules120()
	case V121:
	}
	return rules121()
}

// mustCompile panics on a fault in the embedded tables: they are part of the
// program, and a test compiles all of them.
func mustCompile(v Version, profiles string) *ruleset {
	set, err := compileRules(v, tableR4, profiles, tableCodes, tableInvariants)
	if err != nil {
		panic(fmt.Sprintf("eau: rules of %s: %v", v, err))
	}
	return set
}
