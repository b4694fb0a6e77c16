package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
)

// exported is a ledger of n entries, the newest head and its export, by lines.
func exported(t *testing.T, p db.Place, n int) (room, ledger.Head, []string) {
	t.Helper()
	r := openRoom(t, p)
	for i := range n {
		err := r.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := ledger.Append(ctx, tx, ledger.Entry{At: time.Unix(int64(i), 0), Actor: "anna", Kind: "cell.changed", Subject: fmt.Sprint(i)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	h, _, err := ledger.Newest(t.Context(), r.DB, r.key.Public)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := ledger.Export(t.Context(), r.DB, r.key.Public, &out); err != nil {
		t.Fatal(err)
	}
	return r, h, strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestAnExportIsCheckedWithNothingButThePublicKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		r, head, lines := exported(t, p, 7)
		check := func(text string, outside ...string) ledger.Report {
			t.Helper()
			seen := int64(0)
			rep, err := ledger.CheckExport(strings.NewReader(text), "room", r.key.Public, func(ledger.Record) error { seen++; return nil }, outside...)
			if err != nil || seen == 0 {
				t.Fatalf("%d entries seen: %v", seen, err)
			}
			return rep
		}
		if rep := check(strings.Join(lines, ""), head.Note); len(rep.Problems) > 0 || rep.Entries != 7 || rep.Root != head.Root.String() || rep.Heads != 7 {
			t.Errorf("as written: %+v", rep)
		}
		for what, text := range map[string]string{
			"altered": strings.Replace(strings.Join(lines, ""), `cell.changed\",\"subject\":\"3`, `cell.changed\",\"subject\":\"9`, 1),
			"missing": strings.Join(append(append([]string{}, lines[:3]...), lines[4:]...), ""),
			"cut_off": strings.Join(append(append([]string{}, lines[:6]...), lines[8:13]...), ""), // the last two entries; the newest head is known from outside
			"head":    strings.Replace(strings.Join(lines, ""), `"ledger":"room"`, `"ledger":"other"`, 1),
		} {
			found := false
			for _, p := range check(text, head.Note).Problems {
				found = found || p.Kind == what
			}
			if text == strings.Join(lines, "") || !found {
				t.Errorf("%s: not found: %+v", what, check(text, head.Note).Problems)
			}
		}
		foreign, err := ledger.NewKey("leitstand-fremd")
		if err != nil {
			t.Fatal(err)
		}
		rep, err := ledger.CheckExport(strings.NewReader(strings.Join(lines, "")), "room", foreign.Public, func(ledger.Record) error { return nil })
		if err != nil || len(rep.Problems) == 0 || !strings.Contains(rep.Problems[0].Text, "another room") {
			t.Errorf("with a foreign key: %+v %v", rep.Problems, err)
		}
	})
	for _, text := range []string{"{}\n", "kein JSON\n", `{"ledger":"room","public_key":"x"}` + "\n" + `{"seq":99999999999,"body":"{}"}` + "\n"} {
		if _, err := ledger.CheckExport(strings.NewReader(text), "room", "x", func(ledger.Record) error { return nil }); !errors.Is(err, ledger.ErrExport) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAnInclusionProofLeadsFromOneEntryToTheSignedHead(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		r, head, _ := exported(t, p, 11)
		for seq := int64(1); seq <= 11; seq++ {
			var body string
			if err := r.QueryRow(t.Context(), `select body from ledger_entry where seq = $1`, seq).Scan(&body); err != nil {
				t.Fatal(err)
			}
			proof, err := ledger.Prove(t.Context(), r.DB, head.Size, seq)
			if err != nil {
				t.Fatal(err)
			}
			if err := head.Includes(seq, ledger.Leaf(body), proof); err != nil {
				t.Error(err)
			}
			for what, err := range map[string]error{
				"another text":   head.Includes(seq, ledger.Leaf(body+" "), proof),
				"another number": head.Includes(seq%11+1, ledger.Leaf(body), proof),
				"half a proof":   head.Includes(seq, ledger.Leaf(body), proof[1:]),
				"no hash":        head.Includes(seq, ledger.Leaf(body), append([]string{"kein Hash"}, proof...)),
				"no leaf":        head.Includes(seq, "kein Blatt", proof),
			} {
				if !errors.Is(err, ledger.ErrProof) {
					t.Errorf("entry %d, %s: %v", seq, what, err)
				}
			}
		}
		if _, err := ledger.Prove(t.Context(), r.DB, head.Size, 12); err == nil {
			t.Error("an entry that does not exist was proven")
		}
	})
}
