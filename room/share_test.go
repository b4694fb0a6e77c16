package room_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/room"
)

// sharing gives a Kasse recipients of its own and returns the identity.
func sharing(t *testing.T, r *room.Room, k catalogue.KasseID) []age.Identity {
	t.Helper()
	id, _ := identity(t)
	roomID, _ := identity(t)
	ask := do[access.Consent](t, r, "operator", "backup.seal-to", map[string]any{
		"room": []string{roomID.Recipient().String()}, "kassen": map[catalogue.KasseID][]string{k: {id.Recipient().String()}}, "reason": "Anteil",
	})
	do[room.Outcome](t, r, "lead", "approve", map[string]string{"id": ask.ID})
	return []age.Identity{id}
}

func makeShare(t *testing.T, r *room.Room, k catalogue.KasseID, to string) room.ShareManifest {
	t.Helper()
	return do[room.ShareManifest](t, r, "kasse-"+string(k), "share.make", map[string]any{"kasse": k, "to": to, "reason": "Übergabe"})
}

func verifyShare(t *testing.T, dir, public string, ids []age.Identity, heads ...string) room.ShareReport {
	t.Helper()
	rep, err := room.VerifyShare(dir, public, ids, heads...)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// twoKassen is a room in which one measure is about one Kasse and one about two.
func twoKassen(t *testing.T) (r *room.Room, mine, other catalogue.Kasse) {
	t.Helper()
	r, _ = practiceRoom(t)
	mine, other = r.Catalogue.Kassen[0], r.Catalogue.Kassen[1]
	order := func(kassen ...catalogue.KasseID) {
		o := do[room.Ordered](t, r, "lead", "measure.order", containment.Plan{
			Title: "Trennung", Stage: 1, Reason: "Verdacht", Immediate: true, Selection: containment.Selection{Kassen: kassen},
		})
		do[containment.Measure](t, r, "lead2", "measure.confirm", map[string]string{"id": o.Measure.ID, "reason": "gesehen"})
	}
	order(mine.ID)
	order(other.ID)
	if _, err := room.Do[any](t.Context(), r, "lead", "incident.declare", map[string]string{"title": "Nur " + other.Name}); err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[any](t.Context(), r, "lead", "incident.declare", map[string]string{"title": mine.Name + " und " + other.Name}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []catalogue.KasseID{mine.ID, other.ID} {
		if err := bookOpen(t, r, k, 1); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			takeIn(t, r, k, fmt.Sprint("k", i), fmt.Sprintf("Brief %d an Kasse %s", i, k))
		}
	}
	return r, mine, other
}

func TestAShareHoldsEverythingOfOneKasseAndNothingOfAnother(t *testing.T) {
	r, mine, other := twoKassen(t)
	to := filepath.Join(t.TempDir(), "share")
	args := map[string]any{"kasse": mine.ID, "to": to, "reason": "Übergabe"}
	if _, err := room.Do[any](t.Context(), r, "operator", "share.make", args); !errors.Is(err, room.ErrNoOwnRecipients) {
		t.Fatalf("without recipients of its own: %v", err)
	}
	ids := sharing(t, r, mine.ID)
	for _, as := range []string{"press", "kasse-" + string(other.ID)} {
		if _, err := room.Do[any](t.Context(), r, as, "share.make", args); err == nil {
			t.Errorf("%s made a share", as)
		}
	}
	m := makeShare(t, r, mine.ID, to)
	rep := verifyShare(t, to, r.Public(), ids)
	if len(rep.Problems) > 0 || rep.Counts.Items != 4 || rep.Counts.Bodies != 4 || rep.Counts.Open != 4 || rep.Proven < 5 || rep.Withheld < 2 || rep.Sealed {
		t.Errorf("%+v\n%+v", rep, m)
	}
	if rep = verifyShare(t, to, r.Public(), nil); len(rep.Problems) > 0 || !rep.Sealed || rep.Counts.Bodies != 0 {
		t.Errorf("without an identity: %+v", rep)
	}
	files, err := os.ReadDir(to)
	if err != nil || len(files) != 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	said := 0
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(to, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name(), ".age") {
			b = open(t, b, ids)
			said += bytes.Count(b, []byte(`"content"`))
		} else if bytes.Contains(b, []byte("Brief 1")) {
			t.Errorf("%s holds what was accepted", f.Name())
		}
		for _, foreign := range []string{string(other.ID), other.Name} {
			if bytes.Contains(b, []byte(foreign)) {
				t.Errorf("%s names %s", f.Name(), foreign)
			}
		}
	}
	if said != 4 {
		t.Errorf("%d contents in the sealed file", said)
	}
}

func open(t *testing.T, sealed []byte, ids []age.Identity) []byte {
	t.Helper()
	in, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWhatIsChangedInAShareIsFound changes a share as somebody would who has the
// room's key but cannot change what others have seen: the manifest is trusted
// last. Each change is found although the file's hash is left out of account.
func TestWhatIsChangedInAShareIsFound(t *testing.T) {
	r, mine, _ := twoKassen(t)
	ids := sharing(t, r, mine.ID)
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	makeShare(t, r, mine.ID, whole)
	head := do[[]room.SignedHead](t, r, "", "ledger.head", map[string]bool{"all": true})
	replace := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
	}
	dropLine := func(n int) func([]byte) []byte {
		return func(b []byte) []byte {
			all := bytes.SplitAfter(b, []byte("\n"))
			return bytes.Join(append(append([][]byte{}, all[:n]...), all[n+1:]...), nil)
		}
	}
	for what, c := range map[string]struct {
		file   string
		change func([]byte) []byte
		want   string // kind of problem, beside that of the file
	}{
		"an item altered":                     {"items.jsonl", replace(`"source":"probe"`, `"source":"drobe"`), "item"},
		"an item missing":                     {"items.jsonl", dropLine(1), "item"},
		"an item invented":                    {"items.jsonl", replace(`{"number":1,`, `{"number":99,`), "item"},
		"an entry of the Kasse altered":       {"ledger.jsonl", replace(`probe`, `drobe`), "altered"},
		"an entry of the Kasse missing":       {"ledger.jsonl", dropLine(3), "missing"},
		"an entry of the room altered":        {"room.jsonl", replace(`gesehen`, `besehen`), "room"},
		"an entry of the room missing":        {"room.jsonl", dropLine(2), "missing"},
		"an entry of the room at other place": {"room.jsonl", replace(`{"seq":`, `{"seq":1`), "room"},
	} {
		t.Run(what, func(t *testing.T) {
			to := filepath.Join(dir, strings.ReplaceAll(what, " ", "-"))
			if err := os.CopyFS(to, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(to, c.file)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			changed := c.change(b)
			if bytes.Equal(b, changed) {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(file, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			kinds := map[string]bool{}
			for _, p := range verifyShare(t, to, r.Public(), ids, head[0].Note).Problems {
				kinds[p.Kind] = true
			}
			if !kinds["file"] || !kinds[c.want] {
				t.Errorf("found %v, want file and %s", kinds, c.want)
			}
		})
	}
	t.Run("foreign", func(t *testing.T) {
		foreign, err := ledger.NewKey("leitstand-fremd")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := room.VerifyShare(whole, foreign.Public, ids); !errors.Is(err, room.ErrShare) {
			t.Errorf("with a foreign key: %v", err)
		}
		stranger, _ := identity(t)
		if _, err := room.VerifyShare(whole, r.Public(), []age.Identity{stranger}); !errors.Is(err, room.ErrNoIdentity) {
			t.Errorf("with a foreign identity: %v", err)
		}
		if err := os.Remove(filepath.Join(whole, "share.note")); err != nil {
			t.Fatal(err)
		}
		if _, err := room.VerifyShare(whole, r.Public(), ids); !errors.Is(err, room.ErrShare) {
			t.Errorf("unfinished: %v", err)
		}
	})
}

func TestABodyThatIsNotWhatWasAcceptedIsFoundByItsCommitment(t *testing.T) {
	r, mine, _ := twoKassen(t)
	ids := sharing(t, r, mine.ID)
	to := filepath.Join(t.TempDir(), "share")
	makeShare(t, r, mine.ID, to)
	file := filepath.Join(to, "bodies.jsonl.age")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(open(t, b, ids), []byte("\n"))
	var line struct{ Body emergency.SharedBody }
	if err := json.Unmarshal(lines[0], &line); err != nil {
		t.Fatal(err)
	}
	line.Body.Content = append(line.Body.Content, '!')
	if lines[0], err = json.Marshal(map[string]any{"body": line.Body}); err != nil {
		t.Fatal(err)
	}
	id, ok := ids[0].(*age.X25519Identity)
	if !ok {
		t.Fatal("no identity")
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(bytes.Join(lines[:len(lines)-2], nil)) // and the last one is left out
	if err = errors.Join(err, w.Close(), os.WriteFile(file, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, p := range verifyShare(t, to, r.Public(), ids).Problems {
		texts = append(texts, p.Text)
	}
	all := strings.Join(texts, "\n")
	if !strings.Contains(all, "is not what was accepted") || !strings.Contains(all, "has no body") {
		t.Error(all)
	}
}

func TestWhatWasAcceptedForAKasseIsDeletedWithProofAfterReconciliation(t *testing.T) {
	onEach(t, func(t *testing.T, opt room.Options) {
		opt.CopyTo = filepath.Join(t.TempDir(), "second")
		b := newBackRoom(t, opt)
		copied := copiedAllTheTime(t, b.Room)
		ids := sharing(t, b.Room, b.kasse)
		dir := t.TempDir()
		makeShare(t, b.Room, b.kasse, filepath.Join(dir, "before"))
		erase := map[string]any{"kasse": b.kasse, "reason": "Aufbewahrung endet"}
		b.refuses(t, 3, b.delegate, "share.erase", erase) // emergency operation goes on
		b.reconciled(t)
		b.refuses(t, 4, "press", "share.erase", erase)
		old := sealedBodies(t, b)
		if len(old) != 3 {
			t.Fatalf("%d bodies", len(old))
		}
		copied()
		if len(partsOf(t, opt.CopyTo, old, ids...)) == 0 {
			t.Error("the continuous copy never had the bodies: this test means nothing")
		}
		// Files put aside hold them as well.
		aside := filepath.Join(opt.Data, emergency.StoreOf(b.kasse)+".db.replaced-20260101000000")
		if err := os.WriteFile(aside, old[0], 0o600); err != nil {
			t.Fatal(err)
		}
		ask := do[access.Consent](t, b.Room, b.delegate, "share.erase", erase)
		b.refuses(t, 4, b.delegate, "approve", map[string]any{"id": ask.ID})
		b.refuses(t, 4, "press", "approve", map[string]any{"id": ask.ID})
		do[room.Outcome](t, b.Room, "operator", "approve", map[string]string{"id": ask.ID})
		if n := len(sealedBodies(t, b)); n != 0 {
			t.Errorf("%d bodies are still there", n)
		}
		copied()
		nothingLeft(t, opt.Data, old)
		nothingLeft(t, opt.CopyTo, old, ids...)
		b.clean(t)
		after := filepath.Join(dir, "after")
		makeShare(t, b.Room, b.kasse, after)
		rep := verifyShare(t, after, b.Public(), ids)
		if len(rep.Problems) > 0 || rep.Counts.Items != 3 || rep.Counts.Erased != 3 || rep.Counts.Bodies != 0 || rep.Notes != 0 || len(rep.Deleted) != 1 {
			t.Fatalf("%+v", rep)
		}
		if d := rep.Deleted[0]; d.Bodies != 3 || d.First != b.delegate || d.Second != "operator" || len(d.Keys) != 1 || d.Head == "" || len(d.Files) != 1 {
			t.Errorf("%+v", d)
		}
		if rep = verifyShare(t, filepath.Join(dir, "before"), b.Public(), ids); len(rep.Problems) > 0 || rep.Counts.Bodies != 3 {
			t.Errorf("the share from before: %+v", rep)
		}
		// The next emergency is taken in and opened with the new key.
		j, err := b.Journals.Open(t.Context(), b.kasse)
		if err != nil {
			t.Fatal(err)
		}
		place := catalogue.PlacementID(string(b.kasse) + "/probe/x")
		if err := j.OpenBook(t.Context(), place, 9, b.now, "operator"); err != nil {
			t.Fatal(err)
		}
		n, err := j.Accept(t.Context(), place, 9, b.now, "operator", emergency.Draft{Key: "neu", Kind: emergency.KindPaper, Source: "probe", Received: b.now, Media: "text/plain", Body: []byte("neu")})
		if err != nil {
			t.Fatal(err)
		}
		if _, body, err := j.ReadBody(t.Context(), n[0].Number, b.now, "operator", "probe"); err != nil || string(body) != "neu" {
			t.Errorf("%q %v", body, err)
		}
	})
}

// reconciled takes the cell back by the protocol.
func (b *backRoom) reconciled(t *testing.T) {
	t.Helper()
	s := b.announce(t)
	id := map[string]any{"id": s.ID}
	b.now = b.now.Add(2 * time.Minute)
	clearAll(t, b.Room, []string{string(b.place)})
	do[any](t, b.Room, b.delegate, "handover.readonly", id)
	do[any](t, b.Room, "operator", "handover.drain", id)
	do[any](t, b.Room, "operator", "handover.compare", id)
	do[any](t, b.Room, "operator", "handover.sign", id)
	do[any](t, b.Room, b.delegate, "handover.sign", id)
}

// sealedBodies are the envelopes in the Kasse's store.
func sealedBodies(t *testing.T, b *backRoom) [][]byte {
	t.Helper()
	j, err := b.Journals.Open(t.Context(), b.kasse)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := j.Store().Query(t.Context(), `select sealed from journal_body union all select receipt from journal_batch where length(receipt) > 0 and (select count(*) from journal_body) = 0`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out [][]byte
	for rows.Next() {
		var sealed []byte
		if err := rows.Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		out = append(out, sealed)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// nobody is an identity that nothing was closed to.
func nobody(t *testing.T) age.Identity {
	t.Helper()
	id, _ := identity(t)
	return id
}

// copiedAllTheTime copies a room until the test ends; copied waits until the second
// place has everything, and nothing more.
func copiedAllTheTime(t *testing.T, r *room.Room) (copied func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.RunCopy(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func() {
		t.Helper()
		for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			s := do[room.CopyStatus](t, r, "", "copy.status", nil)
			if !s.Behind {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("the copy does not come: %+v", s)
			}
		}
	}
}

// nothingLeft searches all files of a directory for parts of what was deleted.
func nothingLeft(t *testing.T, dir string, old [][]byte, ids ...age.Identity) {
	t.Helper()
	for _, what := range partsOf(t, dir, old, ids...) {
		t.Error(what)
	}
}

// partsOf says which files hold parts of sealed bodies; files that the identities open
// are opened first.
func partsOf(t *testing.T, dir string, old [][]byte, ids ...age.Identity) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if plain, err := age.Decrypt(bytes.NewReader(content), append(ids, nobody(t))...); err == nil {
			if content, err = io.ReadAll(plain); err != nil {
				return err
			}
		}
		for i, body := range old {
			// Any part of an envelope: pages may hold pieces.
			for at := 0; at+32 <= len(body); at += 64 {
				if bytes.Contains(content, body[at:at+32]) {
					found = append(found, fmt.Sprintf("%s still holds a part of body %d", name, i))
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return found
}
