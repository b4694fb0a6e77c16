package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"testing"
)

// The hash total is the plain sum of the hashes modulo 2^256, in any order.
func TestTheHashTotalIsASumModulo2To256(t *testing.T) {
	want, modulus := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 256)
	var up, down hashTotal
	const n = 500 // enough for many carries out of the highest word
	for i := range int64(n) {
		rest := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, uint64(i)), rest[:]...))
		want.Add(want, new(big.Int).SetBytes(sum[:])).Mod(want, modulus)
		up.add(i, rest)
		j := n - 1 - i
		down.add(j, sha256.Sum256([]byte{byte(j), byte(j >> 8)}))
	}
	if text := hex.EncodeToString(want.FillBytes(make([]byte, 32))); up.String() != text || down != up {
		t.Errorf("%s and %s, want %s", up.String(), down.String(), text)
	}
}
