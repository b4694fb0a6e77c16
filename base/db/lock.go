package db

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse says that another process owns the data directory.
var ErrInUse = errors.New("data directory is in use by another process: go on with that one, or stop it first")

// LockDir makes this process the owner of a data directory until release is
// called or the process ends, however it ends.
func LockDir(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // it was never ours
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%q: %w", dir, ErrInUse)
		}
		return nil, fmt.Errorf("locking data directory %q: %w", dir, err)
	}
	return f.Close, nil
}
