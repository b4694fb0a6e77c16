package channel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"leitstand/pure/kimmail"
)

// Post sends mails and fetches a mailbox: a Clientmodul, or a mail server.
type Post interface {
	Send(ctx context.Context, from, to string, mail []byte) error
	// Fetch calls keep with every mail in the mailbox and removes those for which
	// it returned nil. A mail that was kept may come again.
	Fetch(ctx context.Context, keep func(mail []byte) error) error
}

// Service identifies our mails (Dienstkennung of ordinary KIM mail).
const Service = "KIM-Mail;Default;V1.0"

// KIM carries files as KIM mails. What came lies in a folder of its own, so that
// the mailbox is emptied only of what is durable here.
type KIM struct {
	Post     Post
	From, To string // KIM addresses
	Spool    string // folder; one for each pair of addresses
	// Signer and Recipients sign and encrypt as a Clientmodul does; without them
	// the Clientmodul that Post sends to does so.
	Signer     *kimmail.Identity
	Recipients []kimmail.SealRecipient
	Open       kimmail.Options
	Again      time.Duration // after which a question without an answer is sent again; 0 means 6 hours
	Now        func() time.Time

	mu sync.Mutex // one look into the mailbox at a time
}

// Name names the channel and its target.
func (k *KIM) Name() string { return "kim " + k.To }

// Headers of our mails.
const (
	headerName = "X-Leitstand-Datei"
	headerHash = "X-Leitstand-SHA256"
)

func (k *KIM) now() time.Time {
	if k.Now == nil {
		return time.Now()
	}
	return k.Now()
}

// Put sends a file, unless it left not long ago.
func (k *KIM) Put(ctx context.Context, name string, content []byte) error {
	again := k.Again
	if again == 0 {
		again = 6 * time.Hour
	}
	sent := filepath.Join(k.Spool, "gesendet", name)
	if info, err := os.Stat(sent); err == nil && k.now().Sub(info.ModTime()) < again {
		return nil
	}
	mail, err := k.compose(name, content)
	if err != nil {
		return err
	}
	if err := k.Post.Send(ctx, k.From, k.To, mail); err != nil {
		return fmt.Errorf("sending %s to %s: %w", name, k.To, err)
	}
	if err := os.MkdirAll(filepath.Dir(sent), 0o700); err != nil {
		return fmt.Errorf("noting that %s left: %w", name, err)
	}
	if err := writeSynced(filepath.Dir(sent), name, nil); err != nil {
		return err
	}
	return os.Chtimes(sent, k.now(), k.now())
}

// compose writes the mail in clear and, with a signer, seals it.
func (k *KIM) compose(name string, content []byte) ([]byte, error) {
	for _, v := range []string{k.From, k.To, name} {
		if strings.ContainsAny(v, "\r\n<>") {
			return nil, fmt.Errorf("%q cannot stand in a mail header", v)
		}
	}
	sum := sha256.Sum256(content)
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", "<" + k.From + ">"},
		{"To", "<" + k.To + ">"},
		{"Date", k.now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + name + "." + hex.EncodeToString(sum[:8]) + "@leitstand.invalid>"},
		{"Subject", "Leitstand " + name},
		{"X-KIM-Dienstkennung", Service},
		{headerName, name},
		{headerHash, hex.EncodeToString(sum[:])},
		{"MIME-Version", "1.0"},
		{"Content-Type", "application/octet-stream; name=\"" + name + "\""},
		{"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > 0 {
		n := min(76, len(text))
		b.WriteString(text[:n])
		b.WriteString("\r\n")
		text = text[n:]
	}
	if k.Signer == nil {
		return b.Bytes(), nil
	}
	mail, err := kimmail.Seal(kimmail.SealRequest{Mail: b.Bytes(), Signer: k.Signer, Recipients: k.Recipients, Time: k.now()})
	if err != nil {
		return nil, fmt.Errorf("sealing %s for %s: %w", name, k.To, err)
	}
	return mail, nil
}

// errForeign says that a mail is none of ours: it stays in the mailbox.
var errForeign = errors.New("not a mail of the handover")

// fetch brings what lies in the mailbox into the spool.
func (k *KIM) fetch(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	dir := filepath.Join(k.Spool, "gekommen")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keeping mails: %w", err)
	}
	err := k.Post.Fetch(ctx, func(raw []byte) error {
		name, content, err := k.read(raw)
		if err != nil {
			return err
		}
		m, err := manifestOf(name, content)
		if err == nil {
			err = writeSynced(dir, name, content)
		}
		if err == nil {
			err = writeSynced(dir, name+manifestSuffix, m)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("looking into the mailbox %s: %w", k.From, err)
	}
	return nil
}

// read takes a mail apart. A mail of the handover that is damaged is left in the
// mailbox, where a person finds it.
func (k *KIM) read(raw []byte) (name string, content []byte, err error) {
	opt := k.Open
	if opt.At.IsZero() {
		opt.At = k.now()
	}
	_, opened, err := kimmail.Receive(raw, kimmail.Limits{}, opt)
	if err != nil {
		return "", nil, err
	}
	inner := opened.Inner
	name = inner.Header.Get(headerName)
	if !fileName.MatchString(name) {
		return "", nil, errForeign
	}
	if len(inner.Parts) != 1 {
		return "", nil, fmt.Errorf("the mail with %s has %d parts, want one", name, len(inner.Parts))
	}
	content = inner.Parts[0].Content
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != inner.Header.Get(headerHash) {
		return "", nil, fmt.Errorf("the mail with %s does not have its hash", name)
	}
	return name, content, nil
}

func (k *KIM) came() *Stick { return &Stick{Dir: k.Spool, In: "gekommen", Out: "gesendet"} }

// Get looks into the mailbox, then into the folder.
func (k *KIM) Get(ctx context.Context, name string) ([]byte, error) {
	if err := os.MkdirAll(k.Spool, 0o700); err != nil {
		return nil, fmt.Errorf("keeping mails: %w", err)
	}
	content, err := k.came().Get(ctx, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	if err := k.fetch(ctx); err != nil {
		return nil, err
	}
	return k.came().Get(ctx, name)
}

// Names lists what came.
func (k *KIM) Names(ctx context.Context) ([]string, error) {
	if err := k.fetch(ctx); err != nil {
		return nil, err
	}
	return k.came().Names(ctx)
}

// Forget removes a file that came, and lets what was put be sent again.
func (k *KIM) Forget(ctx context.Context, came, put string) error {
	return k.came().Forget(ctx, came, put)
}
