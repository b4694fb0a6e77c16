package kimmail

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signWith signs content over the given attributes, in DER order or as they stand.
func signWith(t *testing.T, id *Identity, attrs [][]byte, sorted bool) *signedData {
	t.Helper()
	set := asSet(attrs)
	if sorted {
		set = sortedSet(bytes.Join(attrs, nil))
	}
	digest := sha256.Sum256(set)
	der, err := encodeSigned([]byte(testXML), attrs, digest[:], id)
	if err != nil {
		t.Fatal(err)
	}
	sd, err := readSignedData(der, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return sd
}

func encodeAttr(t *testing.T, oid string, value cryptobyte.BuilderContinuation) []byte {
	t.Helper()
	b := cryptobyte.NewBuilder(nil)
	addAttribute(b, oid, value)
	out, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Everything here is signed correctly; what is wrong stands in the attributes.
func TestSignedAttributesAreHeldAgainstTheContent(t *testing.T) {
	w := newWorld(t)
	digest := sha256.Sum256([]byte(testXML))
	good := signedAttributes(signRequest{content: []byte(testXML), time: testTime}, digest[:], w.doctor.Certificate)
	without := func(oid string) [][]byte {
		var out [][]byte
		for _, a := range good {
			if !bytes.Contains(a[:20], []byte(oid)) {
				out = append(out, a)
			}
		}
		return out
	}
	with := func(more ...[]byte) [][]byte { return append(append([][]byte{}, good...), more...) }
	otherType := encodeAttr(t, oidContentType, func(b *cryptobyte.Builder) { addOID(b, oidSignedData) })
	stranger := signedAttributes(signRequest{content: []byte(testXML)}, digest[:], w.practice.Certificate)
	protection := func(digestOID, sigOID string) []byte {
		return encodeAttr(t, oidAlgorithmProtect, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, digestOID, nil)
				b.AddASN1(tagContext1.Constructed(), func(b *cryptobyte.Builder) { addOID(b, sigOID) })
			})
		})
	}
	for name, c := range map[string]struct {
		attrs [][]byte
		want  SignatureState
	}{
		"good":                           {good, SignatureTrusted},
		"without signing time":           {without(oidSigningTime), SignatureTrusted},
		"without signing certificate":    {without(oidSigningCertV2), SignatureTrusted},
		"no content type":                {without(oidContentType), SignatureUnsupported},
		"no digest":                      {without(oidMessageDigest), SignatureUnsupported},
		"another content type":           {append(without(oidContentType), otherType), SignatureUnsupported},
		"content type twice":             {with(good[0]), SignatureUnsupported},
		"another signer's certificate":   {stranger, SignatureBroken},
		"algorithms as they are":         {with(protection(oidSHA256, oidECDSAWithSHA256)), SignatureTrusted},
		"another digest was meant":       {with(protection(oidSHA512, oidECDSAWithSHA256)), SignatureBroken},
		"another signature was meant":    {with(protection(oidSHA256, oidECDSAWithSHA512)), SignatureBroken},
		"attributes that nobody defined": {with(encodeAttr(t, oidCommonName, func(b *cryptobyte.Builder) { b.AddASN1NULL() })), SignatureTrusted},
	} {
		if sig := signWith(t, w.doctor, c.attrs, false).verify(w.trust, testTime); sig.State != c.want {
			t.Errorf("%s: %v (%s)", name, sig.State.Text(), sig.Detail)
		}
	}
	backwards := [][]byte{good[3], good[2], good[1], good[0]}
	if sig := signWith(t, w.doctor, backwards, true).verify(w.trust, testTime); sig.State != SignatureTrusted {
		t.Errorf("attributes sent unsorted, signed sorted: %v (%s)", sig.State.Text(), sig.Detail)
	}
}

func TestTheWorstOfSeveralSignaturesCounts(t *testing.T) {
	w := newWorld(t)
	digest := sha256.Sum256([]byte(testXML))
	sd := signWith(t, w.doctor, signedAttributes(signRequest{}, digest[:], w.doctor.Certificate), false)
	other := signWith(t, w.practice, signedAttributes(signRequest{}, digest[:], w.practice.Certificate), false)
	sd.certs = append(sd.certs, other.certs...)
	sd.signers = append(sd.signers, other.signers...)
	if sig := sd.verify(w.trust, testTime); sig.State != SignatureTrusted {
		t.Errorf("two good ones: %v (%s)", sig.State.Text(), sig.Detail)
	}
	o := &Opened{Signature: Signature{State: SignatureTrusted}}
	if o.judgeSignature(sd); len(o.Findings) != 1 || o.Findings[0].Fault != FaultSignatureFormat {
		t.Errorf("two signers of a KIM mail: findings %v", o.Findings)
	}
	sd.signers[1].value = append([]byte{}, sd.signers[1].value...)
	sd.signers[1].value[20] ^= 1
	if sig := sd.verify(w.trust, testTime); sig.State != SignatureBroken {
		t.Errorf("a good one and a broken one: %v", sig.State.Text())
	}
	sd.signers = append(sd.signers, make([]signerInfo, 10)...)
	if sig := sd.verify(w.trust, testTime); sig.State != SignatureUnsupported {
		t.Errorf("a dozen: %v", sig.State.Text())
	}
}

// What a CA certificate must have, each taken away alone.
func TestACAMustBeOneInEveryRespect(t *testing.T) {
	certs := chainOf(t, 1, nil)
	for name, c := range map[string]struct {
		change func(root, sub *Certificate)
		want   SignatureState
	}{
		"nothing changed":            {func(_, _ *Certificate) {}, SignatureTrusted},
		"not marked as CA":           {func(_, sub *Certificate) { sub.IsCA = false }, SignatureUntrusted},
		"key not for certificates":   {func(_, sub *Certificate) { sub.usage.certSign = false }, SignatureUntrusted},
		"unknown critical extension": {func(_, sub *Certificate) { sub.unknownExt = true }, SignatureUntrusted},
		"another name":               {func(_, sub *Certificate) { sub.subject = "x" }, SignatureUntrusted},
		"another key identifier":     {func(_, sub *Certificate) { sub.keyID = "x" }, SignatureUntrusted},
		"no key identifier":          {func(_, sub *Certificate) { sub.keyID = "" }, SignatureTrusted},
		"no CA allowed below":        {func(root, _ *Certificate) { root.pathLen = 0 }, SignatureUntrusted},
		"one CA allowed below":       {func(root, _ *Certificate) { root.pathLen = 1 }, SignatureTrusted},
		"unknown kind of key":        {func(_, sub *Certificate) { sub.key = nil }, SignatureUntrusted},
	} {
		root, sub := *certs[0], *certs[1]
		c.change(&root, &sub)
		trust := &Trust{anchors: []*Certificate{&root}, intermediate: []*Certificate{&sub}, proven: map[string][]*Certificate{}}
		if got, _, detail := trust.judge(certs[2], nil, testTime); got != c.want {
			t.Errorf("%s: %v, %s", name, got.Text(), detail)
		}
	}
}

// sealParts writes an envelope from its parts.
func (w *world) sealParts(t *testing.T, plain, aad []byte, tail func(b *cryptobyte.Builder, mac []byte), cut int) []byte {
	t.Helper()
	key, nonce := bytes.Repeat([]byte{7}, transportKeyLen), make([]byte, 12)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	sealed := gcm.Seal(nil, nonce, plain, aad)
	recipients, err := encodeRecipients(testRand(5), key, w.recipients)
	if err != nil {
		t.Fatal(err)
	}
	alg := cryptobyte.NewBuilder(nil)
	addAlgorithm(alg, oidAES256GCM, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(nonce)
			b.AddASN1Int64(gcmTagSize)
		})
	})
	b := cryptobyte.NewBuilder(nil)
	tail(b, sealed[len(plain)-cut:])
	return assembleBER(recipients, alg.BytesOrPanic(), sealed[:len(plain)-cut], b.BytesOrPanic())
}

func TestAuthenticatedAttributesAreAuthenticated(t *testing.T) {
	w := newWorld(t)
	attr := encodeAttr(t, oidContentType, func(b *cryptobyte.Builder) { addOID(b, oidData) })
	tail := func(b *cryptobyte.Builder, mac []byte) {
		b.AddASN1(tagContext1.Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(attr) })
		b.AddASN1OctetString(mac)
	}
	for name, c := range map[string]struct {
		aad  []byte
		open bool
	}{"as sent": {asSet([][]byte{attr}), true}, "added later": {nil, false}} {
		env, err := readEnvelope(w.sealParts(t, []byte("Klartext"), c.aad, tail, 0), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := env.open(w.ring(t, w.kasse)); (err == nil) != c.open || c.open && string(plain) != "Klartext" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

// The tag and the ciphertext are one string to the cipher; where the one ends must
// not be for a sender to choose.
func TestTheTagHasItsLength(t *testing.T) {
	w := newWorld(t)
	ber := w.sealParts(t, []byte("Klartext"), nil, func(b *cryptobyte.Builder, mac []byte) { b.AddASN1OctetString(mac) }, 1)
	if _, err := readEnvelope(ber, DefaultLimits()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a tag of 17 bytes: %v", err)
	}
}

func TestACryptogramWithWrongPaddingIsRefused(t *testing.T) {
	w := newWorld(t)
	key, ok := w.kasse.Key.(*BrainpoolPrivateKey)
	if !ok {
		t.Fatalf("key %T", w.kasse.Key)
	}
	ephemeral, err := GenerateBrainpoolKey(testRand(6))
	if err != nil {
		t.Fatal(err)
	}
	shared, err := ephemeral.ECDH(key.public)
	if err != nil {
		t.Fatal(err)
	}
	enc, mac, err := eciesCiphers(shared)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(padded []byte){
		"good": func([]byte) {}, "mark missing": func(b []byte) { b[32] = 0 }, "not zero behind": func(b []byte) { b[47] = 1 },
		"key shorter": func(b []byte) { b[31], b[32] = 0x80, 0 },
	} {
		c := padISO(make([]byte, transportKeyLen))
		change(c)
		cipher.NewCBCEncrypter(enc, eciesIV(enc)).CryptBlocks(c, c)
		tag := cmac(mac, padISO(c))
		cryptogram := eciesCryptogram{point: ephemeral.public.Bytes(), c: c, t: tag[:eciesMACSize]}
		if _, err := UnwrapECIES(key, cryptogram.encode()); (err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyOAEPWithSHA256IsOpened(t *testing.T) {
	params := func(hash, mgf, mgfHash string, label []byte) cryptobyte.String {
		b := cryptobyte.NewBuilder(nil)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if hash != "" {
				b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { addAlgorithm(b, hash, nil) })
			}
			if mgf != "" {
				b.AddASN1(tagContext1.Constructed(), func(b *cryptobyte.Builder) {
					addAlgorithm(b, mgf, func(b *cryptobyte.Builder) { addAlgorithm(b, mgfHash, nil) })
				})
			}
			if label != nil {
				b.AddASN1(tagContext2.Constructed(), func(b *cryptobyte.Builder) {
					addAlgorithm(b, oidPSpecified, func(b *cryptobyte.Builder) { b.AddASN1OctetString(label) })
				})
			}
		})
		return b.BytesOrPanic()
	}
	for name, c := range map[string]struct {
		params cryptobyte.String
		want   KeyAlgorithm
	}{
		"SHA-256 twice":      {params(oidSHA256, oidMGF1, oidSHA256, nil), KeyRSAOAEP},
		"empty label":        {params(oidSHA256, oidMGF1, oidSHA256, []byte{}), KeyRSAOAEP},
		"a label":            {params(oidSHA256, oidMGF1, oidSHA256, []byte("x")), KeyUnsupported},
		"SHA-1 by default":   {params("", "", "", nil), KeyUnsupported},
		"SHA-1 in the mask":  {params(oidSHA256, oidMGF1, oidSHA1, nil), KeyUnsupported},
		"SHA-1 in the label": {params(oidSHA1, oidMGF1, oidSHA256, nil), KeyUnsupported},
		"another mask":       {params(oidSHA256, oidSHA256, oidSHA256, nil), KeyUnsupported},
		"no parameters":      {nil, KeyUnsupported},
	} {
		if got := keyAlgorithm(algorithm{oid: oidRSAESOAEP, params: c.params}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if keyAlgorithm(algorithm{oid: oidRSAEncryption}) != KeyUnsupported {
		t.Error("PKCS #1 v1.5 is opened")
	}
}

func TestAKeyThatIsNotOfItsCertificateIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, pair := range map[string]KeyPair{
		"another key": {w.kasse.Certificate, w.sender.Key}, "RSA for brainpool": {w.kasse.Certificate, w.kasseRSA.Key}, "no key": {w.kasse.Certificate, nil},
	} {
		if _, err := NewKeyring(pair); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRecipientEmailsMayNotBeMissingOnBothSides(t *testing.T) {
	o := &Opened{Signature: Signature{State: SignatureTrusted}}
	o.judgeRecipients(&envelope{})
	if len(o.Findings) != 1 || o.Findings[0].Fault != FaultRecipients {
		t.Errorf("findings %v", o.Findings)
	}
}
