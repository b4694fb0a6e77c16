package kimmail

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
)

// fakeToken serves keys from memory over the real protocol.
type fakeToken struct {
	pairs []KeyPair
	fail  error
	only  map[int]error // keys that cannot agree
}

func (f *fakeToken) Certificates() ([][]byte, error) {
	var out [][]byte
	for _, p := range f.pairs {
		out = append(out, p.Certificate.Raw)
	}
	return out, nil
}

func (f *fakeToken) ECDH(i int, point []byte) ([]byte, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	if err := f.only[i]; err != nil {
		return nil, err
	}
	peer, err := NewBrainpoolKey(point)
	if err != nil {
		return nil, err
	}
	key, ok := f.pairs[i].Key.(Agreer)
	if !ok {
		return nil, errors.New("no such key")
	}
	return key.ECDH(peer)
}

func serveFake(t *testing.T, f *fakeToken) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- ServeToken(theirs, func(pin string) (Token, error) {
			if pin != "1234" {
				return nil, errors.New("PIN is wrong")
			}
			return f, nil
		})
	}()
	t.Cleanup(func() {
		if err := ours.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Errorf("helper ended with %v", err)
		}
	})
	return ours
}

func TestAMailOpensWithAKeyInAToken(t *testing.T) {
	w := newWorld(t)
	raw := w.seal(t, compose(t, w.draft()), nil)
	token := &fakeToken{pairs: []KeyPair{w.kasseRSA, w.kasse}}
	keys, err := NewTokenKeys(serveFake(t, token), "1234")
	if err != nil {
		t.Fatal(err)
	}
	opt := w.options(t)
	opt.Keys = keys
	if o, err := parse(t, raw).Open(opt); err != nil || len(o.Findings) != 0 {
		t.Fatalf("%v, %+v", err, o)
	}
	// A mail for somebody else is no fault of the token, a failing token none of the sender.
	other := w.seal(t, compose(t, w.draft()), func(r *SealRequest) { r.Recipients = w.recipients[:1] })
	_, err = parse(t, other).Open(opt)
	if open, ok := errors.AsType[*OpenError](err); !ok || open.Fault != FaultNoKey {
		t.Errorf("mail for somebody else: %v", err)
	}
	token.fail = errors.New("card removed")
	_, err = parse(t, raw).Open(opt)
	if open, ok := errors.AsType[*OpenError](err); !ok || open.Fault != FaultModule || !strings.Contains(err.Error(), "card removed") || !TokenFailed(err) {
		t.Errorf("failing token: %v", err)
	}
}

func TestKeysOfATokenAreTriedAgainstTheirCertificates(t *testing.T) {
	w := newWorld(t)
	stranger, err := GenerateBrainpoolKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// A mixed up key would make every mail look as if its sender had damaged it.
	mixed := &fakeToken{pairs: []KeyPair{{Certificate: w.kasse.Certificate, Key: stranger}}}
	if _, err := NewTokenKeys(serveFake(t, mixed), "1234"); err == nil || !strings.Contains(err.Error(), "does not belong") || errors.Is(err, ErrTokenRefused) {
		t.Errorf("mixed up key: %v", err)
	}
	// A card also holds keys that only sign: they are passed over.
	card := &fakeToken{pairs: []KeyPair{w.kasse, w.kasse}, only: map[int]error{0: errors.New("key function not permitted")}}
	if _, err := NewTokenKeys(serveFake(t, card), "1234"); err != nil {
		t.Errorf("a card with a signing key: %v", err)
	}
	card.only[1] = card.only[0]
	if _, err := NewTokenKeys(serveFake(t, card), "1234"); err == nil {
		t.Error("a card with signing keys only is accepted")
	}
}

func TestATokenWithoutUsefulKeysIsRefused(t *testing.T) {
	w := newWorld(t)
	if _, err := NewTokenKeys(serveFake(t, &fakeToken{pairs: []KeyPair{w.kasseRSA}}), "1234"); err == nil {
		t.Error("a token with RSA keys only is accepted")
	}
	if _, err := NewTokenKeys(serveFake(t, &fakeToken{}), "0000"); err == nil || !strings.Contains(err.Error(), "PIN is wrong") || !errors.Is(err, ErrTokenRefused) {
		t.Errorf("wrong PIN: %v", err)
	}
}

func TestAHelperThatLiesOrDiesIsAnError(t *testing.T) {
	for name, answer := range map[string][]byte{
		"dies":             nil,
		"dies in between":  {0, 0, 0, 9, '{'},
		"endless message":  {0xff, 0xff, 0xff, 0xff},
		"no JSON":          {0, 0, 0, 1, 'x'},
		"bad certificates": append([]byte{0, 0, 0, 25}, `{"certificates":["MAA="]}`...),
	} {
		if _, err := NewTokenKeys(&readWriter{bytes.NewReader(answer), new(bytes.Buffer)}, "1234"); err == nil || errors.Is(err, ErrTokenRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type readWriter struct {
	in  *bytes.Reader
	out *bytes.Buffer
}

func (rw *readWriter) Read(b []byte) (int, error)  { return rw.in.Read(b) }
func (rw *readWriter) Write(b []byte) (int, error) { return rw.out.Write(b) }
