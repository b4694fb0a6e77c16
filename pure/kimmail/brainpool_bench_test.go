package kimmail

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"
)

func benchKey(b *testing.B) (key *BrainpoolPrivateKey, digest, sig []byte) {
	b.Helper()
	key, err := GenerateBrainpoolKey(testRand(9))
	if err != nil {
		b.Fatal(err)
	}
	d := sha256.Sum256([]byte("message"))
	if sig, err = key.Sign(nil, d[:], nil); err != nil {
		b.Fatal(err)
	}
	return key, d[:], sig
}

// BenchmarkBrainpoolVerify compares with the big-integer path in one run; the
// metric "times-generic" is how many times faster ours is.
func BenchmarkBrainpoolVerify(b *testing.B) {
	key, digest, sig := benchKey(b)
	std := &stdKey(key).PublicKey
	b.Run("generic", func(b *testing.B) {
		for b.Loop() {
			if !ecdsa.VerifyASN1(std, digest, sig) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if !key.public.Verify(digest, sig) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("ratio", func(b *testing.B) {
		var ours, generic time.Duration
		for b.Loop() {
			start := time.Now()
			for range 10 {
				key.public.Verify(digest, sig)
			}
			middle := time.Now()
			ecdsa.VerifyASN1(std, digest, sig)
			ours += middle.Sub(start) / 10
			generic += time.Since(middle)
		}
		b.ReportMetric(float64(generic)/float64(ours), "times-generic")
	})
}

func BenchmarkBrainpoolSign(b *testing.B) {
	key, digest, _ := benchKey(b)
	for b.Loop() {
		if _, err := key.Sign(rand.Reader, digest, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBrainpoolECDH(b *testing.B) {
	key, _, _ := benchKey(b)
	for b.Loop() {
		if _, err := key.ECDH(key.public); err != nil {
			b.Fatal(err)
		}
	}
}
