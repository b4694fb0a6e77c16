package emergency

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/catalogue"
)

// WireVersion is the version of parcels, receipts and comparisons.
const WireVersion = 1

// Parcel is a batch on its way to the regular system, as JSON on every channel.
type Parcel struct {
	Version   int                   `json:"version"`
	Kasse     catalogue.KasseID     `json:"kasse"`
	Placement catalogue.PlacementID `json:"placement"`
	Batch     string                `json:"batch"` // the Idempotency-Key
	Items     []ParcelItem          `json:"items"` // to be applied in this order
}

// ParcelItem is one item with its content. The receiver keeps the ID for ever:
// an ID that it has is never applied again.
type ParcelItem struct {
	ID         string            `json:"id"`
	Number     string            `json:"number"` // as people read it
	Kind       Kind              `json:"kind"`
	Received   time.Time         `json:"received"`
	Held       string            `json:"held,omitempty"` // why a person should look at it
	Amount     int64             `json:"amount,omitempty"`
	Basis      string            `json:"basis,omitempty"` // version of the regular data that it changes
	Over       string            `json:"over,omitempty"`  // SHA-256 of the version that people decided to replace
	Attributes map[string]string `json:"attributes,omitempty"`
	Media      string            `json:"media"`
	SHA256     string            `json:"sha256"` // of Body
	Body       []byte            `json:"body"`
}

// Receipt is the receiver's statement of what it has and what it did.
type Receipt struct {
	Version  int               `json:"version"`
	Receiver string            `json:"receiver"`
	Kasse    catalogue.KasseID `json:"kasse"`
	Batch    string            `json:"batch"`
	At       time.Time         `json:"at"`
	Items    []ReceiptItem     `json:"items"`
}

// ReceiptItem names one item by id and hash, and what came of it: Applied, Known
// (the regular system had it by another way), Rejected, or Receipted (it is kept,
// the result follows in another receipt for the same batch).
type ReceiptItem struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
	Result State  `json:"result"`
	Code   string `json:"code,omitempty"` // why rejected: a short code without personal data
	Text   string `json:"text,omitempty"` // the same for people; we keep it sealed
	// Theirs goes with Rejected and [CodeConflict]: what was changed there before
	// the cut and after the item's basis. An item that comes with Over is judged
	// anew although its id is known, and replaces exactly that version.
	Theirs *Version `json:"theirs,omitempty"`
}

// Signed is a JSON document and the Ed25519 signature over its exact bytes.
type Signed struct {
	Document  []byte `json:"document"`
	Signature []byte `json:"signature"`
}

// ErrReceipt says that a receipt does not prove what it should.
var ErrReceipt = errors.New("receipt is not valid")

// What is signed starts with its kind, so that no signature fits two kinds.
const (
	receiptContext    = "leitstand receipt 1\x00"
	comparisonContext = "leitstand comparison 1\x00"
)

func sign(key ed25519.PrivateKey, context string, v any) (Signed, error) {
	doc, err := json.Marshal(v)
	if err != nil {
		return Signed{}, fmt.Errorf("encoding what is to be signed: %w", err)
	}
	return Signed{Document: doc, Signature: ed25519.Sign(key, append([]byte(context), doc...))}, nil
}

func (s Signed) verify(key ed25519.PublicKey, context string, v any) error {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, append([]byte(context), s.Document...), s.Signature) {
		return fmt.Errorf("signature does not fit the receiver's key: %w", ErrReceipt)
	}
	if err := json.Unmarshal(s.Document, v); err != nil {
		return fmt.Errorf("reading a signed document: %w: %w", ErrReceipt, err)
	}
	return nil
}

// SignReceipt is what a receiver answers with.
func SignReceipt(key ed25519.PrivateKey, r Receipt) (Signed, error) {
	return sign(key, receiptContext, r)
}

// ReadReceipt checks the signature and reads the receipt.
func ReadReceipt(key ed25519.PublicKey, s Signed) (Receipt, error) {
	var r Receipt
	err := s.verify(key, receiptContext, &r)
	return r, err
}

// fits checks a receipt against what was sent: every item once, by id and hash,
// nothing else. wanted maps ids to hashes; an empty hash was not kept.
func (r Receipt) fits(k catalogue.KasseID, batch string, wanted map[string]string) error {
	if r.Version != WireVersion || r.Kasse != k || r.Batch != batch {
		return fmt.Errorf("it is version %d for Kasse %q, batch %q: %w", r.Version, r.Kasse, r.Batch, ErrReceipt)
	}
	seen := make(map[string]bool, len(r.Items))
	for _, it := range r.Items {
		hash, ok := wanted[it.ID]
		switch {
		case !ok || seen[it.ID]:
			return fmt.Errorf("it names item %q, which was not sent or is named twice: %w", it.ID, ErrReceipt)
		case hash != "" && hash != it.SHA256:
			return fmt.Errorf("it names another content for item %q: %w", it.ID, ErrReceipt)
		}
		if it.Theirs != nil {
			if it.Result != Rejected || it.Code != CodeConflict {
				return fmt.Errorf("it names another version of item %q without a conflict: %w", it.ID, ErrReceipt)
			}
			if err := it.Theirs.check(); err != nil {
				return err
			}
		}
		switch it.Result {
		case Applied, Known, Rejected, Receipted:
		case Unread, Pending, Held, Duplicate, Sent, Reconciled:
			return fmt.Errorf("item %q is said to be %s: %w", it.ID, it.Result, ErrReceipt)
		default:
			return fmt.Errorf("item %q is said to be %q: %w", it.ID, it.Result, ErrReceipt)
		}
		seen[it.ID] = true
	}
	if len(seen) != len(wanted) {
		return fmt.Errorf("it names %d of %d items: %w", len(seen), len(wanted), ErrReceipt)
	}
	return nil
}

// Check is for receivers: the parcel is whole and every body has its hash.
func (p Parcel) Check() error {
	if p.Version != WireVersion {
		return fmt.Errorf("parcel has version %d, this program knows %d", p.Version, WireVersion)
	}
	if p.Kasse == "" || p.Batch == "" || len(p.Items) == 0 {
		return errors.New("parcel without Kasse, batch or items")
	}
	for _, it := range p.Items {
		if sum := sha256.Sum256(it.Body); it.ID == "" || hex.EncodeToString(sum[:]) != it.SHA256 {
			return fmt.Errorf("item %q: the body does not have the stated hash", it.ID)
		}
	}
	return nil
}
