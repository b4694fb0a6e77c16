package exercise

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"
)

// employerQuestion is the request of an employer for the sick note of one person
// (§ 109 SGB IV), with the words of the data set.
type employerQuestion struct {
	Request  string `json:"datensatz_id"`   // comes back as referenz_id
	Employer string `json:"betriebsnummer"` // eight digits
	Kasse    string `json:"kasse"`          // IK
	KVNR     string `json:"versichertennummer"`
	From     string `json:"abwesenheit_ab"` // YYYY-MM-DD
}

// EmployerTokens are the employers of an exercise as the emergency operation
// knows them: each by the hash of a token of its own, made from the one secret
// that [EmployersConfig] has, too.
func EmployerTokens(secret string) map[[sha256.Size]byte]sicknote.Employer {
	known := make(map[[sha256.Size]byte]sicknote.Employer, employers)
	for i := range employers {
		known[sha256.Sum256([]byte(employerToken(secret, employerNumber(i))))] = sicknote.Employer{Number: employerNumber(i)}
	}
	return known
}

func employerNumber(i int) string { return fmt.Sprintf("9%07d", i) }

func employerToken(secret, number string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(number)) // never fails (hash.Hash)
	return hex.EncodeToString(mac.Sum(nil))
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
	code   int
	faults []string // leaks, wrong, mismatched
	why    string
}

func (a *employerAnswer) interim() bool { return a.code == codeMissing || a.code == codeChecked }

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
	to := strings.TrimSuffix(w.config.URL, "/") + "/" + q.Kasse + "/requests"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+employerToken(w.config.Token, q.Employer))
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
		Reference string `json:"referenz_id"`
		Code      int    `json:"kennzeichen"`
		Proofs    []struct {
			Since string `json:"au_seit"`
			Until string `json:"au_bis"`
		} `json:"nachweise"`
	}
	var got employerAnswer
	if found := leaks(raw, c); len(found) > 0 {
		got.faults, got.why = append(got.faults, "leaks"), "leak: "+strings.Join(found, ", ")
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Code < 1 || answer.Code > 9 {
		got.err = errors.New("the answer cannot be read")
		return got
	}
	got.code = answer.Code
	if answer.Reference != q.Request {
		got.faults, got.why = append(got.faults, "mismatched"), got.why+" answers another request"
	}
	right := false
	for _, p := range answer.Proofs {
		right = right || p.Until == c.Until && (c.Since == "" || p.Since == c.Since)
	}
	if foretold && got.code == codeFound && !right {
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
