package kimmail

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // older PKCS#12 files hide their key with Triple-DES
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // prescribed for older PKCS#12 files
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ErrPassword says that a PKCS#12 file does not open with this password.
var ErrPassword = errors.New("wrong password")

// ParsePKCS12 reads the private keys of a PKCS#12 file (RFC 7292) with their
// certificates, and all other certificates in it. RSA, P-256 and brainpoolP256r1
// keys are understood; files may be protected with PBES2 (AES), Triple-DES or, for
// certificates, 40- and 128-bit RC2. An error wrapping [ErrPassword] is the only one
// that another password could mend.
func ParsePKCS12(file []byte, password string) (pairs []KeyPair, others []*Certificate, err error) {
	der, _, err := toDER(file, Limits{}.withDefaults())
	if err != nil {
		return nil, nil, fmt.Errorf("reading a PKCS#12 file: %w", err)
	}
	r := pkcs12Reader{password: password}
	if err := r.read(der); err != nil {
		return nil, nil, fmt.Errorf("reading a PKCS#12 file: %w", err)
	}
	used := make([]bool, len(r.certs))
	for _, key := range r.keys {
		for i, cert := range r.certs {
			pair := KeyPair{Certificate: cert, Key: key}
			if !used[i] && pair.check() == nil {
				pairs, used[i] = append(pairs, pair), true
				break
			}
		}
	}
	if len(pairs) == 0 {
		return nil, nil, fmt.Errorf("reading a PKCS#12 file: %w", malformed("no key with its certificate in it"))
	}
	for i, cert := range r.certs {
		if !used[i] {
			others = append(others, cert)
		}
	}
	return pairs, others, nil
}

type pkcs12Reader struct {
	password string
	keys     []any
	certs    []*Certificate
}

func (r *pkcs12Reader) read(der []byte) error {
	in := cryptobyte.String(der)
	var pfx, auth, oid, explicit, safes, list cryptobyte.String
	var version int
	if !in.ReadASN1(&pfx, asn1.SEQUENCE) || !pfx.ReadASN1Integer(&version) || version != 3 ||
		!pfx.ReadASN1(&auth, asn1.SEQUENCE) || !auth.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		string(oid) != oidData || !auth.ReadASN1(&explicit, tagContext0.Constructed()) ||
		!explicit.ReadASN1(&safes, asn1.OCTET_STRING) {
		return malformed("PFX")
	}
	if err := r.checkMAC(pfx, safes); err != nil {
		return err
	}
	inner, _, err := toDER(safes, Limits{}.withDefaults())
	if err != nil {
		return err
	}
	safes = inner
	if !safes.ReadASN1(&list, asn1.SEQUENCE) {
		return malformed("authenticated safe")
	}
	for !list.Empty() {
		var info, oid, content cryptobyte.String
		if !list.ReadASN1(&info, asn1.SEQUENCE) || !info.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!info.ReadASN1(&content, tagContext0.Constructed()) {
			return malformed("authenticated safe")
		}
		if err := r.readSafe(string(oid), content); err != nil {
			return err
		}
	}
	return nil
}

// checkMAC verifies the integrity of the file, which also tests the password.
func (r *pkcs12Reader) checkMAC(pfx, content cryptobyte.String) error {
	if pfx.Empty() {
		return nil // integrity is optional (RFC 7292 §4)
	}
	var mac, info, digest, salt cryptobyte.String
	var alg algorithm
	iterations := 1
	if !pfx.ReadASN1(&mac, asn1.SEQUENCE) || !mac.ReadASN1(&info, asn1.SEQUENCE) || !readAlgorithm(&info, &alg) ||
		!info.ReadASN1(&digest, asn1.OCTET_STRING) || !mac.ReadASN1(&salt, asn1.OCTET_STRING) ||
		(!mac.Empty() && !mac.ReadASN1Integer(&iterations)) {
		return malformed("MAC of the PFX")
	}
	h, ok := pkcs12Hash(alg.oid)
	if !ok || !goodIterations(iterations) {
		return malformed("MAC algorithm of the PFX")
	}
	key := pkcs12KDF(h, bmpPassword(r.password), salt, iterations, 3, h().Size())
	m := hmac.New(h, key)
	m.Write(content)
	if !hmac.Equal(m.Sum(nil), digest) {
		return ErrPassword
	}
	return nil
}

func (r *pkcs12Reader) readSafe(oid string, content cryptobyte.String) error {
	var bags cryptobyte.String
	switch oid {
	case oidData:
		if !content.ReadASN1(&bags, asn1.OCTET_STRING) {
			return malformed("safe contents")
		}
	case oidEncryptedData:
		var data, info, sealed cryptobyte.String
		var version int
		var alg algorithm
		if !content.ReadASN1(&data, asn1.SEQUENCE) || !data.ReadASN1Integer(&version) ||
			!data.ReadASN1(&info, asn1.SEQUENCE) || !info.SkipASN1(asn1.OBJECT_IDENTIFIER) ||
			!readAlgorithm(&info, &alg) {
			return malformed("encrypted safe contents")
		}
		joined, err := joinOctets(&info)
		if err != nil {
			return err
		}
		sealed = joined
		plain, err := decryptPBE(alg, sealed, r.password)
		if err != nil {
			return err
		}
		bags = plain
	default:
		return malformed("safe contents of unknown type")
	}
	der, _, err := toDER(bags, Limits{}.withDefaults())
	if err != nil {
		return err
	}
	bags = der
	return r.readBags(bags)
}

func (r *pkcs12Reader) readBags(in cryptobyte.String) error {
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) {
		return malformed("safe contents")
	}
	for !list.Empty() {
		var bag, oid, value cryptobyte.String
		if !list.ReadASN1(&bag, asn1.SEQUENCE) || !bag.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!bag.ReadASN1(&value, tagContext0.Constructed()) {
			return malformed("safe bag")
		}
		var err error
		switch string(oid) {
		case oidKeyBag:
			err = r.addKey(value)
		case oidShroudedKeyBag:
			err = r.addShroudedKey(value)
		case oidCertBag:
			err = r.addCertificate(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *pkcs12Reader) addShroudedKey(value cryptobyte.String) error {
	var info, sealed cryptobyte.String
	var alg algorithm
	if !value.ReadASN1(&info, asn1.SEQUENCE) || !readAlgorithm(&info, &alg) || !info.ReadASN1(&sealed, asn1.OCTET_STRING) {
		return malformed("shrouded key bag")
	}
	plain, err := decryptPBE(alg, sealed, r.password)
	if err != nil {
		return err
	}
	return r.addKey(plain)
}

func (r *pkcs12Reader) addKey(pkcs8 []byte) error {
	key, err := ParsePrivateKey(pkcs8)
	if err != nil {
		return err
	}
	r.keys = append(r.keys, key)
	return nil
}

func (r *pkcs12Reader) addCertificate(value cryptobyte.String) error {
	var bag, oid, explicit, der cryptobyte.String
	if !value.ReadASN1(&bag, asn1.SEQUENCE) || !bag.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		!bag.ReadASN1(&explicit, tagContext0.Constructed()) || !explicit.ReadASN1(&der, asn1.OCTET_STRING) {
		return malformed("certificate bag")
	}
	if string(oid) != oidX509Certificate {
		return nil
	}
	cert, err := ParseCertificate(der)
	if err != nil {
		return err
	}
	r.certs = append(r.certs, cert)
	return nil
}

// ParsePrivateKey reads a PKCS#8 PrivateKeyInfo (RFC 5958): a *[BrainpoolPrivateKey],
// or what crypto/x509 knows.
func ParsePrivateKey(der []byte) (any, error) {
	in := cryptobyte.String(der)
	var info, curve, key, ec, scalar cryptobyte.String
	var version int
	var alg algorithm
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !info.ReadASN1Integer(&version) || !readAlgorithm(&info, &alg) ||
		!info.ReadASN1(&key, asn1.OCTET_STRING) {
		return nil, malformed("private key")
	}
	params := alg.params
	if alg.oid != oidECPublicKey || !params.ReadASN1(&curve, asn1.OBJECT_IDENTIFIER) || string(curve) != oidBrainpoolP256r1 {
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, malformed("private key of unsupported kind")
		}
		return parsed, nil
	}
	// ECPrivateKey, RFC 5915 §3
	if !key.ReadASN1(&ec, asn1.SEQUENCE) || !ec.ReadASN1Integer(&version) || !ec.ReadASN1(&scalar, asn1.OCTET_STRING) {
		return nil, malformed("elliptic curve private key")
	}
	return NewBrainpoolPrivateKey(scalar)
}

// decryptPBE opens what is encrypted with a password: PBES2 (RFC 8018 §6.2) or the
// schemes of RFC 7292 appendix C.
func decryptPBE(alg algorithm, sealed []byte, password string) ([]byte, error) {
	var block cipher.Block
	var iv []byte
	var err error
	if alg.oid == oidPBES2 {
		block, iv, err = pbes2Cipher(alg.params, password)
	} else {
		block, iv, err = pkcs12Cipher(alg, password)
	}
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(sealed) == 0 || len(sealed)%size != 0 || len(iv) != size {
		return nil, malformed("password-encrypted data")
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > size {
		return nil, ErrPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrPassword
		}
	}
	return plain[:len(plain)-pad], nil
}

// pbes2Cipher reads PBES2-params with PBKDF2 and AES-CBC.
func pbes2Cipher(params cryptobyte.String, password string) (cipher.Block, []byte, error) {
	var seq, kdfParams, salt, iv cryptobyte.String
	var kdf, enc algorithm
	var iterations int
	if !params.ReadASN1(&seq, asn1.SEQUENCE) || !readAlgorithm(&seq, &kdf) || !readAlgorithm(&seq, &enc) ||
		kdf.oid != oidPBKDF2 || !kdf.params.ReadASN1(&kdfParams, asn1.SEQUENCE) ||
		!kdfParams.ReadASN1(&salt, asn1.OCTET_STRING) || !kdfParams.ReadASN1Integer(&iterations) ||
		!enc.params.ReadASN1(&iv, asn1.OCTET_STRING) || !goodIterations(iterations) {
		return nil, nil, malformed("parameters of PBES2")
	}
	var keyLen int
	switch enc.oid {
	case oidAES128CBC:
		keyLen = 16
	case oidAES256CBC:
		keyLen = 32
	default:
		return nil, nil, malformed("cipher of PBES2 is not supported")
	}
	h := sha1.New
	if kdfParams.PeekASN1Tag(asn1.INTEGER) {
		var given int
		if !kdfParams.ReadASN1Integer(&given) || given != keyLen {
			return nil, nil, malformed("key length of PBES2")
		}
	}
	var prf algorithm
	if !kdfParams.Empty() {
		if !readAlgorithm(&kdfParams, &prf) {
			return nil, nil, malformed("parameters of PBES2")
		}
		var ok bool
		if h, ok = hmacHash(prf.oid); !ok {
			return nil, nil, malformed("hash of PBES2 is not supported")
		}
	}
	key, err := pbkdf2.Key(h, password, salt, iterations, keyLen)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving a key: %w", err)
	}
	return block, iv, nil
}

// pkcs12Cipher reads pkcs-12PbeParams.
func pkcs12Cipher(alg algorithm, password string) (cipher.Block, []byte, error) {
	var seq, salt cryptobyte.String
	var iterations int
	if !alg.params.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&salt, asn1.OCTET_STRING) ||
		!seq.ReadASN1Integer(&iterations) || !goodIterations(iterations) {
		return nil, nil, malformed("parameters of the password encryption")
	}
	derive := func(id byte, size int) []byte {
		return pkcs12KDF(sha1.New, bmpPassword(password), salt, iterations, id, size)
	}
	switch alg.oid {
	case oidPBE3DES:
		block, err := des.NewTripleDESCipher(derive(1, 24)) //nolint:gosec // see the import
		if err != nil {
			return nil, nil, fmt.Errorf("deriving a key: %w", err)
		}
		return block, derive(2, 8), nil
	case oidPBERC2x40:
		return newRC2(derive(1, 5), 40), derive(2, 8), nil
	case oidPBERC2x128:
		return newRC2(derive(1, 16), 128), derive(2, 8), nil
	}
	return nil, nil, malformed("password encryption is not supported")
}

// goodIterations bounds what a file may make us compute: about ten seconds.
func goodIterations(n int) bool { return n > 0 && n <= 10_000_000 }

func pkcs12Hash(oid string) (func() hash.Hash, bool) {
	switch oid {
	case oidSHA1:
		return sha1.New, true
	case oidSHA256:
		return sha256.New, true
	case oidSHA512:
		return sha512.New, true
	}
	return nil, false
}

func hmacHash(oid string) (func() hash.Hash, bool) {
	switch oid {
	case oidHMACSHA1:
		return sha1.New, true
	case oidHMACSHA256:
		return sha256.New, true
	case oidHMACSHA512:
		return sha512.New, true
	}
	return nil, false
}

// bmpPassword writes the password in UTF-16 with a closing zero (RFC 7292 §B.1).
func bmpPassword(password string) []byte {
	out := make([]byte, 0, 2*len(password)+2)
	for _, c := range utf16.Encode([]rune(password)) {
		out = append(out, byte(c>>8), byte(c))
	}
	return append(out, 0, 0)
}

// pkcs12KDF is the key derivation of RFC 7292 §B.2; id is 1 for a key, 2 for an
// initial vector, 3 for a MAC key.
func pkcs12KDF(newHash func() hash.Hash, password, salt []byte, iterations int, id byte, size int) []byte {
	h := newHash()
	v := h.BlockSize()
	d := make([]byte, v)
	for i := range d {
		d[i] = id
	}
	in := append(repeatTo(salt, v), repeatTo(password, v)...)
	var out []byte
	for len(out) < size {
		h.Reset()
		h.Write(d)
		h.Write(in)
		a := h.Sum(nil)
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		out = append(out, a...)
		b := repeatTo(a, v)
		for j := 0; j < len(in); j += v {
			carry := uint(1)
			for k := v - 1; k >= 0; k-- {
				carry += uint(in[j+k]) + uint(b[k])
				in[j+k] = byte(carry)
				carry >>= 8
			}
		}
	}
	return out[:size]
}

// repeatTo repeats b up to a multiple of v bytes; nothing stays nothing.
func repeatTo(b []byte, v int) []byte {
	if len(b) == 0 {
		return nil
	}
	out := make([]byte, (len(b)+v-1)/v*v)
	for i := range out {
		out[i] = b[i%len(b)]
	}
	return out
}
