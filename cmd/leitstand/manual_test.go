package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"leitstand/docs"
)

// notRun are lines of the manual that change the machine itself.
var notRun = map[string]string{"systemctl ": "starts a service on this machine"}

// beforeSection is what a reader of the page has done when he comes to a section.
var beforeSection = map[string]string{
	"Set up":                            "exec leitstand init --example\n",
	"Watch it from outside":             "postoffice wache@uebung.invalid\nedit beat.yaml 127.0.0.1:25 $SMTP\ncp beat.yaml room/leitstand.yaml\nmkdir watch\nexec leitstand serve --listen 127.0.0.1:0 &beat&\nwaitfor watch/beat\ncp room/ledger.pub ledger.pub\n",
	"An attack is suspected":            "kill -INT beat\nwait beat\nrm room/leitstand.yaml\nexec leitstand signal test --as lead\nids\n",
	"Keeping the record safe":           "mkdir stick\n",
	"The way back":                      "regular 109900019/eau/nord\nitems 109900019/eau/nord 5\n",
	"Start, look, stop":                 "",
	"Immediate danger":                  "",
	"Telling people":                    "",
	"Shift change":                      "",
	"One Kasse's share":                 "",
	"A newer program":                   "",
	"When something is wrong":           "",
	"Sick notes in emergency operation": "cp boxes.yaml room/leitstand.yaml\n",
}

// beforeCommand is what the page says in words before a command.
var beforeCommand = map[string]string{
	"leitstand state trial": "cleared component:core@nord component:database@nord component:directory@nord component:directory@sued component:dns@nord\n" +
		"cleared component:dns@sued component:hypervisor@nord component:hypervisor@sued component:kim-server@nord component:kim-server@sued component:network@nord\n" +
		"cleared component:network@sued component:storage@nord component:storage@sued component:ti-access@nord component:ti-access@sued\n",
	"leitstand handover read-only": "exec sleep 2.2\n",
}

// replaced are names in the page that are others in a test's directory.
var replaced = strings.NewReplacer(
	"--pop3 mail.example:995 --user wache ", "--pop3 $POP3 --security plain --user wache@uebung.invalid ",
	"age1…", "age14mm23kkk7fqwtwxsxr4uqjhlj4vakxl552yea2arg6ksgkssnuksrhh96u",
	"/media/stick", "$WORK/stick", "/mnt/watch", "$WORK/watch", "/etc/systemd/system/", "$WORK/", "room2", "$WORK/room2", `"`, "'",
	"c-…", "$ID_c", "m-…", "$ID_m", "s-…", "$ID_s", "F-…", "$ID_F",
)

// manualScript turns the commands of a manual into a script for the test engine.
func manualScript(page string) (script string, commands int, problems []string) {
	var b strings.Builder
	b.WriteString("env LEITSTAND_DATA=$WORK/room\n")
	served := ""
	for line := range strings.SplitSeq(page, "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			b.WriteString(served)
			served = ""
			setup, known := beforeSection[title]
			if !known {
				problems = append(problems, fmt.Sprintf("section %q of the manual is new: say in beforeSection what comes before it", title))
			}
			b.WriteString("# " + title + "\n" + setup)
			continue
		}
		cmd, ok := strings.CutPrefix(line, "    ")
		if !ok || strings.TrimSpace(cmd) == "" {
			continue
		}
		cmd, comment, _ := strings.Cut(cmd, " #")
		cmd = strings.TrimSpace(cmd)
		if skip(cmd) {
			continue
		}
		if !strings.HasPrefix(cmd, "leitstand ") {
			problems = append(problems, fmt.Sprintf("%q is no command of ours: add it to notRun with the reason", cmd))
			continue
		}
		commands++
		for prefix, setup := range beforeCommand {
			if strings.HasPrefix(cmd, prefix) {
				b.WriteString(setup)
			}
		}
		switch run := replaced.Replace(cmd); {
		case cmd == "leitstand init":
			b.WriteString("stdin enter\nexec leitstand init --guided\n")
		case cmd == "leitstand serve":
			b.WriteString("exec leitstand serve --listen 127.0.0.1:0 &serve&\nwaitfor room/room.sock\n")
			served = "kill -INT serve\nwait serve\n"
		case strings.Contains(comment, "exit 1"):
			b.WriteString("mayfail " + run + "\n")
		default:
			b.WriteString("exec " + run + "\nids\n")
		}
	}
	b.WriteString(served)
	b.WriteString("exec leitstand ledger verify --state\nstdout ' 0 problems'\n")
	b.WriteString("\n-- enter --\n-- protokoll.txt --\nAlle gewechselt.\n-- bericht.txt --\nKeine Spuren.\n-- befund.txt --\nKeine Spuren.\n" +
		`-- boxes.yaml --
mail:
  mailboxes:
    - {kasse: "109900019", placement: 109900019/eau/nord, address: eau@kasse.example, pop3: "127.0.0.1:1", security: plain, user: u, password: p}
` + "-- beat.yaml --\nheartbeat:\n  every: 1s\n  file: ../watch/beat\n  mail_to: wache@uebung.invalid\n" +
		"smtp:\n  server: 127.0.0.1:25\n  security: plain\n  from: raum@uebung.invalid\n-- wache.pw --\ngeheim\n")
	return b.String(), commands, problems
}

func skip(cmd string) bool {
	for prefix := range notRun {
		if strings.HasPrefix(cmd, prefix) {
			return true
		}
	}
	return false
}

var printedID = regexp.MustCompile(`\b(c|m|s|F)-([A-Z0-9]{6,}|[A-Z0-9]+)\b`)

// ids keeps the newest id of each kind that the last command printed.
func ids(ts *testscript.TestScript, _ bool, _ []string) {
	for _, m := range printedID.FindAllStringSubmatch(ts.ReadFile("stdout"), -1) {
		ts.Setenv("ID_"+m[1], m[0])
	}
}

// mayFail runs a command that ends with 0 or 1, by what it finds.
func mayFail(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		ts.Fatalf("%v: %v", args, err)
	}
}

// TestEveryProcedureOfTheManualRuns takes the commands from the page itself and
// plays them in a practice room, section by section.
func TestEveryProcedureOfTheManualRuns(t *testing.T) {
	script, commands, problems := manualScript(docs.Operations)
	for _, p := range problems {
		t.Error(p)
	}
	if commands < 45 {
		t.Errorf("only %d commands were found in the manual", commands)
	}
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "manual.txtar"), []byte(script), 0o600))
	p := scriptParams(dir)
	p.Cmds["ids"], p.Cmds["mayfail"] = ids, mayFail
	testscript.Run(t, p)
}

// TestAManualThatRotsIsSeen is the control: a command that does not exist, and a
// section that nobody prepared.
func TestAManualThatRotsIsSeen(t *testing.T) {
	_, _, problems := manualScript("# T\n\n## Unbekannt\n\n    rm -rf /\n")
	if len(problems) != 2 {
		t.Errorf("a new section and a foreign command: %q", problems)
	}
	if s, n, _ := manualScript("# T\n\n## Set up\n\n    leitstand nonsens c-… --reason \"x y\"\n"); n != 1 || !strings.Contains(s, "exec leitstand nonsens $ID_c --reason 'x y'\n") {
		t.Error(s)
	}
}

func TestTheManualIsPrinted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.pdf")
	for _, args := range [][]string{{"manual", "-o", file}, {"manual", "--configuration", "-o", file}} {
		var out strings.Builder
		if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatal(out.String())
		}
		first, err := os.ReadFile(file)
		check(t, err)
		if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatal(out.String())
		}
		second, err := os.ReadFile(file)
		if check(t, err); !bytes.Equal(first, second) || !bytes.HasPrefix(first, []byte("%PDF")) {
			t.Error("the same manual has other bytes")
		}
	}
	var out strings.Builder
	if code := run(t.Context(), []string{"manual", "--text"}, strings.NewReader(""), &out, &out); code != 0 || out.String() != docs.Operations {
		t.Error("the text is not the page")
	}
	text, err := exec.Command("pdftotext", "-layout", file, "-").Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("pdftotext is not installed: suite left out")
	}
	if check(t, err); !strings.Contains(string(text), "heartbeat") {
		t.Errorf("the print of the configuration: %s", text)
	}
}
