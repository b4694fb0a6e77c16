package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
)

// isCopy says that a directory holds a continuous copy rather than a backup.
func isCopy(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, copyFile))
	return err == nil
}

func readCopy(dir string) (CopyState, error) {
	var st CopyState
	b, err := os.ReadFile(filepath.Join(dir, copyFile))
	if err == nil {
		err = json.Unmarshal(b, &st)
	}
	if err != nil {
		return st, fmt.Errorf("reading the continuous copy in %q: %w", dir, err)
	}
	return st, nil
}

// unpackCopy writes the newest state of a continuous copy into a new directory.
func unpackCopy(ctx context.Context, from, to string, ids []age.Identity) (Manifest, error) {
	return newestState(from, to, func(st CopyState) error { return unpackState(ctx, from, to, st, ids) })
}

// unpackCopied writes the newest state of one store into a new file.
func unpackCopied(from, file, store string, ids []age.Identity) (Manifest, error) {
	return newestState(from, file, func(st CopyState) error {
		i := slices.IndexFunc(st.Stores, func(s StoreCopy) bool { return s.Name == store })
		if i < 0 || len(st.Stores[i].Segments) == 0 {
			return fmt.Errorf("it does not hold the store %q", store)
		}
		return unpackStore(from, file, st.Stores[i], ids)
	})
}

// newestState unpacks a continuous copy to a file or directory. The copy may go on
// meanwhile: then files of the state that was read disappear, and the newer state is taken.
func newestState(from, to string, unpack func(st CopyState) error) (Manifest, error) {
	const tries = 5
	var st CopyState
	for range tries {
		var err error
		if st, err = readCopy(from); err != nil {
			return st.Manifest, err
		}
		if err = unpack(st); err == nil {
			return st.Manifest, nil
		}
		again, rerr := readCopy(from)
		if rerr != nil || again.Made.Equal(st.Made) { // nothing moved on: it is what it is
			return st.Manifest, errors.Join(fmt.Errorf("restoring from the continuous copy: %w", err), rerr)
		}
		if err := os.RemoveAll(to); err != nil {
			return st.Manifest, fmt.Errorf("beginning again with a newer state: %w", err)
		}
	}
	return st.Manifest, fmt.Errorf("the continuous copy in %q changes faster than it can be read: stop the first machine", from)
}

func unpackState(ctx context.Context, from, to string, st CopyState, ids []age.Identity) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, f := range st.Files {
		got, err := hashFile(filepath.Join(from, filepath.Base(f.Name)))
		if err != nil || got.SHA256 != f.SHA256 {
			return fmt.Errorf("file %q: %w", f.Name, errors.Join(ErrSegment, err))
		}
		i := slices.IndexFunc(keyFiles, func(k string) bool { return strings.HasSuffix(plainName(f.Name), "-"+k) })
		if i < 0 {
			return fmt.Errorf("file %q is none of a room: %w", f.Name, ErrSegment)
		}
		if err := unpackFile(filepath.Join(from, f.Name), filepath.Join(to, keyFiles[i]), ids); err != nil {
			return err
		}
	}
	for _, s := range st.Stores {
		if err := ctx.Err(); err != nil {
			return err
		}
		if filepath.Base(s.Name) != s.Name || len(s.Segments) == 0 {
			return fmt.Errorf("store %q: %w", s.Name, ErrSegment)
		}
		if err := unpackStore(from, filepath.Join(to, s.Name+".db"), s, ids); err != nil {
			return fmt.Errorf("store %q: %w", s.Name, err)
		}
	}
	return nil
}

func unpackStore(from, file string, s StoreCopy, ids []age.Identity) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	for _, seg := range s.Segments {
		if err := applySegment(from, seg, out, ids); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(out.Sync(), out.Close())
}
