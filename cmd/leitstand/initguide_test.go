//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal is a pseudo terminal: what is written to ours is typed, what
// comes from it is shown.
func openTerminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v: suite left out", err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	check(t, unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	check(t, err)
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { _ = theirs.Close() })
	return ours, theirs
}

// TestAPersonIsLedThroughTheSetUpInATerminal types what a person would, with
// mistakes: they are named and asked again; a generated passphrase must be typed
// back; what is secret is not shown.
func TestAPersonIsLedThroughTheSetUpInATerminal(t *testing.T) {
	exe := program(t, nil)
	dir := t.TempDir()
	ours, theirs := openTerminal(t)
	if out, err := exec.Command(exe, "catalogue", "export", "--example", "--to", filepath.Join(dir, "cat")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), exe, "init", "--data", filepath.Join(dir, "room"))
	cmd.Dir = dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	began := time.Now()
	check(t, cmd.Start())
	shown := make(chan string)
	go func() { // ends when the terminal closes
		defer close(shown)
		r := bufio.NewReader(ours)
		for {
			b := make([]byte, 4096)
			n, err := r.Read(b)
			if err != nil {
				return
			}
			shown <- string(b[:n])
		}
	}()
	screen, seen := "", 0
	wait := func(want string) string {
		t.Helper()
		late := time.After(30 * time.Second)
		re := regexp.MustCompile(want)
		for {
			if at := re.FindStringIndex(screen[seen:]); at != nil {
				found := screen[seen+at[0] : seen+at[1]]
				seen += at[1]
				return found
			}
			select {
			case s, ok := <-shown:
				if screen += s; !ok {
					t.Fatalf("the terminal closed, waiting for %q:\n%s", want, screen)
				}
			case <-late:
				t.Fatalf("waiting for %q:\n%s", want, screen)
			}
		}
	}
	typed := func(want, answer string) {
		t.Helper()
		wait(want)
		_, err := ours.WriteString(answer + "\n")
		check(t, err)
	}
	typed(`Name \[Leitstand\]: `, "Probe")
	typed(`Nur zum Üben.*\[n\]: `, "")
	typed(`Verzeichnis: `, "nirgends")
	wait(`nirgends: no such file`)
	typed(`Verzeichnis: `, "cat")
	typed(`erzeugt werden.*: `, "j")
	made := wait(`[A-Z2-7]{4}(-[A-Z2-7]{4}){5}`)
	typed(`abtippen: `, "falsch")
	wait(`das ist sie nicht`)
	typed(`abtippen: `, strings.ToLower(made))
	wait(`\x1b\[2J\x1b\[3J.*Bildschirm ist geleert`)
	typed(`Kennung.*: `, "Frau Anna")
	wait(`kleine Buchstaben`)
	typed(`Kennung.*: `, "anna")
	typed(`Name: `, "Anna A")
	typed(`Rollen.*: `, "2")
	wait(`die erste Person braucht`)
	typed(`Rollen.*: `, "1,2")
	typed(`Kennung.*: `, "bert")
	typed(`Name: `, "")
	wait(`das fehlt noch`)
	typed(`Name: `, "Bert B")
	typed(`Rollen.*: `, "9")
	wait(`"9" ist keine Rolle`)
	typed(`Rollen.*: `, "3")
	wait(`Raum „Probe“`)
	typed(`Kennung.*: `, "kai")
	typed(`Name: `, "Kai K")
	typed(`Rollen.*: `, "4")
	typed(`IK der Kasse: `, "109900018")
	wait(`die Kasse "109900018" steht nicht im Katalog`)
	typed(`IK der Kasse: `, "109900019")
	typed(`Kennung.*: `, "")
	wait(`noch fehlt jemand bei:`)
	typed(`nächsten Postfach.*: `, "123")
	wait(`die Kasse "123" steht nicht im Katalog`)
	typed(`nächsten Postfach.*: `, "109900019")
	typed(`Stelle.*: `, "")
	typed(`Mailadresse: `, "a@x.example")
	typed(`POP3-Server.*: `, "nirgends")
	wait(`Name und Port werden erwartet`)
	typed(`POP3-Server.*: `, "127.0.0.1:1")
	typed(`Verschlüsselung.*: `, "plain")
	typed(`Konto.*: `, "")
	typed(`Passwort \(wird nicht angezeigt\): `, "hunter2")
	typed(`SMTP-Server.*: `, "")
	typed(`nächsten Postfach.*: `, "")
	typed(`erproben.*: `, "n")
	typed(`auslösen.*: `, "j")
	wait(`Probealarm s-\S+ ausgelöst`)
	wait(`leitstand serve`)
	check(t, cmd.Wait())
	if strings.Contains(screen, "hunter2") {
		t.Error("the password was shown")
	}
	info, err := os.Stat(filepath.Join(dir, "room", "secrets", "109900019.pop3"))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the password's file: %s", info.Mode())
	}
	pass := filepath.Join(dir, "pass")
	check(t, os.WriteFile(pass, []byte(made), 0o600))
	if out, err := exec.Command(exe, "cell", "list", "--data", filepath.Join(dir, "room"), "--passphrase-file", pass).CombinedOutput(); err != nil {
		t.Errorf("the generated passphrase does not unlock: %v: %s", err, out)
	}
	t.Logf("the whole conversation took %s without the typing", time.Since(began).Round(10*time.Millisecond))
}
