package sicknote_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
)

const childEnv = "SICKNOTE_TEST_CHILD"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := fetchForever(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

type childSpec struct{ Dir, Addr string }

// fetchForever fetches without an unlock, as a process does that came up at night.
func fetchForever(spec string) error {
	var c childSpec
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	release, err := db.LockDir(c.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = release() }()
	key, err := ledger.LoadKey(c.Dir)
	if err != nil {
		return err
	}
	journals := emergency.NewJournals(emergency.Config{
		Place: db.InDir(c.Dir), Key: key, Index: emergency.IndexSecret{1}, Migrations: []db.Migrations{sicknote.Schema}, Keepers: sicknote.Keepers(),
	})
	d := &door{}
	d.epoch.Store(1)
	in, err := sicknote.New(sicknote.Config{
		Journals: journals, Door: d, Owner: func(catalogue.KasseID) string { return "Postkorb eAU" }, Exercise: true, BatchMails: 4,
		Mailboxes: []sicknote.Mailbox{{Kasse: kasse, Placement: place, Address: address, Addr: c.Addr, Security: sicknote.PlainText, User: address, Password: "pw"}},
	})
	if err != nil {
		return err
	}
	for {
		if err := in.PollAll(context.Background(), t0); err != nil {
			return err
		}
	}
}

func TestLongKilledAtRandomMomentsNothingIsLostOrDoubled(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	r.intake.Close()
	must(t, r.journals.Close())
	dir := t.TempDir()
	key, err := ledger.LoadKey(dir)
	must(t, err)
	r.config.Place, r.config.Key = db.InDir(dir), key
	r.start(t)
	must(t, r.journals.Provision(t.Context(), kasse, t0, "anna", r.master))
	must(t, r.journal(t).OpenBook(t.Context(), place, 1, t0, "anna"))
	r.intake.Close()
	must(t, r.journals.Close())

	spec, err := json.Marshal(childSpec{Dir: dir, Addr: r.server.addr})
	must(t, err)
	exe, err := os.Executable()
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	n := 0
	kills := 4
	if os.Getenv("LEITSTAND_LONG") != "" {
		kills = 100
	}
	for range kills {
		for range 40 {
			n++
			r.server.put(address, noteMail(t, n))
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
		cmd.Stderr = os.Stderr
		must(t, cmd.Start())
		left := r.server.left(address)
		for began := time.Now(); r.server.left(address) == left && time.Since(began) < 5*time.Second; { // until it works
			if r.server.retrs.Load() > 0 && rng.IntN(3) == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		r.server.retrs.Store(0)
	}
	r.start(t)
	for range 50 { // the server may still hold the mailbox for the last process
		if err = r.intake.PollAll(t.Context(), t0); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	must(t, err)
	s := r.status(t)
	if int(s.Accepted) != n || int(s.Stored) != n || r.server.left(address) != 0 {
		t.Errorf("%d sent: %+v, left %d", n, s, r.server.left(address))
	}
	t.Logf("%d mails, %d kills, %d fetched again", n, kills, s.Refetched)
}
