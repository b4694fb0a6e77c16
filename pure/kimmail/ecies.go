package kimmail

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
)

// TI-ECIES (gemSpec_Krypt A_17220) wraps a transport key so that a card of the
// Telematikinfrastruktur can open it (gemSpec_COS §6.8.1.4, §6.8.2.3):
//
//	KAB  = x coordinate of the ECDH of an ephemeral key with the recipient's
//	Kenc = SHA-256(KAB || 00000001), Kmac = SHA-256(KAB || 00000002)
//	C    = AES-256-CBC(Kenc, IV = AES(Kenc, 0^16), key || 80 00…)
//	T    = first 8 bytes of AES-CMAC(Kmac, C || 80 00…)
//
// sent as A6 { OID, 7F49 { 86 point }, 86 { 02 || C }, 8E { T } }.

const (
	eciesMACSize    = 8
	paddingIsISO    = 0x02 // padding indicator before C
	transportKeyLen = 32
)

// eciesCryptogram is the tuple (PO, C, T) on brainpoolP256r1.
type eciesCryptogram struct {
	point []byte
	c     []byte
	t     []byte
}

// parseECIES reads the tuple. The tag 7F49 has two octets, which the usual DER
// readers refuse, hence the small reader here.
func parseECIES(b []byte) (eciesCryptogram, error) {
	var out eciesCryptogram
	body, rest, ok := cutTLV(b, 0xa6)
	if !ok || len(rest) != 0 {
		return out, malformed("TI-ECIES cryptogram")
	}
	oid, body, ok := cutTLV(body, 0x06)
	if !ok {
		return out, malformed("curve of the TI-ECIES cryptogram")
	}
	if string(oid) != oidBrainpoolP256r1 {
		return out, malformed("curve of the TI-ECIES cryptogram is not brainpoolP256r1")
	}
	keyObject, body, ok := cutTLV(body, 0x7f, 0x49)
	if !ok {
		return out, malformed("ephemeral key of the TI-ECIES cryptogram")
	}
	point, rest, ok := cutTLV(keyObject, 0x86)
	if !ok || len(rest) != 0 {
		return out, malformed("ephemeral key of the TI-ECIES cryptogram")
	}
	c, body, ok := cutTLV(body, 0x86)
	if !ok || len(c) < 1+aes.BlockSize || (len(c)-1)%aes.BlockSize != 0 || c[0] != paddingIsISO {
		return out, malformed("ciphertext of the TI-ECIES cryptogram")
	}
	t, body, ok := cutTLV(body, 0x8e)
	if !ok || len(t) != eciesMACSize || len(body) != 0 {
		return out, malformed("MAC of the TI-ECIES cryptogram")
	}
	return eciesCryptogram{point: point, c: c[1:], t: t}, nil
}

// cutTLV reads one element with that tag and a definite length below 64 KiB.
func cutTLV(b []byte, tag ...byte) (value, rest []byte, ok bool) {
	if !bytes.HasPrefix(b, tag) || len(b) <= len(tag) {
		return nil, nil, false
	}
	b = b[len(tag):]
	n, head := int(b[0]), 1
	switch {
	case b[0] == 0x81 && len(b) > 1:
		n, head = int(b[1]), 2
	case b[0] == 0x82 && len(b) > 2:
		n, head = int(b[1])<<8|int(b[2]), 3
	case b[0] >= 0x80:
		return nil, nil, false
	}
	if n > len(b)-head {
		return nil, nil, false
	}
	return b[head : head+n], b[head+n:], true
}

func appendTLV(out, value []byte, tag ...byte) []byte {
	out = appendLength(append(out, tag...), len(value))
	return append(out, value...)
}

func (c *eciesCryptogram) encode() []byte {
	body := appendTLV(nil, []byte(oidBrainpoolP256r1), 0x06)
	body = appendTLV(body, appendTLV(nil, c.point, 0x86), 0x7f, 0x49)
	body = appendTLV(body, append([]byte{paddingIsISO}, c.c...), 0x86)
	body = appendTLV(body, c.t, 0x8e)
	return appendTLV(nil, body, 0xa6)
}

// eciesCiphers derives the two ciphers from the shared x coordinate: the key
// derivation of ANSI X9.63 with SHA-256 and an empty SharedInfo.
func eciesCiphers(shared []byte) (enc, mac cipher.Block, err error) {
	keys := x963KDF(shared, nil, 2*sha256.Size)
	if enc, err = aes.NewCipher(keys[:sha256.Size]); err != nil {
		return nil, nil, fmt.Errorf("TI-ECIES: %w", err)
	}
	if mac, err = aes.NewCipher(keys[sha256.Size:]); err != nil {
		return nil, nil, fmt.Errorf("TI-ECIES: %w", err)
	}
	return enc, mac, nil
}

// x963KDF is the key derivation of ANSI X9.63 §5.6.3 with SHA-256.
func x963KDF(secret, info []byte, size int) []byte {
	var out []byte
	for counter := byte(1); len(out) < size; counter++ {
		h := sha256.New()
		h.Write(secret)
		h.Write([]byte{0, 0, 0, counter})
		h.Write(info)
		out = h.Sum(out)
	}
	return out[:size]
}

func eciesIV(enc cipher.Block) []byte {
	iv := make([]byte, aes.BlockSize)
	enc.Encrypt(iv, iv)
	return iv
}

// padISO appends 80 00… up to a whole block, always at least one byte (ISO/IEC
// 7816-4).
func padISO(b []byte) []byte {
	n := aes.BlockSize - len(b)%aes.BlockSize
	out := make([]byte, len(b)+n)
	copy(out, b)
	out[len(b)] = 0x80
	return out
}

// openECIES recovers the transport key from the shared x coordinate. All failures
// of the secret part look alike.
func openECIES(shared []byte, c eciesCryptogram) ([]byte, error) {
	enc, mac, err := eciesCiphers(shared)
	if err != nil {
		return nil, err
	}
	want := cmac(mac, padISO(c.c))
	plain := make([]byte, len(c.c))
	cipher.NewCBCDecrypter(enc, eciesIV(enc)).CryptBlocks(plain, c.c)
	ok := subtle.ConstantTimeCompare(want[:eciesMACSize], c.t)
	if ok != 1 || len(plain) != transportKeyLen+aes.BlockSize ||
		!bytes.Equal(plain[transportKeyLen:], padISO(nil)) {
		return nil, errKeyUnwrap
	}
	return plain[:transportKeyLen], nil
}

// errKeyUnwrap says that an encrypted key is not what the recipient's key opens.
var errKeyUnwrap = errors.New("the transport key cannot be opened with this key")

// sealECIES wraps a transport key for a recipient.
func sealECIES(rand io.Reader, key []byte, to *BrainpoolKey) ([]byte, error) {
	ephemeral, err := GenerateBrainpoolKey(rand)
	if err != nil {
		return nil, err
	}
	return sealECIESWith(ephemeral, key, to)
}

func sealECIESWith(ephemeral *BrainpoolPrivateKey, key []byte, to *BrainpoolKey) ([]byte, error) {
	shared, err := ephemeral.ECDH(to)
	if err != nil {
		return nil, err
	}
	enc, mac, err := eciesCiphers(shared)
	if err != nil {
		return nil, err
	}
	c := padISO(key)
	cipher.NewCBCEncrypter(enc, eciesIV(enc)).CryptBlocks(c, c)
	t := cmac(mac, padISO(c))
	out := eciesCryptogram{point: ephemeral.public.Bytes(), c: c, t: t[:eciesMACSize]}
	return out.encode(), nil
}
