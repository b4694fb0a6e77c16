package room

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

// TakeOverArgs say what is taken over, and who decides it.
type TakeOverArgs struct {
	From    string // backup or continuous copy
	First   string // person
	Second  string // another person
	Reason  string
	FenceTo string // second place of the first machine, when From is a backup; "" when it cannot be reached
}

// Taken is the outcome of a take-over.
type Taken struct {
	Manifest   Manifest   `json:"manifest"`
	Ledgers    []Verified `json:"ledgers"`
	Generation int64      `json:"generation"`
	Fenced     bool       `json:"fenced"` // the second place says so; else the fence must be carried
	Fence      string     `json:"fence"`  // file to carry to the first machine
}

// ErrProblems says that a copy does not verify.
var ErrProblems = errors.New("the copy does not verify: use another one")

// TakeOver makes a room of a backup or of the continuous copy in a new directory,
// and of this machine the one that may write. First the second place learns of
// it, so that the first machine stops; the directory gets its name last. An
// interrupted take-over is begun again and then has a higher generation.
func TakeOver(ctx context.Context, a TakeOverArgs, opt Options) (Taken, error) {
	if strings.TrimSpace(a.Reason) == "" {
		return Taken{}, errors.New("a take-over needs a reason")
	}
	if a.First == a.Second {
		return Taken{}, access.ErrSamePerson
	}
	if err := noDir(opt.Data); err != nil {
		return Taken{}, err
	}
	half := opt
	half.CopyTo, half.Data, half.restored = "", opt.Data+partialSuffix, true
	if err := os.RemoveAll(half.Data); err != nil {
		return Taken{}, fmt.Errorf("removing what an interrupted try left: %w", err)
	}
	out, err := takeOver(ctx, a, half)
	if err != nil {
		return out, errors.Join(err, os.RemoveAll(half.Data))
	}
	out.Fence = filepath.Join(opt.Data, fenceFile)
	return out, moveDir(half.Data, opt.Data)
}

func takeOver(ctx context.Context, a TakeOverArgs, half Options) (out Taken, err error) {
	if out.Manifest, err = unpack(ctx, a.From, half.Data, half.Identities); err != nil {
		return out, err
	}
	if err := settle(ctx, half); err != nil {
		return out, err
	}
	if out.Ledgers, err = verifyRestored(ctx, half, out.Manifest); err != nil {
		return out, err
	}
	for _, rep := range out.Ledgers {
		if len(rep.Problems) > 0 {
			return out, fmt.Errorf("%s: %s: %w", rep.Ledger, rep.Problems[0].Text, ErrProblems)
		}
	}
	r, err := Open(ctx, half)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	g, err := r.beginGeneration(ctx, a)
	if err != nil {
		return out, err
	}
	out.Generation = g.Number
	signed, err := r.key.Sign(Fence{Room: r.keyName(), Generation: g.Number, Node: g.Node, At: g.At, Reason: g.Reason}.text())
	if err != nil {
		return out, fmt.Errorf("signing the fence: %w", err)
	}
	place := a.FenceTo
	if place == "" && isCopy(a.From) {
		place = a.From
	}
	if place != "" {
		if err := checkPlace(place, r.Public()); err != nil {
			return out, err
		}
		if _, err := writeDurable(filepath.Join(place, fenceFile), []byte(signed), nil); err != nil {
			return out, fmt.Errorf("fencing the first machine off: %w", err)
		}
		out.Fenced = true
	}
	_, err = writeDurable(filepath.Join(half.Data, fenceFile), []byte(signed), nil)
	return out, err
}

// keyName is the part of the public key that names it.
func (r *Room) keyName() string {
	name, _, _ := strings.Cut(r.Public(), "+")
	return name
}

// beginGeneration lets this machine write and everybody before it no more.
func (r *Room) beginGeneration(ctx context.Context, a TakeOverArgs) (Generation, error) {
	people := make([]access.Person, 0, 2)
	for _, id := range []string{a.First, a.Second} {
		p, err := access.Get(ctx, r.Store, id)
		if err != nil {
			return Generation{}, err
		}
		people = append(people, p)
	}
	if err := mayKeep(people...); err != nil {
		return Generation{}, err
	}
	last := r.fence.mine.Load()
	for _, dir := range []string{a.FenceTo, a.From} {
		if dir == "" {
			continue
		}
		f, ok, err := readFence(filepath.Join(dir, fenceFile), r.Public())
		if err != nil {
			return Generation{}, err
		}
		if ok {
			last = max(last, f.Generation)
		}
	}
	h, _, err := ledger.Newest(ctx, r.Store, r.Public())
	if err != nil {
		return Generation{}, err
	}
	g := Generation{
		Number: last + 1, Node: nodeName(), At: db.Trim(r.Now()), First: a.First, Second: a.Second, Reason: oneLine(a.Reason),
		Source: fmt.Sprintf("%d %s", h.Size, h.Root),
	}
	r.fence.mine.Store(g.Number)
	return g, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `insert into room_generation (number, node, at, first, second, reason, source) values ($1, $2, $3, $4, $5, $6, $7)`,
			g.Number, g.Node, g.At.UnixMicro(), g.First, g.Second, g.Reason, g.Source); err != nil {
			return fmt.Errorf("storing who may write: %w", err)
		}
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: g.At, Actor: g.First, Kind: "room.taken_over", Subject: "room", Reason: g.Reason,
			Data: map[string]string{"second": g.Second, "node": g.Node}, Rows: []ledger.Row{g.row()},
		})
		return err
	})
}

// PutFence puts the fence of a machine that took over beside the room of the
// first, which writes no more from then on, served or not. In PostgreSQL all nodes
// learn of it.
func PutFence(ctx context.Context, opt Options, file string) (Fence, error) {
	public, err := ledger.LoadPublic(opt.Data)
	if err != nil {
		return Fence{}, err
	}
	signed, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return Fence{}, fmt.Errorf("there is no fence in %q", file)
	}
	if err != nil {
		return Fence{}, fmt.Errorf("reading the fence: %w", err)
	}
	f, err := keepFence(opt.Data, signed, file, public)
	if err != nil {
		return f, err
	}
	settings, err := readSettings(opt.Data)
	if err == nil {
		err = settings.fits(opt)
	}
	if err == nil { // the newest, which may have been here already
		signed, err = os.ReadFile(filepath.Join(opt.Data, fenceFile))
	}
	if err == nil {
		err = place(opt, settings).PutNote(ctx, fenceFile, string(signed))
	}
	if err != nil {
		return f, fmt.Errorf("the fence lies beside this node, and the other nodes do not know of it: %w", err)
	}
	return f, nil
}
