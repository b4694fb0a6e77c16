package sicknote

import (
	"errors"
	"fmt"

	"leitstand/pure/barcode"
)

// Scanned is a certificate on paper as its barcode says it.
type Scanned struct {
	Paper Paper  `json:"paper"`
	Text  []byte `json:"text"` // the 28 fields, UTF-8
}

// Why an image gave no certificate; a barcode that is none of one is ErrPaper.
var (
	ErrImage     = barcode.ErrImage    // no PNG or JPEG within the limits
	ErrNoBarcode = barcode.ErrNotFound // no barcode could be read
)

// ReadPaperImage finds the certificates for the Kasse in a photograph or scan (PNG or
// JPEG): their PDF417 barcodes. Other barcodes of the sheet are passed over; when
// there are only others, the error says what is wrong with the first.
func ReadPaperImage(file []byte) ([]Scanned, error) {
	texts, err := barcode.Decode(file)
	if err != nil {
		return nil, err
	}
	var out []Scanned
	var first error
	for _, text := range texts {
		p, err := ParsePaper([]byte(text))
		switch {
		case err == nil:
			out = append(out, Scanned{Paper: p, Text: []byte(text)})
		case first == nil:
			first = err
		}
	}
	if len(out) == 0 {
		return nil, errors.Join(fmt.Errorf("%d barcodes were read, none of a certificate for the Kasse", len(texts)), first)
	}
	return out, nil
}
