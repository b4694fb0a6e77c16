package ledger

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLine bounds an entry of an export: far above any that is written.
const maxLine = 64 << 20

// ErrExport says that a file is no export of a ledger.
var ErrExport = errors.New("this is no export of a ledger: want JSON lines, the first with ledger and public_key")

// exportLine is any line of an export.
type exportLine struct {
	Ledger string `json:"ledger"`
	Public string `json:"public_key"`
	Seq    int64  `json:"seq"`
	Body   string `json:"body"`
	Head   string `json:"head"`
	Next   string `json:"succession"` // of keys
}

// CheckExport checks what [Export] wrote with nothing but the public key, which
// comes from elsewhere: the tree is recomputed from the entries and compared with
// every signed head, those of this ledger kept elsewhere (outside) included.
// Origin is the ledger it must be. Every entry whose text can be read is given
// to each, in order.
func CheckExport(r io.Reader, origin, public string, each func(Record) error, outside ...string) (Report, error) {
	v := &verifier{leaves: map[tlog.Hash]int64{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var heads []string
	theirs := ""
	for number := 1; lines.Scan(); number++ {
		var l exportLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return v.report, fmt.Errorf("line %d: %w (%w)", number, ErrExport, err)
		}
		switch {
		case number == 1 && l.Ledger == "":
			return v.report, fmt.Errorf("line 1: %w", ErrExport)
		case number == 1:
			v.fits(l, origin)
			theirs = l.Public
		case l.Next != "":
			theirs += "\n" + successionLine + base64.StdEncoding.EncodeToString([]byte(l.Next))
		case l.Head != "":
			heads = append(heads, l.Head)
		default:
			if err := v.exported(l, each); err != nil {
				return v.report, fmt.Errorf("line %d: %w", number, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return v.report, fmt.Errorf("reading the export: %w", err)
	}
	v.report.Heads = len(heads)
	keys, err := v.keysOf(theirs, public)
	if err != nil {
		return v.report, err
	}
	v.checkHeads(v.of(origin, heads, keys), keys, "stored")
	v.checkHeads(v.of(origin, outside, keys), keys, "witnessed")
	return v.finished()
}

// keysOf are the keys that may have signed an export: ours, and those that follow
// them one by one, each signed for by the one before.
func (v *verifier) keysOf(theirs, ours string) (trust, error) {
	if !SameRoom(theirs, ours) {
		v.add(0, 0, "head", "this is the ledger of another room, or its key was replaced and ours did not sign for that: its key is %s, not %s", CurrentKey(theirs), CurrentKey(ours))
	}
	keys, err := parseTrust(Longest(theirs, ours))
	v.report.Keys = keys.successions
	return keys, err
}

// fits says when an export is of another ledger.
func (v *verifier) fits(l exportLine, origin string) {
	if l.Ledger != origin {
		v.add(0, 0, "head", "this is the ledger %q, not %q", l.Ledger, origin)
	}
}

// exported takes one entry; each may end the check with an error of its own.
func (v *verifier) exported(l exportLine, each func(Record) error) error {
	next := v.size() + 1
	if l.Seq < next {
		v.add(l.Seq, l.Seq, "reordered", "entry %d comes after entry %d", l.Seq, next-1)
		return nil
	}
	if l.Seq > next {
		v.add(next, l.Seq-1, "missing", "entries %d to %d are missing", next, l.Seq-1)
		if err := v.skipTo(l.Seq); err != nil {
			return err
		}
	}
	if n := bodySeq(l.Body); n != l.Seq {
		v.add(l.Seq, l.Seq, "reordered", "entry %d carries number %d", l.Seq, n)
	}
	if err := v.push(tlog.RecordHash([]byte(l.Body))); err != nil {
		return err
	}
	var rec Record
	if err := json.Unmarshal([]byte(l.Body), &rec); err != nil {
		v.add(l.Seq, l.Seq, "altered", "entry %d cannot be read", l.Seq)
		return nil //nolint:nilerr // it is in the report
	}
	return each(rec)
}

// skipTo goes on after a gap; no head fits any more, which is reported as well.
func (v *verifier) skipTo(seq int64) error {
	const most = 1 << 20 // a number out of all proportion is no reason to hash for hours
	if seq-v.size() > most {
		return fmt.Errorf("entry %d follows entry %d: %w", seq, v.size(), ErrExport)
	}
	for v.size() < seq-1 {
		if err := v.push(tlog.Hash{}); err != nil {
			return err
		}
	}
	return nil
}

// of keeps the heads of one ledger; what is signed for another is reported.
func (v *verifier) of(origin string, heads []string, keys trust) []string {
	var out []string
	for _, text := range heads {
		if h, err := keys.head(text); err == nil && h.Origin != origin {
			v.add(0, 0, "head", "a head is of the ledger %q, not %q", h.Origin, origin)
			continue
		}
		out = append(out, text)
	}
	return out
}

// finished fills in the root.
func (v *verifier) finished() (Report, error) {
	if size := v.size(); size > 0 {
		root, err := tlog.TreeHash(size, v)
		if err != nil {
			return Report{}, fmt.Errorf("hashing the ledger: %w", err)
		}
		v.report.Root = root.String()
	}
	if v.report.Problems == nil {
		v.report.Problems = []Problem{} // JSON readers expect a list
	}
	return v.report, nil
}
