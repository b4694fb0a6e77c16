package channel

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"

	"filippo.io/age"

	"leitstand/emergency"
)

// Carrier brings files to the other side and back.
type Carrier interface {
	// Name says in the ledger which way a batch went.
	Name() string
	// Put sends a file; sending it again under the same name changes nothing.
	Put(ctx context.Context, name string, content []byte) error
	// Get reads a file that came; fs.ErrNotExist while it has not come whole.
	Get(ctx context.Context, name string) ([]byte, error)
	// Names lists the files that have come, whole.
	Names(ctx context.Context) ([]string, error)
	// Forget removes a file that came and one that was put, so that both can come
	// and be put again. An empty name is none; what is gone already is no error.
	Forget(ctx context.Context, came, put string) error
}

// Keys encrypt and sign what leaves, and open what comes. A file is signed
// together with its name, so that none can stand in for another.
type Keys struct {
	Own   age.Identity
	Other age.Recipient
	Sign  ed25519.PrivateKey
	Peer  ed25519.PublicKey // signs what comes
}

// ErrForged says that a file is not signed by the other side.
var ErrForged = errors.New("the file is not signed by the other side")

const fileContext = "leitstand file 1\x00"

func signedText(name string, content []byte) []byte {
	return append([]byte(fileContext+name+"\x00"), content...)
}

// maxFile bounds what is read from a carrier: a parcel of 8 MiB in base64, the
// list of a million items.
const maxFile = 256 << 20

// seal encrypts a file to the other side.
func (k Keys) seal(name string, content []byte) ([]byte, error) {
	if k.Other == nil || len(k.Sign) != ed25519.PrivateKeySize {
		return nil, errors.New("no recipient or no key to sign with: nothing leaves unencrypted and unsigned")
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, k.Other)
	if err == nil {
		_, err = w.Write(append(ed25519.Sign(k.Sign, signedText(name, content)), content...))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting a file: %w", err)
	}
	return b.Bytes(), nil
}

// open decrypts a file.
func (k Keys) open(name string, sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), k.Own)
	if err != nil {
		return nil, fmt.Errorf("decrypting a file: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("decrypting a file: %w", err)
	}
	if len(k.Peer) != ed25519.PublicKeySize || len(content) < ed25519.SignatureSize {
		return nil, ErrForged
	}
	signature, content := content[:ed25519.SignatureSize], content[ed25519.SignatureSize:]
	if !ed25519.Verify(k.Peer, signedText(name, content), signature) {
		return nil, ErrForged
	}
	return content, nil
}

// Files is an [emergency.Channel] over any carrier.
type Files struct {
	Carrier Carrier
	Keys    Keys
}

// Whole implements [emergency.Whole]: each question is a journey.
func (f *Files) Whole() {}

// Name names the channel and its target.
func (f *Files) Name() string { return f.Carrier.Name() }

// Deliver asks with the parcel. An answer in which the receiver has not said
// yet what came of every item is used once; after it, the parcel is sent anew.
func (f *Files) Deliver(ctx context.Context, p emergency.Parcel) (emergency.Signed, error) {
	var s emergency.Signed
	if err := f.ask(ctx, emergency.AskParcel, p.Batch, p, &s); err != nil {
		return s, err
	}
	var r emergency.Receipt
	if err := json.Unmarshal(s.Document, &r); err != nil {
		return s, nil //nolint:nilerr // who checks the signature reports it
	}
	for _, it := range r.Items {
		if it.Result == emergency.Receipted {
			return s, f.Carrier.Forget(ctx, answerName(emergency.AskParcel, p.Batch), questionName(emergency.AskParcel, p.Batch))
		}
	}
	return s, nil
}

// Compare asks with our side of a comparison.
func (f *Files) Compare(ctx context.Context, c emergency.Comparison) (emergency.Signed, error) {
	var s emergency.Signed
	err := f.ask(ctx, emergency.AskComparison, idOf(c.Nonce, c.Placement, ""), c, &s)
	return s, err
}

// List asks for what the receiver has.
func (f *Files) List(ctx context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
	var list []emergency.ListEntry
	err := f.ask(ctx, emergency.AskList, idOf(q.Nonce, q.Placement, q.Bucket), q, &list)
	return list, err
}

func idOf[S ~string](nonce string, p S, more string) string {
	sum := sha256.Sum256([]byte(nonce + "\x00" + string(p) + "\x00" + more))
	return hex.EncodeToString(sum[:16])
}

func questionName(q emergency.Question, id string) string { return string(q) + "-" + id + ".age" }

func answerName(q emergency.Question, id string) string { return "answer-" + questionName(q, id) }

// fileName is what a name may look like. Names come from the other side.
var fileName = regexp.MustCompile(`^(answer-)?(parcel|comparison|list)-([0-9a-f]{16,64})\.age$`)

// ask reads the answer to a question, or asks it and says that it is pending.
func (f *Files) ask(ctx context.Context, q emergency.Question, id string, in, out any) error {
	sealed, err := f.Carrier.Get(ctx, answerName(q, id))
	if errors.Is(err, fs.ErrNotExist) {
		return f.put(ctx, q, id, in)
	}
	if err != nil {
		return fmt.Errorf("looking for the answer to %s: %w", questionName(q, id), err)
	}
	content, err := f.Keys.open(answerName(q, id), sealed)
	if err == nil {
		err = json.Unmarshal(content, out)
	}
	if err != nil { // damaged on the way: it is asked again
		return errors.Join(fmt.Errorf("reading the answer to %s: %w", questionName(q, id), err),
			f.Carrier.Forget(ctx, answerName(q, id), questionName(q, id)))
	}
	return nil
}

func (f *Files) put(ctx context.Context, q emergency.Question, id string, in any) error {
	content, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", questionName(q, id), err)
	}
	sealed, err := f.Keys.seal(questionName(q, id), content)
	if err != nil {
		return err
	}
	if err := f.Carrier.Put(ctx, questionName(q, id), sealed); err != nil {
		return fmt.Errorf("sending %s by %s: %w", questionName(q, id), f.Carrier.Name(), err)
	}
	return fmt.Errorf("%s by %s: %w", questionName(q, id), f.Carrier.Name(), emergency.ErrPending)
}

// Desk is the receiver's end: it answers the questions that have come. The
// regular system's adapter calls it from time to time.
type Desk struct {
	Receiver *emergency.Receiver
	Carrier  Carrier
	Keys     Keys
}

// Due answers what has come and returns how many questions that were. One that
// cannot be read or answered keeps no other from its answer.
func (d *Desk) Due(ctx context.Context) (int, error) {
	names, err := d.Carrier.Names(ctx)
	if err != nil {
		return 0, err
	}
	var errs []error
	n := 0
	for _, name := range names {
		m := fileName.FindStringSubmatch(name)
		if m == nil || m[1] != "" {
			continue
		}
		if err := d.one(ctx, name, emergency.Question(m[2])); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}

// one answers a question, then forgets it: cut off in between, it is answered
// again, which changes nothing.
func (d *Desk) one(ctx context.Context, name string, q emergency.Question) error {
	sealed, err := d.Carrier.Get(ctx, name)
	if err != nil {
		return err
	}
	content, err := d.Keys.open(name, sealed)
	if err != nil {
		return err
	}
	answer, err := d.Receiver.Answer(ctx, q, content)
	if err != nil {
		return err
	}
	if sealed, err = d.Keys.seal("answer-"+name, answer); err != nil {
		return err
	}
	if err := d.Carrier.Forget(ctx, "", "answer-"+name); err != nil { // an older answer to the same question
		return err
	}
	if err := d.Carrier.Put(ctx, "answer-"+name, sealed); err != nil {
		return err
	}
	return d.Carrier.Forget(ctx, name, "")
}

// manifest is written after a file: without it the file is not whole.
type manifest struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
}

const manifestSuffix = ".manifest.json"

func manifestOf(name string, content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	b, err := json.Marshal(manifest{Version: 1, Name: name, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		return nil, fmt.Errorf("making the manifest of %s: %w", name, err)
	}
	return b, nil
}

// errNotWhole says that a file and its manifest do not fit.
var errNotWhole = fmt.Errorf("the file does not fit its manifest: %w", fs.ErrNotExist)

func checkManifest(raw []byte, name string, content []byte) error {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("reading the manifest of %s: %w", name, err)
	}
	sum := sha256.Sum256(content)
	if m.Version != 1 || m.Name != name || m.Size != int64(len(content)) || m.SHA256 != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("%s: %w", name, errNotWhole)
	}
	return nil
}

// wholeNames are the files among entries of a folder that have a manifest.
func wholeNames(entries []string) []string {
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e, manifestSuffix); ok && fileName.MatchString(name) {
			out = append(out, name)
		}
	}
	return out
}
