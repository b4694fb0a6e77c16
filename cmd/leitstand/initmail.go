package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"leitstand/operation"
	"leitstand/room"
)

// maxMailboxes is far more than there are Kassen.
const maxMailboxes = 1000

// readMailboxes reads mailboxes from CSV with a heading; mistakes are named with
// their line.
func readMailboxes(file string) ([]mailboxConfig, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading mailboxes: %w", err)
	}
	in := csv.NewReader(bytes.NewReader(b))
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: a heading is expected: %w", file, err)
	}
	for _, h := range head {
		if f, ok := fieldOf(reflect.TypeFor[mailboxConfig](), h); !ok || f.Tag.Get("secret") != "" {
			return nil, fmt.Errorf("%s:1: unknown column %q: known are kasse,placement,address,pop3,security,user,password_file,smtp", file, h)
		}
	}
	var out []mailboxConfig
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(out) == maxMailboxes {
			return nil, fmt.Errorf("%s: more than %d mailboxes", file, maxMailboxes)
		}
		m := mailboxConfig{}
		v := reflect.ValueOf(&m).Elem()
		for i, h := range head {
			f, _ := fieldOf(v.Type(), h) // looked up above
			v.FieldByIndex(f.Index).SetString(row[i])
		}
		if m.PasswordFile != "" && !filepath.IsAbs(m.PasswordFile) {
			m.PasswordFile = filepath.Join(filepath.Dir(file), m.PasswordFile)
		}
		line, _ := in.FieldPos(0)
		if err := complete(m); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, line, err)
		}
		out = append(out, m)
	}
}

// complete says what a mailbox lacks.
func complete(m mailboxConfig) error {
	setDefaults(reflect.ValueOf(&m).Elem())
	one := &config{Mail: mailConfig{Look: 1, Mailboxes: []mailboxConfig{m}}}
	for _, err := range append(one.missing(reflect.ValueOf(one.Mail.Mailboxes[0]), "mailbox"), one.outsideMistakes()...) {
		if e, ok := errors.AsType[*configError](err); ok {
			return errors.New(strings.ReplaceAll(e.text, "mail.mailboxes[0].", ""))
		}
	}
	return nil
}

// addMailboxes writes mailboxes into the configuration file, replacing those of
// the same address, and leaves all else in it as it is.
func (c *initCmd) addMailboxes(a *app, boxes []mailboxConfig) error {
	file := c.configFile()
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, room.ConnectionsFile)); err == nil {
		return fmt.Errorf("this room keeps its mailboxes in %s: add them there, or move all of it to %s", room.ConnectionsFile, file)
	}
	known, err := c.placements(a)
	if err != nil {
		return err
	}
	text := string(old)
	for _, m := range boxes {
		if !slices.Contains(known, m.Placement) || !strings.HasPrefix(m.Placement, m.Kasse+"/") {
			return fmt.Errorf("mailbox %s: the room has no placement %q of Kasse %s (leitstand door list shows all)", m.Address, m.Placement, m.Kasse)
		}
		if text, err = withMailbox(file, text, m); err != nil {
			return err
		}
	}
	if err := writeConfig(file, []byte(text)); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d Postfächer in %s eingetragen. Ein laufender Raum übernimmt sie beim nächsten Start.\n", len(boxes), file)
	return nil
}

// placements are all placements of the room. A configuration that names others
// would not open.
func (c *initCmd) placements(a *app) ([]string, error) {
	raw, err := c.call(a, "", "door.list", nil)
	if err != nil {
		return nil, err
	}
	var doors []operation.DoorRow
	if err := json.Unmarshal(raw, &doors); err != nil {
		return nil, err
	}
	out := make([]string, len(doors))
	for i, d := range doors {
		out[i] = string(d.Placement)
	}
	return out, nil
}

// withMailbox is the text of a configuration with one more mailbox, or with the
// one of the same address replaced. Comments stay.
func withMailbox(file, text string, m mailboxConfig) (string, error) {
	c := &config{line: map[string]int{}, from: file}
	setDefaults(reflect.ValueOf(c).Elem())
	if err := c.parse([]byte(text)); err != nil {
		return "", err
	}
	lines := strings.SplitAfter(text, "\n")
	if n := len(lines); n > 0 && lines[n-1] == "" {
		lines = lines[:n-1]
	}
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		lines[n-1] += "\n"
	}
	want := len(c.Mail.Mailboxes) + 1
	indent := "    "
	var at int
	switch {
	case len(c.Mail.Mailboxes) > 0:
		last := len(c.Mail.Mailboxes) - 1
		for i, have := range c.Mail.Mailboxes {
			if have.Address == m.Address {
				last, want = i, want-1
			}
		}
		begin := c.line[fmt.Sprintf("mail.mailboxes[%d]", last)] - 1
		dash := strings.Index(lines[begin], "-")
		if dash < 0 || strings.TrimSpace(lines[begin][:dash]) != "" {
			return "", fmt.Errorf("%s:%d: this list of mailboxes is not written one key a line: add the mailbox by hand", file, begin+1)
		}
		indent = lines[begin][:dash]
		if at = endOfItem(lines, begin, dash); want == len(c.Mail.Mailboxes) {
			lines, at = append(lines[:begin:begin], lines[at:]...), begin
		}
	case c.line["mail.mailboxes"] > 0 || c.line["mail"] > 0:
		at = max(c.line["mail"], c.line["mail.mailboxes"])
		if c.line["mail.mailboxes"] == 0 {
			lines = append(lines[:at:at], append([]string{"  mailboxes:\n"}, lines[at:]...)...)
			at++
		}
	default:
		lines = append(lines, "mail:\n", "  mailboxes:\n")
		at = len(lines)
	}
	out := strings.Join(lines[:at], "") + mailboxText(m, indent) + strings.Join(lines[at:], "")
	again := &config{line: map[string]int{}, from: file}
	if err := again.parse([]byte(out)); err != nil || len(again.Mail.Mailboxes) != want {
		return "", fmt.Errorf("%s: the mailbox cannot be added to the file as it is written: add it by hand (%w)", file, err)
	}
	return out, nil
}

// endOfItem is the first line after an item of a list whose dash is in a column.
func endOfItem(lines []string, begin, dash int) int {
	for i := begin + 1; i < len(lines); i++ {
		trimmed := strings.TrimLeft(lines[i], " ")
		if strings.TrimSpace(trimmed) != "" && len(lines[i])-len(trimmed) <= dash {
			return i
		}
	}
	return len(lines)
}

// mailboxText is one item of the list; JSON strings are YAML strings.
func mailboxText(m mailboxConfig, indent string) string {
	var b strings.Builder
	lead := indent + "- "
	v := reflect.ValueOf(m)
	for f, field := range v.Fields() {
		if field.IsZero() {
			continue
		}
		quoted, err := json.Marshal(field.String())
		if err != nil {
			continue // a string always encodes
		}
		fmt.Fprintf(&b, "%s%s: %s\n", lead, keyOf(f), quoted)
		lead = indent + "  "
	}
	return b.String()
}
