package kimmail

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// envelope is an AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084).
type envelope struct {
	recipients []Recipient
	nonce      []byte
	sealed     []byte // ciphertext and MAC, our own copy
	aad        []byte
	emails     []RecipientEmail
	hasEmails  bool
}

const gcmTagSize = 16

// readEnvelope reads a ContentInfo that must hold AuthEnvelopedData as KIM sends it.
func readEnvelope(ber []byte, lim Limits) (*envelope, error) {
	der, _, err := toDER(ber, lim)
	if err != nil {
		return nil, err
	}
	oid, content, err := readContentInfo(der)
	if err != nil {
		return nil, err
	}
	switch oid {
	case oidAuthEnvelopedData:
	case oidEnvelopedData:
		return nil, malformed("mail is encrypted without authentication (EnvelopedData)")
	default:
		return nil, malformed("mail is no AuthEnvelopedData")
	}
	return parseEnvelope(content)
}

func parseEnvelope(in cryptobyte.String) (*envelope, error) {
	var body, recipients, info, alg cryptobyte.String
	var version int
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1Integer(&version) ||
		!body.SkipOptionalASN1(tagContext0.Constructed()) || !body.ReadASN1(&recipients, asn1.SET) ||
		!body.ReadASN1(&info, asn1.SEQUENCE) || !info.SkipASN1(asn1.OBJECT_IDENTIFIER) ||
		!info.ReadASN1(&alg, asn1.SEQUENCE) {
		return nil, malformed("AuthEnvelopedData")
	}
	e := new(envelope)
	var err error
	if e.recipients, err = readRecipients(recipients); err != nil {
		return nil, err
	}
	if e.nonce, err = readGCMParameters(alg); err != nil {
		return nil, err
	}
	var attrs, mac, unauth cryptobyte.String
	var haveAttrs, haveUnauth bool
	if e.sealed, err = joinOctets(&info); err != nil {
		return nil, err
	}
	if !body.ReadOptionalASN1(&attrs, &haveAttrs, tagContext1.Constructed()) ||
		!body.ReadASN1(&mac, asn1.OCTET_STRING) ||
		!body.ReadOptionalASN1(&unauth, &haveUnauth, tagContext2.Constructed()) {
		return nil, malformed("AuthEnvelopedData")
	}
	if len(mac) != gcmTagSize {
		return nil, malformed("AuthEnvelopedData with a MAC of %d bytes", len(mac))
	}
	e.sealed = append(e.sealed, mac...)
	if haveAttrs { // RFC 5083 §2.2: what is authenticated is their DER as a SET OF
		e.aad = append(appendLength([]byte{0x31}, len(attrs)), attrs...)
	}
	if !haveUnauth {
		return e, nil
	}
	list, err := readAttributes(unauth)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.oid == oidRecipientEmails {
			e.hasEmails = true
			if e.emails, err = readRecipientEmails(a.values); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

// readGCMParameters admits AES-256-GCM with a 12-byte nonce and a 16-byte tag only:
// a shorter tag would make forging easier.
func readGCMParameters(alg cryptobyte.String) ([]byte, error) {
	var oid, params, nonce cryptobyte.String
	if !alg.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) {
		return nil, malformed("content encryption algorithm")
	}
	if string(oid) != oidAES256GCM {
		return nil, malformed("content encryption is not AES-256-GCM")
	}
	tagSize := 12 // default of RFC 5084 §3.2
	if !alg.ReadASN1(&params, asn1.SEQUENCE) || !params.ReadASN1(&nonce, asn1.OCTET_STRING) ||
		(!params.Empty() && !params.ReadASN1Integer(&tagSize)) {
		return nil, malformed("parameters of AES-256-GCM")
	}
	if len(nonce) != 12 || tagSize != gcmTagSize {
		return nil, malformed("AES-256-GCM with a nonce of %d and a tag of %d bytes", len(nonce), tagSize)
	}
	return nonce, nil
}

// joinOctets copies the encrypted content, [0] IMPLICIT OCTET STRING: primitive, or
// constructed from pieces as BER senders write it.
func joinOctets(info *cryptobyte.String) ([]byte, error) {
	var whole cryptobyte.String
	if info.PeekASN1Tag(tagContext0) {
		if !info.ReadASN1(&whole, tagContext0) {
			return nil, malformed("encrypted content")
		}
		return append(make([]byte, 0, len(whole)+gcmTagSize), whole...), nil
	}
	if !info.ReadASN1(&whole, tagContext0.Constructed()) {
		return nil, malformed("encrypted content is missing")
	}
	out := make([]byte, 0, len(whole)+gcmTagSize)
	for !whole.Empty() {
		var piece cryptobyte.String
		if !whole.ReadASN1(&piece, asn1.OCTET_STRING) {
			return nil, malformed("encrypted content")
		}
		out = append(out, piece...)
	}
	return out, nil
}

// open decrypts with the first entry that the keys answer for. The errors: ErrNoKey
// if there is none, ErrMalformed for a wrong format, anything else from the keys.
func (e *envelope) open(keys Decrypter) ([]byte, error) {
	failure := ErrNoKey
	for i := range e.recipients {
		key, err := keys.OpenTransportKey(&e.recipients[i])
		if errors.Is(err, ErrNoKey) {
			continue
		}
		if err == nil {
			if plain, err := e.decrypt(key); err == nil {
				return plain, nil
			}
			err = malformed("the content does not match its MAC")
		}
		if errors.Is(err, errKeyUnwrap) {
			err = malformed("%v", err)
		}
		failure = err
	}
	return nil, failure
}

func (e *envelope) decrypt(key []byte) ([]byte, error) {
	if len(key) != sha256.Size {
		return nil, malformed("transport key of %d bytes", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("opening the content: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("opening the content: %w", err)
	}
	plain, err := gcm.Open(nil, e.nonce, e.sealed, e.aad)
	if err != nil {
		return nil, fmt.Errorf("opening the content: %w", err)
	}
	return plain, nil
}
