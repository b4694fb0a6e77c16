package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"leitstand/catalogue"
)

// Group commit: how much of what waits shares one fsync.
const (
	groupFrames = 256
	groupBytes  = 8 << 20
)

const keyTurns = 64

// spoolFile is the spool of one Kasse: one writer, which is the only one that
// touches end, sum and next.
type spoolFile struct {
	kasse catalogue.KasseID
	node  string // that made it
	mark  string // in receipts
	file  *os.File
	sync  func() error
	jobs  chan *spoolJob
	done  chan struct{} // closed when the writer has ended

	gone bool // guarded by Spool.mu

	end  int64 // of what is on disk
	sum  [sha256.Size]byte
	next int64 // number of the next request

	turns [keyTurns]sync.Mutex // of requests with an idempotency key

	mu     sync.Mutex
	open   []*keptRequest // in order
	byKey  map[string]*keptRequest
	counts map[catalogue.PlacementID]*SpoolCounts
	totals map[catalogue.PlacementID]*hashTotal
}

// spoolJob is a frame that wants to be durable.
type spoolJob struct {
	kind frameKind
	n    int64  // of frameDone
	rest []byte // payload behind the number
	// applied is called by the writer once the frame is durable.
	applied func(n, at, size int64)
	result  chan error
}

// keptRequest is what memory knows of a request that waits; its body stays on disk.
type keptRequest struct {
	keptMeta
	number   int64
	at, size int64             // of its frame
	rest     [sha256.Size]byte // SHA-256 of what stands behind its number
}

// keptMeta stands in clear beside the sealed request: nothing that names a person.
type keptMeta struct {
	ID        string                `json:"id"` // for life; the idempotency key towards the regular side unless the client gave one
	Placement catalogue.PlacementID `json:"placement"`
	Epoch     int64                 `json:"epoch"`
	At        time.Time             `json:"at"`
	Key       string                `json:"key,omitempty"`     // hash of the client's idempotency key
	Content   string                `json:"content,omitempty"` // hash of that key and the request
	// Receipt is what the client has, when another gateway gave it; empty: as numbered here.
	Receipt   string `json:"receipt,omitempty"`
	Emergency bool   `json:"emergency,omitempty"` // it came to a door in emergency operation
}

// doneMeta is what became of a request.
type doneMeta struct {
	Delivered bool      `json:"delivered,omitempty"`
	Status    int       `json:"status,omitempty"` // that the regular side answered
	At        time.Time `json:"at"`
	Reason    string    `json:"reason,omitempty"` // of a rejection
	Owner     string    `json:"owner,omitempty"`  // who looks after a rejection
}

// beginMeta is the first frame.
type beginMeta struct {
	Kasse catalogue.KasseID `json:"kasse"`
	Node  string            `json:"node"`
	Made  time.Time         `json:"made"`
	Mark  string            `json:"mark,omitempty"` // in receipts
}

// openSpoolFile opens or makes the spool of a Kasse. The remains of a commit
// that never finished are kept in a file of their own, whose name it returns.
func openSpoolFile(dir string, b beginMeta) (f *spoolFile, remains string, err error) {
	k := b.Kasse
	name := filepath.Join(dir, string(k)+spoolSuffix)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("opening the spool of Kasse %s: %w", k, err)
	}
	f = &spoolFile{
		kasse: k, file: file, sync: file.Sync, jobs: make(chan *spoolJob, groupFrames), done: make(chan struct{}), next: 1,
		byKey: map[string]*keptRequest{}, counts: map[catalogue.PlacementID]*SpoolCounts{}, totals: map[catalogue.PlacementID]*hashTotal{},
	}
	if remains, err = f.load(name); err == nil && f.end == 0 {
		err = f.begin(dir, b)
	}
	if err != nil {
		return nil, remains, errors.Join(fmt.Errorf("opening the spool of Kasse %s: %w", k, err), file.Close())
	}
	go f.write()
	return f, remains, nil
}

// load reads what is there.
func (f *spoolFile) load(name string) (remains string, err error) {
	info, err := f.file.Stat()
	if err != nil {
		return "", err
	}
	var torn int64
	if f.end, torn, f.sum, err = scanFrames(f.file, info.Size(), f.take); err != nil || torn == 0 {
		return "", err
	}
	remains = fmt.Sprintf("%s.unfinished-%d", name, f.end)
	out := make([]byte, torn)
	if _, err := f.file.ReadAt(out, f.end); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if err := WriteDurably(remains, out); err != nil {
		return "", err
	}
	if err := f.file.Truncate(f.end); err != nil {
		return remains, err
	}
	return remains, f.file.Sync()
}

// begin writes the first frame of a new file and makes its name durable.
func (f *spoolFile) begin(dir string, b beginMeta) error {
	b.Made = time.Now().UTC()
	f.node, f.mark = b.Node, b.Mark
	meta, err := json.Marshal(b)
	if err != nil {
		return err
	}
	var buf []byte
	buf, f.sum = appendFrame(nil, frameBegin, 0, f.sum, meta)
	if _, err := f.file.WriteAt(buf, 0); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	f.end = int64(len(buf))
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// take enters a frame of the file into memory.
func (f *spoolFile) take(fr frame) error {
	switch fr.kind {
	case frameBegin:
		var b beginMeta
		if err := json.Unmarshal(fr.payload, &b); err != nil || b.Kasse != f.kasse {
			return fmt.Errorf("%w: it begins as the file of Kasse %q", ErrSpoolDamaged, b.Kasse)
		}
		f.node, f.mark = b.Node, b.Mark
		return nil
	case frameKept:
		n, meta, _, err := splitKept(fr.payload)
		if err != nil {
			return err
		}
		if n != f.next {
			return fmt.Errorf("%w: number %d stands where %d should", ErrSpoolDamaged, n, f.next)
		}
		f.next++
		f.enter(&keptRequest{keptMeta: meta, number: n, at: fr.at, size: fr.size(), rest: sha256.Sum256(fr.payload[8:])})
		return nil
	case frameDone:
		if len(fr.payload) < 8 {
			return fmt.Errorf("%w: a mark without a number", ErrSpoolDamaged)
		}
		var m doneMeta
		if err := json.Unmarshal(fr.payload[8:], &m); err != nil {
			return fmt.Errorf("%w: a mark that cannot be read: %w", ErrSpoolDamaged, err)
		}
		f.leave(int64(binary.BigEndian.Uint64(fr.payload)), m)
		return nil
	}
	return fmt.Errorf("%w: a frame of kind %d", ErrSpoolDamaged, fr.kind)
}

// splitKept takes the payload of a kept request apart.
func splitKept(p []byte) (n int64, meta keptMeta, sealed []byte, err error) {
	if len(p) < 12 || uint64(len(p)-12) < uint64(binary.BigEndian.Uint32(p[8:])) {
		return 0, meta, nil, fmt.Errorf("%w: a request that cannot be read", ErrSpoolDamaged)
	}
	size := int(binary.BigEndian.Uint32(p[8:]))
	if err := json.Unmarshal(p[12:12+size], &meta); err != nil {
		return 0, meta, nil, fmt.Errorf("%w: a request that cannot be read: %w", ErrSpoolDamaged, err)
	}
	return int64(binary.BigEndian.Uint64(p)), meta, p[12+size:], nil
}

// enter counts a request that is durable.
func (f *spoolFile) enter(k *keptRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, k)
	if k.Key != "" {
		f.byKey[k.Key] = k
	}
	c := f.counts[k.Placement]
	if c == nil {
		c = &SpoolCounts{}
		f.counts[k.Placement], f.totals[k.Placement] = c, &hashTotal{}
	}
	f.totals[k.Placement].add(k.number, k.rest)
	c.Kept++
	c.Open++
}

// leave counts what became of a request. A second mark of one changes nothing.
func (f *spoolFile) leave(n int64, m doneMeta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, k := range f.open { // marks come in order: it is one of the first
		if k.number != n {
			continue
		}
		if i == 0 {
			f.open = f.open[1:]
		} else {
			f.open = slices.Delete(f.open, i, i+1)
		}
		c := f.counts[k.Placement]
		c.Open--
		if m.Delivered {
			c.Delivered++
		} else {
			c.Rejected++
		}
		return
	}
}

// write is the writer: everything that waits shares one fsync.
func (f *spoolFile) write() {
	defer close(f.done)
	var broken error
	for first := range f.jobs {
		group := []*spoolJob{first}
		size := len(first.rest)
		for more := true; more && len(group) < groupFrames && size < groupBytes; {
			select {
			case j, ok := <-f.jobs:
				if more = ok; ok {
					group, size = append(group, j), size+len(j.rest)
				}
			default:
				more = false
			}
		}
		if broken == nil {
			broken = f.commit(group)
			continue
		}
		answer(group, broken)
	}
}

// commit makes a group durable and answers it. The error it returns breaks the
// file for this process: after a failed fsync nobody knows what is on disk.
func (f *spoolFile) commit(group []*spoolJob) (broken error) {
	from, sum, n := f.end, f.sum, f.next
	var buf []byte
	ats := make([]int64, len(group))
	for i, j := range group {
		number := j.n
		if j.kind == frameKept {
			number, n = n, n+1
			j.n = number
		}
		ats[i] = from + int64(len(buf))
		payload := append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(j.rest)), uint64(number)), j.rest...)
		buf, sum = appendFrame(buf, j.kind, from, sum, payload)
	}
	if _, err := f.file.WriteAt(buf, from); err != nil { // such as a full disk: what was written is taken back
		err = fmt.Errorf("writing the spool of Kasse %s: %w", f.kasse, err)
		if terr := f.file.Truncate(from); terr != nil {
			broken = errors.Join(err, terr)
		}
		answer(group, err)
		return broken
	}
	if err := f.sync(); err != nil {
		err = fmt.Errorf("syncing the spool of Kasse %s: %w", f.kasse, err)
		answer(group, err)
		return err
	}
	f.end, f.sum, f.next = from+int64(len(buf)), sum, n
	for i, j := range group {
		to := f.end
		if i+1 < len(ats) {
			to = ats[i+1]
		}
		j.applied(j.n, ats[i], to-ats[i])
	}
	answer(group, nil)
	return nil
}

func answer(group []*spoolJob, err error) {
	for _, j := range group {
		j.result <- err
	}
}

// read gives the sealed form of a request that waits.
func (f *spoolFile) read(k *keptRequest) ([]byte, error) {
	fr, _, err := readFrame(io.NewSectionReader(f.file, k.at, k.size))
	if err != nil {
		return nil, fmt.Errorf("%w: request %d of Kasse %s: %w", ErrSpoolDamaged, k.number, f.kasse, err)
	}
	n, meta, sealed, err := splitKept(fr.payload)
	if err != nil || n != k.number || meta.ID != k.ID {
		return nil, errors.Join(fmt.Errorf("%w: request %d of Kasse %s", ErrSpoolDamaged, k.number, f.kasse), err)
	}
	return sealed, nil
}

func (f *spoolFile) close() error {
	close(f.jobs)
	<-f.done
	return f.file.Close()
}
