package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/gateway"
	"leitstand/operation"
	"leitstand/pure/seal"
)

type keyPair struct {
	private *seal.PrivateKey
	public  *seal.PublicKey
}

func newKey(t *testing.T) keyPair {
	t.Helper()
	private, public, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{private, public}
}

func (k keyPair) keys(catalogue.KasseID) (*seal.PublicKey, error) { return k.public, nil }

func (k keyPair) opener(context.Context, catalogue.KasseID) (emergency.Opener, error) {
	return k.private, nil
}

func openSpool(t *testing.T, dir string, k keyPair) *gateway.Spool {
	t.Helper()
	s, err := gateway.OpenSpool(dir, "test", k.keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closing twice changes nothing
	return s
}

// regular is an idempotent regular system that notes what it got, in order.
type regular struct {
	mu     sync.Mutex
	bodies []string
	keys   map[string]int
	answer int
}

func (u *regular) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil || u.answer != 0 {
		w.WriteHeader(u.answer)
		return
	}
	k := r.Header.Get("Idempotency-Key")
	if u.keys == nil {
		u.keys = map[string]int{}
	}
	if u.keys[k]++; u.keys[k] == 1 {
		u.bodies = append(u.bodies, string(b))
	}
}

func post(t *testing.T, g http.Handler, body, key string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://bmw.test/app/x?y=1", strings.NewReader(body))
	r.Header.Set("Accept", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestWhatIsBufferedIsSealedSurvivesARestartAndIsDeliveredOnceInOrder(t *testing.T) {
	dir, k, up := t.TempDir(), newKey(t), &regular{}
	srv := httptest.NewServer(up)
	defer srv.Close()
	s := openSpool(t, dir, k)
	g := &gateway.Gateway{Keeper: s}
	g.Set(table(t, srv.URL, operation.ModeBuffer, 1))
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("Versicherte %d", i))
		if code, body := post(t, g, want[i], ""); code != 202 || !strings.Contains(body, `"receipt":"P00000`) {
			t.Fatalf("%d %s", code, body)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "109034270.spool"))
	if err != nil || strings.Contains(string(raw), "Versicherte") || strings.Contains(string(raw), "/app/x") {
		t.Fatalf("the file can be read without a key (%v)", err)
	}
	s = openSpool(t, dir, k)
	g = &gateway.Gateway{Keeper: s}
	g.Set(table(t, srv.URL, operation.ModeBuffer, 1))
	p := &gateway.Replayer{Gateway: g, Spool: s, Opener: k.opener}
	if next, err := p.Due(t.Context(), time.Now()); err != nil || !next.IsZero() || len(up.bodies) != 0 {
		t.Fatalf("delivered %d behind a closed door (next %v, %v)", len(up.bodies), next, err)
	}
	g.Set(table(t, srv.URL, operation.ModeRegular, 2))
	up.answer = 503
	if next, err := p.Due(t.Context(), time.Now()); err != nil || next.IsZero() {
		t.Fatalf("a regular side that refuses: next %v, %v", next, err)
	}
	up.answer = 0
	if next, err := p.Due(t.Context(), time.Now()); err != nil || !next.IsZero() {
		t.Fatalf("next %v, %v", next, err)
	}
	if !slices.Equal(up.bodies, want) {
		t.Errorf("delivered %q, want %q", up.bodies, want)
	}
	if c := s.Counts()[placement]; c != (gateway.SpoolCounts{Kept: 20, Delivered: 20}) || c.Check() != nil {
		t.Errorf("books %+v", c)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, dir, k)
	if c := s.Counts()[placement]; c != (gateway.SpoolCounts{Kept: 20, Delivered: 20}) {
		t.Errorf("books after a restart %+v", c)
	}
	if err := s.Forget("109034270"); err != nil {
		t.Errorf("forgetting what is delivered: %v", err)
	}
}

func TestALockedRoomKeepsOnAcceptingAndDeliversLater(t *testing.T) {
	k := newKey(t)
	s := openSpool(t, t.TempDir(), k)
	g := &gateway.Gateway{Keeper: s}
	g.Set(table(t, "http://127.0.0.1:1", operation.ModeBuffer, 1))
	if code, _ := post(t, g, "x", ""); code != 202 {
		t.Fatal(code)
	}
	p := &gateway.Replayer{Gateway: g, Spool: s, Opener: func(context.Context, catalogue.KasseID) (emergency.Opener, error) { return nil, emergency.ErrLocked }}
	if next, err := p.Due(t.Context(), time.Now()); !errors.Is(err, emergency.ErrLocked) || next.IsZero() {
		t.Errorf("next %v, %v, want %v and another try", next, err, emergency.ErrLocked)
	}
	if err := s.Forget("109034270"); !errors.Is(err, gateway.ErrStillOpen) {
		t.Errorf("forgot an open request: %v", err)
	}
}

func TestARejectedRequestHasAReasonAndAnOwner(t *testing.T) {
	k, up := newKey(t), &regular{answer: 400}
	srv := httptest.NewServer(up)
	defer srv.Close()
	s := openSpool(t, t.TempDir(), k)
	g := &gateway.Gateway{Keeper: s}
	g.Set(table(t, srv.URL, operation.ModeBuffer, 1))
	post(t, g, "x", "")
	g.Set(table(t, srv.URL, operation.ModeRegular, 2))
	p := &gateway.Replayer{Gateway: g, Spool: s, Opener: k.opener, Owner: func(catalogue.KasseID) string { return "kasse-bmw" }}
	if _, err := p.Due(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	got, err := s.Rejections("109034270")
	if err != nil || len(got) != 1 || got[0].Owner != "kasse-bmw" || got[0].Status != 400 || got[0].Reason == "" {
		t.Errorf("rejected %+v, %v", got, err)
	}
	if c := s.Counts()[placement]; c != (gateway.SpoolCounts{Kept: 1, Rejected: 1}) {
		t.Errorf("books %+v", c)
	}
}

func TestTheSameIdempotencyKeyGivesTheSameReceiptAlsoAtTheSameMomentAndAfterARestart(t *testing.T) {
	dir, k := t.TempDir(), newKey(t)
	s := openSpool(t, dir, k)
	g := &gateway.Gateway{Keeper: s}
	tab := table(t, "http://127.0.0.1:1", operation.ModeBuffer, 1)
	g.Set(tab)
	var wg sync.WaitGroup
	answers := make([]string, 16)
	for i := range answers {
		wg.Go(func() { _, answers[i] = post(t, g, "same", "key-1") })
	}
	wg.Wait()
	if slices.Sort(answers); answers[0] != answers[15] || s.Counts()[placement].Kept != 1 {
		t.Errorf("kept %d, answers %s … %s", s.Counts()[placement].Kept, answers[0], answers[15])
	}
	if code, _ := post(t, g, "other", "key-1"); code != http.StatusUnprocessableEntity {
		t.Errorf("another request under the same key: %d", code)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	g = &gateway.Gateway{Keeper: openSpool(t, dir, k)}
	g.Set(tab)
	if _, again := post(t, g, "same", "key-1"); again != answers[0] {
		t.Errorf("after a restart %s, before %s", again, answers[0])
	}
}

func TestATornTailIsSetAsideAndDamageOfWhatWasAcknowledgedIsRefused(t *testing.T) {
	k := newKey(t)
	made := t.TempDir()
	s := openSpool(t, made, k)
	g := &gateway.Gateway{Keeper: s}
	g.Set(table(t, "http://127.0.0.1:1", operation.ModeBuffer, 1))
	var ends []int64
	name := "109034270.spool"
	for range 3 { // one commit each
		post(t, g, "x", "")
		info, err := os.Stat(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(made, name))
	if err != nil {
		t.Fatal(err)
	}
	open := func(content []byte) (*gateway.Spool, string, error) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := gateway.OpenSpool(dir, "test", k.keys, nil)
		if err == nil {
			t.Cleanup(func() { _ = s.Close() }) // only read
		}
		return s, dir, err
	}
	for _, cut := range []int64{1, 60, ends[2] - ends[1] - 1} {
		s, dir, err := open(whole[:ends[2]-cut])
		if err != nil {
			t.Fatalf("cut by %d: %v", cut, err)
		}
		aside, _ := filepath.Glob(filepath.Join(dir, "*.unfinished-*"))
		if s.Counts()[placement].Open != 2 || len(aside) != 1 {
			t.Errorf("cut by %d: %d open, set aside %v", cut, s.Counts()[placement].Open, aside)
		}
	}
	for at := int64(0); at < ends[1]; at += 97 {
		bad := slices.Clone(whole)
		bad[at] ^= 1
		if _, _, err := open(bad); !errors.Is(err, gateway.ErrSpoolDamaged) {
			t.Fatalf("byte %d of %d altered: %v", at, len(bad), err)
		}
	}
	if _, _, err := open(slices.Concat(whole[:ends[0]], whole[ends[1]:])); !errors.Is(err, gateway.ErrSpoolDamaged) {
		t.Errorf("a request taken out: %v", err)
	}
}

// publicKeys is what a room puts into the table.
func publicKeys(k keyPair) map[catalogue.KasseID][]byte {
	return map[catalogue.KasseID][]byte{"109034270": k.public.Marshal()}
}
