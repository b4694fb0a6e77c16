package kimmail

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SealRecipient is somebody who shall be able to open a mail.
type SealRecipient struct {
	Address     string
	Certificate *Certificate // for encryption: RSA or brainpoolP256r1
}

// SealRequest is a mail to be signed and encrypted as a Clientmodul does it.
type SealRequest struct {
	Mail       []byte          // in clear, with its header, from [Compose] without Delivered
	Signer     *Identity       // the institution's signature key (C.HCI.OSIG)
	Recipients []SealRecipient // all recipients and the sender himself
	Time       time.Time       // of the signature
	CMVersion  string          // X-KIM-CMVersion, left out if empty
}

// Seal writes the mail as it travels between Fachdienste (gemSMIME_KOMLE): signed,
// encrypted to every recipient, CMS in BER with indefinite lengths and pieces of 1000
// bytes, under the outer header.
func Seal(req SealRequest) ([]byte, error) {
	lim := Limits{}.withDefaults()
	h, _, err := readHeader(req.Mail, lim)
	if err != nil {
		return nil, fmt.Errorf("sealing a mail: %w", err)
	}
	if len(req.Recipients) == 0 {
		return nil, fmt.Errorf("sealing a mail: no recipients")
	}
	emails := make([]RecipientEmail, len(req.Recipients))
	for i, r := range req.Recipients {
		emails[i] = RecipientEmail{Address: r.Address, id: r.Certificate.id}
	}
	attr, err := encodeRecipientEmails(emails)
	if err != nil {
		return nil, fmt.Errorf("sealing a mail: %w", err)
	}
	signed, err := signCMS(signRequest{
		content: append([]byte("Content-Type: message/rfc822\r\n\r\n"), req.Mail...),
		time:    req.Time, extra: []attribute{{oid: oidRecipientEmails, values: attr}},
	}, req.Signer)
	if err != nil {
		return nil, fmt.Errorf("sealing a mail: %w", err)
	}
	layer := append([]byte("MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n"+
		"Content-Transfer-Encoding: binary\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\r\n"), signed...)
	cms, err := encryptCMS(rand.Reader, layer, req.Recipients, attr)
	if err != nil {
		return nil, fmt.Errorf("sealing a mail: %w", err)
	}
	var b bytes.Buffer
	b.Grow(len(cms)*4/3 + len(cms)/38 + 2048)
	writeOuterHeader(&b, h, req.CMVersion)
	writeBase64(&b, cms)
	return b.Bytes(), nil
}

// writeOuterHeader copies what must be readable without a key. Values come unfolded
// and are folded again after commas.
func writeOuterHeader(b *bytes.Buffer, inner Header, cmVersion string) {
	b.WriteString("Subject: KOM-LE-Nachricht\r\n")
	for _, name := range [...]string{"Date", "From", "Sender", "Reply-To", "To", "Cc", "Message-ID", "X-KIM-Dienstkennung"} {
		if v := inner.Get(name); v != "" {
			b.WriteString(name + ": " + strings.ReplaceAll(v, ", ", ",\r\n ") + "\r\n")
		}
	}
	b.WriteString("X-KOM-LE-Version: 1.5\r\n")
	if cmVersion != "" {
		b.WriteString("X-KIM-CMVersion: " + cmVersion + "\r\n")
	}
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=authenticated-enveloped-data;\r\n" +
		"\tname=smime.p7m\r\nContent-Disposition: attachment; filename=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n")
}

// encryptCMS writes a ContentInfo of AuthEnvelopedData; emails is the content of the
// SET of the recipient-emails attribute, nil to leave it out.
func encryptCMS(random io.Reader, plain []byte, to []SealRecipient, emails cryptobyte.String) ([]byte, error) {
	secret := make([]byte, transportKeyLen+12)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("drawing a transport key: %w", err)
	}
	key, nonce := secret[:transportKeyLen], secret[transportKeyLen:]
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	sealed := gcm.Seal(make([]byte, 0, len(plain)+gcmTagSize), nonce, plain, nil)
	recipients, err := encodeRecipients(random, key, to)
	if err != nil {
		return nil, err
	}
	tail := cryptobyte.NewBuilder(nil)
	tail.AddASN1OctetString(sealed[len(plain):])
	if emails != nil {
		tail.AddASN1(tagContext2.Constructed(), func(b *cryptobyte.Builder) {
			addAttribute(b, oidRecipientEmails, func(b *cryptobyte.Builder) { b.AddBytes(emails) })
		})
	}
	tailBytes, err := tail.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing AuthEnvelopedData: %w", err)
	}
	gcmAlg := cryptobyte.NewBuilder(nil)
	addAlgorithm(gcmAlg, oidAES256GCM, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(nonce)
			b.AddASN1Int64(gcmTagSize)
		})
	})
	algBytes, err := gcmAlg.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing AuthEnvelopedData: %w", err)
	}
	return assembleBER(recipients, algBytes, sealed[:len(plain)], tailBytes), nil
}

// assembleBER puts the parts together with indefinite lengths, as Konnektors do.
func assembleBER(recipients, alg, sealed, tail []byte) []byte {
	const piece = 1000
	out := make([]byte, 0, len(sealed)+len(sealed)/piece*4+len(recipients)+len(tail)+256)
	out = append(out, 0x30, 0x80)
	out = appendTLV(out, []byte(oidAuthEnvelopedData), 0x06)
	out = append(out, 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x00)
	out = appendTLV(out, recipients, 0x31)
	out = append(out, 0x30, 0x80)
	out = appendTLV(out, []byte(oidData), 0x06)
	out = append(out, alg...)
	out = append(out, 0xa0, 0x80)
	for len(sealed) > 0 {
		n := min(piece, len(sealed))
		out = appendTLV(out, sealed[:n], 0x04)
		sealed = sealed[n:]
	}
	out = append(out, 0, 0, 0, 0)
	out = append(out, tail...)
	return append(out, 0, 0, 0, 0, 0, 0)
}

// encodeRecipients writes one KeyTransRecipientInfo per recipient.
func encodeRecipients(random io.Reader, key []byte, to []SealRecipient) ([]byte, error) {
	var out []byte
	for _, r := range to {
		b := cryptobyte.NewBuilder(nil)
		var wrapped []byte
		var alg cryptobyte.BuilderContinuation
		var err error
		switch public := r.Certificate.PublicKey().(type) {
		case *BrainpoolKey:
			wrapped, err = sealECIES(random, key, public)
			alg = func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addOID(b, oidTIECIES) })
			}
		case *rsa.PublicKey:
			wrapped, err = rsa.EncryptOAEP(sha256.New(), random, public, key, nil)
			alg = addOAEP
		default:
			err = fmt.Errorf("key of type %T cannot be encrypted to", public)
		}
		if err != nil {
			return nil, fmt.Errorf("encrypting to %q: %w", r.Address, err)
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			addIssuerSerial(b, r.Certificate.id)
			alg(b)
			b.AddASN1OctetString(wrapped)
		})
		info, err := b.Bytes()
		if err != nil {
			return nil, fmt.Errorf("encrypting to %q: %w", r.Address, err)
		}
		out = append(out, info...)
	}
	return out, nil
}

// addOAEP writes RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 4055 §4.1).
func addOAEP(b *cryptobyte.Builder) {
	addAlgorithm(b, oidRSAESOAEP, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { addAlgorithm(b, oidSHA256, nil) })
			b.AddASN1(tagContext1.Constructed(), addMGF1)
		})
	})
}
