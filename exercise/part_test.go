package exercise

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAPartTalksInLines(t *testing.T) {
	in, ours := io.Pipe()
	var out bytes.Buffer
	done := make(chan error)
	go func() { done <- ServePart(t.Context(), PartMail, in, &out) }()
	for _, line := range []string{
		`{"do":"stats"}`,
		`{"do":"start","config":{"dir":"` + t.TempDir() + `","maildrops":["eau@1.uebung.invalid"],"password":"p","colour":"red"}}`,
		`{"do":"start","config":{"dir":"` + t.TempDir() + `","maildrops":["eau@1.uebung.invalid"],"password":"p"}}`,
		`{"do":"start","config":{}}`,
		`{"do":"advance","now":"2023-04-24T22:00:00+02:00"}`,
		`{"do":"advance"}`,
		`{"do":"dance"}`,
		`{"do":`,
		`{"do":"stop"}`,
	} {
		if _, err := io.WriteString(ours, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		`before start`, `unknown field \"colour\"`, `"addr":{"pop3":"127.0.0.1:`, `started already`,
		`{"mail_deleted":0,"mail_received":0,"mail_refused":0,"mail_retrieved":0,"mail_waiting":0,"ok":true}`,
		`needs the time`, `unknown command`, `unreadable`, `{"ok":true}`,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("answer %d of\n%s\nwant %s", i, out.String(), want)
		}
	}
}

func TestAPartThatDiesSaysWhy(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := StartPart(t.Context(), exe, "nobody", MailConfig{}); err == nil || !strings.Contains(err.Error(), `there is no part "nobody"`) {
		t.Errorf("an unknown part: %v", err)
	}
	if _, err := StartPart(t.Context(), exe, PartMail, MailConfig{}); err == nil || !strings.Contains(err.Error(), "needs a directory") {
		t.Errorf("a configuration without a directory: %v", err)
	}
	if _, err := StartPart(t.Context(), filepath.Join(t.TempDir(), "absent"), PartMail, MailConfig{}); err == nil {
		t.Error("an absent program was started")
	}
	if _, err := StartPart(t.Context(), "/bin/sh", PartMail, MailConfig{}); err == nil || !strings.Contains(err.Error(), "exit status") || !strings.Contains(err.Error(), "its last words") {
		t.Errorf("a program that ends at once: %v", err)
	}
	p := startTestPart(t, PartMail, testMailConfig(t.TempDir()))
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second command knows as well
		if _, err := p.Advance(t.Context(), testFrom); err == nil || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("a killed part: %v", err)
		}
	}
	if err := p.Stop(); err != nil {
		t.Errorf("stopping a part whose death is known: %v", err)
	}
}

func TestAPartEndsWithItsParent(t *testing.T) {
	p := startTestPart(t, PartMail, testMailConfig(t.TempDir()))
	if err := p.in.Close(); err != nil { // as when the parent is gone
		t.Fatal(err)
	}
	select {
	case <-p.ended:
		if p.waitErr != nil {
			t.Errorf("the part ended with %v", p.waitErr)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the part lives on without its parent")
	}
}

func TestAPartThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	p := startTestPart(t, PartMail, testMailConfig(t.TempDir()))
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); !stopped(t, p.PID()); time.Sleep(time.Millisecond) { // the signal takes its time
		if time.Since(began) > 10*time.Second {
			t.Fatal("the part does not stop")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Stats(ctx); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("a frozen part: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
}

// stopped reports whether every thread of a process stands still.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads of process %d (%v)", pid, err)
	}
	for _, name := range threads {
		stat, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(stat), ") T ") { // a thread may just have ended
			return false
		}
	}
	return true
}

func TestAPartRefusesEveryAddressOffThisMachine(t *testing.T) {
	s := testMailFor(t)
	for _, addr := range []string{"192.0.2.1:25", "mail.example.org:25", "0.0.0.0:25", ""} {
		c := PracticesConfig{Dir: t.TempDir(), SMTP: addr, POP3: s.smtpAddr, Kassen: testKassen, From: testFrom, Until: testUntil}
		if _, err := startPractices(t.Context(), c); err == nil {
			t.Errorf("practices send to %q", addr)
		}
		r := testRegularConfig(t, s)
		r.POP3 = addr
		if _, err := startRegular(t.Context(), r); err == nil {
			t.Errorf("regular systems fetch from %q", addr)
		}
		if c, err := dialLoopback(t.Context(), addr); err == nil {
			_ = c.Close()
			t.Errorf("dialled %q", addr)
		}
	}
	resp, err := loopbackClient(time.Second).Get("http://192.0.2.1/")
	if err == nil {
		_ = resp.Body.Close()
		t.Error("the HTTP client left this machine")
	}
}
