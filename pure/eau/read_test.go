package eau_test

import (
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
