package barcode_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"leitstand/pure/barcode"
)

// form is the text of a certificate for the Kasse, as long as they usually are.
var form = strings.Join([]string{
	"01", "a", "12", "", "109034270", "A123456789", "1", "00", "00", "721111100", "123456601", "20261120",
	"1", "", "", "", "20261120", "20261127", "20261120", "", "", "", "", "", "", "", "J06.9 G, S51.9 G L", "Ruhe",
}, "\t")

// symbol is a barcode of an independent writer (pdf417gen 0.8.1), one pixel a
// module: testdata/NAME.png, bytes in ISO 8859-15.
func symbol(t testing.TB, name string) image.Image {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// sheet lays a symbol on a page: scaled, turned, on white.
func sheet(s image.Image, scale float64, degrees float64) *image.Gray {
	b := s.Bounds()
	w, h := float64(b.Dx())*scale, float64(b.Dy())*scale
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	margin := 12 * scale
	pw, ph := w*math.Abs(cos)+h*math.Abs(sin)+2*margin, w*math.Abs(sin)+h*math.Abs(cos)+2*margin
	g := image.NewGray(image.Rect(0, 0, int(pw), int(ph)))
	const fine = 2 // samples per pixel and direction
	for y := range g.Rect.Dy() {
		for x := range g.Rect.Dx() {
			sum := 0
			for k := range fine * fine {
				fx := float64(x) + (float64(k%fine)+0.5)/fine - pw/2
				fy := float64(y) + (float64(k/fine)+0.5)/fine - ph/2
				sx, sy := (fx*cos+fy*sin+w/2)/scale, (fy*cos-fx*sin+h/2)/scale
				shade := uint8(255)
				if at := image.Pt(int(math.Floor(sx)), int(math.Floor(sy))); at.In(image.Rect(0, 0, b.Dx(), b.Dy())) {
					r, _, _, _ := s.At(at.X+b.Min.X, at.Y+b.Min.Y).RGBA()
					shade = uint8(r >> 8)
				}
				sum += int(shade)
			}
			g.Pix[y*g.Stride+x] = uint8(sum / fine / fine)
		}
	}
	return g
}

// photograph makes a scan look taken by hand: grey paper, a shadow, noise.
func photograph(g *image.Gray, seed uint64, noise int) *image.Gray {
	r := rand.New(rand.NewPCG(seed, 417))
	out := image.NewGray(g.Rect)
	for y := range g.Rect.Dy() {
		for x := range g.Rect.Dx() {
			v := 40 + int(g.Pix[y*g.Stride+x])*150/255 - 30*x/g.Rect.Dx() + 20*y/g.Rect.Dy()
			out.Pix[y*out.Stride+x] = uint8(min(max(v+r.IntN(2*noise+1)-noise, 0), 255))
		}
	}
	return out
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, img image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func reads(t *testing.T, name string, file []byte, want string) {
	t.Helper()
	got, err := barcode.Decode(file)
	if err != nil || !slices.Equal(got, []string{want}) {
		t.Errorf("%s: %q %v", name, got, err)
	}
}

func TestSymbolsAreReadInEveryDirectionAndAskew(t *testing.T) {
	s := symbol(t, "form-level5")
	scales := []float64{2, 3.4, 5}
	if testing.Short() {
		scales = scales[:1]
	}
	for _, scale := range scales {
		for _, degrees := range []float64{0, 90, 180, 270, 2, -3, 92} {
			reads(t, fmt.Sprintf("scale %v, %v degrees", scale, degrees), asPNG(t, sheet(s, scale, degrees)), form)
		}
	}
	for _, degrees := range []float64{7, -12, 20, 45, 150} {
		reads(t, fmt.Sprintf("%v degrees", degrees), asPNG(t, sheet(s, scales[0]+1, degrees)), form)
	}
}

func TestPhotographsAreRead(t *testing.T) {
	s := symbol(t, "form-level5")
	for i, degrees := range []float64{0, 1.5, -2, 181} {
		reads(t, fmt.Sprintf("%v degrees, noise", degrees), asJPEG(t, photograph(sheet(s, 4, degrees), uint64(i), 25), 80), form)
	}
	page := image.NewRGBA(image.Rect(0, 0, 1748, 2480)) // A5 at 300 dpi, with lines of print around
	draw.Draw(page, page.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	for y := 100; y < 2000; y += 60 {
		for x := 80; x < 1600; x += 9 + x%13 {
			draw.Draw(page, image.Rect(x, y, x+4, y+20+x%17), image.NewUniform(color.Black), image.Point{}, draw.Src)
		}
	}
	at := sheet(s, 4, 1)
	draw.Draw(page, at.Rect.Add(image.Pt(300, 2050)), at, image.Point{}, draw.Src)
	reads(t, "a page", asJPEG(t, page, 75), form)
}

// A level n adds 2^(n+1) codewords, which correct half as many wrong ones.
func TestDamageIsCorrectedUpToItsLevel(t *testing.T) {
	s := symbol(t, "form-level5") // 14 rows of 10 codewords, 64 for correction
	wrong := func(n int) []byte {
		g := grey(s)
		r := rand.New(rand.NewPCG(5, 417))
		for _, cell := range r.Perm(140)[:n] {
			x, y := 34+17*(cell%10), 3*(cell/10) // behind start pattern and row indicator
			from := image.Pt(34+17*((cell+1+r.IntN(9))%10), y)
			draw.Draw(g, image.Rect(x, y, x+17, y+3), grey(s), from, draw.Src)
		}
		return asPNG(t, sheet(g, 3, 0))
	}
	reads(t, "32 wrong codewords", wrong(32), form)
	if got, err := barcode.Decode(wrong(60)); !errors.Is(err, barcode.ErrNotFound) {
		t.Errorf("a symbol with more wrong codewords than can be corrected was read: %q %v", got, err)
	}
	white := grey(s)
	for _, cell := range rand.New(rand.NewPCG(7, 417)).Perm(140)[:10] {
		x, y := 34+17*(cell%10), 3*(cell/10)
		draw.Draw(white, image.Rect(x, y, x+17, y+3), image.NewUniform(color.White), image.Point{}, draw.Src)
	}
	reads(t, "10 codewords rubbed out", asPNG(t, sheet(white, 3, 0)), form)
	stained := sheet(symbol(t, "form-level6"), 3, 1)
	w, h := stained.Rect.Dx(), stained.Rect.Dy()
	draw.Draw(stained, image.Rect(w*2/5, h/4, w*13/20, h/2), image.NewUniform(color.Black), image.Point{}, draw.Src)
	reads(t, "a stain", asPNG(t, stained), form)
}

func grey(img image.Image) *image.Gray {
	g := image.NewGray(img.Bounds())
	draw.Draw(g, g.Rect, img, g.Rect.Min, draw.Src)
	return g
}

func TestCharactersOfISO8859_15AreKept(t *testing.T) {
	reads(t, "umlauts and euro", asPNG(t, sheet(symbol(t, "latin9-level4"), 3, 0)), strings.Replace(form, "Ruhe", "Überlastung, Straße, 10 €", 1))
}

func TestTwoSymbolsOfOneSheetAreBothRead(t *testing.T) {
	a, b := sheet(symbol(t, "form-level2"), 3, 0), sheet(symbol(t, "second-level3"), 3, 0)
	page := image.NewGray(image.Rect(0, 0, max(a.Rect.Dx(), b.Rect.Dx()), a.Rect.Dy()+b.Rect.Dy()))
	draw.Draw(page, page.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(page, a.Rect, a, image.Point{}, draw.Src)
	draw.Draw(page, b.Rect.Add(image.Pt(0, a.Rect.Dy())), b, image.Point{}, draw.Src)
	got, err := barcode.Read(page)
	slices.Sort(got)
	if want := []string{form, "second"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v", got, err)
	}
}

func TestWhatIsNoSymbolIsRefusedInWords(t *testing.T) {
	blank := image.NewGray(image.Rect(0, 0, 400, 300))
	huge := asPNG(t, image.NewGray(image.Rect(0, 0, 8, 8)))
	copy(huge[16:24], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // 65,536 × 65,536 pixels, says its header
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"nothing": {nil, barcode.ErrImage}, "no image": {[]byte(form), barcode.ErrImage}, "huge": {huge, barcode.ErrImage},
		"cut off": {asPNG(t, blank)[:80], barcode.ErrImage}, "too large": {make([]byte, barcode.MaxBytes+1), barcode.ErrImage},
		"black": {asPNG(t, blank), barcode.ErrNotFound}, "tiny": {asPNG(t, image.NewGray(image.Rect(0, 0, 5, 5))), barcode.ErrNotFound},
	} {
		if got, err := barcode.Decode(c.file); !errors.Is(err, c.want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	s := sheet(symbol(f, "second-level3"), 2, 0)
	f.Add(s.Pix, uint8(s.Rect.Dx()))
	f.Add(photograph(s, 1, 30).Pix, uint8(s.Rect.Dx()))
	f.Add([]byte{1, 2, 3}, uint8(60))
	f.Fuzz(func(t *testing.T, pix []byte, width uint8) {
		if width == 0 || len(pix) > 1<<16 {
			return
		}
		h := len(pix) / int(width)
		g := &image.Gray{Pix: pix[:h*int(width)], Stride: int(width), Rect: image.Rect(0, 0, int(width), h)}
		got, err := barcode.Read(g)
		if (err == nil) != (len(got) > 0) {
			t.Errorf("%q %v", got, err)
		}
	})
}
