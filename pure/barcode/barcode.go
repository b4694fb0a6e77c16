// Package barcode reads PDF417 symbols (ISO/IEC 15438) from photographs and scans.
// It opens no file and asks no clock; the same image gives the same texts.
//
// Promises: whatever the bytes are, the answer is texts or an error, within the
// limits and without a panic; a text is given only when the error correction of the
// symbol agrees with it. Symbols lie in any of the four directions and may be
// askew, blurred, noisy and damaged up to their error correction.
package barcode

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // formats that scanners and telephones write
	_ "image/png"
	"slices"
	"strings"

	"github.com/ericlevine/zxinggo"
	"github.com/ericlevine/zxinggo/binarizer"
	"github.com/ericlevine/zxinggo/pdf417"
)

// Limits of what is read.
const (
	MaxBytes  = 24 << 20 // of a file
	MaxPixels = 40 << 20 // of an image: A4 at 600 dpi has 35 million
)

// Errors.
var (
	// ErrImage says that the bytes are no PNG or JPEG image within the limits.
	ErrImage = errors.New("no PNG or JPEG image that could be read")
	// ErrNotFound says that no symbol could be read in an image.
	ErrNotFound = errors.New("no PDF417 barcode could be read in the image")
)

// Decode reads the symbols of a PNG or JPEG file, each text once. Bytes are given
// as ISO 8859-15 reads them, unless the symbol says another character set (ECI).
func Decode(file []byte) ([]string, error) {
	if len(file) > MaxBytes {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(file), MaxBytes, ErrImage)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > MaxPixels/c.Height {
		return nil, fmt.Errorf("%d × %d pixels, at most %d: %w", c.Width, c.Height, MaxPixels, ErrImage)
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	return Read(img)
}

// Read reads the symbols of an image. It looks at the image as it is first, then
// turned a little in both directions, then in half and double size.
func Read(img image.Image) ([]string, error) {
	g := grey(img)
	if g.Rect.Dx() < 60 || g.Rect.Dy() < 8 {
		return nil, fmt.Errorf("%d × %d pixels are too few: %w", g.Rect.Dx(), g.Rect.Dy(), ErrNotFound)
	}
	for _, view := range views(g) {
		v := view()
		if v == nil {
			continue
		}
		if found := look(v); len(found) > 0 {
			return found, nil
		}
	}
	return nil, ErrNotFound
}

// comfortable is about as many pixels as a look is quick for.
const comfortable = 6 << 20

// views are the ways to look at an image, the likely ones first. A view that
// makes no sense for it is nil.
func views(g *image.Gray) []func() *image.Gray {
	pixels := g.Rect.Dx() * g.Rect.Dy()
	base := g
	for pixels > comfortable {
		base, pixels = halve(base), pixels/4
	}
	out := []func() *image.Gray{func() *image.Gray { return base }}
	if base != g {
		out = append(out, func() *image.Gray { return g })
	}
	out = append(out, func() *image.Gray { return soften(base) })
	if pixels < comfortable/4 {
		out = append(out, func() *image.Gray { return double(base) })
	}
	out = append(out, func() *image.Gray { return halve(base) })
	for _, degrees := range []float64{5, -5, 10, -10, 18, -18, 27, -27, 36, -36, 45} {
		out = append(out, func() *image.Gray { return turn(base, degrees) })
	}
	return out
}

// look finds the symbols of one view. The library is given no chance to end the
// program: a fault in it counts as nothing found.
func look(g *image.Gray) (found []string) {
	source := zxinggo.NewGrayImageLuminanceSource(g)
	for _, b := range []zxinggo.Binarizer{binarizer.NewHybrid(source), binarizer.NewGlobalHistogram(source)} {
		for _, text := range try(b) {
			if !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func try(b zxinggo.Binarizer) (texts []string) {
	defer func() {
		if recover() != nil {
			texts = nil
		}
	}()
	results, err := pdf417.NewPDF417Reader().DecodeMultiple(zxinggo.NewBinaryBitmap(b), &zxinggo.DecodeOptions{TryHarder: true})
	if err != nil {
		return nil
	}
	for _, r := range results {
		if r.Text != "" {
			texts = append(texts, latin9(r.Text))
		}
	}
	return texts
}

// latin9 reads as ISO 8859-15 what was read as ISO 8859-1, its eight differences.
func latin9(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 0xa4:
			return '€'
		case 0xa6:
			return 'Š'
		case 0xa8:
			return 'š'
		case 0xb4:
			return 'Ž'
		case 0xb8:
			return 'ž'
		case 0xbc:
			return 'Œ'
		case 0xbd:
			return 'œ'
		case 0xbe:
			return 'Ÿ'
		}
		return r
	}, s)
}
