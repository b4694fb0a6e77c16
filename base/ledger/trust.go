package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// The public half of a room's key is one line while the key was never changed.
// Afterwards a line follows for each change, oldest first: a note in which the old
// key and the new one sign who follows whom, and how long every ledger was then.
// From that length on the old key signs nothing that counts, stolen or not.

// Succession is one change of the key.
type Succession struct {
	Old    string           `json:"old"` // verifier keys
	New    string           `json:"new"`
	At     time.Time        `json:"at"`
	First  string           `json:"first"` // the two people who decided it
	Second string           `json:"second"`
	Reason string           `json:"reason"`
	Lost   bool             `json:"lost,omitempty"` // the old key was gone and signed nothing: the two vouch for it
	Sizes  map[string]int64 `json:"sizes"`          // entries of each ledger that the old key answers for
}

const (
	successionTitle = "leitstand ledger key succession"
	successionLine  = "succession "
)

// ErrReplaced says that a key signed something after it was replaced.
var ErrReplaced = errors.New("signed by a key of this room that had been replaced before")

func (s Succession) text() string {
	var b strings.Builder
	how := "signed"
	if s.Lost {
		how = "lost"
	}
	for _, line := range []string{successionTitle, s.Old, s.New, s.At.UTC().Format(time.RFC3339), s.First, s.Second, strings.Join(strings.Fields(s.Reason), " "), how} {
		b.WriteString(line + "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Sizes)) {
		fmt.Fprintf(&b, "%s %d\n", name, s.Sizes[name])
	}
	return b.String()
}

func parseSuccession(text string) (s Succession, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 8 || lines[0] != successionTitle {
		return s, errors.New("a succession of keys has an unknown form")
	}
	s = Succession{Old: lines[1], New: lines[2], First: lines[4], Second: lines[5], Reason: lines[6], Lost: lines[7] == "lost", Sizes: map[string]int64{}}
	if s.At, err = time.Parse(time.RFC3339, lines[3]); err != nil {
		return s, fmt.Errorf("reading the time of a succession of keys: %w", err)
	}
	for _, line := range lines[8:] {
		name, size, _ := strings.Cut(line, " ")
		if s.Sizes[name], err = strconv.ParseInt(size, 10, 64); err != nil {
			return s, fmt.Errorf("reading a succession of keys, ledger %q: %w", name, err)
		}
	}
	return s, nil
}

// openSuccession checks that the new key signed it, and the old one unless it was lost.
func openSuccession(signed string) (Succession, error) {
	text, _, ok := strings.Cut(signed, "\n\n")
	if !ok {
		return Succession{}, errors.New("a succession of keys is not signed")
	}
	s, err := parseSuccession(text + "\n")
	if err != nil {
		return s, err
	}
	must := []string{s.New}
	if !s.Lost {
		must = append(must, s.Old)
	}
	for _, key := range must {
		v, err := note.NewVerifier(key)
		if err != nil {
			return s, fmt.Errorf("reading a key of a succession: %w", err)
		}
		n, err := note.Open([]byte(signed), note.VerifierList(v))
		if err != nil {
			return s, fmt.Errorf("checking who signed a succession of keys: %w", err)
		}
		if n.Text != text+"\n" {
			return s, errors.New("a succession of keys has an unknown form")
		}
	}
	return s, nil
}

// trusted is one key of a room.
type trusted struct {
	verifier note.Verifier
	until    map[string]int64 // nil: the newest
}

// trust is every key of a room, oldest first.
type trust struct {
	keys        []trusted
	successions []Succession
}

// parseTrust reads the public half of a room's key, and checks that each key was
// followed by the next one.
func parseTrust(public string) (trust, error) {
	var t trust
	lines := strings.Split(strings.TrimSpace(public), "\n")
	last := ""
	for _, line := range lines[1:] {
		encoded, ok := strings.CutPrefix(line, successionLine)
		b, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			return t, errors.New("reading the ledger's public key: after the key only successions are expected")
		}
		s, err := openSuccession(string(b))
		if err != nil {
			return t, err
		}
		if last != "" && s.Old != last {
			return t, errors.New("reading the ledger's public key: a succession of keys is missing or out of order")
		}
		v, err := note.NewVerifier(s.Old)
		if err != nil {
			return t, fmt.Errorf("reading the ledger's public key: %w", err)
		}
		t.keys = append(t.keys, trusted{verifier: v, until: s.Sizes})
		t.successions = append(t.successions, s)
		last = s.New
	}
	if last != "" && last != lines[0] {
		return t, errors.New("reading the ledger's public key: the newest key is not the one that the last succession names")
	}
	v, err := note.NewVerifier(lines[0])
	if err != nil {
		return t, fmt.Errorf("reading the ledger's public key: %w", err)
	}
	t.keys = append(t.keys, trusted{verifier: v})
	return t, nil
}

// open checks that one of the room's keys signed a text, and returns that key.
func (t trust) open(signed string) (string, trusted, error) {
	var err error
	for _, k := range slices.Backward(t.keys) {
		n, nerr := note.Open([]byte(signed), note.VerifierList(k.verifier))
		if nerr == nil {
			return n.Text, k, nil
		}
		if err == nil {
			err = nerr // what the newest key says
		}
	}
	return "", trusted{}, err
}

// CurrentKey is the newest key alone, as people compare it.
func CurrentKey(public string) string {
	key, _, _ := strings.Cut(strings.TrimSpace(public), "\n")
	return key
}

// Successions are the changes of a room's key, oldest first.
func Successions(public string) ([]Succession, error) {
	t, err := parseTrust(public)
	return t.successions, err
}

// SameRoom says whether a public half that came from elsewhere is of the room with
// this one, before or after a change of the key: one must go on where the other
// one ends. A key that is newer than ours is believed only if our key signed for it.
func SameRoom(theirs, ours string) bool {
	if theirs == ours {
		return true
	}
	have, err := parseTrust(ours)
	if err != nil {
		return false
	}
	given, err := parseTrust(theirs)
	if err != nil {
		return false
	}
	if CurrentKey(theirs) == CurrentKey(ours) { // whoever has only the newest key knows the ones before by its word
		return len(have.keys) == 1 || len(given.keys) == 1
	}
	if len(given.keys) <= len(have.keys) {
		return continues(theirs, ours, have)
	}
	for _, s := range given.successions[len(have.successions):] {
		if s.Lost {
			return false
		}
	}
	return continues(ours, theirs, given)
}

// continues says whether newer goes on where older ends.
func continues(older, newer string, t trust) bool {
	before := strings.Split(strings.TrimSpace(older), "\n")
	after := strings.Split(strings.TrimSpace(newer), "\n")
	return len(before) < len(after) && t.successions[len(before)-1].Old == before[0] && slices.Equal(before[1:], after[1:len(before)])
}

// Longest is the public half that knows more of a room's keys: theirs, if it is of
// the same room, else ours.
func Longest(theirs, ours string) string {
	if SameRoom(theirs, ours) && strings.Count(strings.TrimSpace(theirs), "\n") > strings.Count(strings.TrimSpace(ours), "\n") {
		return theirs
	}
	return ours
}
