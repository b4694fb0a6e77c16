package web_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/catalogue"
)

// photograph is a JPEG of a barcode: four pixels a module, with a margin.
func photograph(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("../pure/barcode/testdata", name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	one, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	const scale, margin = 4, 50
	g := image.NewGray(image.Rect(0, 0, one.Bounds().Dx()*scale+2*margin, one.Bounds().Dy()*scale+2*margin))
	for i := range g.Pix {
		x, y := i%g.Stride-margin, i/g.Stride-margin
		g.Pix[i] = 255
		if at := image.Pt(x/scale, y/scale); x >= 0 && y >= 0 && at.In(one.Bounds()) {
			r, _, _, _ := one.At(at.X, at.Y).RGBA()
			g.Pix[i] = byte(r >> 8)
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, g, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// upload posts an image as a browser does.
func (h *house) upload(path, person string, file []byte, change ...func(*http.Request)) page {
	h.t.Helper()
	return h.uploadAs(path, [2]string{"bild", "foto.jpg"}, map[string]string{"als": person}, file, change...)
}

// uploadAs posts a form with a file: the name of its field, and its own.
func (h *house) uploadAs(path string, name [2]string, fields map[string]string, file []byte, change ...func(*http.Request)) page {
	h.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for k, v := range fields {
		if err := form.WriteField(k, v); err != nil {
			h.t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile(name[0], name[1])
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		h.t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		h.t.Fatal(err)
	}
	asForm := func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(&body), int64(body.Len())
		r.Header.Set("Content-Type", form.FormDataContentType())
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return h.ask(http.MethodPost, path, nil, true, append([]func(*http.Request){asForm}, change...)...)
}

func TestPaperIsPhotographedOnTheScreen(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // where a careless form would leave the image
	h := newHouse(t, catalogue.Example(1), true)
	k := intake(h)
	at := "/notbetrieb/eau/" + string(k)
	h.get(at).is(http.StatusOK).sound().says("Foto oder Scan")
	photo := photograph(t, "form-level5")

	to := h.upload(at+"/papierbild", "operator", photo).is(http.StatusSeeOther).location
	h.get(to).is(http.StatusOK).sound().says("Die Bescheinigung ist aufgenommen", "1 angenommen")
	h.upload(at+"/papierbild", "operator", photo).is(http.StatusSeeOther)
	h.get(at).says("1 angenommen", "1 doppelt")

	// More than any other form may have, in memory only.
	h.upload(at+"/papierbild", "operator", append(photo, make([]byte, 4<<20)...)).is(http.StatusSeeOther)
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	h.upload(at+"/papierbild", "operator", append(photo, make([]byte, 12<<20)...)).is(http.StatusRequestEntityTooLarge).says("11 MiB")

	h.upload(at+"/papierbild", "operator", photograph(t, "second-level3")).is(http.StatusUnprocessableEntity).says("Kein Barcode in dem Bild gehört")
	blank := image.NewGray(image.Rect(0, 0, 300, 100))
	var white bytes.Buffer
	if err := png.Encode(&white, blank); err != nil {
		t.Fatal(err)
	}
	h.upload(at+"/papierbild", "operator", white.Bytes()).is(http.StatusUnprocessableEntity).says("kein lesbarer Barcode")
	h.upload(at+"/papierbild", "operator", bomb(t)).is(http.StatusUnprocessableEntity).says("40 Millionen")
	h.upload(at+"/papierbild", "operator", []byte("<svg/>")).is(http.StatusUnprocessableEntity).says("PNG oder JPEG")
	h.upload(at+"/papierbild", "operator", nil).is(http.StatusUnprocessableEntity).says("Bild der Bescheinigung")
	h.upload(at+"/papierbild", "", photo).is(http.StatusUnprocessableEntity).says("wer handelt")
	h.upload(at+"/papierbild", "press", photo).is(http.StatusConflict)
	h.get(at).says("1 angenommen", "2 doppelt")
}

// bomb is a small file that says it has 900 million pixels.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	b := out.Bytes()
	copy(b[16:24], []byte{0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30})
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestAForeignPageCannotUpload(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	k := intake(h)
	at := "/notbetrieb/eau/" + string(k)
	photo := photograph(t, "form-level5")
	for name, change := range map[string]func(*http.Request){
		"another site":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"an old browser":    func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://boese.example") },
		"another name":      func(r *http.Request) { r.Host = "boese.example" },
		"without admission": func(r *http.Request) { r.Header.Del("Cookie") },
	} {
		p := h.upload(at+"/papierbild", "operator", photo, change)
		if p.status < 400 || p.status >= 500 {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	// The larger limit is of this form alone.
	big := url.Values{"als": {"operator"}, "barcode": {strings.Repeat("x", 200<<10)}}
	h.post(at+"/papier", big).is(http.StatusBadRequest)
	h.get(at).says("0 angenommen")
}
