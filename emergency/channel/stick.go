package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The folders of a shared place, as the two sides see them.
const (
	ToRegular   = "an-regelsystem"
	FromRegular = "vom-regelsystem"
)

// Stick is a folder that is carried from one side to the other: a stick, a
// removable disk. The sender writes to [ToRegular] and reads from
// [FromRegular], the receiver the other way round.
type Stick struct {
	Dir     string // mount point
	Out, In string
}

// Name names the channel.
func (s *Stick) Name() string { return "stick " + filepath.Base(s.Dir) }

// ErrNoStick says that nothing is mounted there.
var ErrNoStick = errors.New("the stick is not there: plug it in")

// folder makes sure that the stick is there before a folder is made on it:
// otherwise files would be written below the empty mount point.
func (s *Stick) folder(name string) (string, error) {
	if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%q: %w", s.Dir, ErrNoStick)
	}
	dir := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a folder on the stick: %w", err)
	}
	return dir, nil
}

// Put writes a file and its manifest; both are synced before it returns.
func (s *Stick) Put(_ context.Context, name string, content []byte) error {
	dir, err := s.folder(s.Out)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, name+manifestSuffix)); err == nil {
		return nil
	}
	m, err := manifestOf(name, content)
	if err == nil {
		err = writeSynced(dir, name, content)
	}
	if err == nil {
		err = writeSynced(dir, name+manifestSuffix, m)
	}
	return err
}

// writeSynced writes a file so that a pulled stick cannot tear it.
func writeSynced(dir, name string, content []byte) (err error) {
	tmp := filepath.Join(dir, name+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing %q: %w", dir, err)
	}
	_ = d.Sync() // FAT has no such thing; the file itself is synced
	return d.Close()
}

// Get reads a file that came.
func (s *Stick) Get(_ context.Context, name string) ([]byte, error) {
	dir, err := s.folder(s.In)
	if err != nil {
		return nil, err
	}
	m, err := readFile(filepath.Join(dir, name+manifestSuffix))
	if err != nil {
		return nil, err
	}
	content, err := readFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	return content, checkManifest(m, name, content)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return b, err
}

// Names lists what came.
func (s *Stick) Names(context.Context) ([]string, error) {
	dir, err := s.folder(s.In)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", dir, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return wholeNames(names), nil
}

// Forget removes a file that came and one that was put.
func (s *Stick) Forget(_ context.Context, came, put string) error {
	var errs []error
	for folder, name := range map[string]string{s.In: came, s.Out: put} {
		if name == "" {
			continue
		}
		for _, n := range []string{name + manifestSuffix, name} { // without its manifest a file is not there
			if err := os.Remove(filepath.Join(s.Dir, folder, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("removing %s: %w", n, err))
			}
		}
	}
	return errors.Join(errs...)
}
