package exercise

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// party is what each kind of part implements. All methods are called from one
// goroutine, in the order of the commands.
type party interface {
	// advance does all that is due by now and returns when it is done and durable.
	advance(ctx context.Context, now time.Time) error
	// command does what only this kind knows; errUnknownCommand if it does not.
	command(ctx context.Context, do string, config json.RawMessage) error
	counts() Counts
	addresses() map[string]string
	// stop releases everything and waits for what was started.
	stop() error
}

var errUnknownCommand = errors.New("unknown command")

// newWorld starts a part by its kind; the context ends with the part.
func newWorld(ctx context.Context, kind PartKind, config json.RawMessage) (party, error) {
	switch kind {
	case PartMail:
		return startWith(ctx, config, startMail)
	case PartPractices:
		return startWith(ctx, config, startPractices)
	case PartRegular:
		return startWith(ctx, config, startRegular)
	case PartEmployers:
		return startWith(ctx, config, startEmployers)
	}
	return nil, fmt.Errorf("there is no part %q: mail, practices, regular and employers exist", kind)
}

// startWith decodes the configuration strictly and starts the part.
func startWith[C any, W party](ctx context.Context, raw json.RawMessage, start func(context.Context, C) (W, error)) (party, error) {
	var c C
	if err := decodeStrict(raw, &c); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	w, err := start(ctx, c)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// decodeStrict refuses unknown keys: a misspelt one must not pass silently.
func decodeStrict(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// ServePart is the child's side: it reads commands from in, one a line, does
// them one after another and answers each with one line on out. It returns nil
// after stop, at the end of in (the parent is gone) and when ctx ends. One
// goroutine stays behind, blocked on in, until in is closed.
func ServePart(ctx context.Context, kind PartKind, in io.Reader, out io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	commands := readCommands(ctx, cancel, in)
	var w party
	defer func() {
		if w != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	answer := json.NewEncoder(out)
	for {
		var c Command
		select {
		case <-ctx.Done():
			return nil
		case c = <-commands:
		}
		if c.Do == "stop" {
			return answer.Encode(reply{OK: true})
		}
		r := serveCommand(ctx, kind, &w, c)
		if ctx.Err() != nil {
			return nil // nobody is there to read the answer
		}
		if err := answer.Encode(r); err != nil {
			return fmt.Errorf("answering the parent: %w", err)
		}
	}
}

// readCommands hands over what comes in and ends the context at its end, so
// that a command under way ends, too.
func readCommands(ctx context.Context, cancel context.CancelFunc, in io.Reader) <-chan Command {
	commands := make(chan Command)
	go func() {
		defer cancel()
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var c Command
			if err := decodeStrict(lines.Bytes(), &c); err != nil {
				c = Command{Do: "unreadable: " + err.Error()}
			}
			select {
			case commands <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return commands
}

func serveCommand(ctx context.Context, kind PartKind, w *party, c Command) reply {
	if err := doCommand(ctx, kind, w, c); err != nil {
		return reply{Error: err.Error()}
	}
	r := reply{OK: true, Counts: (*w).counts()}
	if c.Do == "start" {
		r.Addr = (*w).addresses()
	}
	return r
}

func doCommand(ctx context.Context, kind PartKind, w *party, c Command) (err error) {
	switch {
	case c.Do == "start" && *w != nil:
		return errors.New("the part is started already")
	case c.Do == "start":
		*w, err = newWorld(ctx, kind, c.Config)
		return err
	case *w == nil:
		return fmt.Errorf("command %q before start", c.Do)
	case c.Do == "advance" && c.Now.IsZero():
		return errors.New("advance needs the time in \"now\"")
	case c.Do == "advance":
		return (*w).advance(ctx, c.Now)
	case c.Do == "stats":
		return nil
	}
	if err := (*w).command(ctx, c.Do, c.Config); err != nil {
		return fmt.Errorf("command %q: %w", c.Do, err)
	}
	return nil
}
