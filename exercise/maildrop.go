package exercise

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A maildrop lies in a directory like a Maildir: a mail is written elsewhere on
// the same file system, and moved to new when it is whole and durable. Its name is
//
//	<number>-<start of the server>,S=<octets>
//
// so that a restart needs to read names only and a UIDL never comes twice.

// errBusy says that another session holds the maildrop.
var errBusy = errors.New("maildrop is in use")

// mail is one stored mail.
type mail struct {
	uid  string // name without size: the UIDL
	size int64  // octets
}

func (m *mail) file() string { return m.uid + ",S=" + strconv.FormatInt(m.size, 10) }

// maildrop is one mailbox. Deliveries and one session run at the same time.
type maildrop struct {
	dir  string
	pool *filePool

	mu     sync.Mutex
	start  string // random per start of the server
	next   uint64
	mails  []mail // durable, not deleted, by number
	locked bool
}

func openMaildrop(dir, start string, pool *filePool) (*maildrop, error) {
	d := &maildrop{dir: dir, pool: pool, start: start}
	if err := os.MkdirAll(filepath.Join(dir, "new"), 0o700); err != nil {
		return nil, fmt.Errorf("opening maildrop: %w", err)
	}
	if err := errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)), d.readNew()); err != nil {
		return nil, fmt.Errorf("opening maildrop %q: %w", dir, err)
	}
	return d, nil
}

func (d *maildrop) readNew() error {
	entries, err := os.ReadDir(filepath.Join(d.dir, "new"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		uid, size, ok := strings.Cut(e.Name(), ",S=")
		number, _, ok2 := strings.Cut(uid, "-")
		octets, err := strconv.ParseInt(size, 10, 64)
		n, err2 := strconv.ParseUint(number, 10, 64)
		if !ok || !ok2 || err != nil || err2 != nil {
			return fmt.Errorf("%q is no mail of this server", e.Name())
		}
		d.mails = append(d.mails, mail{uid: uid, size: octets})
		d.next = max(d.next, n+1)
	}
	slices.SortFunc(d.mails, func(a, b mail) int { return strings.Compare(a.uid, b.uid) })
	return nil
}

// deliver stores a mail. When it returns nil the mail survives a power cut.
func (d *maildrop) deliver(content []byte) error {
	d.mu.Lock()
	m := mail{uid: fmt.Sprintf("%012d-%s", d.next, d.start), size: int64(len(content))}
	d.next++
	d.mu.Unlock()

	path := d.pool.take()
	err := d.pool.write(path, content)
	if err == nil {
		err = os.Rename(path, d.path(&m))
	}
	if err != nil {
		d.pool.giveBack(path)
		return fmt.Errorf("storing mail: %w", err)
	}
	if err := syncDir(filepath.Join(d.dir, "new")); err != nil {
		// The sender will be told that it failed and send it again: one copy more, none less.
		return fmt.Errorf("storing mail: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at, _ := slices.BinarySearchFunc(d.mails, m, func(a, b mail) int { return strings.Compare(a.uid, b.uid) })
	d.mails = slices.Insert(d.mails, at, m)
	return nil
}

func (d *maildrop) path(m *mail) string { return filepath.Join(d.dir, "new", m.file()) }

// lock begins a session: it returns the mails of this moment, or errBusy.
func (d *maildrop) lock() ([]mail, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, errBusy
	}
	d.locked = true
	return slices.Clone(d.mails), nil
}

// unlock ends a session.
func (d *maildrop) unlock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.locked = false
}

func (d *maildrop) read(m *mail) ([]byte, error) {
	content, err := os.ReadFile(d.path(m))
	if err != nil {
		return nil, fmt.Errorf("reading mail: %w", err)
	}
	return content, nil
}

// remove deletes mails; what could not be removed stays in the maildrop.
func (d *maildrop) remove(gone []mail) error {
	if len(gone) == 0 {
		return nil
	}
	removed := make(map[string]bool, len(gone))
	var failed error
	var freed []string
	for i := range gone {
		path, err := d.pool.collect(d.path(&gone[i]))
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		removed[gone[i].uid] = true
		if path != "" {
			freed = append(freed, path)
		}
	}
	if err := syncDir(filepath.Join(d.dir, "new")); err != nil {
		failed = errors.Join(failed, err)
	} else {
		d.pool.giveBack(freed...)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mails = slices.DeleteFunc(d.mails, func(m mail) bool { return removed[m.uid] })
	if failed != nil {
		return fmt.Errorf("deleting mails: %w", failed)
	}
	return nil
}

// waiting is how many mails lie here.
func (d *maildrop) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.mails)
}

// startMark tells one start of the server from every other.
func startMark() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// linger waits for a while or until stop is closed.
func linger(stop <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop:
	}
}
