package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// inPages finds commands of ours in a page: lines of examples, and words set as code.
var inPages = regexp.MustCompile("(?m)^(?: {4}|\\$ )?(?:go run \\./cmd/)?leitstand ([a-z].*)$|`leitstand ([a-z][^`]*)`")

// TestDocumentedCommandsExist holds every command and flag that a page shows
// against the program.
func TestDocumentedCommandsExist(t *testing.T) {
	var c cli
	parser, err := kong.New(&c, kong.Name("leitstand"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inPages.FindAllStringSubmatch(string(text), -1) {
			if m[1] == "ledger room" { // the first line of a signed head
				continue
			}
			seen++
			for _, problem := range unknownWords(parser.Model.Node, m[1]+m[2]) {
				t.Errorf("%s: leitstand %s%s: %s", filepath.Base(page), m[1], m[2], problem)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d commands found: this test sees nothing", seen)
	}
	if len(unknownWords(parser.Model.Node, "serve --nonsense")) == 0 || len(unknownWords(parser.Model.Node, "nonsense")) == 0 {
		t.Error("a wrong command passes")
	}
}

// unknownWords walks down the commands as far as words name them and says
// which words and flags the program does not know.
func unknownWords(n *kong.Node, line string) (problems []string) {
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, "  ")
	line, _, _ = strings.Cut(line, " > ") // the shell's
	known := slices.Collect(flagNames(n))
	for word := range strings.FieldsSeq(line) {
		if name, isFlag := strings.CutPrefix(word, "--"); isFlag {
			for name := range strings.SplitSeq(name, "|--") { // either of them
				name, _, _ = strings.Cut(name, "=")
				name = strings.TrimRight(name, "],.;:)…")
				if name != "" && !slices.Contains(known, name) {
					problems = append(problems, "no flag --"+name)
				}
			}
			continue
		}
		if len(n.Children) == 0 || len(n.Positional) > 0 {
			continue
		}
		names := strings.Split(word, "|")
		i := slices.IndexFunc(n.Children, func(c *kong.Node) bool {
			return c.Type == kong.CommandNode && (c.Name == names[0] || slices.Contains(c.Aliases, names[0]))
		})
		switch {
		case i >= 0:
			n = n.Children[i]
			known = slices.AppendSeq(known, flagNames(n))
		case regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(word):
			return append(problems, "no command "+word)
		default:
			return problems // … or a place where any of several stands
		}
	}
	return problems
}

func flagNames(n *kong.Node) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, f := range n.Flags {
			for _, name := range append([]string{f.Name}, f.Aliases...) {
				if !yield(name) {
					return
				}
			}
			if f.Tag.Negatable != "" && !yield("no-"+f.Name) {
				return
			}
		}
	}
}

func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(all) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return append(all, "../../README.md")
}

// TestDocumentationIsLinked keeps every link between pages alive and every
// page within reach of the README.
func TestDocumentationIsLinked(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)`)
	reached := map[string]bool{"README.md": true}
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := filepath.Join(filepath.Dir(page), m[1])
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", filepath.Base(page), m[1])
			}
			if filepath.Base(page) == "README.md" {
				reached[filepath.Base(to)] = true
			}
		}
	}
	for _, page := range pages(t) {
		if !reached[filepath.Base(page)] {
			t.Errorf("README does not link to %s", filepath.Base(page))
		}
	}
}
