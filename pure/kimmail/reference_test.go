package kimmail

import (
	"crypto/ecdsa"
	"math/big"

	"github.com/ProtonMail/go-crypto/brainpool"
)

// The generic big-integer path: crypto/elliptic and crypto/ecdsa on the parameters of
// brainpoolP256r1. It is deprecated for use and good for comparing.

func bigBase(k []byte) (x, y *big.Int) {
	return brainpool.P256r1().ScalarBaseMult(k) //nolint:staticcheck // for comparing
}

func bigMult(x, y *big.Int, k []byte) (rx, ry *big.Int) {
	return brainpool.P256r1().ScalarMult(x, y, k) //nolint:staticcheck // for comparing
}

func bigAdd(x1, y1, x2, y2 *big.Int) (x, y *big.Int) {
	return brainpool.P256r1().Add(x1, y1, x2, y2) //nolint:staticcheck // for comparing
}

// stdKey is our key in the form of crypto/ecdsa.
func stdKey(k *BrainpoolPrivateKey) *ecdsa.PrivateKey {
	b := k.public.encoded
	std := new(ecdsa.PrivateKey)
	std.Curve = brainpool.P256r1()
	std.X = new(big.Int).SetBytes(b[1:33])
	std.Y = new(big.Int).SetBytes(b[33:])
	std.D = new(big.Int).SetBytes(k.Bytes()) //nolint:staticcheck // the only way to this curve
	return std
}
