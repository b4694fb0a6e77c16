package exercise

import (
	"slices"
	"testing"

	"leitstand/warning"
)

func TestBuiltInRulesFindTheAttacksAndLeaveDailyLifeAlone(t *testing.T) {
	rules, err := warning.CompileRules(warning.RuleFiles{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range []uint64{1, 2023} {
		r := Rate(rules, MakeTraffic(seed, 3, 3))
		if r.Detected != r.Attacks || r.Attacks < 60 {
			t.Errorf("seed %d: %d of %d attacks detected, missed %v", seed, r.Detected, r.Attacks, r.Missed)
		}
		if r.SlowFound == r.Slow {
			t.Errorf("seed %d: attacks below every threshold were found: the traffic proves nothing", seed)
		}
		// The only rule that mistakes daily life for an attack is the one about travellers.
		if r.PerDay > 4 || slices.ContainsFunc(r.False, func(f FalseAlarm) bool { return f.Rule != ruleIDs+"2026" }) {
			t.Errorf("seed %d: %d false alarms: %+v", seed, r.FalseAlarms, r.False)
		}
		// Every rule that speaks for itself is tried.
		for _, rule := range rules.All() {
			if !slices.ContainsFunc(r.Patterns, func(p PatternRate) bool { return p.Rule == rule.ID }) {
				t.Errorf("no attack tries the rule %q (%s)", rule.Title, rule.ID)
			}
		}
	}
	quiet := Rate(rules, MakeTraffic(1, 2, 0))
	if quiet.Signals != quiet.FalseAlarms || quiet.FalseAlarms > 4 {
		t.Errorf("%d signals without an attack: %+v", quiet.Signals, quiet.False)
	}
}

func TestTheSameSeedGivesTheSameTraffic(t *testing.T) {
	a, b := MakeTraffic(5, 1, 1), MakeTraffic(5, 1, 1)
	if !slices.Equal(a.Lines, b.Lines) || !slices.Equal(a.Attacks, b.Attacks) {
		t.Error("two runs differ")
	}
	if c := MakeTraffic(6, 1, 1); slices.Equal(a.Lines, c.Lines) {
		t.Error("the seed makes no difference")
	}
}
