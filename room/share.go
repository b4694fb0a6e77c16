package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"filippo.io/age"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// A share is everything that concerns one Kasse, in a directory: its whole
// ledger, its items, what was accepted (closed by age to the Kasse's own
// recipients), and the room's entries about it with inclusion proofs. Whoever
// has it and the room's public key checks it with VerifyShare, or by
// docs/share.md without this program.
const (
	shareManifest = "share.note"   // signed, written last: without it a directory is no share
	shareLedger   = "ledger.jsonl" // as ledger.Export writes it
	shareRoom     = "room.jsonl"
	shareItems    = "items.jsonl"
	shareBodies   = "bodies.jsonl" // sealed: the only file with health data
	shareVersion  = 1
)

// ShareManifest says what a share holds. It stands in share.note, signed by the
// room's ledger key.
type ShareManifest struct {
	Version   int               `json:"version"`
	Room      string            `json:"room"`
	Kasse     catalogue.KasseID `json:"kasse"`
	IK        []string          `json:"ik"` // all of the Kasse
	Made      time.Time         `json:"made"`
	Public    string            `json:"public_key"`
	Head      string            `json:"head"`      // signed, of the room's ledger: what the proofs lead to
	Recipient []string          `json:"recipient"` // age recipients who open the bodies
	Files     []BackupFile      `json:"files"`
	Items     int               `json:"items"`
	Bodies    int               `json:"bodies"`
	Entries   int64             `json:"entries"`  // of the Kasse's ledger
	Whole     int               `json:"whole"`    // entries of the room's ledger, with their text
	Withheld  int               `json:"withheld"` // those that name another Kasse as well: hash and extract
}

type shareArgs struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	To     string            `json:"to"` // on the machine of the room, absolute; new or empty
	Reason string            `json:"reason"`
}

// ErrNoOwnRecipients says that nobody but the room could open a share.
var ErrNoOwnRecipients = errors.New("this Kasse has no recipients of its own, who alone may open what was accepted for it: leitstand keys recipients set --kasse IK=age1…, then approve")

// makeShare writes a Kasse's share. It needs an unlock; what was accepted leaves
// closed to the Kasse's own recipients only.
func makeShare(ctx context.Context, r *Room, as access.Person, a shareArgs) (ShareManifest, error) {
	k, ok := r.Catalogue.Kasse(a.Kasse)
	if !ok {
		return ShareManifest{}, fmt.Errorf("no Kasse %q in this room", a.Kasse)
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return ShareManifest{}, err
	}
	if !filepath.IsAbs(a.To) || a.Reason == "" {
		return ShareManifest{}, errors.New("a share needs a directory, named from the root, and a reason: it is put on record")
	}
	all, err := recipients(ctx, r, none{})
	if err != nil {
		return ShareManifest{}, err
	}
	own := all.Kassen[a.Kasse]
	if len(own) == 0 {
		return ShareManifest{}, fmt.Errorf("%s: %w", a.Kasse, ErrNoOwnRecipients)
	}
	to, err := ParseRecipients(own)
	if err != nil {
		return ShareManifest{}, err
	}
	j, err := r.Journals.Open(ctx, a.Kasse)
	if err != nil {
		return ShareManifest{}, err
	}
	opener, err := j.Opener(ctx)
	if err != nil {
		return ShareManifest{}, err
	}
	if err := newDir(a.To); err != nil {
		return ShareManifest{}, err
	}
	s := &sharer{room: r, journal: j, opener: opener, to: to, args: a, m: ShareManifest{
		Version: shareVersion, Room: r.Settings.Name, Kasse: k.ID, IK: append([]string{string(k.ID)}, k.OtherIK...), Made: db.Trim(r.Now()), Public: r.Public(), Recipient: own,
	}}
	err = s.all(ctx, as)
	return s.m, err
}

// sharer writes one share.
type sharer struct {
	room    *Room
	journal *emergency.Journal
	opener  emergency.Opener
	to      []age.Recipient
	args    shareArgs
	m       ShareManifest
}

// all goes in this order: the Kasse's ledger says who takes a share before the
// first file is there; the room's ledger says it with the head of the Kasse's;
// and the share holds both entries.
func (s *sharer) all(ctx context.Context, as access.Person) error {
	entry := ledger.Entry{At: s.room.Now(), Actor: as.ID, Kind: "share.made", Subject: string(s.m.Kasse), Reason: s.args.Reason, Data: map[string]any{"recipient": s.m.Recipient}}
	err := s.journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, entry)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording the share of Kasse %s: %w", s.m.Kasse, err)
	}
	if err := s.journal.Store().Snapshot(ctx, func(ctx context.Context, q db.Querier) error { return s.kasse(ctx, q, &entry) }); err != nil {
		return fmt.Errorf("the share of Kasse %s: %w", s.m.Kasse, err)
	}
	err = s.room.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, entry)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording the share of Kasse %s: %w", s.m.Kasse, err)
	}
	if err := s.room.Store.Snapshot(ctx, s.roomEntries); err != nil {
		return fmt.Errorf("the room's entries about Kasse %s: %w", s.m.Kasse, err)
	}
	return s.finish()
}

// kasse writes the Kasse's ledger, items and bodies as they are in one state. The
// head of that state goes into the room's entry.
func (s *sharer) kasse(ctx context.Context, q db.Querier, entry *ledger.Entry) error {
	head, ok, err := ledger.Newest(ctx, q, s.m.Public)
	if err == nil && !ok {
		err = errors.New("its ledger is empty")
	}
	if err != nil {
		return err
	}
	s.m.Entries = head.Size
	entry.Data = map[string]any{"recipient": s.m.Recipient, "head": head.Note}
	err = s.file(shareLedger, nil, func(w io.Writer) error {
		return ledger.ExportFrom(ctx, q, s.journal.Store().Name(), s.m.Public, w)
	})
	if err != nil {
		return err
	}
	return s.file(shareItems, nil, func(items io.Writer) error {
		return s.file(shareBodies, s.to, func(bodies io.Writer) error {
			itemOut, bodyOut := json.NewEncoder(items), json.NewEncoder(bodies)
			return s.journal.Share(ctx, q, s.opener, emergency.ShareTo{
				Item: func(it emergency.SharedItem) error { s.m.Items++; return itemOut.Encode(it) },
				Body: func(b emergency.SharedBody) error {
					s.m.Bodies++
					return bodyOut.Encode(sharedLine{Body: &b})
				},
				Note: func(n emergency.SharedNote) error { return bodyOut.Encode(sharedLine{Note: &n}) },
			})
		})
	})
}

// sharedLine is a line of the sealed file.
type sharedLine struct {
	Body *emergency.SharedBody `json:"body,omitempty"`
	Note *emergency.SharedNote `json:"note,omitempty"`
}

// file writes one file of the share, whole or not at all.
func (s *sharer) file(name string, to []age.Recipient, write func(w io.Writer) error) error {
	if len(to) > 0 {
		name += sealedSuffix
	}
	d, err := createDurable(filepath.Join(s.args.To, name), to)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := write(d); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), d.abort())
	}
	f, err := d.finish()
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	s.m.Files = append(s.m.Files, f)
	return nil
}

// finish signs what the share holds.
func (s *sharer) finish() error {
	b, err := json.MarshalIndent(s.m, "", " ")
	if err != nil {
		return fmt.Errorf("encoding the share: %w", err)
	}
	signed, err := s.room.key.Sign("leitstand share\n" + string(b) + "\n")
	if err != nil {
		return err
	}
	if _, err := writeDurable(filepath.Join(s.args.To, shareManifest), []byte(signed), nil); err != nil {
		return fmt.Errorf("finishing the share: %w", err)
	}
	return nil
}
