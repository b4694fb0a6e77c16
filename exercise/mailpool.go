package exercise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// filePool keeps the files of deleted mails and lends them to new ones. ext4
// searches long for a free inode when many were freed a moment ago: making a
// file for each mail took half of the server's time. A file in the pool holds
// nothing that anybody was promised; its content is test data.
type filePool struct {
	dir string

	mu    sync.Mutex
	free  []string // paths
	start string
	made  int
}

// maxPool bounds how many files are kept, about 70 MB.
const maxPool = 2000

// openPool takes over what lies in dir: deleted mails, and mails that were cut
// off before they were acknowledged.
func openPool(dir, start string) (*filePool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the pool of mail files: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the pool of mail files: %w", err)
	}
	p := &filePool{dir: dir, start: start}
	for _, e := range entries {
		p.free = append(p.free, filepath.Join(dir, e.Name()))
	}
	return p, nil
}

// take lends a path in the pool; the file may exist, with any content.
func (p *filePool) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		path := p.free[n-1]
		p.free = p.free[:n-1]
		return path
	}
	return p.name()
}

func (p *filePool) name() string {
	p.made++
	return filepath.Join(p.dir, fmt.Sprintf("%s-%d", p.start, p.made))
}

// giveBack returns paths that hold nothing that anybody still needs.
func (p *filePool) giveBack(paths ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, paths...)
}

// collect moves a file that is no longer needed into the pool, or removes it
// when the pool is full (then path is empty). It may be lent again only after
// giveBack, which must wait until the move is durable: else a power cut could
// leave a mail under its old name with the content of the next.
func (p *filePool) collect(file string) (path string, err error) {
	p.mu.Lock()
	full := len(p.free) >= maxPool
	path = p.name()
	p.mu.Unlock()
	if full {
		return "", os.Remove(file)
	}
	return path, os.Rename(file, path)
}

// write puts content into the file at path, whatever it held, durably.
func (p *filePool) write(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
