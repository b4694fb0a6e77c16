package kimmail

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReceivingTakesMailsInEitherForm(t *testing.T) {
	w := newWorld(t)
	clear, delivered := w.draft(), w.draft()
	delivered.Delivered = true
	for name, c := range map[string]struct {
		raw  []byte
		want []Fault
	}{
		"decrypted by a Clientmodul": {compose(t, delivered), []Fault{}},
		"encrypted":                  {w.seal(t, compose(t, clear), nil), []Fault{}},
		"never protected":            {compose(t, clear), []Fault{FaultUnchecked}},
		"found to be tampered with":  {replaceBytes("X-KIM-IntegrityCheckResult: 01", "X-KIM-IntegrityCheckResult: 02")(compose(t, delivered)), []Fault{FaultTampered}},
	} {
		outer, o, err := Receive(c.raw, Limits{}, w.options(t))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, o.Faults()); diff != "" {
			t.Errorf("%s: %v\n%s", name, o.Findings, diff)
		}
		if outer.MessageID != o.Inner.MessageID || string(o.Inner.Documents[0].XML) != testXML {
			t.Errorf("%s: %q, %q", name, outer.MessageID, o.Inner.MessageID)
		}
	}
	outer, o, err := Receive(w.seal(t, compose(t, clear), nil), Limits{}, Options{})
	if outer == nil || outer.Kind() != KindDelivery || o != nil || !errors.Is(err, ErrNoKey) {
		t.Errorf("without keys: %v, %v, %v", outer, o, err)
	}
	if _, _, err := Receive(nil, Limits{}, Options{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("nothing: %v", err)
	}
}

func TestOnlySureFaultsOfABundleSignatureHaveACode(t *testing.T) {
	for _, c := range []struct {
		sig  Signature
		want string
	}{
		{Signature{State: SignatureBroken}, "202"},
		{Signature{State: SignatureUntrusted, NotValid: true}, "201"},
		{Signature{State: SignatureUntrusted}, ""},
		{Signature{State: SignatureUnsupported}, ""},
		{Signature{State: SignatureAbsent}, ""},
		{Signature{State: SignatureIntact}, ""},
		{Signature{State: SignatureTrusted}, ""},
	} {
		if code, _ := c.sig.BundleFault().EAUCode(KindDelivery); code != c.want {
			t.Errorf("%s: code %q, want %q", c.sig.State.Text(), code, c.want)
		}
	}
}
