package web

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"leitstand/forensics"
)

// What an examiner's file may be. It is read to its end, hashed and let go: evidence stays
// with the examiner, and nothing of it comes into the room's memory or onto its disk.
const (
	evidencePattern = "POST /pruefungen/{id}/{punkt}"
	maxEvidence     = 8 << 30
	maxField        = 8 << 10 // of each other field of the form
)

// parseEvidence reads a form of which one field may be a file. The file becomes the fields
// that somebody would have typed in: name, size and SHA-256.
func parseEvidence(r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
		return parse(r)
	}
	unreadable := &failure{status: http.StatusBadRequest, text: "Das Formular war nicht lesbar oder die Datei zu groß (höchstens 8 GiB). Es wurde nichts eingetragen; bitte noch einmal absenden."}
	parts, err := r.MultipartReader()
	if err != nil {
		return unreadable
	}
	r.PostForm, r.Form = url.Values{}, url.Values{}
	for fields := 0; ; fields++ {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || fields > 50 {
			return unreadable
		}
		if err := takePart(r.PostForm, p); err != nil {
			return err
		}
	}
}

func takePart(form url.Values, p *multipart.Part) error {
	if p.FileName() == "" {
		b, err := io.ReadAll(io.LimitReader(p, maxField+1))
		if err != nil || len(b) > maxField {
			return &failure{status: http.StatusBadRequest, text: "Ein Feld im Formular war nicht lesbar oder zu lang. Es wurde nichts eingetragen."}
		}
		if _, told := form[p.FormName()]; !told || len(b) > 0 {
			form.Add(p.FormName(), string(b))
		}
		return nil
	}
	name := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, p.FileName())
	if n := []rune(name); len(n) > 200 {
		name = string(n[len(n)-200:]) // the end tells what it is
	}
	e, err := forensics.Hash(name, p)
	if err != nil {
		return &failure{status: http.StatusUnprocessableEntity, text: "Die Belegdatei ist leer oder kam nicht ganz an. Es wurde nichts eingetragen; bitte noch einmal absenden."}
	}
	if form.Get("hash")+form.Get("beleg") != "" {
		return &failure{status: http.StatusUnprocessableEntity, text: "Eine Datei wählen oder Name, Größe und Prüfsumme eintragen: bitte nur eines von beiden."}
	}
	form.Set("beleg", e.Name)
	form.Set("hash", e.SHA256)
	form.Set("groesse", strconv.FormatInt(e.Size, 10))
	return nil
}
