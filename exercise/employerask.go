package exercise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"leitstand/pure/eau"
)

// employerQuestion is the request of an employer for the sick note of one person
// (§ 109 SGB IV), as JSON.
type employerQuestion struct {
	Request    string `json:"request"`  // comes back as reference
	Kasse      string `json:"kasse"`    // IK
	Employer   string `json:"employer"` // Betriebsnummer, eight digits
	KVNR       string `json:"kvnr"`
	Family     string `json:"family"`
	Given      string `json:"given"`
	BirthDate  string `json:"birth_date"`
	AbsentFrom string `json:"absent_from"` // YYYY-MM-DD
}

// Codes of the answer (Kennzeichen der Rückmeldung) that an employer acts on.
const (
	codeFound   = 2 // a certificate is there
	codeMissing = 4 // none yet: interim
	codeChecked = 7 // being examined: interim
)

// employerAnswer is what came back, judged.
type employerAnswer struct {
	err    error
	codes  []int
	faults []string // leaks, wrong, mismatched
	why    string
}

func (a *employerAnswer) interim() bool {
	return len(a.codes) > 0 && !slices.ContainsFunc(a.codes, func(c int) bool { return c != codeMissing && c != codeChecked })
}

func (a *employerAnswer) note() string {
	if a.err != nil {
		return a.err.Error()
	}
	return a.why
}

// request asks and judges the answer.
func (w *employerWorld) request(ctx context.Context, a enquiry) employerAnswer {
	q := w.question(a)
	raw, err := w.post(ctx, q)
	if err != nil {
		return employerAnswer{err: err}
	}
	c := w.plan.certificate(a.note, false)
	return judgeAnswer(raw, q, &c, !w.twisty[a.note])
}

func (w *employerWorld) post(ctx context.Context, q employerQuestion) ([]byte, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.config.Token)
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, errors.New("nobody answers") // the error of the system differs from run to run
	}
	defer func() { _ = resp.Body.Close() }() // nothing more is read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, errors.New("the answer broke off")
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return raw, nil
}

// judgeAnswer reads an answer: which codes it gives, whether it fits the
// request, whether it says the truth when that is known, and above all whether
// it names a diagnosis or the doctor.
func judgeAnswer(raw []byte, q employerQuestion, c *eau.Certificate, foretold bool) employerAnswer {
	var answer struct {
		Request string `json:"request"`
		Answers []struct {
			Code  int    `json:"code"`
			Since string `json:"since"`
			Until string `json:"until"`
		} `json:"answers"`
	}
	var got employerAnswer
	if found := leaks(raw, c); len(found) > 0 {
		got.faults, got.why = append(got.faults, "leaks"), "leak: "+strings.Join(found, ", ")
	}
	if err := json.Unmarshal(raw, &answer); err != nil || len(answer.Answers) == 0 {
		got.err = errors.New("the answer cannot be read")
		return got
	}
	if answer.Request != q.Request {
		got.faults, got.why = append(got.faults, "mismatched"), got.why+" answers another request"
	}
	right := false
	for _, a := range answer.Answers {
		got.codes = append(got.codes, a.Code)
		right = right || a.Code == codeFound && a.Until == c.Until && (c.Since == "" || a.Since == c.Since)
	}
	if foretold && slices.Contains(got.codes, codeFound) && !right {
		got.faults, got.why = append(got.faults, "wrong"), got.why+" not the period of the sick note"
	}
	return got
}

// leaks finds what an employer must never get: fields by their name, and the
// diagnosis, doctor and practice of this very certificate wherever they stand.
func leaks(raw []byte, c *eau.Certificate) []string {
	secrets := map[string]bool{
		c.Author.Name.Family: true, c.Author.LANR: true, c.Organization.BSNR: true,
		c.Organization.Name: true, c.Organization.Phone: true, c.Organization.Mail: true,
	}
	for i := range c.Diagnoses {
		secrets[c.Diagnoses[i].Code] = true
	}
	delete(secrets, "")
	var found []string
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		v = string(raw)
	}
	walk(v, func(key, text string) {
		if forbiddenField(key) {
			found = append(found, "field "+key)
		}
		for s := range secrets {
			if containsWord(text, s) {
				found = append(found, "value in "+key)
			}
		}
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// forbiddenField knows diagnosis and doctor by usual names. "d_arzt" is no doctor
// but the mark that the accident insurer's doctor was asked, which the data set has.
func forbiddenField(key string) bool {
	key = strings.ToLower(key)
	for _, part := range [...]string{"diagnos", "icd", "practitioner", "physician", "praxis", "practice", "lanr", "bsnr", "organization"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return slices.Contains([]string{"arzt", "aerztin", "ärztin", "doctor", "author"}, key)
}

// walk visits every value with the key under which it stands, and every key.
func walk(v any, visit func(key, text string)) {
	var down func(key string, v any)
	down = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				visit(k, "")
				down(k, inner)
			}
		case []any:
			for _, inner := range v {
				down(key, inner)
			}
		case string:
			visit(key, v)
		case float64, bool, nil:
			visit(key, fmt.Sprint(v))
		}
	}
	down("", v)
}

// containsWord reports whether word stands in text with no letter or digit beside it.
func containsWord(text, word string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return false
		}
		at += from
		before, after := []rune(text[:at]), []rune(text[at+len(word):])
		if (len(before) == 0 || !alnum(before[len(before)-1])) && (len(after) == 0 || !alnum(after[0])) {
			return true
		}
		from = at + len(word)
	}
}

func alnum(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
