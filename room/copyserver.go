package room

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// What lies in a data directory only while something is made of it.
const (
	followDir    = "following"      // files that follow the stores in PostgreSQL
	scratchCopy  = "copy-"          // a store in PostgreSQL as a file, for a backup
	scratchTest  = "restore-test-"  // a backup that is tried
	scratchFirst = "first-machine-" // a copy that is compared
)

// removeScratch removes what a process that was killed has left: stores in clear,
// which outlive their deletion otherwise, and room on the disk.
func removeScratch(data string) error {
	for _, pattern := range []string{followDir, scratchCopy + "*", scratchTest + "*", scratchFirst + "*"} {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			return fmt.Errorf("looking for what was left behind: %w", err)
		}
		for _, f := range found {
			if st, err := os.Lstat(f); err != nil || !st.IsDir() { // ledgers of first machines are kept as files
				continue
			}
			if err := os.RemoveAll(f); err != nil {
				return fmt.Errorf("removing what was left behind: %w", err)
			}
		}
	}
	return nil
}

// holds says that the copy has all of a store. In PostgreSQL other nodes write too,
// unseen by this process: with their next entry in the ledger it is looked at.
func (s *storeCopier) holds(ctx context.Context, d *db.DB) (bool, error) {
	select {
	case <-s.changed:
		return false, nil
	default:
	}
	if !d.OnServer() {
		return true, nil
	}
	size, err := ledger.Size(ctx, d)
	return size == s.size, err
}

// fileOf gives the file whose pages are copied: the store's own, or one that follows
// a store in PostgreSQL and is brought up to date.
func (c *copier) fileOf(ctx context.Context, d *db.DB) (*db.DB, error) {
	if !d.OnServer() {
		return d, nil
	}
	f := c.follow[d.Name()]
	if f == nil {
		var err error
		if f, err = d.Follow(filepath.Join(c.room.opt.Data, followDir)); err != nil {
			return nil, err
		}
		c.follow[d.Name()] = f
	}
	if err := f.Step(ctx); err != nil {
		return nil, err
	}
	return f.File(), nil
}

// forget makes the next cycle write a store whole, so that pages which it no
// longer has are swept from the second place.
func (c *copier) forget(store string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.anew[store] = true
}

// forgotten drops what was copied of the stores that are to be written whole; also
// while the second place is away, the file that follows such a store goes.
func (c *copier) forgotten() error {
	c.mu.Lock()
	anew := c.anew
	c.anew = map[string]bool{}
	c.sweeps = c.sweeps || len(anew) > 0
	c.mu.Unlock()
	for name := range anew {
		delete(c.stores, name)
		f := c.follow[name]
		if f == nil {
			continue
		}
		delete(c.follow, name)
		if err := f.Close(); err != nil {
			c.forget(name)
			return err
		}
	}
	return nil
}

// unfollow removes the files that follow stores in PostgreSQL.
func (c *copier) unfollow() {
	for name, f := range c.follow {
		if err := f.Close(); err != nil {
			c.room.opt.Log.Warn("a file of the continuous copy stays until the next start", slog.String("store", name), slog.Any("error", err))
		}
	}
	clear(c.follow)
}

// mayPublish asks the second place, and on PostgreSQL the database, whether this
// machine still is the one that writes: the copy of the next leader is not to be
// replaced by an older one.
func (c *copier) mayPublish(ctx context.Context) error {
	if err := c.room.lookForFence(ctx); err != nil {
		return err
	}
	if c.room.fence.also == nil {
		return nil
	}
	return c.room.Store.Write(ctx, func(context.Context, *db.Tx) error { return nil })
}
