package web

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"leitstand/emergency/sicknote"
)

// A photograph of a certificate is the only thing that is uploaded, and the only
// form that may be larger than maxForm.
const (
	imagePattern  = "POST /notbetrieb/eau/{kasse}/papierbild"
	maxImage      = 11 << 20           // of the file
	maxImageForm  = maxImage + maxForm // with the other fields
	imagesAtATime = 2                  // being read: an image of 40 million pixels takes 160 MB while it is
)

// takePaperImage takes the certificates whose barcodes a photograph or scan shows.
// The image stays in memory and is gone afterwards: what is kept is the text.
func (s *server) takePaperImage(w http.ResponseWriter, r *http.Request) error {
	file, err := uploadedImage(r)
	if err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	select {
	case s.images <- struct{}{}:
		defer func() { <-s.images }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	return s.paperTaken(w, r, person, map[string]any{"kasse": r.PathValue("kasse"), "reason": "Posteingang", "image": file})
}

// uploadedImage reads the form. No part of it goes to a file: images show health data.
func uploadedImage(r *http.Request) ([]byte, error) {
	var tooLarge *http.MaxBytesError
	err := r.ParseMultipartForm(maxImageForm) //nolint:gosec // bounded: the body ends there, see admit; so all of it stays in memory
	switch {
	case errors.As(err, &tooLarge):
		return nil, errImageSize()
	case err != nil:
		return nil, &failure{status: http.StatusBadRequest, text: "Das Formular war nicht lesbar. Es wurde nichts aufgenommen; bitte noch einmal absenden."}
	}
	f, head, err := r.FormFile("bild")
	if err != nil || head.Size == 0 {
		return nil, &failure{status: http.StatusUnprocessableEntity, text: "Bitte ein Bild der Bescheinigung wählen: PNG oder JPEG."}
	}
	if head.Size > maxImage {
		return nil, errors.Join(errImageSize(), f.Close())
	}
	return readAndClose(f)
}

func readAndClose(f multipart.File) ([]byte, error) {
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

func errImageSize() error {
	return &failure{status: http.StatusRequestEntityTooLarge, text: "Das Bild ist zu groß: höchstens 11 MiB. Bitte kleiner oder nur den Barcode fotografieren."}
}

// imageFailure says in words what to do about an image that gave no certificate.
func imageFailure(err error) error {
	switch {
	case errors.Is(err, sicknote.ErrImage):
		return &failure{status: http.StatusUnprocessableEntity, text: "Das ist kein lesbares Bild: PNG oder JPEG mit höchstens 40 Millionen Bildpunkten."}
	case errors.Is(err, sicknote.ErrPaper):
		return &failure{status: http.StatusUnprocessableEntity, text: "Kein Barcode in dem Bild gehört zu einer Bescheinigung für die Krankenkasse."}
	case errors.Is(err, sicknote.ErrNoBarcode):
		return &failure{status: http.StatusUnprocessableEntity, text: "In dem Bild ist kein lesbarer Barcode. Bitte näher, scharf und ohne Schatten fotografieren, sonst abtippen."}
	}
	return err
}
