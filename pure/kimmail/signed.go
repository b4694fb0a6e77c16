package kimmail

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var (
	tagContext0 = asn1.Tag(0).ContextSpecific()
	tagContext1 = asn1.Tag(1).ContextSpecific()
	tagContext2 = asn1.Tag(2).ContextSpecific()
)

// algorithm is an AlgorithmIdentifier: the OID's octets and the raw parameters.
type algorithm struct {
	oid    string
	params cryptobyte.String // with header; empty if absent
}

// attribute is one CMS attribute; values is the content of its SET.
type attribute struct {
	oid    string
	values cryptobyte.String
}

// issuerSerial names a certificate: the issuer's Name with header, and the
// content octets of the serial number.
type issuerSerial struct {
	issuer string
	serial string
}

// signerInfo is one signature, RFC 5652 §5.3.
type signerInfo struct {
	sid         issuerSerial // empty if the signer is named by key identifier
	keyID       string
	digest      algorithm
	signedAttrs []byte // content of [0], as sent; nil if absent
	attrs       []attribute
	signature   algorithm
	value       []byte
	unsigned    []attribute
}

// signedData is RFC 5652 §5.1. content is nil if detached.
type signedData struct {
	contentType string
	content     []byte
	certs       [][]byte
	signers     []signerInfo
}

// readContentInfo opens RFC 5652 §3.
func readContentInfo(der []byte) (contentType string, content cryptobyte.String, err error) {
	in := cryptobyte.String(der)
	var seq, oid, explicit cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		!seq.ReadASN1(&explicit, tagContext0.Constructed()) {
		return "", nil, malformed("CMS ContentInfo")
	}
	return string(oid), explicit, nil
}

// readSignedData reads a whole ContentInfo that must hold SignedData.
func readSignedData(ber []byte, lim Limits) (*signedData, error) {
	der, _, err := toDER(ber, lim)
	if err != nil {
		return nil, err
	}
	oid, content, err := readContentInfo(der)
	if err != nil {
		return nil, err
	}
	if oid != oidSignedData {
		return nil, malformed("CMS content is not SignedData")
	}
	return parseSignedData(content)
}

func parseSignedData(in cryptobyte.String) (*signedData, error) {
	var body, digests, signers cryptobyte.String
	var version int
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1Integer(&version) || !body.ReadASN1(&digests, asn1.SET) {
		return nil, malformed("CMS SignedData")
	}
	sd := new(signedData)
	if err := sd.readEncapsulated(&body); err != nil {
		return nil, err
	}
	var certs, crls cryptobyte.String
	var haveCerts, haveCRLs bool
	if !body.ReadOptionalASN1(&certs, &haveCerts, tagContext0.Constructed()) ||
		!body.ReadOptionalASN1(&crls, &haveCRLs, tagContext1.Constructed()) ||
		!body.ReadASN1(&signers, asn1.SET) {
		return nil, malformed("CMS SignedData")
	}
	for !certs.Empty() {
		var cert cryptobyte.String
		var tag asn1.Tag
		if !certs.ReadAnyASN1Element(&cert, &tag) {
			return nil, malformed("certificates of CMS SignedData")
		}
		if tag == asn1.SEQUENCE { // other choices are attribute certificates: not ours
			sd.certs = append(sd.certs, cert)
		}
	}
	for !signers.Empty() {
		var si cryptobyte.String
		if !signers.ReadASN1(&si, asn1.SEQUENCE) {
			return nil, malformed("signer of CMS SignedData")
		}
		info, err := parseSignerInfo(si)
		if err != nil {
			return nil, err
		}
		sd.signers = append(sd.signers, info)
	}
	return sd, nil
}

func (sd *signedData) readEncapsulated(body *cryptobyte.String) error {
	var encap, oid, explicit, content cryptobyte.String
	var present bool
	if !body.ReadASN1(&encap, asn1.SEQUENCE) || !encap.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		!encap.ReadOptionalASN1(&explicit, &present, tagContext0.Constructed()) {
		return malformed("content of CMS SignedData")
	}
	sd.contentType = string(oid)
	if !present {
		return nil
	}
	if !explicit.ReadASN1(&content, asn1.OCTET_STRING) {
		return malformed("content of CMS SignedData is no octet string")
	}
	sd.content = content
	if sd.content == nil {
		sd.content = []byte{}
	}
	return nil
}

func parseSignerInfo(in cryptobyte.String) (signerInfo, error) {
	var si signerInfo
	var version int
	if !in.ReadASN1Integer(&version) {
		return si, malformed("signer version")
	}
	var ski cryptobyte.String
	var byKey bool
	if !in.ReadOptionalASN1(&ski, &byKey, tagContext0) {
		return si, malformed("signer identifier")
	}
	si.keyID = string(ski)
	if !byKey && !readIssuerSerial(&in, &si.sid) {
		return si, malformed("signer identifier")
	}
	var attrs, value, unsigned cryptobyte.String
	var haveAttrs, haveUnsigned bool
	if !readAlgorithm(&in, &si.digest) || !in.ReadOptionalASN1(&attrs, &haveAttrs, tagContext0.Constructed()) ||
		!readAlgorithm(&in, &si.signature) || !in.ReadASN1(&value, asn1.OCTET_STRING) ||
		!in.ReadOptionalASN1(&unsigned, &haveUnsigned, tagContext1.Constructed()) {
		return si, malformed("signer info")
	}
	si.value = value
	var err error
	if haveAttrs {
		si.signedAttrs = append([]byte{}, attrs...)
		if si.attrs, err = readAttributes(attrs); err != nil {
			return si, err
		}
	}
	if haveUnsigned {
		si.unsigned, err = readAttributes(unsigned)
	}
	return si, err
}

func readIssuerSerial(in *cryptobyte.String, out *issuerSerial) bool {
	var seq, issuer, serial cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!seq.ReadASN1(&serial, asn1.INTEGER) || len(serial) == 0 {
		return false
	}
	out.issuer, out.serial = string(issuer), string(serial)
	return true
}

func readAlgorithm(in *cryptobyte.String, out *algorithm) bool {
	var seq, oid cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) {
		return false
	}
	out.oid, out.params = string(oid), seq
	return true
}

// readAttributes reads the content of a SET OF Attribute.
func readAttributes(in cryptobyte.String) ([]attribute, error) {
	var list []attribute
	for !in.Empty() {
		var seq, oid, values cryptobyte.String
		if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!seq.ReadASN1(&values, asn1.SET) {
			return nil, malformed("CMS attribute")
		}
		list = append(list, attribute{oid: string(oid), values: values})
	}
	return list, nil
}
