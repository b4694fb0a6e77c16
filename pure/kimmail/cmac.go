package kimmail

import "crypto/cipher"

// cmac computes AES-CMAC (RFC 4493, NIST SP 800-38B) with a 16-byte block cipher.
func cmac(block cipher.Block, msg []byte) (mac [16]byte) {
	var zero, k1, k2 [16]byte
	block.Encrypt(zero[:], zero[:])
	k1 = doubleBlock(zero)
	k2 = doubleBlock(k1)
	for len(msg) > 16 {
		xorInto(&mac, msg[:16])
		block.Encrypt(mac[:], mac[:])
		msg = msg[16:]
	}
	xorInto(&mac, msg)
	if len(msg) == 16 {
		xorInto(&mac, k1[:])
	} else {
		mac[len(msg)] ^= 0x80
		xorInto(&mac, k2[:])
	}
	block.Encrypt(mac[:], mac[:])
	return mac
}

// doubleBlock multiplies by x in GF(2^128) without branching.
func doubleBlock(b [16]byte) (out [16]byte) {
	for i := range 15 {
		out[i] = b[i]<<1 | b[i+1]>>7
	}
	out[15] = b[15]<<1 ^ 0x87&-(b[0]>>7)
	return out
}

func xorInto(dst *[16]byte, src []byte) {
	for i := range src {
		dst[i] ^= src[i]
	}
}
