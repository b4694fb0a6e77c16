package exercise

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Names of the books in the directory of an exercise.
const (
	SentBook     = "sent.csv"      // practices: every mail that the mail server took
	RefusedBook  = "refused.csv"   // practices: every error message of a Kasse
	ReceivedBook = "received.csv"  // regular systems: every document that they took, once
	RepeatedBook = "repeated.csv"  // regular systems: documents that they had already, or refused
	ItemsBook    = "items.csv"     // regular systems: every item that was handed over, with its result; the last line of an item holds
	ChangedBook  = "changed.csv"   // regular systems: records that clerks changed by hand
	AskedBook    = "employers.csv" // employers: every request and its answer
)

// Columns of the books. The first four are the same in sent and received.
var (
	sentColumns     = []string{"id", "sha256", "kasse", "time", "message_id", "note"}
	refusedColumns  = []string{"id", "sha256", "kasse", "time", "message_id", "code"}
	receivedColumns = []string{"id", "sha256", "kasse", "time", "via", "status", "item", "reason"}
)

// Sent is a line of the practices' book.
type Sent struct {
	ID        string    // of the document, the UUID without "urn:uuid:"
	SHA256    string    // of the document as a file, hexadecimal
	Kasse     string    // IK of the Kasse whose mailbox it was sent to
	Time      time.Time // simulated
	MessageID string    // with angle brackets
	Note      string    // what it is, in words of the practices, see noteWords
}

// How a document came to a regular system.
const (
	ViaMail     = "mail"
	ViaHandover = "handover"
)

// What a regular system did with a document.
const (
	StatusAccepted  = "accepted"
	StatusDuplicate = "duplicate" // it had the same document of the same Kasse
	StatusHeld      = "held"      // put aside for people, with the reason
	StatusRefused   = "refused"   // answered with an error message (policy of 2023)
	StatusConflict  = "conflict"  // on file beside a record that was changed here before the cut, until people decide
)

// Received is a line of the regular systems' book.
type Received struct {
	ID     string
	SHA256 string
	Kasse  string
	Time   time.Time // simulated
	Via    string    // ViaMail or ViaHandover
	Status string    // StatusAccepted, StatusDuplicate, StatusHeld, StatusRefused or StatusConflict
	Item   string    // id in the journal of the emergency operation, if it came from there
	Reason string    // why it is held
}

// book is a CSV file that only grows. Lines are durable after sync, not before;
// a line cut off by a crash was never acknowledged and is dropped at open.
// Safe for concurrent use.
type book struct {
	mu  sync.Mutex
	f   *os.File
	buf bytes.Buffer
	err error // the first failure; the book takes nothing more
}

// openBook opens or makes a book and returns the lines it holds, without the title.
func openBook(dir, name string, columns []string) (*book, [][]string, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening book: %w", err)
	}
	lines, err := recoverBook(f, columns)
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("opening book %q: %w", path, err), f.Close())
	}
	return &book{f: f}, lines, nil
}

// recoverBook cuts off a torn last line, writes the title into an empty book and
// leaves the file positioned at its end.
func recoverBook(f *os.File, columns []string) ([][]string, error) {
	all, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(all, '\n') + 1
	if err := f.Truncate(int64(whole)); err != nil {
		return nil, err
	}
	if _, err := f.Seek(int64(whole), io.SeekStart); err != nil {
		return nil, err
	}
	if whole > 0 {
		return parseBook(bytes.NewReader(all[:whole]), columns)
	}
	b := &book{f: f}
	b.add(columns...)
	return nil, b.sync()
}

func parseBook(r io.Reader, columns []string) ([][]string, error) {
	lines, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 || !slices.Equal(lines[0], columns) {
		return nil, fmt.Errorf("the title is not %q", columns)
	}
	return lines[1:], nil
}

// add appends a line; it is kept in memory until sync.
func (b *book) add(fields ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := csv.NewWriter(&b.buf)
	for i, f := range fields { // a line break would survive quoting, but not the cut at a torn line
		fields[i] = oneLine(f)
	}
	_ = w.Write(fields) // into memory: cannot fail with these fields
	w.Flush()
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, s)
}

// sync makes all lines durable that were added before.
func (b *book) sync() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || b.buf.Len() == 0 {
		return b.err
	}
	if _, err := b.f.Write(b.buf.Bytes()); err != nil {
		b.err = fmt.Errorf("writing book: %w", err)
		return b.err
	}
	b.buf.Reset()
	if err := b.f.Sync(); err != nil {
		b.err = fmt.Errorf("writing book: %w", err)
	}
	return b.err
}

func (b *book) close() error {
	return errors.Join(b.sync(), b.f.Close())
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeDurably makes a file that does not exist yet.
func writeDurably(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s *Sent) fields() []string {
	return []string{s.ID, s.SHA256, s.Kasse, s.Time.Format(time.RFC3339), s.MessageID, s.Note}
}

func (r *Received) fields() []string {
	return []string{r.ID, r.SHA256, r.Kasse, r.Time.Format(time.RFC3339), r.Via, r.Status, r.Item, r.Reason}
}

func readBook(path string, columns []string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading book: %w", err)
	}
	lines, err := parseBook(f, columns)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading book %q: %w", path, err)
	}
	return lines, nil
}

// ReadSent reads the practices' book.
func ReadSent(path string) ([]Sent, error) {
	lines, err := readBook(path, sentColumns)
	if err != nil {
		return nil, err
	}
	all := make([]Sent, len(lines))
	for i, l := range lines {
		t, err := time.Parse(time.RFC3339, l[3])
		if err != nil {
			return nil, fmt.Errorf("reading book %q, line %d: %w", path, i+2, err)
		}
		all[i] = Sent{ID: l[0], SHA256: l[1], Kasse: l[2], Time: t, MessageID: l[4], Note: l[5]}
	}
	return all, nil
}

// ReadReceived reads both books of the regular systems in a directory: what was
// taken, then what was not because it repeats or was refused.
func ReadReceived(dir string) ([]Received, error) {
	var all []Received
	for _, name := range [...]string{ReceivedBook, RepeatedBook} {
		lines, err := readBook(filepath.Join(dir, name), receivedColumns)
		if err != nil {
			return nil, err
		}
		for i, l := range lines {
			r, err := receivedOf(l)
			if err != nil {
				return nil, fmt.Errorf("reading book %q, line %d: %w", name, i+2, err)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

func receivedOf(l []string) (Received, error) {
	t, err := time.Parse(time.RFC3339, l[3])
	if err != nil {
		return Received{}, err
	}
	return Received{ID: l[0], SHA256: l[1], Kasse: l[2], Time: t, Via: l[4], Status: l[5], Item: l[6], Reason: l[7]}, nil
}
