package exercise

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"
)

// answerDesk stands for the emergency operation: it answers employers from what
// practices would have sent, and can be told to misbehave.
type answerDesk struct {
	mu    sync.Mutex
	plan  *plan
	known map[[sha256.Size]byte]sicknote.Employer
	asked map[string]int // by person
	spoil func(answer map[string]any, c *eau.Certificate)
}

func (d *answerDesk) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var q employerQuestion
	if d.known[sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))].Number == "" || json.NewDecoder(r.Body).Decode(&q) != nil {
		http.Error(rw, "no", http.StatusUnauthorized)
		return
	}
	d.asked[q.KVNR]++
	answer := map[string]any{"referenz_id": q.Request, "kennzeichen": 4}
	for i := range d.plan.notes {
		c := d.plan.certificate(i, false)
		if c.Patient.KVNR == q.KVNR && c.Coverage.PayorIK == q.Kasse && d.asked[q.KVNR] > 1 {
			answer["kennzeichen"] = 2
			answer["nachweise"] = []any{map[string]any{"au_seit": c.Since, "au_bis": c.Until, "d_arzt": false}}
			d.spoil(answer, &c)
		}
	}
	answerJSON(rw, answer)
}

func testEmployers(t *testing.T, spoil func(map[string]any, *eau.Certificate)) (*employerWorld, *answerDesk) {
	t.Helper()
	c := EmployersConfig{
		Seed: 7, Kassen: testKassen, From: testFrom, Until: testUntil, Notes: 40, Share: 1, Dir: t.TempDir(), Token: "geheim",
	}
	w, err := startEmployers(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
	d := &answerDesk{plan: w.plan, known: EmployerTokens("geheim"), asked: make(map[string]int), spoil: spoil}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	if err := w.command(t.Context(), "endpoint", json.RawMessage(fmt.Sprintf(`{"url":%q}`, srv.URL+"/employer"))); err != nil {
		t.Fatal(err)
	}
	return w, d
}

func TestEmployersAskUntilTheyHaveAnAnswer(t *testing.T) {
	var books [2]string
	for i := range books {
		w, _ := testEmployers(t, func(map[string]any, *eau.Certificate) {})
		for day := range 12 {
			if err := w.advance(t.Context(), testFrom.AddDate(0, 0, day)); err != nil {
				t.Fatal(err)
			}
		}
		got := w.counts()
		want := Counts{
			"asked": 80, "interim": 40, "found": 40, "code_2": 40, "code_4": 40,
			"elsewhere": 0, "failed": 0, "leaks": 0, "wrong": 0, "mismatched": 0, "to_ask": 0,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		b, err := os.ReadFile(filepath.Join(w.config.Dir, AskedBook))
		if err != nil {
			t.Fatal(err)
		}
		books[i] = string(b)
	}
	if books[0] != books[1] {
		t.Error("two runs with the same seed wrote different books")
	}
}

func TestEmployersNoticeWhatTheyMustNotGet(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(map[string]any, *eau.Certificate)
		count string
	}{
		"a diagnosis field": {func(a map[string]any, _ *eau.Certificate) { a["diagnosis"] = nil }, "leaks"},
		"a doctor field":    {func(a map[string]any, _ *eau.Certificate) { a["Arzt"] = "" }, "leaks"},
		"the diagnosis in an innocent field": {func(a map[string]any, c *eau.Certificate) {
			a["remark"] = []any{map[string]any{"x": "siehe (" + c.Diagnoses[0].Code + ")"}}
		}, "leaks"},
		"the doctor's name":   {func(a map[string]any, c *eau.Certificate) { a["by"] = "Dr. " + c.Author.Name.Family }, "leaks"},
		"the practice number": {func(a map[string]any, c *eau.Certificate) { a["n"] = c.Organization.BSNR }, "leaks"},
		"another request":     {func(a map[string]any, _ *eau.Certificate) { a["referenz_id"] = "other" }, "mismatched"},
		"another period": {func(a map[string]any, _ *eau.Certificate) {
			a["nachweise"] = []any{map[string]any{"au_seit": "2023-01-01", "au_bis": "2023-01-02"}}
		}, "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := testEmployers(t, c.spoil)
			for day := range 12 {
				if err := w.advance(t.Context(), testFrom.AddDate(0, 0, day)); err != nil {
					t.Fatal(err)
				}
			}
			got := w.counts()
			if got[c.count] < 30 || got["leaks"]+got["wrong"]+got["mismatched"] != got[c.count] {
				t.Errorf("want %s of most answers: %v", c.count, got)
			}
		})
	}
}

func TestEmployersAskElsewhereWithoutAnEndpoint(t *testing.T) {
	w, d := testEmployers(t, func(map[string]any, *eau.Certificate) {})
	if err := w.point(""); err != nil {
		t.Fatal(err)
	}
	if err := w.advance(t.Context(), testFrom.AddDate(0, 0, 20)); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(); c["elsewhere"] != 40 || c["asked"] != 0 || len(d.asked) != 0 {
		t.Errorf("counts %v, asked %v", c, d.asked)
	}
	for _, bad := range []string{"https://127.0.0.1:1/", "http://kasse.example:80/", "http://192.0.2.7:80/", "127.0.0.1:80", "http://127.0.0.1/"} {
		if err := w.point(bad); err == nil {
			t.Errorf("employers ask at %s", bad)
		}
	}
}

func TestEmployersTryAgainWhenNobodyAnswers(t *testing.T) {
	w, _ := testEmployers(t, func(map[string]any, *eau.Certificate) {})
	if err := w.point("http://127.0.0.1:1/"); err != nil {
		t.Fatal(err)
	}
	if err := w.advance(t.Context(), testFrom.AddDate(0, 0, 9)); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(); c["failed"] != 40 || c["to_ask"] != 40 {
		t.Errorf("counts %v", c)
	}
	b, err := os.ReadFile(filepath.Join(w.config.Dir, AskedBook))
	if err != nil || strings.Count(string(b), "nobody answers") != 40 {
		t.Errorf("the book does not say so: %.300s, %v", b, err)
	}
}
