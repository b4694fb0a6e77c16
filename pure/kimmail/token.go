package kimmail

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A key in a PKCS#11 token needs the vendor's C library. That must not run inside the
// program that answers everybody: a helper process (cmd/leitstand-token) loads it and
// answers over its standard input and output with the messages below, each a JSON
// object behind its length in four bytes, big-endian.

// tokenRequest asks for one thing. The PIN goes this way because arguments and
// environment of a process can be seen by others.
type tokenRequest struct {
	Op    string `json:"op"` // "login" or "ecdh"
	PIN   string `json:"pin,omitempty"`
	Key   int    `json:"key,omitempty"`   // index in the answer to login
	Point []byte `json:"point,omitempty"` // 04 || X || Y
}

// tokenAnswer has an Error, or what was asked for.
type tokenAnswer struct {
	Error        string   `json:"error,omitempty"`
	Certificates [][]byte `json:"certificates,omitempty"` // DER, of those with a private key
	Shared       []byte   `json:"shared,omitempty"`       // x coordinate, 32 bytes
}

const maxTokenMessage = 1 << 20

// Token is what the helper serves: a logged-in device.
type Token interface {
	// Certificates returns those that have a private key in the token.
	Certificates() ([][]byte, error)
	// ECDH computes the x coordinate of the product of the private key of the i-th
	// certificate with a point.
	ECDH(i int, point []byte) ([]byte, error)
}

// ServeToken answers until rw ends. login is called once with the PIN.
func ServeToken(rw io.ReadWriter, login func(pin string) (Token, error)) error {
	var token Token
	for {
		var req tokenRequest
		if err := readMessage(rw, &req); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var answer tokenAnswer
		var err error
		switch {
		case req.Op == "login" && token == nil:
			if token, err = login(req.PIN); err == nil {
				answer.Certificates, err = token.Certificates()
			}
		case req.Op == "ecdh" && token != nil:
			answer.Shared, err = token.ECDH(req.Key, req.Point)
		default:
			err = fmt.Errorf("request %q is not expected", req.Op)
		}
		if err != nil {
			answer = tokenAnswer{Error: err.Error()}
		}
		if err := writeMessage(rw, answer); err != nil {
			return err
		}
	}
}

// TokenKeys is a Decrypter whose keys are in a token behind a helper. Requests go one
// after the other, as tokens work; several helpers make several at a time. It does not
// watch the clock: close the connection to end a helper that hangs.
type TokenKeys struct {
	ring *Keyring

	mu sync.Mutex // one request and its answer at a time
	rw io.ReadWriter
}

// ErrTokenRefused says that a token answered log-in with an error, such as a wrong
// PIN. Trying again may lock the card.
var ErrTokenRefused = errors.New("the token refused the log-in")

// NewTokenKeys logs in over a connection to a helper and takes over its keys on
// brainpoolP256r1 that can agree. RSA keys are passed over: cards with them were
// switched off; so are keys that only sign. Each key is tried against its certificate
// first: a token with mixed up keys must not make mails look damaged.
func NewTokenKeys(rw io.ReadWriter, pin string) (*TokenKeys, error) {
	k := &TokenKeys{rw: rw}
	answer, err := k.ask(tokenRequest{Op: "login", PIN: pin})
	var said *tokenError
	if errors.As(err, &said) {
		return nil, fmt.Errorf("%w: %w", ErrTokenRefused, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the token: %w", err)
	}
	k.ring = &Keyring{byID: make(map[string]any)}
	for i, der := range answer.Certificates {
		cert, err := ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the token: %w", i+1, err)
		}
		public, ok := cert.PublicKey().(*BrainpoolKey)
		if !ok {
			continue
		}
		key := &tokenKey{keys: k, index: i}
		switch ok, err := key.belongsTo(public); {
		case errors.As(err, &said): // not for key agreement
		case err != nil:
			return nil, fmt.Errorf("opening the token: %w", err)
		case !ok:
			return nil, fmt.Errorf("opening the token: the key of certificate %d (%q) does not belong to it", i+1, cert.CommonName)
		default:
			k.ring.byID[cert.RecipientID()] = key
		}
	}
	if len(k.ring.byID) == 0 {
		return nil, errors.New("opening the token: it holds no key on brainpoolP256r1 with its certificate")
	}
	return k, nil
}

// OpenTransportKey implements [Decrypter].
func (k *TokenKeys) OpenTransportKey(r *Recipient) ([]byte, error) {
	return k.ring.OpenTransportKey(r)
}

// tokenKey is one private key; an Agreer.
type tokenKey struct {
	keys  *TokenKeys
	index int
}

// belongsTo agrees on a key with a passing one from both sides.
func (k *tokenKey) belongsTo(public *BrainpoolKey) (bool, error) {
	passing, err := GenerateBrainpoolKey(rand.Reader)
	if err != nil {
		return false, err
	}
	theirs, err := k.ECDH(passing.public)
	if err != nil {
		return false, err
	}
	ours, err := passing.ECDH(public)
	return err == nil && subtle.ConstantTimeCompare(ours, theirs) == 1, err
}

func (k *tokenKey) ECDH(peer *BrainpoolKey) ([]byte, error) {
	answer, err := k.keys.ask(tokenRequest{Op: "ecdh", Key: k.index, Point: peer.Bytes()})
	if err != nil {
		return nil, err
	}
	if len(answer.Shared) != 32 {
		return nil, &tokenError{fmt.Sprintf("%d bytes instead of a coordinate", len(answer.Shared))}
	}
	return answer.Shared, nil
}

func (k *TokenKeys) ask(req tokenRequest) (tokenAnswer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var answer tokenAnswer
	if err := writeMessage(k.rw, req); err != nil {
		return answer, fmt.Errorf("%w: %w", errHelper, err)
	}
	if err := readMessage(k.rw, &answer); err != nil {
		return answer, fmt.Errorf("%w: %w", errHelper, err)
	}
	if answer.Error != "" {
		return tokenAnswer{}, &tokenError{answer.Error}
	}
	return answer, nil
}

// TokenFailed tells that opening a mail failed because of the token or its helper: the
// mail may be fine, and the helper should be started anew.
func TokenFailed(err error) bool {
	var said *tokenError
	return errors.As(err, &said) || errors.Is(err, errHelper)
}

// errHelper is wrapped by what went wrong between us and the helper.
var errHelper = errors.New("no answer from the token helper")

// tokenError is what the token itself answered, as against a connection that broke.
type tokenError struct{ text string }

func (e *tokenError) Error() string { return "token: " + e.text }

func writeMessage(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing to the token helper: %w", err)
	}
	msg := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	if _, err := w.Write(append(msg, body...)); err != nil {
		return fmt.Errorf("writing to the token helper: %w", err)
	}
	return nil
}

// readMessage returns io.EOF only between messages.
func readMessage(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("reading from the token helper: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxTokenMessage {
		return fmt.Errorf("reading from the token helper: message of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("reading from the token helper: %w", io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("reading from the token helper: %w", err)
	}
	return nil
}
