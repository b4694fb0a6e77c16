package exercise

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"leitstand/warning"
)

var updateCases = flag.Bool("update-cases", false, "write warning/cases.jsonl anew")

// TestMustMatchCasesComeFromTheTraffic keeps what tuning exceptions are tested
// against in step with the attacks.
func TestMustMatchCasesComeFromTheTraffic(t *testing.T) {
	traffic := MakeTraffic(11, 2, 1)
	var want bytes.Buffer
	for _, a := range traffic.Attacks {
		if a.Slow {
			continue
		}
		c := warning.Case{Name: a.Pattern + " (" + a.Token + ")", Rule: a.Rule}
		for _, l := range traffic.Lines {
			if strings.Contains(l.Text, a.Token) || a.Account != "" && strings.Contains(l.Text, "Accepted publickey for "+a.Account+" ") {
				c.Lines = append(c.Lines, l.Text)
			}
		}
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		want.Write(append(b, '\n'))
	}
	const file = "../warning/cases.jsonl"
	if *updateCases {
		if err := os.WriteFile(file, want.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(have, want.Bytes()) {
		t.Errorf("%s is out of step (%v): go test ./exercise -run MustMatch -update-cases", file, err)
	}
	cases, err := warning.MustMatch("")
	if err != nil || !slices.ContainsFunc(cases, func(c warning.Case) bool { return len(c.Lines) > 300 }) {
		t.Errorf("%d cases (%v)", len(cases), err)
	}
}
