package exercise

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// eauFile is a file of --eau. Its content is sent as it is, whatever it is.
type eauFile struct {
	path string
	id   string
	kind kimmail.Kind
}

// planFiles finds the files below dir, by name, and spreads them over the span.
func (p *plan) planFiles(dir string, from, until time.Time) ([]eauFile, error) {
	var files []eauFile
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f := eauFile{path: path, kind: kimmail.KindDelivery}
		f.id, f.kind = identify(content)
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading sick notes: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there are no files in %q", dir)
	}
	step := until.Sub(from) / time.Duration(len(files)+1)
	for i := range files {
		p.post(i, postFile, from.Add(time.Duration(i+1)*step).Truncate(time.Second))
	}
	return files, nil
}

// identify gives the id that a document states, or one made from its bytes when
// it is unreadable or states nothing usable.
func identify(content []byte) (string, kimmail.Kind) {
	sum := sha256.Sum256(content)
	id := eau.NewID("leitstand-uebung-file", hex.EncodeToString(sum[:]))
	doc, err := eau.Read(content)
	if err != nil {
		return id, kimmail.KindDelivery
	}
	if said := strings.TrimPrefix(doc.Identifier, "urn:uuid:"); said != "" && len(said) < 100 && !strings.ContainsAny(said, "\"\\/ \r\n\t\x00") {
		id = said
	}
	if doc.Kind == eau.KindStorno {
		return id, kimmail.KindCancellation
	}
	return id, kimmail.KindDelivery
}

func (w *practiceWorld) composeFile(e event) (*outgoing, error) {
	f := &w.files[e.note]
	content, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("reading sick note: %w", err)
	}
	o := &outgoing{
		id: f.id, kasse: w.config.EAUKasse, from: practiceAddress(0),
		note: "file " + filepath.Base(f.path), counted: []string{"files"},
	}
	return o, o.wrap(f.kind, e, content)
}
