package main

import (
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledFiftyTimesNothingAcknowledgedIsLost kills the serving process at
// random moments during commands and mail intake, and then looks at everybody's books.
func TestKilledFiftyTimesNothingAcknowledgedIsLost(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	exe := program(t, nil)
	w := newCrashWorld(t, exe, exe, filepath.Join(t.TempDir(), "room"), 20*kills)
	rng := rand.New(rand.NewPCG(3, uint64(kills)))
	for n := range kills {
		w.life(t, n, func(cmd *exec.Cmd) {
			time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
			check(t, cmd.Process.Kill())
			_ = cmd.Wait() // killed
		})
	}
	for _, what := range w.lost(t) {
		t.Error(what)
	}
	counts, err := w.mail.Stats(t.Context())
	check(t, err)
	t.Logf("%d kills; acknowledged and there: %d incidents, %d requests, %d confirmations, %d mails",
		kills, len(w.incidents), len(w.asked), len(w.confirmed), counts["mail_deleted"])
	if len(w.incidents) < kills || len(w.confirmed) < kills || counts["mail_deleted"] < int64(kills) {
		t.Error("too little happened for this test to mean anything")
	}
}
