package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/pure/seal"
)

// Spool keeps what arrives at doors that buffer: one append-only file per Kasse,
// each request sealed to the Kasse's public key and on disk before it is
// acknowledged. Nothing is ever taken out of a file; what became of a request is
// written behind it. One process owns a spool.
type Spool struct {
	dir, node string
	mark      string // in the receipts of new files
	keys      func(catalogue.KasseID) (*seal.PublicKey, error)
	log       *slog.Logger
	release   func() error

	mu     sync.RWMutex
	files  map[catalogue.KasseID]*spoolFile
	closed bool
}

// SpoolCounts are the books of rule 3: Kept = Delivered + Rejected + Open.
type SpoolCounts struct {
	Kept      int64 `json:"kept"`
	Delivered int64 `json:"delivered"`
	Rejected  int64 `json:"rejected"`
	Open      int64 `json:"open"`
}

// Check says whether the books add up.
func (c SpoolCounts) Check() error {
	if c.Kept != c.Delivered+c.Rejected+c.Open || min(c.Delivered, c.Rejected, c.Open) < 0 {
		return fmt.Errorf("spool: %d kept, %d delivered, %d rejected, %d open do not add up", c.Kept, c.Delivered, c.Rejected, c.Open)
	}
	return nil
}

// Sentinels of the spool.
var (
	ErrKeyReused   = errors.New("the idempotency key was used for another request")
	ErrSpoolClosed = errors.New("the spool is closed")
	ErrStillOpen   = errors.New("requests are still open: nothing is forgotten before they are delivered or rejected")
)

// OpenSpool opens a directory and reads every file in it. Remains of commits
// that never finished, of which nobody was told, are set aside and named in the
// log. A file that is damaged elsewhere is ErrSpoolDamaged.
func OpenSpool(dir, node string, keys func(catalogue.KasseID) (*seal.PublicKey, error), log *slog.Logger) (*Spool, error) {
	return openSpool(dir, node, "", keys, log)
}

// OpenNodeSpool is OpenSpool for a gateway that is not the room's own. Several of them
// may keep requests to one Kasse: the receipts of new files name the node.
func OpenNodeSpool(dir, node string, keys func(catalogue.KasseID) (*seal.PublicKey, error), log *slog.Logger) (*Spool, error) {
	return openSpool(dir, node, node, keys, log)
}

func openSpool(dir, node, mark string, keys func(catalogue.KasseID) (*seal.PublicKey, error), log *slog.Logger) (*Spool, error) {
	release, err := db.LockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the spool: %w", err)
	}
	s := &Spool{dir: dir, node: node, mark: mark, keys: keys, log: log, release: release, files: map[catalogue.KasseID]*spoolFile{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"+spoolSuffix))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listing the spool: %w", err), release())
	}
	for _, name := range names {
		if _, err := s.of(catalogue.KasseID(strings.TrimSuffix(filepath.Base(name), spoolSuffix))); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// of is the file of a Kasse, opened when first needed.
func (s *Spool) of(k catalogue.KasseID) (*spoolFile, error) {
	s.mu.RLock()
	f, closed := s.files[k], s.closed
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, ErrSpoolClosed
	case f != nil:
		return f, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.files[k]; ok || s.closed {
		return f, nil // a closed spool refuses the frame
	}
	if k == "" || strings.ContainsAny(string(k), `/\.`) {
		return nil, fmt.Errorf("%q is no Kasse", k)
	}
	f, remains, err := openSpoolFile(s.dir, beginMeta{Kasse: k, Node: s.node, Mark: s.mark})
	if remains != "" {
		s.log.Warn("remains of an unfinished commit were set aside; nobody was told of what is in them", slog.String("kasse", string(k)), slog.String("file", remains))
	}
	if err != nil {
		return nil, err
	}
	s.files[k] = f
	return f, nil
}

// keptHead is the sealed head of a request; its body follows.
type keptHead struct {
	Method string      `json:"method"`
	Host   string      `json:"host"`
	URI    string      `json:"uri"`
	Header http.Header `json:"header"`
}

// Keep implements [Keeper]: when it returns a receipt, the request is sealed and
// on disk. A client that repeats a request under its Idempotency-Key gets the
// receipt of the first; the same key for another request is ErrKeyReused.
func (s *Spool) Keep(ctx context.Context, d Door, r *http.Request, body []byte) (string, error) {
	return s.KeepAs(ctx, "", d, r, body)
}

// KeepAs is Keep for a request of which the client has a receipt already.
func (s *Spool) KeepAs(ctx context.Context, receipt string, d Door, r *http.Request, body []byte) (string, error) {
	kasse, _, _, ok := d.Placement.Split()
	if !ok {
		return "", fmt.Errorf("%q is no placement", d.Placement)
	}
	f, err := s.of(kasse)
	if err != nil {
		return "", err
	}
	k := &keptRequest{keptMeta: keptMeta{
		ID: rand.Text(), Placement: d.Placement, Epoch: d.Row.Epoch, At: time.Now().UTC().Truncate(time.Millisecond),
		Receipt: receipt, Emergency: d.Row.Mode == operation.ModeEmergency,
	}}
	head, err := json.Marshal(keptHead{Method: r.Method, Host: r.Host, URI: r.URL.RequestURI(), Header: endToEnd(r.Header)})
	if err != nil {
		return "", fmt.Errorf("encoding a request: %w", err)
	}
	plain := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(head)+len(body)), uint32(len(head))), head...)
	plain = append(plain, body...)
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		sum := keySum(d.Placement, key)
		k.Key = hex.EncodeToString(sum[:16])
		content := sha256.Sum256(append([]byte(key+"\x00"+r.Method+" "+r.URL.RequestURI()+"\x00"), body...)) // nobody guesses it who does not know the key
		k.Content = hex.EncodeToString(content[:16])
		turn := &f.turns[sum[0]%keyTurns] // two requests under one key: the second waits for the first
		turn.Lock()
		defer turn.Unlock()
		if known, err := f.known(k); known != nil || err != nil {
			return f.receiptOf(known), err
		}
	}
	rest, err := s.sealed(k, plain)
	if err != nil {
		return "", err
	}
	k.rest = sha256.Sum256(rest)
	j := &spoolJob{kind: frameKept, rest: rest, result: make(chan error, 1)}
	j.applied = func(n, at, size int64) {
		k.number, k.at, k.size = n, at, size
		f.enter(k)
	}
	if err := s.submit(ctx, f, j); err != nil {
		return "", err
	}
	return f.receiptOf(k), nil
}

func keySum(p catalogue.PlacementID, key string) [sha256.Size]byte {
	return sha256.Sum256([]byte(string(p) + "\x00" + key))
}

// Knows says whether a request was kept under a key, whatever became of it.
func (s *Spool) Knows(p catalogue.PlacementID, key string) (bool, error) {
	kasse, _, _, _ := p.Split()
	f, err := s.of(kasse)
	if err != nil {
		return false, err
	}
	sum := keySum(p, key)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byKey[hex.EncodeToString(sum[:16])] != nil, nil
}

// known finds the request that was kept under the same key.
func (f *spoolFile) known(k *keptRequest) (*keptRequest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.byKey[k.Key]
	if old == nil {
		return nil, nil //nolint:nilnil // it is new
	}
	if old.Content != k.Content && old.Content != "" { // older files do not have it
		return nil, ErrKeyReused
	}
	return old, nil
}

func (f *spoolFile) receiptOf(k *keptRequest) string {
	switch {
	case k == nil:
		return ""
	case k.Receipt != "":
		return k.Receipt
	}
	return f.receipt(k.number)
}

// receipt is what the client of a request is told, such as P0000017-Q, or P0000017-Q-tor-2.
func (f *spoolFile) receipt(number int64) string {
	r := "P" + emergency.Number(number).Label(f.kasse)
	if f.mark != "" {
		r += "-" + f.mark
	}
	return r
}

// sealed is the payload of a kept request behind its number.
func (s *Spool) sealed(k *keptRequest, plain []byte) ([]byte, error) {
	kasse, _, _, _ := k.Placement.Split()
	key, err := s.keys(kasse)
	if err != nil {
		return nil, fmt.Errorf("key of Kasse %s: %w", kasse, err)
	}
	meta, err := json.Marshal(k.keptMeta)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	envelope, err := key.Seal(plain, spoolAAD(k.keptMeta))
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(meta)+len(envelope)), uint32(len(meta)))
	return append(append(out, meta...), envelope...), nil
}

func spoolAAD(m keptMeta) []byte {
	return []byte("leitstand spool 1\x00" + string(m.Placement) + "\x00" + m.ID)
}

// submit waits until the writer has made a frame durable. It waits even when ctx
// ends: the caller must learn whether the frame is there.
func (s *Spool) submit(ctx context.Context, f *spoolFile, j *spoolJob) error {
	if err := s.send(ctx, f, j); err != nil {
		return err
	}
	return <-j.result
}

// send hands a frame to the writer, which answers in j.result.
func (s *Spool) send(ctx context.Context, f *spoolFile, j *spoolJob) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || f.gone {
		return ErrSpoolClosed
	}
	select {
	case f.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endToEnd copies headers without those of one hop and without what a client may
// not say.
func endToEnd(h http.Header) http.Header {
	out := h.Clone()
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for name := range out {
		if strings.HasPrefix(name, "X-Leitstand-") || strings.HasPrefix(name, "X-Forwarded-") || slices.Contains(hopByHop(), name) {
			delete(out, name)
		}
	}
	return out
}

// hopByHop are the headers of RFC 9110 §7.6.1.
func hopByHop() []string {
	return []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Forwarded", "Content-Length"}
}

// Counts are the books by placement.
func (s *Spool) Counts() map[catalogue.PlacementID]SpoolCounts {
	out := map[catalogue.PlacementID]SpoolCounts{}
	for _, f := range s.all() {
		f.mu.Lock()
		for p, c := range f.counts {
			out[p] = *c
		}
		f.mu.Unlock()
	}
	return out
}

func (s *Spool) all() []*spoolFile {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*spoolFile, 0, len(s.files))
	for _, f := range s.files {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *spoolFile) int { return strings.Compare(string(a.kasse), string(b.kasse)) })
	return out
}

// Forget removes the spool of a Kasse, once nothing in it is open (else
// ErrStillOpen). It is for the end of retention.
func (s *Spool) Forget(k catalogue.KasseID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[k]
	if !ok {
		return fmt.Errorf("there is no spool of Kasse %q", k)
	}
	f.mu.Lock()
	open := len(f.open)
	f.mu.Unlock()
	if open > 0 {
		return fmt.Errorf("forgetting the spool of Kasse %s: %d %w", k, open, ErrStillOpen)
	}
	f.gone = true
	delete(s.files, k)
	return errors.Join(f.close(), os.Remove(filepath.Join(s.dir, string(k)+spoolSuffix)))
}

// Close ends the writers; what was acknowledged is on disk already.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.close())
	}
	return errors.Join(append(errs, s.release())...)
}

// openKept reads a request that waits and opens it.
func (f *spoolFile) openKept(k *keptRequest, o emergency.Opener) (keptHead, []byte, error) {
	var head keptHead
	sealed, err := f.read(k)
	if err != nil {
		return head, nil, err
	}
	plain, err := o.Open(sealed, spoolAAD(k.keptMeta))
	if err != nil {
		return head, nil, fmt.Errorf("opening request %d of Kasse %s: %w", k.number, f.kasse, err)
	}
	if len(plain) < 4 || uint64(len(plain)-4) < uint64(binary.BigEndian.Uint32(plain)) {
		return head, nil, fmt.Errorf("request %d of Kasse %s: %w", k.number, f.kasse, seal.ErrFormat)
	}
	size := int(binary.BigEndian.Uint32(plain))
	if err := json.NewDecoder(bytes.NewReader(plain[4 : 4+size])).Decode(&head); err != nil {
		return head, nil, fmt.Errorf("request %d of Kasse %s: %w", k.number, f.kasse, err)
	}
	return head, plain[4+size:], nil
}
