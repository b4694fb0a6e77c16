package room

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"leitstand/base/ledger"
	"leitstand/emergency"
)

// ErrShare says that a directory is no share, or one of another room.
var ErrShare = errors.New("this is no share that the room with this key has made")

// ShareReport is the outcome of checking a share.
type ShareReport struct {
	Manifest ShareManifest         `json:"manifest"`
	Counts   emergency.ShareCounts `json:"counts"`
	Sealed   bool                  `json:"sealed"`   // no identity was given: what was accepted was not read
	Proven   int                   `json:"proven"`   // entries of the room's ledger with their text
	Withheld int                   `json:"withheld"` // entries of which only the hash is proven
	Notes    int                   `json:"notes"`    // remarks, receipts and letters
	Deleted  []ShareDeletion       `json:"deleted,omitempty"`
	Problems []ledger.Problem      `json:"problems"`
}

// ReadShare reads the signed statement of a share. The key comes from elsewhere.
func ReadShare(dir, public string) (ShareManifest, error) {
	var m ShareManifest
	b, err := os.ReadFile(filepath.Join(dir, shareManifest))
	if err != nil {
		return m, fmt.Errorf("%q has no %s, which is written last: %w (%w)", dir, shareManifest, ErrShare, err)
	}
	text, err := ledger.Unsign(string(b), public)
	if err != nil {
		return m, fmt.Errorf("%w (%w)", ErrShare, err)
	}
	text, ok := strings.CutPrefix(text, "leitstand share\n")
	if !ok {
		return m, fmt.Errorf("%s says something else: %w", shareManifest, ErrShare)
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("reading %s: %w (%w)", shareManifest, ErrShare, err)
	}
	if m.Version > shareVersion {
		return m, fmt.Errorf("the share has version %d, this program knows %d: check it with the newer program", m.Version, shareVersion)
	}
	return m, nil
}

// VerifyShare checks a share with nothing but the room's public key: every file,
// the Kasse's whole ledger, every item against it, every entry of the room's
// ledger by its inclusion proof, and with identities every body by its
// commitment. Heads are signed heads of either ledger kept elsewhere. An error
// means that checking was not possible; what is wrong stands in the report.
func VerifyShare(dir, public string, ids []age.Identity, heads ...string) (ShareReport, error) {
	m, err := ReadShare(dir, public)
	rep := ShareReport{Manifest: m, Problems: []ledger.Problem{}}
	if err != nil {
		return rep, err
	}
	v := &shareVerifier{dir: dir, public: ledger.Longest(m.Public, public), ids: ids, rep: &rep, check: emergency.NewShareCheck(m.Kasse), outside: heads}
	if !ledger.SameRoom(m.Public, public) {
		v.add("head", "the share names another key than the one it is signed with")
	}
	if err := v.files(); err != nil {
		return rep, err
	}
	for _, step := range []func() error{v.roomEntries, v.kasseLedger, v.items, v.bodies} {
		if err := step(); err != nil {
			return rep, err
		}
	}
	counts, found := v.check.Done()
	rep.Counts = counts
	rep.Problems = append(rep.Problems, found...)
	v.counts()
	return rep, nil
}

type shareVerifier struct {
	dir, public string
	ids         []age.Identity
	rep         *ShareReport
	check       *emergency.ShareCheck
	outside     []string // heads from elsewhere
	kasseHeads  []string // of the Kasse's ledger, in the room's entries
}

func (v *shareVerifier) add(kind, format string, args ...any) {
	v.rep.Problems = append(v.rep.Problems, ledger.Problem{Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// files checks that what is named is there and unchanged, and nothing else is.
func (v *shareVerifier) files() error {
	known := map[string]bool{shareManifest: true}
	for _, want := range v.rep.Manifest.Files {
		if filepath.Base(want.Name) != want.Name {
			return fmt.Errorf("file name %q: %w", want.Name, ErrShare)
		}
		known[want.Name] = true
		got, err := hashFile(filepath.Join(v.dir, want.Name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			v.add("file", "file %s is missing", want.Name)
		case err != nil:
			return err
		case got.SHA256 != want.SHA256:
			v.add("file", "file %s is not what the room has signed", want.Name)
		}
	}
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return fmt.Errorf("reading the share: %w", err)
	}
	for _, e := range entries {
		if !known[e.Name()] {
			v.add("file", "file %s does not belong to the share", e.Name())
		}
	}
	return nil
}

// open gives a file of the share by its name without the mark of sealed files;
// nil when it is missing, which is in the report already.
func (v *shareVerifier) open(name string) (io.Reader, func() error, error) {
	i := slices.IndexFunc(v.rep.Manifest.Files, func(f BackupFile) bool { return plainName(f.Name) == name })
	if i < 0 {
		v.add("file", "the share names no file %s", name)
		return nil, nil, nil
	}
	r, done, err := openSealed(filepath.Join(v.dir, v.rep.Manifest.Files[i].Name), v.ids)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	return r, done, err
}

// lines calls fn with every line of a file, as JSON.
func lines[T any](v *shareVerifier, name string, fn func(T) error) error {
	r, done, err := v.open(name)
	if err != nil || r == nil {
		return err
	}
	defer func() { _ = done() }() // only read
	dec := json.NewDecoder(bufio.NewReaderSize(r, 256<<10))
	for number := 1; ; number++ {
		var line T
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			v.add("file", "%s, value %d: %v", name, number, err)
			return nil
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}

// roomEntries checks every entry of the room's ledger by its proof.
func (v *shareVerifier) roomEntries() error {
	head, err := ledger.ParseHead(v.rep.Manifest.Head, v.public)
	if err != nil {
		return fmt.Errorf("the head of the room's ledger: %w", err)
	}
	if head.Origin != "room" {
		v.add("head", "the head is of the ledger %q, not of the room's", head.Origin)
	}
	last := int64(0)
	return lines(v, shareRoom, func(e SharedEntry) error {
		if e.Seq <= last {
			v.add("room", "entry %d of the room comes after entry %d", e.Seq, last)
		}
		last = e.Seq
		leaf := e.Leaf
		if e.Body != "" {
			leaf = ledger.Leaf(e.Body)
		}
		if err := head.Includes(e.Seq, leaf, e.Proof); err != nil {
			v.add("room", "the room's ledger: %v", err)
			return nil
		}
		if e.Body == "" {
			v.rep.Withheld++
			return nil
		}
		v.rep.Proven++
		return v.roomEntry(e)
	})
}

// roomEntry keeps what the room's ledger says of the Kasse's.
func (v *shareVerifier) roomEntry(e SharedEntry) error {
	var rec ledger.Record
	if err := json.Unmarshal([]byte(e.Body), &rec); err != nil || rec.Seq != e.Seq {
		v.add("room", "entry %d of the room cannot be read", e.Seq)
		return nil //nolint:nilerr // it is in the report
	}
	if rec.Subject != string(v.rep.Manifest.Kasse) {
		return nil
	}
	var said ShareDeletion
	if err := json.Unmarshal(rec.Data, &said); err != nil {
		return nil //nolint:nilerr // an entry of another form
	}
	switch rec.Kind {
	case "share.made":
		v.kasseHeads = append(v.kasseHeads, said.Head)
	case kasseErased:
		said.At, said.Seq, said.First, said.Reason = rec.At, rec.Seq, rec.Actor, rec.Reason
		v.kasseHeads = append(v.kasseHeads, said.Head)
		v.rep.Deleted = append(v.rep.Deleted, said)
	}
	return nil
}

// kasseLedger checks the Kasse's ledger, also against what the room's ledger and
// people elsewhere kept of it.
func (v *shareVerifier) kasseLedger() error {
	origin := emergency.StoreOf(v.rep.Manifest.Kasse)
	r, done, err := v.open(shareLedger)
	if err != nil || r == nil {
		return err
	}
	defer func() { _ = done() }() // only read
	outside := slices.Clone(v.kasseHeads)
	for _, text := range v.outside {
		h, err := ledger.ParseHead(text, v.public)
		switch {
		case err != nil:
			v.add("head", "a head from elsewhere cannot be trusted: %v", err)
		case h.Origin == origin:
			outside = append(outside, text)
		}
	}
	found, err := ledger.CheckExport(r, origin, v.public, v.check.Entry, outside...)
	if err != nil {
		return fmt.Errorf("%s: %w", shareLedger, err)
	}
	v.rep.Problems = append(v.rep.Problems, found.Problems...)
	if found.Entries != v.rep.Manifest.Entries {
		v.add("missing", "the Kasse's ledger has %d entries, the share says %d", found.Entries, v.rep.Manifest.Entries)
	}
	return nil
}

func (v *shareVerifier) items() error {
	return lines(v, shareItems, func(it emergency.SharedItem) error { v.check.Item(it); return nil })
}

// bodies reads what was accepted, when somebody can open it.
func (v *shareVerifier) bodies() error {
	if len(v.ids) == 0 {
		v.rep.Sealed = true
		v.check.Unchecked()
		return nil
	}
	return lines(v, shareBodies, func(l sharedLine) error {
		switch {
		case l.Body != nil:
			v.check.Body(*l.Body)
		case l.Note != nil:
			v.rep.Notes++
		}
		return nil
	})
}

// counts compares what was seen with what the room signed.
func (v *shareVerifier) counts() {
	m, c := v.rep.Manifest, v.rep.Counts
	if c.Items != m.Items || !v.rep.Sealed && c.Bodies != m.Bodies {
		v.add("missing", "%d items and %d bodies were seen, the share says %d and %d", c.Items, c.Bodies, m.Items, m.Bodies)
	}
	if v.rep.Proven != m.Whole || v.rep.Withheld != m.Withheld {
		v.add("missing", "%d entries of the room with text and %d without are proven, the share says %d and %d", v.rep.Proven, v.rep.Withheld, m.Whole, m.Withheld)
	}
	for _, d := range v.rep.Deleted {
		if int64(c.Erased) < int64(d.Bodies) {
			v.add("deletion", "entry %d of the room tells of %d deleted bodies, the Kasse's ledger of %d", d.Seq, d.Bodies, c.Erased)
		}
	}
}

// ReadKey takes a public key of a ledger as text, or the name of a file that holds it.
func ReadKey(text string) (string, error) {
	const parts = 2 // name+hash+key
	b, err := os.ReadFile(text)
	switch {
	case err == nil:
		return string(bytes.TrimSpace(b)), nil
	case strings.Count(text, "+") >= parts:
		return strings.TrimSpace(text), nil
	}
	return "", fmt.Errorf("reading the room's public key (a file such as ledger.pub, or its text): %w", err)
}
