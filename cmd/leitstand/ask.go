package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// asker puts questions in the terminal. Answers that come from a pipe or a file
// are taken line by line: a script answers what a person would.
type asker struct {
	in  *bufio.Reader
	out io.Writer
	tty *os.File // nil: the answers are scripted
}

// errAnswers says that the scripted answers ended before the questions.
var errAnswers = errors.New("the answers on standard input ended here")

// maxAnswer bounds one line.
const maxAnswer = 4096

func newAsker(a *app) *asker {
	q := &asker{in: bufio.NewReaderSize(a.stdin, maxAnswer), out: a.stdout}
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		q.tty = f
	}
	return q
}

func (q *asker) say(format string, args ...any) { fmt.Fprintf(q.out, format+"\n", args...) }

// line asks; Enter takes the proposal. The end of scripted answers takes it too,
// if there is one.
func (q *asker) line(question, proposal string) (string, error) {
	if proposal != "" {
		question += " [" + proposal + "]"
	}
	fmt.Fprint(q.out, question+": ")
	b, tooLong, err := q.in.ReadLine()
	if q.tty == nil {
		fmt.Fprintln(q.out) // a terminal shows the Enter itself
	}
	switch answer := strings.TrimSpace(string(b)); {
	case tooLong:
		return "", fmt.Errorf("%s: an answer has at most %d characters", question, maxAnswer)
	case errors.Is(err, io.EOF) && proposal == "":
		return "", fmt.Errorf("%s: %w", question, errAnswers)
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("reading the answer: %w", err)
	case answer == "":
		return proposal, nil
	default:
		return answer, nil
	}
}

// optional asks for something that may be left out: Enter or the end of the
// answers is nothing.
func (q *asker) optional(question string) (string, error) {
	answer, err := q.line(question+" (Enter: weiter)", "")
	if errors.Is(err, errAnswers) {
		return "", nil
	}
	return answer, err
}

// optionalValid is optional for an answer that check accepts: others are asked again.
func (q *asker) optionalValid(question string, check func(string) error) (string, error) {
	for {
		answer, err := q.optional(question)
		if err != nil || answer == "" {
			return answer, err
		}
		bad := check(answer)
		if bad == nil {
			return answer, nil
		}
		if q.tty == nil {
			return "", fmt.Errorf("%s: %w", question, bad)
		}
		q.say("   %v", bad)
	}
}

// wipe takes what was shown off a terminal, and out of its memory of lines.
func (q *asker) wipe() {
	if q.tty != nil {
		fmt.Fprint(q.out, "\x1b[H\x1b[2J\x1b[3J")
	}
}

// valid asks until check accepts. Scripted answers are not asked twice: the next
// line answers another question.
func (q *asker) valid(question, proposal string, check func(string) error) (string, error) {
	for {
		answer, err := q.line(question, proposal)
		if err != nil {
			return "", err
		}
		bad := check(answer)
		if bad == nil {
			return answer, nil
		}
		if q.tty == nil {
			return "", fmt.Errorf("%s: %w", question, bad)
		}
		q.say("   %v", bad)
	}
}

func (q *asker) yes(question string, proposal bool) (bool, error) {
	def := map[bool]string{true: "j", false: "n"}[proposal]
	answer, err := q.valid(question+" (j/n)", def, func(s string) error {
		if !strings.ContainsAny(strings.ToLower(s[:min(1, len(s))]), "jyn") || s == "" {
			return errors.New("j oder n")
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return !strings.EqualFold(answer[:1], "n"), nil
}

// secret asks without showing the answer.
func (q *asker) secret(question string) (string, error) {
	if q.tty == nil {
		answer, err := q.line(question, "")
		return answer, err
	}
	fd := int(q.tty.Fd())
	before, err := term.MakeRaw(fd) // before the question shows: what somebody pastes at once must not appear either
	if err != nil {
		return "", fmt.Errorf("hiding a secret: %w", err)
	}
	fmt.Fprint(q.out, question+" (wird nicht angezeigt): ")
	b, err := term.ReadPassword(fd)
	err = errors.Join(err, term.Restore(fd, before))
	fmt.Fprintln(q.out)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
