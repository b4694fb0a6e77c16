package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"leitstand/exercise"
)

// postOffice (postoffice ADDRESS) starts a mail server with a mailbox of that
// address, whose password is "geheim", and keeps where it listens in SMTP and
// POP3. It is a process of its own and ends with the script.
func postOffice(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: postoffice ADDRESS")
	}
	var exe string
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(filepath.ListSeparator)) {
		exe = filepath.Join(dir, "leitstand") // the scripts' own comes first
		break
	}
	p, err := exercise.StartPart(context.Background(), exe, exercise.PartMail,
		exercise.MailConfig{Dir: ts.MkAbs("post"), Maildrops: args, Password: "geheim"})
	ts.Check(err)
	ts.Defer(func() { ts.Check(p.Stop()) })
	ts.Setenv("SMTP", p.Addr("smtp"))
	ts.Setenv("POP3", p.Addr("pop3"))
}
