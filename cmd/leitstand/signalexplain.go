package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"leitstand/warning"
)

type signalExplainCmd struct {
	roomFlags
	Rule string `arg:"" help:"Id or title of the rule."`
	File string `arg:"" help:"File whose first line is the event: JSON or text; - is standard input."`
}

// Run prints every test of the rule on the event.
func (c *signalExplainCmd) Run(a *app) error {
	src := a.stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		src = f
	}
	line, cut, err := readLine(bufio.NewReader(src), 64<<10)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("reading the event: %w", err)
	case cut || len(line) == 0:
		return fmt.Errorf("%s: its first line is to be the event, up to 64 KiB", c.File)
	}
	return c.act(a, "", "signal.explain", map[string]string{"rule": c.Rule, "line": string(line)}, func(raw json.RawMessage) error {
		var x warning.Explanation
		if err := json.Unmarshal(raw, &x); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		explained(a.stdout, x, "")
		return nil
	})
}

func explained(out io.Writer, x warning.Explanation, indent string) {
	verdict := "trifft nicht zu"
	switch {
	case len(x.Parts) > 0:
		verdict = "zählt die Treffer dieser Regeln (ein Ereignis allein genügt nicht)"
	case x.Source != "":
		verdict = "sieht solche Ereignisse nicht an: " + x.Source
	case x.Matched:
		verdict = "trifft zu"
	}
	fmt.Fprintf(out, "%s%s: %s\n%s  %s\n", indent, plain(x.Title), plain(verdict), indent, plain(x.Condition))
	if x.Exception != "" {
		fmt.Fprintf(out, "%s  Ausnahme %s hält das Signal zurück\n", indent, x.Exception)
	}
	for _, c := range x.Checks {
		mark, value := "-", "fehlt"
		if c.Holds {
			mark = "+"
		}
		if c.Present {
			value = strconv.Quote(c.Value)
		}
		fmt.Fprintf(out, "%s  %s %s: %s [%s]\n", indent, mark, c.Search, plain(c.Test), value)
	}
	for _, p := range x.Parts {
		explained(out, p, indent+strings.Repeat(" ", 2))
	}
}
