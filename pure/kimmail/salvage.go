package kimmail

import "bytes"

// Some senders pass the binary SignedData through a writer for text, which turns
// every CR and every LF into CRLF; gematik's own S/MIME sample was made so. What was
// binary is lost then, and the signature with it. The mail inside is text with CRLF
// already and survives, so that a person can at least read what came.

// salvageContent finds the content of such a SignedData. The result is unverified.
func salvageContent(cms []byte) ([]byte, bool) {
	// id-data with the CR of its encoding expanded, then [0] and an octet string.
	mark := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x0a\x01\x07\x01\xa0")
	_, after, found := bytes.Cut(cms, mark)
	if !found {
		return nil, false
	}
	_, after, ok := salvageLength(after)
	if !ok || len(after) == 0 || after[0] != 0x04 {
		return nil, false
	}
	n, after, ok := salvageLength(after[1:])
	if !ok || n > len(after) {
		return nil, false
	}
	return after[:n], true
}

// salvageLength reads a definite length of up to four octets, each of which may have
// become CRLF.
func salvageLength(b []byte) (n int, rest []byte, ok bool) {
	first, b, ok := salvageByte(b)
	if !ok || first < 0x80 {
		return int(first), b, ok
	}
	if first == 0x80 || first > 0x84 {
		return 0, nil, false
	}
	for range first & 0x7f {
		var c byte
		if c, b, ok = salvageByte(b); !ok {
			return 0, nil, false
		}
		n = n<<8 | int(c)
	}
	return n, b, true
}

// salvageByte reads one octet; CRLF stands for CR, the more likely of the two in a
// length (0x0d, as in "30 0d").
func salvageByte(b []byte) (c byte, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return '\r', b[2:], true
	}
	return b[0], b[1:], true
}
