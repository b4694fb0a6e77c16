package token

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/pure/kimmail"
)

// The tests run this very program again as the helper.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != "-module" {
		os.Exit(m.Run())
	}
	if err := fakeHelper(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plan is what the "library" of a test holds: how its helper behaves.
type plan struct {
	Certificate, Key []byte
	Does             string // "", "hangs", "dies", "removed": with the second key that is asked for
}

type fakeToken struct {
	plan  plan
	key   *kimmail.BrainpoolPrivateKey
	asked int
}

func fakeHelper(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var p plan
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("this is no library: %w", err)
	}
	starts, err := os.OpenFile(file+".starts", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(starts, len(os.Environ())); err != nil {
		return err
	}
	key, err := kimmail.NewBrainpoolPrivateKey(p.Key)
	if err != nil {
		return err
	}
	return kimmail.ServeToken(stdio{os.Stdin, os.Stdout}, func(pin string) (kimmail.Token, error) {
		if pin != "1234" {
			return nil, errors.New("C_Login: PIN incorrect")
		}
		return &fakeToken{plan: p, key: key}, nil
	})
}

type stdio struct {
	io.Reader
	io.Writer
}

func (f *fakeToken) Certificates() ([][]byte, error) { return [][]byte{f.plan.Certificate}, nil }

func (f *fakeToken) ECDH(_ int, point []byte) ([]byte, error) {
	if f.asked++; f.asked > 1 { // the first is the trial at log-in
		switch f.plan.Does {
		case "hangs":
			time.Sleep(time.Hour)
		case "dies":
			os.Exit(3)
		case "removed":
			return nil, errors.New("C_DeriveKey: device removed")
		}
	}
	peer, err := kimmail.NewBrainpoolKey(point)
	if err != nil {
		return nil, err
	}
	return f.key.ECDH(peer)
}

// world is a token in a file, and a mail that only its key opens.
type world struct {
	file string
	plan plan
	raw  []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, cert := party(t, "Kasse", 1, false)
	signer, signerCert := party(t, "Praxis", 2, true)
	mail, err := kimmail.Compose(kimmail.Draft{
		Kind: kimmail.KindDelivery, Test: true, ID: "1", MessageID: "<1@arzt.kim.telematik-test>", Date: time.Now(),
		From: kimmail.Address{Addr: "praxis@arzt.kim.telematik-test"}, To: []kimmail.Address{{Addr: "eau@kasse.kim.telematik-test"}},
		XML: []byte("<Bundle/>"),
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := kimmail.Seal(kimmail.SealRequest{
		Mail: mail, Signer: &kimmail.Identity{Certificate: signerCert, Key: signer}, Time: time.Now(),
		Recipients: []kimmail.SealRecipient{{Address: "eau@kasse.kim.telematik-test", Certificate: cert}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &world{file: filepath.Join(t.TempDir(), "token.so"), plan: plan{Certificate: cert.Raw, Key: key.Bytes()}, raw: raw}
}

func party(t *testing.T, name string, serial int64, signing bool) (*kimmail.BrainpoolPrivateKey, *kimmail.Certificate) {
	t.Helper()
	key, err := kimmail.GenerateBrainpoolKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := kimmail.IssueCertificate(kimmail.CertificateSpec{
		CommonName: name + " TEST-ONLY", Serial: serial, PublicKey: key.Public(), ForSigning: signing,
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
	}, &kimmail.Identity{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// behaves writes the library anew; helpers that start from now on obey it.
func (w *world) behaves(t *testing.T, does string) {
	t.Helper()
	w.plan.Does = does
	b, err := json.Marshal(w.plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) keys(t *testing.T, pin string, wait time.Duration) *Keys {
	t.Helper()
	k, err := New(Config{Helper: os.Args[0], Module: w.file, PIN: pin, Wait: wait, Pause: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func (w *world) starts(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(w.file + ".starts")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func (w *world) open(t *testing.T, k *Keys) error {
	t.Helper()
	m, err := kimmail.Parse(w.raw, kimmail.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := m.Open(kimmail.Options{Keys: k, At: time.Now()})
	if err == nil && string(o.Inner.Documents[0].XML) != "<Bundle/>" {
		t.Errorf("opened %+v", o)
	}
	return err
}

func TestMailOpensThroughAHelperThatStartsOnce(t *testing.T) {
	t.Setenv("LEITSTAND_PASSPHRASE", "geheim")
	w := newWorld(t)
	w.behaves(t, "")
	k := w.keys(t, "1234", time.Minute)
	if w.starts(t) != 0 {
		t.Error("the helper runs before anybody needs it")
	}
	done := make(chan error)
	for range 4 {
		go func() { done <- w.open(t, k) }()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := w.starts(t); n != 1 {
		t.Errorf("started %d times", n)
	}
	for _, v := range environment() {
		if strings.Contains(v, "geheim") {
			t.Errorf("the helper is given %s", v)
		}
	}
	k.Close()
	if err := w.open(t, k); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestARefusedPINIsNeverTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.behaves(t, "")
	k := w.keys(t, "0000", time.Minute)
	for range 5 {
		err := w.open(t, k)
		if !errors.Is(err, kimmail.ErrTokenRefused) || strings.Contains(err.Error(), "0000") {
			t.Errorf("opened with a wrong PIN: %v", err)
		}
		open, ok := errors.AsType[*kimmail.OpenError](err)
		if !ok || open.Fault != kimmail.FaultModule {
			t.Errorf("a token that cannot be used is made the sender's fault: %v", err)
		}
	}
	if n := w.starts(t); n != 1 {
		t.Errorf("the card was asked %d times: it locks after three", n)
	}
}

func TestAHelperThatHangsOrDiesIsReplaced(t *testing.T) {
	for _, does := range []string{"hangs", "dies", "removed"} {
		t.Run(does, func(t *testing.T) {
			w := newWorld(t)
			w.behaves(t, does)
			wait := time.Minute
			if does == "hangs" {
				wait = 3 * time.Second // also the longest time for a start on a busy machine
			}
			k := w.keys(t, "1234", wait)
			err := w.open(t, k)
			if open, ok := errors.AsType[*kimmail.OpenError](err); !ok || open.Fault != kimmail.FaultModule {
				t.Errorf("%v", err)
			}
			w.behaves(t, "")
			deadline := time.Now().Add(time.Minute)
			for err = w.open(t, k); err != nil && time.Now().Before(deadline); err = w.open(t, k) {
				time.Sleep(10 * time.Millisecond)
			}
			if err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if n := w.starts(t); n < 2 {
				t.Errorf("started %d times", n)
			}
		})
	}
}

func TestAfterAFailureTheHelperRests(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.file, []byte("nichts"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := New(Config{Helper: os.Args[0], Module: w.file, PIN: "1234", Pause: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Check(); err == nil || !strings.Contains(err.Error(), "this is no library") {
		t.Errorf("what the helper said is lost: %v", err)
	}
	w.behaves(t, "")
	if err := k.Check(); err == nil || !strings.Contains(err.Error(), "tried again in a moment") || w.starts(t) != 0 {
		t.Errorf("started at once again: %v", err)
	}
}

func TestWhatIsMissingIsSaidAtOnce(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]Config{
		"no helper":  {Helper: filepath.Join(dir, "fehlt"), Module: os.Args[0], PIN: "1"},
		"no library": {Helper: os.Args[0], Module: filepath.Join(dir, "fehlt"), PIN: "1"},
		"a folder":   {Helper: os.Args[0], Module: dir, PIN: "1"},
		"no PIN":     {Helper: os.Args[0], Module: os.Args[0]},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
