package kimmail

// BrainpoolKey is a public key on brainpoolP256r1 (RFC 5639 §3.4).
type BrainpoolKey struct {
	point [65]byte
}

// NewBrainpoolKey reads an uncompressed point.
func NewBrainpoolKey(b []byte) (*BrainpoolKey, error) {
	if len(b) != 65 || b[0] != 4 {
		return nil, malformed("brainpool point")
	}
	return &BrainpoolKey{point: [65]byte(b)}, nil
}
