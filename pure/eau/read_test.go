package eau_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/pure/eau"
)

// shared is where the corpora lie; a clone has none.
const shared = "../../../shared/data/eau"

func hasCorpus() bool {
	_, err := os.Stat(filepath.FromSlash(shared))
	return err == nil
}

// corpus calls f with every XML file under dir of the shared data, and leaves
// the test out where there is none.
func corpus(t *testing.T, dir string, f func(name string, b []byte)) {
	t.Helper()
	if !hasCorpus() {
		t.Skipf("suite left out: no corpus at %s", shared)
	}
	walkCorpus(t, dir, f)
}

func walkCorpus(tb testing.TB, dir string, f func(name string, b []byte)) {
	tb.Helper()
	root := filepath.Join(filepath.FromSlash(shared), filepath.FromSlash(dir))
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".xml") {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f(strings.TrimPrefix(filepath.ToSlash(name), filepath.ToSlash(root)+"/"), b)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestReadGivesBackWhatWriteWasGiven(t *testing.T) {
	want := eau.SampleCertificate()
	b, err := eau.Write(want)
	if err != nil {
		t.Fatal(err)
	}
	d, err := eau.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	want.TestNumber = d.Certificate.TestNumber // Write fills it
	want.Timestamp = "2026-11-20T12:00:00Z"    // Write fills it
	if diff := cmp.Diff(&want, d.Certificate); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	if d.Kind != eau.KindEAU || d.ProfileVersion != "1.2" || d.Identifier != "urn:uuid:"+want.ID {
		t.Errorf("got kind %v, profile version %q, identifier %q", d.Kind, d.ProfileVersion, d.Identifier)
	}
}

func TestEveryCorpusFileIsReadWithItsKind(t *testing.T) {
	corpus(t, ".", func(name string, b []byte) {
		d, err := eau.Read(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		switch {
		case strings.HasPrefix(name, "1.") && strings.Contains(name, "/bundles/"):
			if c := d.Certificate; c == nil || strings.Contains(name, "/valid/") &&
				(d.Date == "" || c.Coverage.PayorName == "" || c.Patient.Name.Family == "" || c.Author.Name.Family == "") {
				t.Errorf("%s: read as %v %+v", name, d.Kind, d)
			}
		case strings.HasPrefix(name, "storno-bundles"):
			if d.Kind != eau.KindStorno || d.Storno.Cancels == "" {
				t.Errorf("%s: read as %v", name, d.Kind)
			}
		case strings.Contains(name, "ehler"):
			if d.Kind != eau.KindError || d.Error.Code == "" {
				t.Errorf("%s: read as %v", name, d.Kind)
			}
		}
	})
}

// What is read or found must not point into buffers that the next document fills.
func TestNothingPointsIntoTheBuffer(t *testing.T) {
	c := eau.SampleCertificate()
	b, err := eau.Write(c)
	if err != nil {
		t.Fatal(err)
	}
	broken := bytes.Replace(b, []byte("721111100"), []byte("72111110"), 1)
	broken = bytes.Replace(broken, []byte("<name>"), []byte(`<name fremd="x">`), 1)
	doc, rep := eau.ReadAndCheck(broken, eau.Options{})
	other, err := eau.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v %+v %+v %+v", *doc.Certificate, *doc, rep, *other.Certificate)
	clear(broken)
	clear(b)
	filler := bytes.Repeat([]byte("x"), 100<<10)
	for range 20 {
		eau.Check(filler, eau.Options{})
		if _, err := eau.Read(filler); err == nil {
			t.Fatal("x is read")
		}
	}
	if after := fmt.Sprintf("%+v %+v %+v %+v", *doc.Certificate, *doc, rep, *other.Certificate); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
}
