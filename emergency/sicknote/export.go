package sicknote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// Exported is what an export wrote.
type Exported struct {
	Files int    `json:"files"`
	List  string `json:"list"` // SHA-256 of SHA256SUMS
}

// Export writes every document of a Kasse that is not a duplicate into a folder,
// one file each, with index.csv (number, id, kind, state, class, held, sha256,
// file) and SHA256SUMS, which comes last: a folder without it is not whole. The
// folder must be empty. It needs an unlock, and the ledger says who did it before
// the first file is written. An export is no handover: there is no receipt.
func (in *Intake) Export(ctx context.Context, k catalogue.KasseID, dir string, act Act) (Exported, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return Exported{}, err
	}
	if err := emptyDir(dir); err != nil {
		return Exported{}, err
	}
	if _, err := j.Opener(ctx); err != nil {
		return Exported{}, err
	}
	err = j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{At: act.At, Actor: act.Actor, Kind: "items.exported", Subject: string(k), Reason: act.Reason})
		return err
	})
	if err != nil {
		return Exported{}, fmt.Errorf("recording the export of Kasse %s: %w", k, err)
	}
	e := &exporter{in: in, journal: j, dir: dir}
	e.rows = append(e.rows, []string{"number", "id", "kind", "state", "received", "held", "sha256", "file"})
	if err := e.items(ctx); err != nil {
		return Exported{}, fmt.Errorf("exporting Kasse %s: %w", k, err)
	}
	return e.finish()
}

func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of an export: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the folder of an export: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%q is not empty: an export needs a folder of its own", dir)
	}
	return nil
}

type exporter struct {
	in      *Intake
	journal *emergency.Journal
	dir     string
	rows    [][]string
	sums    strings.Builder
	files   int
}

func (e *exporter) items(ctx context.Context) error {
	keys := e.in.keysOf(e.journal.Kasse())
	describe := e.in.Describe(keys)
	for after := emergency.Number(0); ; {
		items, err := e.journal.Items(ctx, emergency.Filter{After: after, Limit: 200})
		if err != nil || len(items) == 0 {
			return err
		}
		for _, it := range items {
			after = it.Number
			if it.State == emergency.Duplicate {
				continue
			}
			body, err := e.journal.Body(ctx, it)
			if errors.Is(err, emergency.ErrErased) {
				continue
			}
			if err != nil {
				return err
			}
			c, err := describe(ctx, it, body)
			if err != nil {
				return err
			}
			if err := e.item(it, c); err != nil {
				return err
			}
		}
	}
}

func (e *exporter) item(it emergency.Item, c emergency.Content) error {
	label := it.Number.Label(e.journal.Kasse())
	name := label + extension(c.Media)
	sum := sha256.Sum256(c.Body)
	digest := hex.EncodeToString(sum[:])
	e.rows = append(e.rows, []string{label, it.ID, string(it.Kind), string(it.State), it.Received.Format(time.RFC3339), it.Reason, digest, name})
	return e.write(name, c.Body)
}

func extension(media string) string {
	switch media {
	case "application/fhir+xml":
		return ".xml"
	case "application/pkcs7-mime":
		return ".p7s"
	case "message/rfc822":
		return ".eml"
	case MediaScanned:
		return ".tsv"
	case MediaTyped:
		return ".json"
	}
	return ".bin"
}

// write makes a file durable and adds it to the checksums.
func (e *exporter) write(name string, content []byte) error {
	f, err := os.OpenFile(filepath.Join(e.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing an export: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	sum := sha256.Sum256(content)
	fmt.Fprintf(&e.sums, "%s  %s\n", hex.EncodeToString(sum[:]), name)
	e.files++
	return nil
}

func (e *exporter) finish() (Exported, error) {
	var index bytes.Buffer
	w := csv.NewWriter(&index)
	if err := w.WriteAll(e.rows); err != nil {
		return Exported{}, fmt.Errorf("writing index.csv: %w", err)
	}
	files := e.files
	if err := e.write("index.csv", index.Bytes()); err != nil {
		return Exported{}, err
	}
	list := e.sums.String()
	if err := e.write("SHA256SUMS", []byte(list)); err != nil {
		return Exported{}, err
	}
	sum := sha256.Sum256([]byte(list))
	return Exported{Files: files, List: hex.EncodeToString(sum[:])}, nil
}
