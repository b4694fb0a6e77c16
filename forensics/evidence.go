package forensics

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Evidence is a named file and the hash of its content. The file itself stays
// with the examiner.
type Evidence struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // lower-case hex
	Size   int64  `json:"size"`   // bytes
}

// Hash reads evidence to its end, in constant memory. Empty evidence is refused.
func Hash(name string, r io.Reader) (Evidence, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return Evidence{}, fmt.Errorf("reading evidence %q: %w", name, err)
	}
	if n == 0 {
		return Evidence{}, fmt.Errorf("evidence %q is empty", name)
	}
	return Evidence{Name: name, SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, nil
}

// HashFile is Hash of a file; its name is kept without the folder.
func HashFile(path string) (Evidence, error) {
	f, err := os.Open(path)
	if err != nil {
		return Evidence{}, fmt.Errorf("opening evidence: %w", err)
	}
	e, err := Hash(filepath.Base(path), f)
	return e, errors.Join(err, f.Close())
}

func checkEvidence(all []Evidence) error {
	if len(all) == 0 {
		return errors.New("no evidence: name at least one file")
	}
	for _, e := range all {
		raw, err := hex.DecodeString(e.SHA256)
		if e.Name == "" || err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != e.SHA256 {
			return fmt.Errorf("evidence %q: a name and a SHA-256 of 64 lower-case hex digits are needed", e.Name)
		}
	}
	return nil
}
