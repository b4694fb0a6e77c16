package room

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// sealedSuffix ends the names of files that age has closed.
const sealedSuffix = ".age"

// ErrNoIdentity says that a sealed file is for somebody else.
var ErrNoIdentity = errors.New("none of the identities opens it: give the right one with --identity")

// ParseRecipients reads age recipients, one per entry (age1…).
func ParseRecipients(lines []string) ([]age.Recipient, error) {
	out := make([]age.Recipient, 0, len(lines))
	for _, line := range lines {
		found, err := age.ParseRecipients(strings.NewReader(line))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("recipient %q: want one line as age-keygen prints it (age1…)", line)
		}
		out = append(out, found...)
	}
	return out, nil
}

// ReadIdentities reads files with age identities, as age-keygen writes them.
func ReadIdentities(files ...string) ([]age.Identity, error) {
	const most = 1 << 20
	var out []age.Identity
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading an identity: %w", err)
		}
		ids, err := age.ParseIdentities(io.LimitReader(f, most))
		_ = f.Close() // only read
		if err != nil {
			// The cause is left out: it could quote the secret.
			return nil, fmt.Errorf("file %q holds no age identities (lines with AGE-SECRET-KEY-1…)", name)
		}
		out = append(out, ids...)
	}
	return out, nil
}

// durableFile is a file that exists whole or not at all: it is written beside
// its name, synced, and renamed. With recipients it is closed by age.
type durableFile struct {
	f     *os.File
	final string
	sum   hash.Hash
	size  int64
	age   io.WriteCloser // nil without recipients
}

func createDurable(final string, to []age.Recipient) (*durableFile, error) {
	f, err := os.OpenFile(final+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	d := &durableFile{f: f, final: final, sum: sha256.New()}
	if len(to) > 0 {
		if d.age, err = age.Encrypt(rawWriter{d}, to...); err != nil {
			return nil, errors.Join(fmt.Errorf("sealing %q: %w", filepath.Base(final), err), d.abort())
		}
	}
	return d, nil
}

// rawWriter writes past age, counts and hashes.
type rawWriter struct{ d *durableFile }

func (w rawWriter) Write(b []byte) (int, error) {
	n, err := w.d.f.Write(b)
	w.d.size += int64(n)
	_, _ = w.d.sum.Write(b[:n]) // a hash never fails to write
	return n, err
}

func (d *durableFile) Write(b []byte) (int, error) {
	if d.age != nil {
		return d.age.Write(b)
	}
	return rawWriter{d}.Write(b)
}

// finish makes the file durable under its name.
func (d *durableFile) finish() (BackupFile, error) {
	var err error
	if d.age != nil {
		err = d.age.Close()
	}
	if err = errors.Join(err, d.f.Sync(), d.f.Close()); err == nil {
		err = os.Rename(d.f.Name(), d.final)
	}
	if err == nil {
		err = syncDir(filepath.Dir(d.final))
	}
	if err != nil {
		return BackupFile{}, errors.Join(err, os.RemoveAll(d.f.Name()))
	}
	return BackupFile{Name: filepath.Base(d.final), Size: d.size, SHA256: hex.EncodeToString(d.sum.Sum(nil))}, nil
}

func (d *durableFile) abort() error {
	return errors.Join(d.f.Close(), os.Remove(d.f.Name()))
}

// writeDurable writes a file at once, replacing one of that name.
func writeDurable(final string, content []byte, to []age.Recipient) (BackupFile, error) {
	d, err := createDurable(final, to)
	if err != nil {
		return BackupFile{}, err
	}
	if _, err := io.Copy(d, bytes.NewReader(content)); err != nil {
		return BackupFile{}, errors.Join(err, d.abort())
	}
	return d.finish()
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openSealed opens a file for reading, through age when its name says so.
func openSealed(file string, ids []age.Identity) (io.Reader, func() error, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	if !strings.HasSuffix(file, sealedSuffix) {
		return f, f.Close, nil
	}
	if len(ids) == 0 {
		return nil, nil, errors.Join(fmt.Errorf("%q is sealed: %w", filepath.Base(file), ErrNoIdentity), f.Close())
	}
	r, err := age.Decrypt(f, ids...)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			err = ErrNoIdentity
		}
		return nil, nil, errors.Join(fmt.Errorf("opening %q: %w", filepath.Base(file), err), f.Close())
	}
	return r, f.Close, nil
}

// plainName is the name without the mark of a sealed file.
func plainName(name string) string { return strings.TrimSuffix(name, sealedSuffix) }
