package emergency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Channel carries parcels to one Kasse's regular system.
type Channel interface {
	// Name says in the ledger which way a batch went.
	Name() string
	// Deliver sends a parcel and returns the receiver's receipt. An error leaves
	// open whether the receiver has it; the same parcel is sent again later.
	Deliver(ctx context.Context, p Parcel) (Signed, error)
	// Compare hands over our side of a comparison and returns the receiver's.
	Compare(ctx context.Context, c Comparison) (Signed, error)
	// List returns what the receiver has of one bucket.
	List(ctx context.Context, q ListQuery) ([]ListEntry, error)
}

// ErrPending says that a slow channel has not brought the answer yet. The
// question is on its way; asking again later finds the answer.
var ErrPending = errors.New("the other side has not answered yet")

// Whole is a [Channel] that answers one question about all buckets at once:
// each question is a journey.
type Whole interface{ Whole() }

// HTTPS posts to the regular system's adapter: URL/parcels, URL/comparisons and
// URL/list. Parcels carry the batch as Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header).
type HTTPS struct {
	URL    string
	Client *http.Client
	Token  string // sent as bearer token when not empty
}

// Most answers are small; a list of a bucket of a million items is the largest.
const maxAnswer = 64 << 20

// Name names the channel and its target.
func (h *HTTPS) Name() string { return "https " + h.URL }

// Deliver posts a parcel.
func (h *HTTPS) Deliver(ctx context.Context, p Parcel) (Signed, error) {
	var s Signed
	err := h.post(ctx, "/parcels", p.Batch, p, &s)
	return s, err
}

// Compare posts our side of a comparison.
func (h *HTTPS) Compare(ctx context.Context, c Comparison) (Signed, error) {
	var s Signed
	err := h.post(ctx, "/comparisons", "", c, &s)
	return s, err
}

// List asks for one bucket.
func (h *HTTPS) List(ctx context.Context, q ListQuery) ([]ListEntry, error) {
	var list []ListEntry
	err := h.post(ctx, "/list", "", q, &list)
	return list, err
}

func (h *HTTPS) post(ctx context.Context, path, key string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding for %s%s: %w", h.URL, path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(h.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("posting to %s%s: %w", h.URL, path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if h.Token != "" {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	resp, err := h.Client.Do(req)
	if err != nil {
		return fmt.Errorf("posting to %s%s: %w", h.URL, path, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing more is read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of %s%s: %w", h.URL, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answered %s: %s", h.URL, path, resp.Status, firstLine(answer))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the answer of %s%s: %w", h.URL, path, err)
	}
	return nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line[:min(len(line), 200)]
}

// Receiving is what the regular system's side must do. Receive is idempotent by
// item id and all or nothing: a parcel that comes again gets the same results.
type Receiving interface {
	Receive(ctx context.Context, p Parcel) (Receipt, error)
	Compare(ctx context.Context, c Comparison) ([]Line, error)
	List(ctx context.Context, q ListQuery) ([]ListEntry, error)
}

// ErrConflict says that a receiver got the same id with another content.
var ErrConflict = errors.New("the same id was received with another content")
