package kimmail

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// wycheproof reads a file of Project Wycheproof's testvectors_v1. The vectors are not
// ours to copy: WYCHEPROOF names a checkout of C2SP/wycheproof.
func wycheproof(t *testing.T, name string, into any) {
	t.Helper()
	dir := os.Getenv("WYCHEPROOF")
	if dir == "" {
		t.Skip("suite left out: WYCHEPROOF names no checkout of C2SP/wycheproof")
	}
	b, err := os.ReadFile(filepath.Join(dir, "testvectors_v1", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func TestSignaturesOfWycheproof(t *testing.T) {
	var file struct {
		TestGroups []struct {
			PublicKey struct{ Uncompressed string }
			Tests     []struct {
				TcID                      int `json:"tcId"`
				Comment, Msg, Sig, Result string
			}
		}
	}
	wycheproof(t, "ecdsa_brainpoolP256r1_sha256_test.json", &file)
	count := 0
	for _, g := range file.TestGroups {
		key, err := NewBrainpoolKey(unhex(g.PublicKey.Uncompressed))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Tests {
			digest := sha256.Sum256(unhex(c.Msg))
			if got := key.Verify(digest[:], unhex(c.Sig)); got != (c.Result == "valid") {
				t.Errorf("%d (%s): %v, want %s", c.TcID, c.Comment, got, c.Result)
			}
			count++
		}
	}
	t.Logf("%d signatures", count)
}

func TestKeyAgreementsOfWycheproof(t *testing.T) {
	var file struct {
		TestGroups []struct {
			Tests []struct {
				TcID                                     int `json:"tcId"`
				Comment, Public, Private, Shared, Result string
			}
		}
	}
	wycheproof(t, "ecdh_brainpoolP256r1_test.json", &file)
	counts := make(map[string]int)
	for _, g := range file.TestGroups {
		for _, c := range g.Tests {
			scalar := unhex(c.Private)
			for len(scalar) > 32 && scalar[0] == 0 {
				scalar = scalar[1:]
			}
			key, err := NewBrainpoolPrivateKey(scalar)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if peer := spkiPoint(unhex(c.Public)); peer != nil {
				shared, err := key.ECDH(peer)
				if err != nil {
					t.Fatal(err)
				}
				got = hex.EncodeToString(shared)
			}
			// "acceptable" are other forms of the key (explicit parameters, compressed
			// points): refusing is right, another result is not.
			if want := c.Shared; (c.Result == "valid" && got != want) || (c.Result == "invalid" && got != "") || (got != "" && got != want) {
				t.Errorf("%d (%s, %s): %q, want %q", c.TcID, c.Comment, c.Result, got, want)
			}
			counts[c.Result]++
		}
	}
	t.Logf("%v", counts)
}

// spkiPoint reads a SubjectPublicKeyInfo on the named curve.
func spkiPoint(der []byte) *BrainpoolKey {
	in := cryptobyte.String(der)
	var spki cryptobyte.String
	if !in.ReadASN1(&spki, asn1.SEQUENCE) || !in.Empty() {
		return nil
	}
	key, err := parsePublicKey(spki)
	if err != nil {
		return nil
	}
	point, ok := key.(*BrainpoolKey)
	if !ok {
		return nil
	}
	return point
}
