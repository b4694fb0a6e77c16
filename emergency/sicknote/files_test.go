package sicknote_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/base/db"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"

	"github.com/google/go-cmp/cmp"
)

func TestMailFilesOfEveryKindAreImportedOnce(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	dir := t.TempDir()
	put := func(name string, content []byte) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	put("one.eml", noteMail(t, 1))
	put("box/cur/1700000000.M1P1.host:2,S", noteMail(t, 2))
	put("box/new/1700000000.M2P1.host", noteMail(t, 3))
	put("box/tmp/half", []byte("not delivered yet"))
	put("notes.txt", []byte("no mail"))
	mbox := "From a@b Mon Nov 16 10:00:00 2026\r\n" + string(noteMail(t, 4)) + "\r\n" +
		"From a@b Mon Nov 16 10:00:00 2026\r\nSubject: x\r\n\r\n>From here\r\n>>From there\r\n\r\n"
	put("old.mbox", []byte(mbox))
	got, err := r.intake.Import(t.Context(), address, t0, sicknote.MailFiles(dir, r.intake.MaxMail()))
	must(t, err)
	if diff := cmp.Diff(sicknote.Imported{Read: 5, Stored: 5}, got); diff != "" {
		t.Error(diff)
	}
	s := r.status(t)
	if s.Accepted != 4 || s.Held != 1 {
		t.Errorf("%+v", s)
	}
	_, body, err := r.journal(t).ReadBody(t.Context(), 4, t0, "anna", "Test")
	must(t, err)
	if string(body) != "Subject: x\r\n\r\nFrom here\r\n>From there\r\n" {
		t.Errorf("the second mail of the mbox: %.200q", body)
	}
	got, err = r.intake.Import(t.Context(), address, t0, sicknote.MailFiles(dir, r.intake.MaxMail()))
	if err != nil || got.Stored != 0 || got.Known != 5 {
		t.Errorf("again: %+v %v", got, err)
	}
	r.door.shut.Store(true)
	if _, err = r.intake.Import(t.Context(), address, t0, sicknote.MailFiles(dir, 1<<20)); !errors.Is(err, emergency.ErrNotOpen) {
		t.Errorf("with the door shut: %v", err)
	}
	r.door.shut.Store(false)
	if _, err = r.intake.Import(t.Context(), address, t0, sicknote.MailFiles(filepath.Join(dir, "one.eml"), 100)); err == nil {
		t.Error("a file above the limit was taken")
	}
}

func TestExportHasEveryDocumentAndItsChecksum(t *testing.T) {
	ctx := t.Context()
	r := newRoom(t, db.InDir(t.TempDir()))
	xml := noteXML(t, certificate(1))
	again := noteMail(t, 1)
	r.server.put(address, again, again, torn(t, 2), []byte("no mail"))
	r.poll(t)
	dir := filepath.Join(t.TempDir(), "out")
	act := sicknote.Act{At: t0, Actor: "anna", Reason: "Regelsystem liest Dateien"}
	got, err := r.intake.Export(ctx, kasse, dir, act)
	must(t, err)
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	must(t, err)
	list := sha256.Sum256(sums)
	if got.Files != 3 || got.List != hex.EncodeToString(list[:]) {
		t.Errorf("%+v", got)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(sums)), "\n") {
		digest, name, _ := strings.Cut(line, "  ")
		content, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != digest {
			t.Errorf("%s has another hash", name)
		}
	}
	f, err := os.Open(filepath.Join(dir, "index.csv"))
	must(t, err)
	rows, err := csv.NewReader(f).ReadAll()
	must(t, errors.Join(err, f.Close()))
	if len(rows) != 4 || rows[1][7] != rows[1][0]+".xml" || rows[2][5] == "" {
		t.Errorf("index %q", rows)
	}
	content, err := os.ReadFile(filepath.Join(dir, rows[1][7]))
	if err != nil || string(content) != string(xml) {
		t.Errorf("the first document differs: %v", err)
	}
	if _, err := r.intake.Export(ctx, kasse, dir, act); err == nil {
		t.Error("exported over another export")
	}
	r.journals.Lock()
	if _, err := r.intake.Export(ctx, kasse, filepath.Join(t.TempDir(), "x"), act); !errors.Is(err, emergency.ErrLocked) {
		t.Errorf("exported while locked: %v", err)
	}
}

func TestAProbeDeletesNothing(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	r.door.shut.Store(true) // the regular side still fetches
	r.server.put(address, noteMail(t, 1), torn(t, 2), noteMail(t, 3), noteMail(t, 4))
	got, err := r.intake.Probe(t.Context(), address, t0)
	must(t, err)
	if got.Mails != 4 || got.Tried != 3 || got.Readable != 2 || !got.UIDL || !got.Pipelining || !strings.Contains(got.Problem, "nicht lesbar") {
		t.Errorf("%+v", got)
	}
	if s := r.status(t); s.Stored != 0 || r.server.left(address) != 4 {
		t.Errorf("%+v, left %d", s, r.server.left(address))
	}
}

// barcode is the text of a certificate's barcode; change sets fields by number.
func barcode(change map[int]string) string {
	f := []string{
		"01", "a", "12", "", string(kasse), "A123456789", "1", "00", "00", "721111100", "123456601", "20261120",
		"1", "", "", "", "20261120", "20261127", "20261120", "", "", "", "", "", "", "", "J06.9 G, S51.9 G L", "Überlastung",
	}
	for n, v := range change {
		f[n-1] = v
	}
	return strings.Join(f, "\t")
}

func TestPaperIsReadFromTheScanner(t *testing.T) {
	want := sicknote.Paper{
		Version: "12", Payer: string(kasse), Insured: "A123456789", Status: "1", Group: "00", DMP: "00", BSNR: "721111100", LANR: "123456601",
		Issued: "2026-11-20", Type: eau.Erst, Since: "2026-11-20", Until: "2026-11-27", Determined: "2026-11-20",
		Diagnoses: []eau.Diagnosis{{Code: "J06.9", Certainty: "G"}, {Code: "S51.9", Certainty: "G", Side: "L"}}, Note: "Überlastung",
	}
	for name, scanned := range map[string]string{
		"UTF-8": barcode(nil), "ISO 8859-15": strings.ReplaceAll(barcode(nil), "Ü", "\xdc"), "with line end": barcode(nil) + "\r\n",
	} {
		got, err := sicknote.ParsePaper([]byte(scanned))
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, change := range map[string]map[int]string{
		"other form": {1: "16"}, "employer's copy": {2: "b"}, "old form": {3: "09"}, "no payer": {5: ""}, "payer's check digit": {5: "109034271"},
		"no insured": {6: ""}, "first and follow-up": {14: "1"}, "neither": {13: ""}, "no end": {18: ""}, "no date": {17: "20261340"},
		"first without begin": {17: ""}, "ends before it begins": {18: "20261119"}, "tick": {15: "x"}, "diagnoses": {27: "krank"},
		"seven diagnoses": {27: "J06.9 G, J06.9 G, J06.9 G, J06.9 G, J06.9 G, J06.9 G, J06.9 G"}, "text": {28: strings.Repeat("x", 71)},
	} {
		_, err := sicknote.ParsePaper([]byte(barcode(change)))
		if !errors.Is(err, sicknote.ErrPaper) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "A123456789") {
			t.Errorf("%s: the error names the insured", name)
		}
	}
	if _, err := sicknote.ParsePaper([]byte(barcode(nil) + "\t")); !errors.Is(err, sicknote.ErrPaper) {
		t.Errorf("29 fields: %v", err)
	}
}

func TestPaperIsReadFromAPhotograph(t *testing.T) {
	photo := func(name string) []byte {
		f, err := os.Open(filepath.Join("../../pure/barcode/testdata", name+".png"))
		must(t, err)
		one, err := png.Decode(f)
		must(t, errors.Join(err, f.Close()))
		const scale, margin = 4, 50
		g := image.NewGray(image.Rect(0, 0, one.Bounds().Dx()*scale+2*margin, one.Bounds().Dy()*scale+2*margin))
		for i := range g.Pix {
			at := image.Pt((i%g.Stride-margin)/scale, (i/g.Stride-margin)/scale)
			g.Pix[i] = 255
			if i%g.Stride >= margin && i/g.Stride >= margin && at.In(one.Bounds()) {
				r, _, _, _ := one.At(at.X, at.Y).RGBA()
				g.Pix[i] = byte(r >> 8)
			}
		}
		var out bytes.Buffer
		must(t, jpeg.Encode(&out, g, nil))
		return out.Bytes()
	}
	got, err := sicknote.ReadPaperImage(photo("latin9-level4"))
	must(t, err)
	want, err := sicknote.ParsePaper([]byte(barcode(map[int]string{28: "Überlastung, Straße, 10 €"})))
	must(t, err)
	if len(got) != 1 || !cmp.Equal(got[0].Paper, want) {
		t.Errorf("%+v", got)
	}
	if _, err := sicknote.ReadPaperImage(photo("second-level3")); !errors.Is(err, sicknote.ErrPaper) {
		t.Errorf("another barcode: %v", err)
	}
}

func TestPaperIsTakenOnceAndAnswersEmployers(t *testing.T) {
	ctx := t.Context()
	r := newRoom(t, db.InDir(t.TempDir()))
	p, err := sicknote.ParsePaper([]byte(barcode(nil)))
	must(t, err)
	act := sicknote.Act{At: t0, Actor: "anna", Reason: "Posteingang"}
	m, err := r.intake.TakePaper(ctx, kasse, p, []byte(barcode(nil)), "text/tab-separated-values", act)
	must(t, err)
	if m.Class != sicknote.ClassAccepted || m.Kind != sicknote.DocPaper || m.State != emergency.Pending {
		t.Errorf("%+v", m)
	}
	if m, err = r.intake.TakePaper(ctx, kasse, p, []byte(barcode(nil)), "text/tab-separated-values", act); err != nil || m.Class != sicknote.ClassDuplicate {
		t.Errorf("the same paper again: %+v %v", m, err)
	}
	typed, err := sicknote.TypePaper(p)
	must(t, err)
	if m, err = r.intake.TakePaper(ctx, kasse, p, typed, sicknote.MediaTyped, act); err != nil || m.Class != sicknote.ClassDuplicate {
		t.Errorf("the same paper, typed in: %+v %v", m, err)
	}
	a, err := r.intake.Answer(ctx, sicknote.Request{ID: "r", Employer: "1", Kasse: kasse, Insured: "A123456789", From: "2026-11-20"}, t0)
	if err != nil || a.Code != sicknote.CodeUnfit {
		t.Errorf("%+v %v", a, err)
	}
	r.status(t)
}

func FuzzParsePaper(f *testing.F) {
	f.Add([]byte(barcode(nil)))
	f.Add([]byte(strings.ReplaceAll(barcode(nil), "Ü", "\xdc")))
	f.Fuzz(func(t *testing.T, scanned []byte) {
		p, err := sicknote.ParsePaper(scanned)
		if err == nil && (p.Insured == "" || p.Until == "" || p.Type == "") {
			t.Errorf("%+v was taken for a certificate", p)
		}
	})
}
