package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency/sicknote"
	"leitstand/exercise"
	"leitstand/incident"
	"leitstand/room"
)

// crashWorld is a practice room in emergency operation with mail coming in, whose
// process dies again and again. Mail server and practices are processes of their
// own on a disk that lives on.
type crashWorld struct {
	exe   string // the program that dies
	data  string
	boxes []catalogue.PlacementID

	mail, practices *exercise.Part
	now             time.Time // simulated, of the practices

	mu        sync.Mutex
	deaf      bool     // what arrives from now on was not acknowledged in time
	incidents []string // acknowledged
	confirmed []int64  // acknowledged entries of state.confirmed
	asked     []string // acknowledged requests for consent
}

const crashPassword = "uebung"

// newCrashWorld starts the outside with helper and makes a room in data whose
// sick-note intake is in emergency operation for three Kassen.
func newCrashWorld(t *testing.T, helper, exe, data string, notes int) *crashWorld {
	t.Helper()
	w := &crashWorld{exe: exe, data: data, now: time.Date(2023, 5, 2, 6, 0, 0, 0, time.UTC)}
	specs := w.makeRoom(t)
	outside := t.TempDir()
	mail := exercise.MailConfig{Dir: filepath.Join(outside, "mail"), Password: crashPassword, Maildrops: []string{exercise.PracticeDomain}}
	for _, k := range specs {
		mail.Maildrops = append(mail.Maildrops, exercise.KasseAddress(k.IK))
	}
	w.mail = startPart(t, helper, exercise.PartMail, mail)
	w.practices = startPart(t, helper, exercise.PartPractices, exercise.PracticesConfig{
		Seed: 7, Dir: filepath.Join(outside, "practices"), SMTP: w.mail.Addr("smtp"), POP3: w.mail.Addr("pop3"), Password: crashPassword,
		Kassen: specs, From: w.now, Until: w.now.Add(96 * time.Hour), Notes: notes,
	})
	c := room.Connections{LookSeconds: 0.05}
	for i, k := range specs {
		addr := exercise.KasseAddress(k.IK)
		c.Mailboxes = append(c.Mailboxes, room.MailboxConfig{
			Kasse: catalogue.KasseID(k.IK), Placement: w.boxes[i], Address: addr, POP3: w.mail.Addr("pop3"),
			Security: sicknote.PlainText, User: addr, Password: crashPassword,
		})
	}
	b, err := json.Marshal(c)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(data, "connections.json"), b, 0o600))
	return w
}

func startPart(t *testing.T, exe string, kind exercise.PartKind, config any) *exercise.Part {
	t.Helper()
	if d, ok := config.(exercise.PracticesConfig); ok {
		check(t, os.MkdirAll(d.Dir, 0o700))
	}
	p, err := exercise.StartPart(t.Context(), exe, kind, config)
	check(t, err)
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// makeRoom has two people order emergency operation and one report the probe.
func (w *crashWorld) makeRoom(t *testing.T) []exercise.KasseSpec {
	t.Helper()
	cat := catalogue.Example(1)
	r, err := room.Init(t.Context(), room.Options{Data: w.data}, room.Setup{
		Name: "Absturz", Exercise: true, Catalogue: cat, People: room.PracticePeople(), Owner: "operator",
	})
	check(t, err)
	var specs []exercise.KasseSpec
	plan := containment.Plan{
		Title: "eAU in den Notbetrieb", Stage: 1, Reason: "Probe", Emergency: []catalogue.ServiceID{"eau"},
		Selection: containment.Selection{Services: []catalogue.ServiceID{"eau"}},
	}
	var closed []catalogue.PlacementID
	for _, k := range cat.Kassen[:3] {
		specs = append(specs, exercise.KasseSpec{IK: string(k.ID), Name: k.Name, Insured: k.Insured})
		plan.Selection.Kassen = append(plan.Selection.Kassen, k.ID)
		places := cat.PlacementsOf(k.ID, "eau")
		w.boxes = append(w.boxes, places[0].ID)
		for _, p := range places {
			closed = append(closed, p.ID)
		}
	}
	o, err := room.Do[room.Ordered](t.Context(), r, "lead", "measure.order", plan)
	check(t, err)
	_, err = room.Do[room.Outcome](t.Context(), r, "operator", "approve", map[string]string{"id": o.Consent.ID})
	check(t, err)
	_, err = room.Do[room.Changed](t.Context(), r, "operator", "side.closed", map[string]any{"placements": closed, "probe": "Test", "reason": "Probe"})
	check(t, err)
	check(t, r.Close())
	return specs
}

// serve starts the room's process and waits until it takes commands.
func (w *crashWorld) serve(t *testing.T) *exec.Cmd {
	t.Helper()
	_ = os.Remove(filepath.Join(w.data, "room.sock")) // of the process that died
	cmd := exec.Command(w.exe, "serve", "--data", w.data, "--listen", "127.0.0.1:0")
	var said strings.Builder
	cmd.Stderr = &said
	check(t, cmd.Start())
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", filepath.Join(w.data, "room.sock")); err == nil { //nolint:noctx // local, at once
			_ = conn.Close()
			return cmd
		}
		if time.Since(began) > 60*time.Second {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("the room does not come up again: %s", said.String())
		}
	}
}

// life is one life of the room's process: commands and mail, until end is called.
func (w *crashWorld) life(t *testing.T, n int, end func(cmd *exec.Cmd)) {
	t.Helper()
	cmd := w.serve(t)
	w.hear(true)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.commands(ctx, n) })
	wg.Go(func() { w.confirms(ctx, n) })
	w.now = w.now.Add(2 * time.Hour)
	if _, err := w.practices.Advance(t.Context(), w.now); err != nil {
		t.Error(err)
	}
	end(cmd)
	stop()
	wg.Wait()
}

// commands declares incidents and asks for measures as fast as the room answers.
func (w *crashWorld) commands(ctx context.Context, n int) {
	for i := 0; ctx.Err() == nil; i++ {
		var in incident.Incident
		if !w.command(ctx, "lead", "incident.declare", map[string]string{"title": fmt.Sprintf("Absturz %d, Vorfall %d", n, i), "grade": "stoerung"}, &in) {
			return
		}
		w.keep(func() { w.incidents = append(w.incidents, in.ID) })
		var o room.Ordered
		if !w.command(ctx, "lead", "measure.order", containment.Plan{
			Title: "Probe", Stage: 1, Reason: "Probe", Selection: containment.Selection{Sites: []catalogue.SiteID{"klein"}},
		}, &o) {
			return
		}
		w.keep(func() { w.asked = append(w.asked, o.Consent.ID) })
	}
}

// confirms changes rows of placements through the rules.
func (w *crashWorld) confirms(ctx context.Context, n int) {
	for i := 0; ctx.Err() == nil; i++ {
		var c room.Changed
		if !w.command(ctx, "operator", "state.confirm", map[string]any{
			"nodes": []string{"109900122/app/klein"}, "reason": fmt.Sprintf("gesehen %d/%d", n, i), "saw": "running",
		}, &c) {
			return
		}
		if c.Entry > 0 {
			w.keep(func() { w.confirmed = append(w.confirmed, c.Entry) })
		}
	}
}

func (w *crashWorld) keep(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.deaf {
		fn()
	}
}

// hear says whether acknowledgements count. They do not from the moment on when
// the power goes: in life the machine would be dead, while here the process still
// runs, and ext4 lets an fsync return without error when the journal is aborted
// between its first look and its wait for the commit.
func (w *crashWorld) hear(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = !yes
}

// command sends an act to the room's process as commands do; false when it died.
func (w *crashWorld) command(ctx context.Context, as, name string, args, out any) bool {
	body, err := json.Marshal(args)
	if err != nil {
		return false
	}
	raw, err := room.CallServed(ctx, w.data, room.Act{Name: name, As: as, Args: body})
	return err == nil && json.Unmarshal(raw, out) == nil
}

// lost opens the room after all crashes, lets what is still on its way arrive,
// and names everything that was acknowledged and is not there.
func (w *crashWorld) lost(t *testing.T) (lost []string) {
	t.Helper()
	miss := func(format string, args ...any) { lost = append(lost, fmt.Sprintf(format, args...)) }
	r, err := room.Open(t.Context(), room.Options{Data: w.data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		miss("the room does not open: %v", err)
		return lost
	}
	defer func() { check(t, r.Close()) }()
	if err := r.Intake.PollAll(t.Context(), r.Now()); err != nil {
		miss("the intake does not go on: %v", err)
	}
	reports, err := room.Do[[]room.Verified](t.Context(), r, "", "ledger.verify", map[string]bool{"state": true})
	if err != nil {
		miss("the ledgers cannot be verified: %v", err)
	}
	for _, rep := range reports {
		for _, p := range rep.Problems {
			miss("%s: %s: %s", rep.Ledger, p.Kind, p.Text)
		}
	}
	w.lostActs(t, r, miss)
	w.lostMail(t, r, miss)
	return lost
}

func (w *crashWorld) lostActs(t *testing.T, r *room.Room, miss func(string, ...any)) {
	t.Helper()
	subjects, kinds := map[string]bool{}, map[int64]string{}
	for after := int64(0); ; {
		page, err := room.Do[[]ledger.Record](t.Context(), r, "", "ledger.read", map[string]int64{"after": after, "limit": 1000})
		if err != nil {
			miss("the ledger cannot be read: %v", err)
			return
		}
		for _, e := range page {
			subjects[e.Subject], kinds[e.Seq] = true, e.Kind
			after = e.Seq
		}
		if len(page) == 0 {
			break
		}
	}
	for _, id := range slices.Concat(w.incidents, w.asked) {
		if !subjects[id] {
			miss("%s was acknowledged and is not in the ledger", id)
		}
	}
	for _, seq := range w.confirmed {
		if kinds[seq] != "state.confirmed" {
			miss("entry %d was acknowledged and is %q", seq, kinds[seq])
		}
	}
	open, err := access.Open(t.Context(), r.Store)
	if err != nil || len(open) < len(w.asked) {
		miss("%d requests for consent were acknowledged, %d are there (%v)", len(w.asked), len(open), err)
	}
}

// lostMail compares what the mail server let go with what the journals have.
func (w *crashWorld) lostMail(t *testing.T, r *room.Room, miss func(string, ...any)) {
	t.Helper()
	counts, err := w.mail.Stats(t.Context())
	check(t, err)
	var stored int64
	for _, p := range w.boxes {
		kasse, _, _, _ := p.Split()
		s, err := r.Intake.Status(t.Context(), kasse, r.Now())
		if err != nil {
			miss("Kasse %s: %v", kasse, err)
			continue
		}
		stored += s.Stored
		if s.Stored != s.Accepted+s.Duplicates+s.Held+s.Refused+s.Test+s.Unread {
			miss("the books of Kasse %s do not add up: %+v", kasse, s)
		}
	}
	if counts["mail_waiting"] != 0 || stored != counts["mail_deleted"] || counts["mail_received"] != counts["mail_deleted"] {
		miss("the mail server took %d mails, deleted %d and holds %d; the journals have %d",
			counts["mail_received"], counts["mail_deleted"], counts["mail_waiting"], stored)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program builds this program as users get it; without a Go tool the test binary
// plays it. replace names source files to be built from other ones.
func program(t *testing.T, replace map[string]string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "leitstand")
	args := []string{"build", "-trimpath", "-o", exe}
	if len(replace) > 0 {
		b, err := json.Marshal(map[string]any{"Replace": replace})
		check(t, err)
		overlay := filepath.Join(t.TempDir(), "overlay.json")
		check(t, os.WriteFile(overlay, b, 0o600))
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return exe
	case errors.Is(err, exec.ErrNotFound) && len(replace) == 0:
		self, err := os.Executable()
		check(t, err)
		content, err := os.ReadFile(self)
		check(t, err)
		check(t, os.WriteFile(exe, content, 0o700)) // its name makes it play the program, see TestMain
		return exe
	case errors.Is(err, exec.ErrNotFound):
		t.Skip("no go tool to build a control with: suite left out")
	}
	t.Fatalf("building the program: %v\n%s", err, out)
	return ""
}
