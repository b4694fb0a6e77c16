package containment

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// LogRecord is one line of the local log of the kill switch. Each names the hash
// of the line before, and each is signed and on disk before the next step.
type LogRecord struct {
	Seq    int       `json:"seq"` // from 1
	Prev   string    `json:"prev,omitempty"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Reason string    `json:"reason,omitempty"`
	Act    Act       `json:"act"`
}

// LocalLog records acts in a file, without a database. It is append-only.
type LocalLog struct {
	Key ledger.Key
	Now func() time.Time

	mu   sync.Mutex
	f    *os.File
	seq  int
	prev string
	acts []Act
}

// logLine is how a record stands in the file.
type logLine struct {
	Signed string `json:"signed"`
}

// ErrLog says that a local log is not what was written.
var ErrLog = errors.New("the local log is damaged or was altered")

// OpenLocalLog opens a log, or begins a new one. A log that does not verify is
// refused: take a new file.
func OpenLocalLog(file string, key ledger.Key, now func() time.Time) (*LocalLog, error) {
	l := &LocalLog{Key: key, Now: now}
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the local log: %w", err)
	}
	records, err := ReadLog(b, key.Public)
	if err != nil {
		return nil, err
	}
	if whole := bytes.LastIndexByte(b, '\n') + 1; whole < len(b) { // torn by a crash: that step was not taken
		if err := os.Truncate(file, int64(whole)); err != nil {
			return nil, fmt.Errorf("repairing the local log: %w", err)
		}
		b = b[:whole]
	}
	for _, r := range records {
		l.seq = r.Seq
		l.put(r.Act)
	}
	if lines := bytes.Split(bytes.TrimSpace(b), []byte("\n")); l.seq > 0 {
		l.prev = lineHash(lines[len(lines)-1])
	}
	if l.f, err = os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("opening the local log: %w", err)
	}
	return l, nil
}

// Close closes the file.
func (l *LocalLog) Close() error { return l.f.Close() }

// Record appends one line for each act and syncs the file.
func (l *LocalLog) Record(_ context.Context, kind, reason string, acts ...Act) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range acts {
		text, err := json.Marshal(LogRecord{Seq: l.seq + 1, Prev: l.prev, At: db.Trim(l.Now()), Kind: kind, Reason: reason, Act: a})
		if err != nil {
			return fmt.Errorf("encoding act %q: %w", a.ID, err)
		}
		signed, err := l.Key.Sign(string(text) + "\n")
		if err != nil {
			return err
		}
		line, err := json.Marshal(logLine{signed})
		if err != nil {
			return fmt.Errorf("encoding act %q: %w", a.ID, err)
		}
		if _, err := l.f.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("writing the local log: %w", err)
		}
		l.seq, l.prev = l.seq+1, lineHash(line)
		l.put(a)
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("writing the local log: %w", err)
	}
	return nil
}

func (l *LocalLog) put(a Act) {
	for i := range l.acts {
		if l.acts[i].ID == a.ID {
			l.acts[i] = a
			return
		}
	}
	l.acts = append(l.acts, a)
}

// Acts returns all acts of the log, oldest first.
func (l *LocalLog) Acts(context.Context) ([]Act, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Act(nil), l.acts...), nil
}

// ReadLog verifies every line of a log: signature, number and the hash of the
// line before. A last line without an end was torn by a crash and is left out.
func ReadLog(log []byte, public string) ([]LogRecord, error) {
	log = log[:bytes.LastIndexByte(log, '\n')+1]
	var out []LogRecord
	prev := ""
	in := bufio.NewScanner(bytes.NewReader(log))
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var line logLine
		var r LogRecord
		err := json.Unmarshal(in.Bytes(), &line)
		if err == nil {
			var text string
			if text, err = ledger.Unsign(line.Signed, public); err == nil {
				err = json.Unmarshal([]byte(text), &r)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w: %w", len(out)+1, ErrLog, err)
		}
		if r.Seq != len(out)+1 || r.Prev != prev {
			return nil, fmt.Errorf("line %d does not follow the one before: %w", len(out)+1, ErrLog)
		}
		prev = lineHash(in.Bytes())
		out = append(out, r)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading the local log: %w", err)
	}
	return out, nil
}

func lineHash(line []byte) string {
	h := sha256.Sum256(line)
	return hex.EncodeToString(h[:])
}
