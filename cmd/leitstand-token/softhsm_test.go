//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	mailtoken "leitstand/emergency/sicknote/token"
	"leitstand/pure/kimmail"
)

// The tests run this very program again as the helper.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "-module" {
		os.Exit(m.Run())
	}
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

var now = time.Date(2026, 4, 14, 9, 30, 0, 0, time.UTC)

// newSoftHSM makes an empty token of SoftHSM, a PKCS#11 library in software.
func newSoftHSM(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(softHSM); err != nil {
		t.Skip("suite left out: SoftHSM is not installed (Debian package softhsm2)")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+filepath.Join(dir, "tokens")+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.CommandContext(t.Context(), "softhsm2-util", "--init-token", "--free", "--label", "kasse", "--pin", "1234", "--so-pin", "5678").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
}

// store puts a private key with its certificate into the token, as the card of an
// institution would hold it: not to be read out.
func store(t *testing.T, id byte, key *kimmail.BrainpoolPrivateKey, cert *kimmail.Certificate) {
	t.Helper()
	m, err := loadModule(softHSM)
	if err != nil {
		t.Fatal(err)
	}
	defer m.finalize()
	s, err := m.open("kasse", "1234", ckfSerialSession|ckfRWSession)
	if err != nil {
		t.Fatal(err)
	}
	const (
		ckaPrivate, ckaCertificateType, ckaSubject, ckaDerive, ckaECParams = 0x002, 0x080, 0x101, 0x10c, 0x180
		ckkEC                                                              = 3
	)
	brainpool := []byte("\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01\x07")
	for _, attrs := range []map[ulong][]byte{
		{
			ckaClass: ulongBytes(ckoPrivateKey), ckaKeyType: ulongBytes(ckkEC), ckaToken: {1}, ckaPrivate: {1}, ckaSensitive: {1},
			ckaExtractable: {0}, ckaDerive: {1}, ckaECParams: brainpool, ckaValue: key.Bytes(), ckaID: {id},
		},
		{
			ckaClass: ulongBytes(ckoCertificate), ckaCertificateType: ulongBytes(0), ckaToken: {1}, ckaPrivate: {0},
			ckaSubject: {0x30, 0}, ckaValue: cert.Raw, ckaID: {id},
		},
	} {
		createObject(t, s, attrs)
	}
}

func createObject(t *testing.T, s *session, attrs map[ulong][]byte) {
	t.Helper()
	var pin runtime.Pinner
	defer pin.Unpin()
	list := template(&pin, attrs)
	var object ulong
	if err := s.m.call(fnCreateObject, "C_CreateObject", uintptr(s.handle), uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)), uintptr(unsafe.Pointer(&object))); err != nil {
		t.Fatal(err)
	}
}

// party is somebody with a key of his own and a certificate for it.
func party(t *testing.T, name string, serial int64, signing bool) (*kimmail.BrainpoolPrivateKey, *kimmail.Certificate) {
	t.Helper()
	key, err := kimmail.GenerateBrainpoolKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := kimmail.IssueCertificate(kimmail.CertificateSpec{
		CommonName: name + " TEST-ONLY", Serial: serial, PublicKey: key.Public(), ForSigning: signing,
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
	}, &kimmail.Identity{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// sealed is a sick note that only the owner of the certificate can open.
func sealed(t *testing.T, to *kimmail.Certificate) []byte {
	t.Helper()
	signerKey, signerCert := party(t, "Praxis", 99, true)
	mail, err := kimmail.Compose(kimmail.Draft{
		Kind: kimmail.KindDelivery, Test: true, ID: "1", MessageID: "<1@arzt.kim.telematik-test>", Date: now,
		From: kimmail.Address{Addr: "praxis@arzt.kim.telematik-test"}, To: []kimmail.Address{{Addr: "eau@kasse.kim.telematik-test"}},
		XML: []byte("<Bundle/>"),
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := kimmail.Seal(kimmail.SealRequest{
		Mail: mail, Signer: &kimmail.Identity{Certificate: signerCert, Key: signerKey}, Time: now,
		Recipients: []kimmail.SealRecipient{{Address: "eau@kasse.kim.telematik-test", Certificate: to}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// helper starts the process and returns its pipes.
func helper(t *testing.T, args ...string) io.ReadWriter {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // outlives the test to be waited for
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the helper ended with %v", err)
		}
	})
	return struct {
		io.Reader
		io.Writer
	}{out, in}
}

func TestAMailOpensWithAKeyInAPKCS11Token(t *testing.T) {
	newSoftHSM(t)
	key, cert := party(t, "Kasse", 1, false)
	otherKey, otherCert := party(t, "Kasse alt", 2, false)
	store(t, 7, otherKey, otherCert)
	store(t, 8, key, cert)
	keys, err := kimmail.NewTokenKeys(helper(t, "-module", softHSM, "-token", "kasse"), "1234")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []*kimmail.Certificate{cert, otherCert} {
		m, err := kimmail.Parse(sealed(t, to), kimmail.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		o, err := m.Open(kimmail.Options{Keys: keys, At: now})
		if err != nil {
			t.Fatal(err)
		}
		if string(o.Inner.Documents[0].XML) != "<Bundle/>" || o.Signature.State != kimmail.SignatureIntact {
			t.Errorf("opened %+v", o)
		}
	}
	_, stranger := party(t, "Fremde Kasse", 3, false)
	m, err := kimmail.Parse(sealed(t, stranger), kimmail.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(kimmail.Options{Keys: keys, At: now}); !errors.Is(err, kimmail.ErrNoKey) {
		t.Errorf("a mail for somebody else: %v", err)
	}
}

// TestAMailboxesKeysMayBeInSoftHSM goes the whole way: a helper process that the
// intake's keys start, a token of SoftHSM in it, mail that it opens, and its restart.
func TestAMailboxesKeysMayBeInSoftHSM(t *testing.T) {
	newSoftHSM(t)
	key, cert := party(t, "Kasse", 1, false)
	store(t, 7, key, cert)
	for _, pin := range []string{"1234", "4321"} {
		keys, err := mailtoken.New(mailtoken.Config{Helper: os.Args[0], Module: softHSM, Label: "kasse", PIN: pin, Wait: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(keys.Close)
		m, err := kimmail.Parse(sealed(t, cert), kimmail.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			o, err := m.Open(kimmail.Options{Keys: keys, At: now})
			switch {
			case pin != "1234":
				if !errors.Is(err, kimmail.ErrTokenRefused) || !strings.Contains(err.Error(), "PIN incorrect") {
					t.Errorf("wrong PIN: %v", err)
				}
			case err != nil:
				t.Error(err)
			case string(o.Inner.Documents[0].XML) != "<Bundle/>":
				t.Errorf("opened %+v", o)
			}
		}
	}
}

func TestTheHelperSaysWhatIsWrong(t *testing.T) {
	newSoftHSM(t)
	key, cert := party(t, "Kasse", 1, false)
	store(t, 7, key, cert)
	for name, c := range map[string]struct{ token, pin, want string }{
		"wrong PIN":     {"kasse", "0000", "PIN incorrect"},
		"no such token": {"andere", "1234", `no token has the label "andere"`},
	} {
		_, err := kimmail.NewTokenKeys(helper(t, "-module", softHSM, "-token", c.token), c.pin)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := run([]string{"-module", "/nirgends.so"}, strings.NewReader(""), io.Discard); err == nil {
		t.Error("a missing library is no error")
	}
	if err := run(nil, strings.NewReader(""), io.Discard); err == nil {
		t.Error("no library is no error")
	}
}
