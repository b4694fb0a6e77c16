package web_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"leitstand/catalogue"
)

func TestEvidenceIsChosenAsAFileAndOnlyItsNameSizeAndHashAreKept(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // where a careless form would leave the file
	h := newHouse(t, catalogue.Example(1), true)
	at := h.post("/pruefungen", url.Values{
		"als": {"examiner"}, "art": {"linux-server"}, "umfang": {"environment:" + string(h.room.Catalogue.Environments[0].ID)}, "grund": {"Spur"},
	}).is(http.StatusSeeOther).location
	file := bytes.Repeat([]byte("Beleg "), 1<<20) // more than any other form may have
	sum := sha256.Sum256(file)
	point := func(name, id string, fields map[string]string, file []byte) page {
		fields["als"] = "examiner"
		return h.uploadAs(at+"/"+id, [2]string{"datei", name}, fields, file)
	}
	empty := map[string]string{"beleg": "", "groesse": "", "hash": "", "weil": ""} // as a browser sends the other fields
	point("C:\\Fall 7\\speicher<b>.raw", "ls-01", empty, file).is(http.StatusSeeOther)
	shown := h.get(at).is(http.StatusOK).sound().says("1 von 13")
	for _, want := range []string{hex.EncodeToString(sum[:]), "speicher&lt;b&gt;.raw", "6.291.456 Bytes"} {
		if !strings.Contains(shown.raw, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	point("leer.raw", "ls-02", map[string]string{}, nil).is(http.StatusUnprocessableEntity).says("leer")
	point("a.raw", "ls-02", map[string]string{"beleg": "b.raw", "groesse": "1", "hash": strings.Repeat("ab", 32)}, file[:6]).is(http.StatusUnprocessableEntity).says("nur eines von beiden")
	point("a.raw", "ls-02", map[string]string{"weil": "keine Zeit"}, file[:6]).is(http.StatusUnprocessableEntity).says("nur eines von beiden")
	point("a.raw", "ls-02", map[string]string{"weil": strings.Repeat("x", 9<<10)}, file[:6]).is(http.StatusBadRequest)
	point("", "ls-02", map[string]string{"weil": "gibt es nicht"}, nil).is(http.StatusSeeOther) // no file was chosen
	h.get(at).says("2 von 13")
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left on disk: %v %v", left, err)
	}
}
