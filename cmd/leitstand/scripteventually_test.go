package main

import (
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// eventually COMMAND… runs a command until it succeeds, or fails with a leading !.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	for range 600 {
		if err := ts.Exec(args[0], args[1:]...); (err == nil) != neg {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("%v does not come about", args)
}
