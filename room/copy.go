package room

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// The continuous copy follows a running room to a second place, a directory on
// another disk or machine. Every cycle writes what changed as a new file, then
// copy.json, which names all files and is replaced at once: whoever reads it sees
// one state of the room, in which the room's store is the newest.
const (
	copyFile   = "copy.json"  // written last in each cycle
	placeFile  = "place.json" // says that the directory is meant for this room
	copyGather = 200 * time.Millisecond
	copyPause  = 2 * time.Second
)

// Limits after which a store is written whole again.
const maxSegments = 100

// CopyState is copy.json.
type CopyState struct {
	Manifest
	Generation int64       `json:"generation"`
	Node       string      `json:"node"`
	Stores     []StoreCopy `json:"stores"`
}

// StoreCopy is one store: its segments give the file when applied in order.
type StoreCopy struct {
	Name     string       `json:"name"`
	Segments []BackupFile `json:"segments"`
}

// CopyStatus says how the continuous copy stands.
type CopyStatus struct {
	To     string    `json:"to"`
	At     time.Time `json:"at,omitzero"` // state of the room that the copy holds
	Bytes  int64     `json:"bytes"`       // of the copy
	Sealed bool      `json:"sealed"`
	Behind bool      `json:"behind"`          // the room's store has changed since, or what was deleted is still in it
	Error  string    `json:"error,omitempty"` // of the last cycle
}

// copier is owned by RunCopy; mu guards what others read.
type copier struct {
	room   *Room
	dir    string
	run    string // begins the names of this process's files
	next   int
	stores map[string]*storeCopier
	follow map[string]*db.Follower // of stores in PostgreSQL
	files  map[string]BackupFile   // key files by their plain name, with the hash of the content
	sums   map[string]string
	to     string // recipients that the files are sealed to, as text
	dirty  bool   // something was written that copy.json does not name yet

	mu     sync.Mutex
	status CopyStatus
	anew   map[string]bool // stores of which no older page may stay
	sweeps bool            // such stores are being written whole
	copied <-chan struct{} // closed when the room's store changes after what the copy holds; nil before the first cycle
}

type storeCopier struct {
	changed  <-chan struct{}
	sums     *pageSums
	segments []BackupFile
	head     *SignedHead
	size     int64 // of its ledger
}

func newCopier(r *Room, dir string) *copier {
	return &copier{
		room: r, dir: dir, run: strings.ToLower(rand.Text()[:8]), stores: map[string]*storeCopier{}, follow: map[string]*db.Follower{},
		files: map[string]BackupFile{}, sums: map[string]string{}, status: CopyStatus{To: dir}, anew: map[string]bool{},
	}
}

// place is place.json: it keeps a room from writing into a mount point whose
// disk is missing, or over the copy of another room.
type placeMark struct {
	Public string `json:"public_key"`
}

// ErrNoPlace says that the directory of the continuous copy is not there.
var ErrNoPlace = errors.New("the second place is not there: attach it, or prepare it with: leitstand copy init")

// PreparePlace makes a directory the second place of a room.
func PreparePlace(data, dir string) error {
	public, err := ledger.LoadPublic(data)
	if err != nil {
		return err
	}
	if err := newDir(dir); err != nil {
		return err
	}
	b, err := json.Marshal(placeMark{Public: public})
	if err != nil {
		return fmt.Errorf("preparing the second place: %w", err)
	}
	if _, err := writeDurable(filepath.Join(dir, placeFile), append(b, '\n'), nil); err != nil {
		return fmt.Errorf("preparing the second place: %w", err)
	}
	return nil
}

// checkPlace says whether a directory is the second place of the room with this key.
func checkPlace(dir, public string) error {
	b, err := os.ReadFile(filepath.Join(dir, placeFile))
	if err != nil {
		return fmt.Errorf("%q: %w (%w)", dir, ErrNoPlace, err)
	}
	var m placeMark
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("reading %s of the second place: %w", placeFile, err)
	}
	if !ledger.SameRoom(m.Public, public) {
		return fmt.Errorf("%q is the second place of another room (%s)", dir, m.Public)
	}
	return nil
}

// RunCopy copies to Options.CopyTo until ctx ends; without it, it only waits.
// A cycle that fails is logged, shown, and tried again. When the second place says
// that another machine has taken over, the room writes no more.
func (r *Room) RunCopy(ctx context.Context) error {
	if r.copier == nil {
		<-ctx.Done()
		return nil
	}
	defer r.copier.unfollow()
	failed := ""
	for {
		err := r.copier.cycle(ctx)
		switch {
		case errors.Is(err, db.ErrClosed), ctx.Err() != nil:
			return nil // the room closes: the next start copies what is missing
		case err != nil && err.Error() != failed:
			r.opt.Log.Error("the continuous copy is behind", slog.Any("error", err))
		}
		failed = ""
		if err != nil {
			failed = err.Error()
		}
		if !r.copier.wait(ctx) {
			return nil
		}
	}
}

// wait lets writes gather and returns when the room has changed or it is time to
// look at the journals and at who may write; false when ctx has ended.
func (c *copier) wait(ctx context.Context) bool {
	var changed <-chan struct{}
	if s := c.stores[c.room.Store.Name()]; s != nil {
		changed = s.changed
	}
	for _, pause := range []time.Duration{copyGather, copyPause} {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		case <-after(pause == copyPause, changed):
			return true
		}
	}
	return true
}

// after is the channel when it counts, else one that never fires.
func after(counts bool, c <-chan struct{}) <-chan struct{} {
	if counts {
		return c
	}
	return nil
}

// cycle brings the copy up to date.
func (c *copier) cycle(ctx context.Context) error {
	err := c.tryCycle(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Error = ""
	if err != nil {
		c.status.Error = err.Error()
	}
	return err
}

func (c *copier) tryCycle(ctx context.Context) error {
	r := c.room
	if err := c.forgotten(); err != nil {
		return err
	}
	if err := r.lookForFence(ctx); err != nil {
		return err
	}
	now := r.Now()
	to, err := recipients(ctx, r, none{})
	if err != nil {
		return err
	}
	if text := fmt.Sprint(to); text != c.to { // who may read has changed: all of it anew
		c.stores, c.files, c.sums, c.to = map[string]*storeCopier{}, map[string]BackupFile{}, map[string]string{}, text
	}
	names, err := c.copyAll(ctx, to)
	if err != nil {
		return err
	}
	if c.dirty {
		if err := c.publish(ctx, names, now); err != nil {
			return err
		}
		c.dirty = false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.At, c.copied, c.sweeps = now, c.stores[r.Store.Name()].changed, false
	return nil
}

// copyAll copies the journals, then the room's store, then the key files.
func (c *copier) copyAll(ctx context.Context, to Recipients) (names []string, err error) {
	r := c.room
	kassen, err := r.Journals.List(ctx)
	if err != nil {
		return nil, err
	}
	one := func(d *db.DB, k catalogue.KasseID) error {
		names = append(names, d.Name())
		return c.copyStore(ctx, d, k, to)
	}
	for _, k := range kassen {
		j, err := r.Journals.Open(ctx, k)
		if err != nil {
			return nil, err
		}
		if err := one(j.Store(), k); err != nil {
			return nil, err
		}
	}
	if err := one(r.Store, ""); err != nil {
		return nil, err
	}
	return names, c.copyKeys(to)
}

func (c *copier) copyStore(ctx context.Context, d *db.DB, k catalogue.KasseID, to Recipients) error {
	s := c.stores[d.Name()]
	if s == nil {
		s = &storeCopier{}
	} else if same, err := s.holds(ctx, d); err != nil || same {
		return err
	}
	keys, err := to.of(k)
	if err != nil {
		return err
	}
	changed := d.Changed() // before reading: nothing is missed
	size, err := ledger.Size(ctx, d)
	if err != nil {
		return err
	}
	h, ok, err := ledger.Newest(ctx, d, c.room.Public())
	if err != nil {
		return err
	}
	whole := s.sums == nil || len(s.segments) >= maxSegments || grown(s.segments)
	old := s.sums
	if whole {
		old = nil
	}
	file, err := c.fileOf(ctx, d)
	if err != nil {
		return err
	}
	f, sums, err := writeSegment(ctx, file, c.newName(d.Name(), len(keys) > 0), old, keys)
	if err != nil {
		return fmt.Errorf("copying %q: %w", d.Name(), err)
	}
	if whole {
		s.segments = nil
	}
	if f.Name != "" {
		s.segments = append(slices.Clone(s.segments), f)
	}
	s.changed, s.sums, s.size = changed, sums, size
	if ok {
		s.head = &SignedHead{Ledger: d.Name(), Size: h.Size, Root: h.Root.String(), Note: h.Note}
	}
	c.stores[d.Name()] = s
	c.dirty = c.dirty || f.Name != ""
	return nil
}

// grown says that the changes take more room than the whole.
func grown(segments []BackupFile) bool {
	var sum int64
	for _, s := range segments[1:] {
		sum += s.Size
	}
	return sum > segments[0].Size
}

func (c *copier) newName(store string, sealed bool) string {
	c.next++
	name := fmt.Sprintf("%s-%s-%06d.pages", store, c.run, c.next)
	if sealed {
		name += sealedSuffix
	}
	return filepath.Join(c.dir, name)
}

// copyKeys copies key files whose content changed.
func (c *copier) copyKeys(to Recipients) error {
	keys, err := to.of("")
	if err != nil {
		return err
	}
	for _, name := range keyFiles {
		content, err := keyFile(c.room.opt.Data, name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("copying %s: %w", name, err)
		}
		sum := sha256.Sum256(content)
		if c.sums[name] == hex.EncodeToString(sum[:]) {
			continue
		}
		// A name of its own: until copy.json is replaced, the file before is the valid one.
		c.next++
		final := fmt.Sprintf("%s-%06d-%s", c.run, c.next, name)
		if len(keys) > 0 {
			final += sealedSuffix
		}
		f, err := writeDurable(filepath.Join(c.dir, final), content, keys)
		if err != nil {
			return fmt.Errorf("copying %s: %w", name, err)
		}
		c.files[name], c.sums[name], c.dirty = f, hex.EncodeToString(sum[:]), true
	}
	return nil
}

// publish makes the new state the valid one and removes files that no state needs.
func (c *copier) publish(ctx context.Context, names []string, now time.Time) error {
	g, err := generation(ctx, c.room.Store)
	if err != nil {
		return err
	}
	st := CopyState{
		Manifest:   Manifest{Room: c.room.Settings.Name, Made: now, Public: c.room.Public()},
		Generation: g, Node: nodeName(),
	}
	var bytes int64
	for _, name := range names {
		s := c.stores[name]
		st.Stores = append(st.Stores, StoreCopy{Name: name, Segments: s.segments})
		if s.head != nil {
			st.Heads = append(st.Heads, *s.head)
		}
		for _, f := range s.segments {
			bytes += f.Size
		}
	}
	for _, name := range keyFiles {
		if f, ok := c.files[name]; ok {
			st.Files = append(st.Files, f)
		}
	}
	b, err := json.MarshalIndent(st, "", " ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", copyFile, err)
	}
	if err := c.mayPublish(ctx); err != nil { // again: copying took a while
		return err
	}
	if _, err := writeDurable(filepath.Join(c.dir, copyFile), b, nil); err != nil {
		return fmt.Errorf("writing %s: %w", copyFile, err)
	}
	c.mu.Lock()
	c.status.Bytes, c.status.Sealed = bytes, st.sealed()
	c.mu.Unlock()
	return c.sweep(st)
}

// sweep removes files that copy.json does not name.
func (c *copier) sweep(st CopyState) error {
	keep := map[string]bool{copyFile: true, placeFile: true, fenceFile: true}
	for _, f := range st.Files {
		keep[f.Name] = true
	}
	for _, s := range st.Stores {
		for _, f := range s.Segments {
			keep[f.Name] = true
		}
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("tidying the copy: %w", err)
	}
	for _, e := range entries {
		ours := strings.Contains(e.Name(), ".pages") || strings.HasSuffix(e.Name(), ".part") || oldKey(e.Name())
		if e.IsDir() || keep[e.Name()] || !ours {
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("tidying the copy: %w", err)
		}
	}
	return nil
}

func oldKey(name string) bool {
	return slices.ContainsFunc(keyFiles, func(k string) bool { return strings.HasSuffix(plainName(name), "-"+k) })
}

func copyStatus(_ context.Context, r *Room, _ none) (CopyStatus, error) {
	if r.copier == nil {
		return CopyStatus{}, nil
	}
	r.copier.mu.Lock()
	defer r.copier.mu.Unlock()
	s := r.copier.status
	if r.copier.copied == nil || r.copier.sweeps || len(r.copier.anew) > 0 {
		s.Behind = true
		return s, nil
	}
	select {
	case <-r.copier.copied:
		s.Behind = true
	default:
	}
	return s, nil
}

// nodeName names this machine for people.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unbenannt"
	}
	return name
}
