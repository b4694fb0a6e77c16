// Command leitstand takes a shared IT provider and its tenants through a
// cyberattack. See README.md; every subcommand is one file beside this one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the whole command line. Each subcommand is a struct in a file of its
// own with a method Run(*app) error.
type cli struct {
	Version  versionCmd  `cmd:"" help:"Print version, commit and build settings."`
	Exercise exerciseCmd `cmd:"" help:"Play a case: the attack of 2023 on real parts, with a live control room and a report."`
	Init     initCmd     `cmd:"" help:"Make a room."`
	Serve    serveCmd    `cmd:"" help:"Run a room: control room, command socket, timed work."`

	Link linkCmd `cmd:"" help:"A link that admits one more device to the control room that is being served."`

	Cell     cellCmd     `cmd:"" help:"The matrix Kasse × service." group:"Situation"`
	Door     doorCmd     `cmd:"" help:"What callers get." group:"Situation"`
	Signal   signalCmd   `cmd:"" help:"What the early warning noticed." group:"Situation"`
	Incident incidentCmd `cmd:"" help:"Incidents and their facts." group:"Situation"`
	Person   personCmd   `cmd:"" help:"People and roles." group:"Situation"`

	Impact    impactCmd    `cmd:"" help:"What would follow if something were gone, as the room stands now. Changes nothing." group:"Acts"`
	Measure   measureCmd   `cmd:"" help:"Take tenants off the network, with preview and way back." group:"Acts"`
	Driver    driverCmd    `cmd:"" help:"How measures act on the outside world: dry run, open intents, rules, kill switch." group:"Acts"`
	Approve   approveCmd   `cmd:"" help:"Agree, as second person, to what was asked." group:"Acts"`
	Decline   declineCmd   `cmd:"" help:"Decline or withdraw what was asked." group:"Acts"`
	Code      codeCmd      `cmd:"" help:"Codes with which a person agrees over the telephone." group:"Acts"`
	Consent   consentCmd   `cmd:"" help:"What waits for a second person." group:"Acts"`
	Clearance clearanceCmd `cmd:"" help:"Forensic clearances: the gate." group:"Acts"`
	Rotation  rotationCmd  `cmd:"" help:"Proof that credentials were changed." group:"Acts"`
	State     stateCmd     `cmd:"" help:"Rebuild, trial, acceptance, confirmation." group:"Acts"`
	Emergency emergencyCmd `cmd:"" help:"Emergency operation." group:"Acts"`
	Handover  handoverCmd  `cmd:"" help:"Hand over what emergency operation accepted." group:"Acts"`
	Sicknote  sicknoteCmd  `cmd:"" help:"Sick notes in emergency operation." group:"Acts"`
	Desk      deskCmd      `cmd:"" help:"Payments, contact and access to records in emergency operation." group:"Acts"`
	Notice    noticeCmd    `cmd:"" help:"Public list and statements." group:"Acts"`
	Gateway   gatewayCmd   `cmd:"" help:"The doors in front of services: serve from a file, look, rescue." group:"Acts"`
	Ledger    ledgerCmd    `cmd:"" help:"Verify, witness and export the record." group:"Acts"`

	Acceptance acceptanceCmd `cmd:"" help:"Test a cell before it goes back: technical probe, business cases, limits." group:"Acts"`
	Partner    partnerCmd    `cmd:"" help:"Reconnect outside partners with a proof of what was examined and changed." group:"Acts"`

	Watch    watchCmd    `cmd:"" help:"Match logs against Sigma rules, without a room."`
	Bus      busCmd      `cmd:"" help:"Several workers share the early warning of a large installation over a log bus (NATS JetStream)."`
	Config   configCmd   `cmd:"" help:"The room's configuration file: check, show, explain." group:"Keeping"`
	Systemd  systemdCmd  `cmd:"" help:"Print a systemd unit with hardening, readiness and watchdog." group:"Keeping"`
	Watchman watchmanCmd `cmd:"" help:"Stand outside, best on another machine, and raise the alarm when the room gives no sign of life." group:"Keeping"`
	Manual   manualCmd   `cmd:"" help:"Print the night shift's manual of this very program as PDF." group:"Keeping"`
	Doctor   doctorCmd   `cmd:"" help:"Look at everything that a room needs in a crisis: a score and a list to work off. Exit 1 when something is bad." group:"Keeping"`
	Backup   backupCmd   `cmd:"" help:"Copy a room, or one Kasse of it, while it runs." group:"Keeping"`
	Restore  restoreCmd  `cmd:"" help:"Put a backup into a new directory, or one Kasse back, and verify it; --test puts the outcome on record." group:"Keeping"`
	Copy     copyCmd     `cmd:"" help:"The continuous copy to a second place." group:"Keeping"`
	Takeover takeoverCmd `cmd:"" help:"Go on with a room on another machine." group:"Keeping"`
	Keys     keysCmd     `cmd:"" help:"Who can open what." group:"Keeping"`
	Clock    clockCmd    `cmd:"" help:"Whether this machine's clock jumped." group:"Keeping"`
	Share    shareCmd    `cmd:"" help:"One Kasse's share: everything that concerns it, checked by anybody, deleted with proof." group:"Keeping"`

	Catalogue catalogueCmd `cmd:"" help:"Check, show and preview catalogues of Kassen, services and what they rest on."`
	Plan      planCmd      `cmd:"" help:"Plan work that competes for people and places."`
	Eau       eauCmd       `cmd:"" help:"Check, show and measure electronic sick notes (eAU)."`

	ExercisePart exercisePartCmd `cmd:"" hidden:"" help:"Play one party of the outside world for an exercise."`
}

// app is what every subcommand gets: its context ends on SIGINT and SIGTERM,
// and nothing but these streams may be read or written as standard input or output.
type app struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// exitError ends the program with a code of its own, without printing more
// than the message (nothing when err is nil: the command has said it already).
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: tests call it. It returns the exit code:
// 0 done, 1 the command failed, 2 wrong usage, other codes as the command's help says.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	var c cli
	exited := false
	parser, err := kong.New(&c,
		kong.Name("leitstand"),
		kong.Description("Takes a shared IT provider and its tenants through a cyberattack."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(n int) { exited, code = true, n }),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintf(stderr, "leitstand: %v\n", err)
		return 2
	}
	k, err := parser.Parse(args)
	if exited { // --help
		return code
	}
	if err != nil {
		fmt.Fprintf(stderr, "leitstand: %v\nTry: leitstand --help\n", err)
		return 2
	}
	err = k.Run(&app{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr})
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintf(stderr, "leitstand: %v\n", exit.err)
		}
		return exit.code
	default:
		fmt.Fprintf(stderr, "leitstand: %v\n", err)
		return 1
	}
}
