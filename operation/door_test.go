package operation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"leitstand/catalogue"
	"leitstand/operation"

	"github.com/google/go-cmp/cmp"
)

// doorTable is the table of the design, cell by cell. "chosen" is the behaviour
// chosen beforehand. The column flagged is what the flag "must go down" makes of it.
var doorTable = map[string]struct{ plain, flagged string }{
	"running none":            {"regular", "chosen"},
	"running ready":           {"regular", "chosen"},
	"running active":          {"illegal: two writers", "illegal: two writers"},
	"running handing_over":    {"illegal: two writers", "illegal: two writers"},
	"running closed":          {"regular", "chosen"},
	"limited none":            {"limited", "chosen"},
	"limited ready":           {"limited", "chosen"},
	"limited active":          {"illegal: two writers", "illegal: two writers"},
	"limited handing_over":    {"illegal: two writers", "illegal: two writers"},
	"limited closed":          {"limited", "chosen"},
	"cut none":                {"chosen", "chosen"},
	"cut ready":               {"chosen", "chosen"},
	"cut active":              {"emergency", "emergency"},
	"cut handing_over":        {"illegal: nothing to hand over to", "illegal: nothing to hand over to"},
	"cut closed":              {"illegal: one step", "illegal: one step"},
	"failed none":             {"chosen", "chosen"},
	"failed ready":            {"chosen", "chosen"},
	"failed active":           {"emergency", "emergency"},
	"failed handing_over":     {"illegal: nothing to hand over to", "illegal: nothing to hand over to"},
	"failed closed":           {"illegal: one step", "illegal: one step"},
	"rebuilding none":         {"chosen", "chosen"},
	"rebuilding ready":        {"chosen", "chosen"},
	"rebuilding active":       {"emergency", "emergency"},
	"rebuilding handing_over": {"illegal: nothing to hand over to", "illegal: nothing to hand over to"},
	"rebuilding closed":       {"illegal: one step", "illegal: one step"},
	"trial none":              {"testers, others chosen", "chosen"},
	"trial ready":             {"testers, others chosen", "chosen"},
	"trial active":            {"emergency, marked test items to regular", "emergency"},
	"trial handing_over":      {"read_only", "chosen"},
	"trial closed":            {"illegal: one step", "illegal: one step"},
}

func TestTheDoorFollowsTheTableCellByCell(t *testing.T) {
	cells := 0
	for _, r := range operation.Regulars() {
		for _, e := range operation.Emergencies() {
			want, ok := doorTable[fmt.Sprint(r, " ", e)]
			if !ok {
				t.Fatalf("the table has no cell for %s %s", r, e)
			}
			for _, b := range []catalogue.Behaviour{catalogue.Buffer, catalogue.Notice, catalogue.Refuse} {
				checkDoor(t, r, e, b, false, want.plain)
				checkDoor(t, r, e, b, true, want.flagged)
				cells += 2
			}
		}
	}
	if cells != 6*5*3*2 {
		t.Errorf("%d cells were looked at", cells)
	}
}

func checkDoor(t *testing.T, r operation.Regular, e operation.Emergency, b catalogue.Behaviour, flagged bool, want string) {
	t.Helper()
	answer, err := operation.Door(r, e, b, flagged)
	if why, illegal := strings.CutPrefix(want, "illegal: "); illegal {
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s %s %s flagged=%t: %v, error %v; want illegal because of %q", r, e, b, flagged, answer, err, why)
		}
		if answer != (operation.Answer{}) {
			t.Errorf("%s %s: an illegal combination got an answer: %v", r, e, answer)
		}
		return
	}
	want = strings.ReplaceAll(want, "chosen", b.String())
	if err != nil || answer.String() != want {
		t.Errorf("%s %s %s flagged=%t: %q, error %v; want %q", r, e, b, flagged, answer, err, want)
	}
}

func TestAnUnsetStateIsNeverRegular(t *testing.T) {
	var zero operation.Answer
	for _, tt := range []struct {
		r operation.Regular
		e operation.Emergency
		b catalogue.Behaviour
	}{
		{0, operation.None, catalogue.Buffer},
		{operation.Running, 0, catalogue.Buffer},
		{operation.Running, operation.None, -1},
		{operation.Running, operation.None, 9},
		{7, operation.None, catalogue.Buffer},
		{operation.Running, 6, catalogue.Buffer},
		{-1, -1, catalogue.Buffer},
	} {
		if a, err := operation.Door(tt.r, tt.e, tt.b, false); err == nil || a != zero {
			t.Errorf("Door(%d, %d, %d) = %v, %v; want an error", int(tt.r), int(tt.e), int(tt.b), a, err)
		}
	}
	if _, err := json.Marshal(zero); err == nil {
		t.Error("an unset mode could be written")
	}
}

func TestStatesAreWrittenAndReadAsWords(t *testing.T) {
	type all struct {
		R []operation.Regular
		E []operation.Emergency
		M []operation.Mode
	}
	in := all{operation.Regulars(), operation.Emergencies(), operation.Modes()}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"R":["running","limited","cut","failed","rebuilding","trial"],` +
		`"E":["none","ready","active","handing_over","closed"],` +
		`"M":["regular","limited","read_only","buffer","notice","refuse","emergency"]}`
	if string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	var out all
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := operation.ParseRegular(""); err == nil {
		t.Error("an empty word was read as a state")
	}
}
