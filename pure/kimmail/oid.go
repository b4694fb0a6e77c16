package kimmail

// Object identifiers as the content octets of their DER encoding, so that
// comparing is comparing strings. A test holds each against its dotted form.
const (
	oidData              = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"         // 1.2.840.113549.1.7.1
	oidSignedData        = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"         // 1.2.840.113549.1.7.2
	oidEnvelopedData     = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"         // 1.2.840.113549.1.7.3
	oidAuthEnvelopedData = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17" // 1.2.840.113549.1.9.16.1.23

	oidContentType       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"         // 1.2.840.113549.1.9.3
	oidMessageDigest     = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"         // 1.2.840.113549.1.9.4
	oidSigningTime       = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"         // 1.2.840.113549.1.9.5
	oidAlgorithmProtect  = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34"         // 1.2.840.113549.1.9.52
	oidSigningCertV2     = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f" // 1.2.840.113549.1.9.16.2.47
	oidRecipientEmails   = "\x2a\x82\x14\x00\x4c\x04\x81\x2d"             // 1.2.276.0.76.4.173
	oidTIECIES           = "\x2a\x82\x14\x00\x4c\x04\x81\x5e"             // 1.2.276.0.76.4.222
	oidRSAEncryption     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"         // 1.2.840.113549.1.1.1
	oidRSAESOAEP         = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"         // 1.2.840.113549.1.1.7
	oidMGF1              = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"         // 1.2.840.113549.1.1.8
	oidPSpecified        = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x09"         // 1.2.840.113549.1.1.9
	oidRSASSAPSS         = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"         // 1.2.840.113549.1.1.10
	oidSHA256WithRSA     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"         // 1.2.840.113549.1.1.11
	oidSHA384WithRSA     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"         // 1.2.840.113549.1.1.12
	oidSHA512WithRSA     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"         // 1.2.840.113549.1.1.13
	oidSHA256            = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"         // 2.16.840.1.101.3.4.2.1
	oidSHA384            = "\x60\x86\x48\x01\x65\x03\x04\x02\x02"         // 2.16.840.1.101.3.4.2.2
	oidSHA512            = "\x60\x86\x48\x01\x65\x03\x04\x02\x03"         // 2.16.840.1.101.3.4.2.3
	oidAES256GCM         = "\x60\x86\x48\x01\x65\x03\x04\x01\x2e"         // 2.16.840.1.101.3.4.1.46
	oidECPublicKey       = "\x2a\x86\x48\xce\x3d\x02\x01"                 // 1.2.840.10045.2.1
	oidECDSAWithSHA256   = "\x2a\x86\x48\xce\x3d\x04\x03\x02"             // 1.2.840.10045.4.3.2
	oidECDSAWithSHA384   = "\x2a\x86\x48\xce\x3d\x04\x03\x03"             // 1.2.840.10045.4.3.3
	oidECDSAWithSHA512   = "\x2a\x86\x48\xce\x3d\x04\x03\x04"             // 1.2.840.10045.4.3.4
	oidP256              = "\x2a\x86\x48\xce\x3d\x03\x01\x07"             // 1.2.840.10045.3.1.7
	oidBrainpoolP256r1   = "\x2b\x24\x03\x03\x02\x08\x01\x01\x07"         // 1.3.36.3.3.2.8.1.1.7
	oidExtBasicConstr    = "\x55\x1d\x13"                                 // 2.5.29.19
	oidExtKeyUsage       = "\x55\x1d\x0f"                                 // 2.5.29.15
	oidExtSubjectAltName = "\x55\x1d\x11"                                 // 2.5.29.17
	oidExtSubjectKeyID   = "\x55\x1d\x0e"                                 // 2.5.29.14
	oidExtAuthorityKeyID = "\x55\x1d\x23"                                 // 2.5.29.35
	oidExtAdmission      = "\x2b\x24\x08\x03\x03"                         // 1.3.36.8.3.3
	oidExtPolicies       = "\x55\x1d\x20"                                 // 2.5.29.32
	oidCountry           = "\x55\x04\x06"                                 // 2.5.4.6
	oidOrganization      = "\x55\x04\x0a"                                 // 2.5.4.10
	oidCommonName        = "\x55\x04\x03"                                 // 2.5.4.3

	// PKCS#12
	oidEncryptedData   = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06"         // 1.2.840.113549.1.7.6
	oidKeyBag          = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x01" // 1.2.840.113549.1.12.10.1.1
	oidShroudedKeyBag  = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02" // 1.2.840.113549.1.12.10.1.2
	oidCertBag         = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03" // 1.2.840.113549.1.12.10.1.3
	oidX509Certificate = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01"     // 1.2.840.113549.1.9.22.1
	oidPBES2           = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"         // 1.2.840.113549.1.5.13
	oidPBKDF2          = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"         // 1.2.840.113549.1.5.12
	oidAES128CBC       = "\x60\x86\x48\x01\x65\x03\x04\x01\x02"         // 2.16.840.1.101.3.4.1.2
	oidAES256CBC       = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a"         // 2.16.840.1.101.3.4.1.42
	oidPBE3DES         = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03"     // 1.2.840.113549.1.12.1.3
	oidPBERC2x128      = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x05"     // 1.2.840.113549.1.12.1.5
	oidPBERC2x40       = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x06"     // 1.2.840.113549.1.12.1.6
	oidSHA1            = "\x2b\x0e\x03\x02\x1a"                         // 1.3.14.3.2.26
	oidHMACSHA1        = "\x2a\x86\x48\x86\xf7\x0d\x02\x07"             // 1.2.840.113549.2.7
	oidHMACSHA256      = "\x2a\x86\x48\x86\xf7\x0d\x02\x09"             // 1.2.840.113549.2.9
	oidHMACSHA512      = "\x2a\x86\x48\x86\xf7\x0d\x02\x0b"             // 1.2.840.113549.2.11
)
