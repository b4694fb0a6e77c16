package room_test

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"leitstand/room"
)

var updateSteps = flag.Bool("update-steps", false, "note new steps of schemas in testdata/steps.txt")

// TestStepsThatRoomsHaveTakenAreNeverChanged holds every step of every schema against
// what was noted when it came in: a room that took it will not take it again. New
// steps are noted by `make old-room`, together with a room of the schema before.
func TestStepsThatRoomsHaveTakenAreNeverChanged(t *testing.T) {
	const file = "testdata/steps.txt"
	noted, err := os.ReadFile(file)
	if err != nil && !*updateSteps {
		t.Fatal(err)
	}
	now := map[string]string{}
	var all strings.Builder
	for _, m := range room.AllMigrations() {
		for i, step := range m.Steps {
			key := fmt.Sprintf("%s %d", m.Package, i+1)
			sum := sha256.Sum256([]byte(strings.Join(strings.Fields(step), " ")))
			now[key] = hex.EncodeToString(sum[:8])
			fmt.Fprintf(&all, "%s %s\n", key, now[key])
		}
		if m.Oldest > len(m.Steps) {
			t.Errorf("%s: oldest is %d of %d steps", m.Package, m.Oldest, len(m.Steps))
		}
	}
	seen := 0
	for line := range strings.Lines(string(noted)) {
		i := strings.LastIndexByte(line, ' ')
		key, sum := line[:i], strings.TrimSpace(line[i+1:])
		if seen++; now[key] != sum {
			t.Errorf("step %s was changed or removed: rooms have taken it as it was; add a step at the end instead", key)
		}
	}
	if *updateSteps && !t.Failed() {
		if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if seen < 20 || seen != len(now) {
		t.Errorf("%d of %d steps are noted: whoever adds a step keeps a room of the program before it (make old-room)", seen, len(now))
	}
}
