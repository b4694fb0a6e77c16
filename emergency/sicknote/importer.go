package sicknote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
)

// Imported is what became of mail files.
type Imported struct {
	Read   int `json:"read"`
	Stored int `json:"stored"`
	Known  int `json:"known"` // imported before, byte for byte
}

// ErrNoMailbox says that no mailbox has that address.
var ErrNoMailbox = errors.New("no such mailbox")

// ImportFor is [Intake.Import] for a Kasse, into one of its mailboxes; an empty
// address means its first.
func (in *Intake) ImportFor(ctx context.Context, k catalogue.KasseID, address string, now time.Time, mails iter.Seq2[[]byte, error]) (Imported, error) {
	mb, err := in.mailboxOf(k)
	if err != nil {
		return Imported{}, err
	}
	if address == "" {
		address = mb.Address
	}
	if !slices.Contains(in.mailboxes(k), address) {
		return Imported{}, fmt.Errorf("mailbox %q of Kasse %s: %w", address, k, ErrNoMailbox)
	}
	return in.Import(ctx, address, now, mails)
}

// Import takes mails from files as if they had been fetched for a mailbox. They
// are stored and read like those; importing a file again changes nothing.
func (in *Intake) Import(ctx context.Context, address string, now time.Time, mails iter.Seq2[[]byte, error]) (Imported, error) {
	var out Imported
	at := slices.IndexFunc(in.boxes, func(b *box) bool { return b.Address == address })
	if at < 0 {
		return out, fmt.Errorf("mailbox %q: %w", address, ErrNoMailbox)
	}
	mb := in.boxes[at].Mailbox
	open, epoch := in.config.Door.EmergencyDoor(mb.Placement)
	if !open {
		return out, fmt.Errorf("importing for %s: %s is not in emergency operation: %w", address, mb.Placement, emergency.ErrNotOpen)
	}
	j, err := in.config.Journals.Open(ctx, mb.Kasse)
	if err != nil {
		return out, err
	}
	var batch fetchedBatch
	flush := func() error {
		fresh, err := in.store(ctx, j, mb, epoch, now, batch)
		if err != nil {
			return err
		}
		out.Stored += len(fresh)
		out.Known += len(batch.raws) - len(fresh)
		batch = fetchedBatch{}
		return in.readStored(ctx, j, mb, now, fresh)
	}
	for raw, err := range mails {
		if err != nil {
			return out, errors.Join(err, flush())
		}
		if int64(len(raw)) > in.config.MaxMail {
			return out, errors.Join(fmt.Errorf("mail %d: %w", out.Read+1, errTooLarge), flush())
		}
		out.Read++
		batch.mails, batch.raws = append(batch.mails, listed{}), append(batch.raws, raw)
		if len(batch.raws) >= in.config.BatchMails {
			if err := flush(); err != nil {
				return out, err
			}
		}
	}
	if len(batch.raws) == 0 {
		return out, nil
	}
	return out, flush()
}

// MailFiles reads mails from a file or folder: .eml files, mbox files, Maildirs
// (new and cur), folders of these. Files of other kinds in a folder are passed
// over; one named directly is taken for a mail. No mail is larger than most.
func MailFiles(path string, most int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		info, err := os.Stat(path)
		if err != nil {
			yield(nil, fmt.Errorf("reading mails: %w", err))
			return
		}
		if !info.IsDir() {
			readMailFile(path, most, yield)
			return
		}
		err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() || !isMailFile(name) {
				return nil
			}
			if !readMailFile(name, most, yield) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("reading mails: %w", err))
		}
	}
}

// isMailFile tells by name: endings, or the folders of a Maildir.
func isMailFile(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".eml", ".mbox":
		return true
	}
	folder := filepath.Base(filepath.Dir(name))
	return folder == "new" || folder == "cur"
}

func readMailFile(name string, most int64, yield func([]byte, error) bool) bool {
	f, err := os.Open(name)
	if err != nil {
		return yield(nil, fmt.Errorf("reading mails: %w", err))
	}
	defer func() { _ = f.Close() }() // only read
	r := bufio.NewReader(f)
	if head, err := r.Peek(5); err == nil && string(head) == "From " {
		return readMbox(r, name, most, yield)
	}
	raw, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(raw)) > most {
		err = errTooLarge
	}
	if err != nil {
		return yield(nil, fmt.Errorf("reading %q: %w", name, err))
	}
	return yield(raw, nil)
}

// readMbox reads the mboxrd form: mails begin with a line "From ", and ">From " in
// a mail lost one ">" less when it was written.
func readMbox(r *bufio.Reader, name string, most int64, yield func([]byte, error) bool) bool {
	var mail bytes.Buffer
	begun := false
	for {
		line, err := r.ReadBytes('\n')
		if bytes.HasPrefix(line, []byte("From ")) {
			if begun && !yield(bytes.Clone(trimBlank(mail.Bytes())), nil) {
				return false
			}
			mail.Reset()
			begun, line = true, nil
		}
		if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			line = line[1:]
		}
		mail.Write(line)
		switch {
		case int64(mail.Len()) > most:
			return yield(nil, fmt.Errorf("reading %q: %w", name, errTooLarge))
		case errors.Is(err, io.EOF):
			return yield(bytes.Clone(trimBlank(mail.Bytes())), nil)
		case err != nil:
			return yield(nil, fmt.Errorf("reading %q: %w", name, err))
		}
	}
}

// trimBlank takes away the blank line that mbox puts behind every mail.
func trimBlank(mail []byte) []byte {
	if bytes.HasSuffix(mail, []byte("\r\n\r\n")) {
		return mail[:len(mail)-2]
	}
	if bytes.HasSuffix(mail, []byte("\n\n")) {
		return mail[:len(mail)-1]
	}
	return mail
}
