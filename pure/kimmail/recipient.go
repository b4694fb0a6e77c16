package kimmail

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// KeyAlgorithm is how a transport key is wrapped for one recipient.
type KeyAlgorithm int

// The two ways KIM knows; RSA cards were switched off on 30.06.2026.
const (
	KeyUnsupported KeyAlgorithm = iota
	KeyRSAOAEP                  // RSAES-OAEP, SHA-256, MGF1 with SHA-256
	KeyTIECIES                  // gematik TI-ECIES on brainpoolP256r1
)

// Recipient is one RecipientInfo of an encrypted mail.
type Recipient struct {
	Algorithm    KeyAlgorithm
	EncryptedKey []byte
	id           issuerSerial
}

// Of tells whether the entry names this certificate.
func (r *Recipient) Of(c *Certificate) bool { return r.id == c.id }

// ID names the certificate for use as a map key: issuer and serial number in DER.
func (r *Recipient) ID() string { return r.id.issuer + r.id.serial }

// RecipientID is the [Recipient.ID] of a certificate.
func (c *Certificate) RecipientID() string { return c.id.issuer + c.id.serial }

// ErrNoKey means that a mail is encrypted to none of the keys at hand.
var ErrNoKey = errors.New("no key for this mail")

// Decrypter opens transport keys. Implementations: [Keyring] with keys in memory,
// [TokenKeys] with keys in a PKCS#11 token. It returns an error wrapping ErrNoKey
// if the entry is for somebody else, any other error if the attempt failed. It must
// be safe for use by several goroutines.
type Decrypter interface {
	OpenTransportKey(r *Recipient) ([]byte, error)
}

// Agreer is a private key on brainpoolP256r1 that computes the x coordinate of the
// product with a public point; *[BrainpoolPrivateKey] is one, a token another.
type Agreer interface {
	ECDH(peer *BrainpoolKey) ([]byte, error)
}

// UnwrapECIES opens a TI-ECIES entry with any key that can agree.
func UnwrapECIES(key Agreer, encryptedKey []byte) ([]byte, error) {
	c, err := parseECIES(encryptedKey)
	if err != nil {
		return nil, err
	}
	peer, err := NewBrainpoolKey(c.point)
	if err != nil {
		return nil, err
	}
	shared, err := key.ECDH(peer)
	if err != nil {
		return nil, fmt.Errorf("opening a transport key: %w", err)
	}
	return openECIES(shared, c)
}

// UnwrapOAEP opens an RSAES-OAEP entry with any key that decrypts so.
func UnwrapOAEP(key crypto.Decrypter, encryptedKey []byte) ([]byte, error) {
	plain, err := key.Decrypt(nil, encryptedKey, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256})
	if err != nil {
		return nil, errKeyUnwrap
	}
	return plain, nil
}

// KeyPair is a certificate with a key that opens what is encrypted to it: a
// *rsa.PrivateKey (or any crypto.Decrypter) or an [Agreer].
type KeyPair struct {
	Certificate *Certificate
	Key         any
}

// Keyring is a Decrypter with keys in memory.
type Keyring struct {
	byID map[string]any
}

// NewKeyring takes the keys of one mailbox. Only keys that match the public key of
// their certificate are admitted.
func NewKeyring(pairs ...KeyPair) (*Keyring, error) {
	k := &Keyring{byID: make(map[string]any, len(pairs))}
	for _, p := range pairs {
		if err := p.check(); err != nil {
			return nil, err
		}
		k.byID[p.Certificate.RecipientID()] = p.Key
	}
	return k, nil
}

func (p *KeyPair) check() error {
	holder, ok := p.Key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return fmt.Errorf("key of %q: type %T cannot decrypt", p.Certificate.CommonName, p.Key)
	}
	public, ok := holder.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(p.Certificate.PublicKey()) {
		return fmt.Errorf("key of %q does not belong to its certificate", p.Certificate.CommonName)
	}
	return nil
}

// OpenTransportKey implements [Decrypter].
func (k *Keyring) OpenTransportKey(r *Recipient) ([]byte, error) {
	key, ok := k.byID[r.ID()]
	if !ok {
		return nil, ErrNoKey
	}
	return unwrap(key, r)
}

func unwrap(key any, r *Recipient) ([]byte, error) {
	switch r.Algorithm {
	case KeyTIECIES:
		if agreer, ok := key.(Agreer); ok {
			return UnwrapECIES(agreer, r.EncryptedKey)
		}
	case KeyRSAOAEP:
		if decrypter, ok := key.(crypto.Decrypter); ok {
			return UnwrapOAEP(decrypter, r.EncryptedKey)
		}
	case KeyUnsupported:
	}
	return nil, fmt.Errorf("opening a transport key: the key does not fit the algorithm: %w", ErrMalformed)
}

// readRecipients reads the SET OF RecipientInfo. Entries of other kinds than key
// transport are passed over: KIM has none.
func readRecipients(in cryptobyte.String) ([]Recipient, error) {
	var list []Recipient
	for !in.Empty() {
		var info cryptobyte.String
		var tag asn1.Tag
		if !in.ReadAnyASN1(&info, &tag) {
			return nil, malformed("recipient info")
		}
		if tag != asn1.SEQUENCE {
			continue
		}
		var version int
		var r Recipient
		var alg algorithm
		var key cryptobyte.String
		if !info.ReadASN1Integer(&version) {
			return nil, malformed("recipient info")
		}
		if info.PeekASN1Tag(tagContext0) {
			continue // named by key identifier: never in KIM
		}
		if !readIssuerSerial(&info, &r.id) || !readAlgorithm(&info, &alg) || !info.ReadASN1(&key, asn1.OCTET_STRING) {
			return nil, malformed("recipient info")
		}
		r.EncryptedKey, r.Algorithm = key, keyAlgorithm(alg)
		list = append(list, r)
	}
	return list, nil
}

func keyAlgorithm(alg algorithm) KeyAlgorithm {
	switch alg.oid {
	case oidTIECIES:
		return KeyTIECIES
	case oidRSAESOAEP:
		if oaepIsSHA256(alg.params) {
			return KeyRSAOAEP
		}
	}
	return KeyUnsupported
}

// oaepIsSHA256 reads RSAES-OAEP-params (RFC 4055 §4.1).
func oaepIsSHA256(params cryptobyte.String) bool {
	var seq, hash, mgf, label cryptobyte.String
	var haveHash, haveMGF, haveLabel bool
	if !params.ReadASN1(&seq, asn1.SEQUENCE) ||
		!seq.ReadOptionalASN1(&hash, &haveHash, tagContext0.Constructed()) ||
		!seq.ReadOptionalASN1(&mgf, &haveMGF, tagContext1.Constructed()) ||
		!seq.ReadOptionalASN1(&label, &haveLabel, tagContext2.Constructed()) {
		return false
	}
	var hashAlg algorithm
	if !haveHash || !haveMGF || !readAlgorithm(&hash, &hashAlg) || hashAlg.oid != oidSHA256 || !mgf1IsSHA256(mgf) {
		return false
	}
	if !haveLabel {
		return true
	}
	var labelAlg algorithm
	var value cryptobyte.String
	return readAlgorithm(&label, &labelAlg) && labelAlg.oid == oidPSpecified &&
		labelAlg.params.ReadASN1(&value, asn1.OCTET_STRING) && value.Empty()
}

func mgf1IsSHA256(in cryptobyte.String) bool {
	var mgf, hash algorithm
	return readAlgorithm(&in, &mgf) && mgf.oid == oidMGF1 && readAlgorithm(&mgf.params, &hash) && hash.oid == oidSHA256
}

// RecipientEmail is one entry of the recipient-emails attribute (gemSMIME_KOMLE):
// an address, and the certificate that was encrypted to for it.
type RecipientEmail struct {
	Address string
	id      issuerSerial
}

// readRecipientEmails reads the attribute's values.
func readRecipientEmails(in cryptobyte.String) ([]RecipientEmail, error) {
	var list []RecipientEmail
	for !in.Empty() {
		var seq, mail cryptobyte.String
		var e RecipientEmail
		if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&mail, asn1.IA5String) || !readIssuerSerial(&seq, &e.id) {
			return nil, malformed("recipient-emails attribute")
		}
		e.Address = string(mail)
		list = append(list, e)
	}
	return list, nil
}

// sameRecipients compares without regard to order and to the case of addresses.
func sameRecipients(a, b []RecipientEmail) bool {
	return slices.Equal(recipientKeys(a), recipientKeys(b))
}

func recipientKeys(list []RecipientEmail) []string {
	keys := make([]string, len(list))
	for i, e := range list {
		keys[i] = strings.ToLower(e.Address) + "\x00" + e.id.issuer + "\x00" + e.id.serial
	}
	slices.Sort(keys)
	return keys
}

// encodeRecipientEmails writes the values in the order of DER.
func encodeRecipientEmails(list []RecipientEmail) (cryptobyte.String, error) {
	encoded := make([]string, len(list))
	for i, e := range list {
		b := cryptobyte.NewBuilder(nil)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.IA5String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(e.Address)) })
			addIssuerSerial(b, e.id)
		})
		out, err := b.Bytes()
		if err != nil {
			return nil, fmt.Errorf("writing recipient-emails: %w", err)
		}
		encoded[i] = string(out)
	}
	slices.Sort(encoded)
	return cryptobyte.String(strings.Join(encoded, "")), nil
}
