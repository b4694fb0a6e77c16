package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

// fenceFile says, signed with the room's own key, which generation may write. It
// lies in the second place, and in the data directory of a machine that has seen it.
const fenceFile = "fence"

// ErrFenced says that this machine may not write.
var ErrFenced = errors.New("this machine may not write to the room")

// Fence is the statement that a machine has taken over.
type Fence struct {
	Room       string    `json:"room"` // public key name
	Generation int64     `json:"generation"`
	Node       string    `json:"node"`
	At         time.Time `json:"at"`
	Reason     string    `json:"reason"`
}

func (f Fence) text() string {
	return fmt.Sprintf("leitstand fence\n%s\n%d\n%s\n%s\n%s\n", f.Room, f.Generation, oneLine(f.Node), f.At.UTC().Format(time.RFC3339), oneLine(f.Reason))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// readFence reads a fence; ok is false when there is none. A fence that this
// room's key did not sign is an error: somebody else has put it there.
func readFence(file, public string) (f Fence, ok bool, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return f, false, nil
	}
	if err != nil {
		return f, false, fmt.Errorf("reading the fence: %w", err)
	}
	f, err = parseFence(string(b), file, public)
	return f, err == nil, err
}

func parseFence(signed, file, public string) (f Fence, err error) {
	text, err := ledger.Unsign(signed, public)
	if err != nil {
		return f, fmt.Errorf("the fence %q is not of this room: %w", file, err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 7 || lines[0] != "leitstand fence" {
		return f, fmt.Errorf("the fence %q has an unknown form", file)
	}
	f.Room, f.Node, f.Reason = lines[1], lines[3], lines[5]
	if f.Generation, err = strconv.ParseInt(lines[2], 10, 64); err == nil {
		f.At, err = time.Parse(time.RFC3339, lines[4])
	}
	if err != nil {
		return f, fmt.Errorf("reading the fence %q: %w", file, err)
	}
	return f, nil
}

// fence is asked before every commit of every store of the room.
type fence struct {
	why  atomic.Pointer[fenced] // nil: may write
	mine atomic.Int64           // generation of this room
	also db.Hook                // of nodes: whether this one leads; nil without
}

type fenced struct {
	text string
	wait bool // only until the second place can be asked
}

func (f *fence) hook(ctx context.Context, tx *db.Tx) error {
	if err := f.err(); err != nil || f.also == nil {
		return err
	}
	if err := f.also(ctx, tx); err != nil {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return nil
}

func (f *fence) err() error {
	if why := f.why.Load(); why != nil {
		return fmt.Errorf("%w: %s", ErrFenced, why.text)
	}
	return nil
}

// Alone is the decision of two people to go on writing although nobody can ask
// the second place whether another machine has taken over.
type Alone struct {
	First, Second string
	Reason        string
}

// openFence finds out whether this machine may write, before anything is written.
func (r *Room) openFence(ctx context.Context) error {
	g, err := generation(ctx, r.Store)
	if err != nil {
		return err
	}
	r.fence.mine.Store(g)
	if err := r.takeNotedFence(ctx); err != nil {
		return err
	}
	if err := r.obeyFence(ctx, filepath.Join(r.opt.Data, fenceFile)); err != nil {
		return err
	}
	if r.opt.CopyTo == "" {
		return nil
	}
	r.copier = newCopier(r, r.opt.CopyTo)
	err = r.lookForFence(ctx)
	if err == nil || errors.Is(err, ErrFenced) {
		return nil
	}
	if r.opt.Alone == nil {
		r.opt.Log.Error("nobody knows whether another machine has taken over", slog.Any("error", err))
		r.fence.why.Store(&fenced{wait: true, text: fmt.Sprintf("Der zweite Ort %q ist nicht erreichbar; ob ein anderer Rechner übernommen hat, weiß hier niemand. "+
			"Anschließen, dann geht es von selbst weiter; oder zu zweit entscheiden: leitstand serve --alone-as PERSON --alone-second PERSON --alone-reason … (%v)", r.opt.CopyTo, err)})
		return nil
	}
	return r.goAlone(ctx, *r.opt.Alone, err)
}

// goAlone puts the decision on record as the first thing that is written.
func (r *Room) goAlone(ctx context.Context, a Alone, cause error) error {
	people := make([]access.Person, 0, 2)
	for _, id := range []string{a.First, a.Second} {
		p, err := access.Get(ctx, r.Store, id)
		if err != nil {
			return err
		}
		people = append(people, p)
	}
	if a.First == a.Second {
		return access.ErrSamePerson
	}
	if err := mayKeep(people...); err != nil {
		return err
	}
	if strings.TrimSpace(a.Reason) == "" {
		return errors.New("going on alone needs a reason")
	}
	return r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: r.Now(), Actor: a.First, Kind: "room.resumed_alone", Subject: "room", Reason: a.Reason,
			Data: map[string]string{"second": a.Second, "node": nodeName(), "cause": cause.Error()},
		})
		return err
	})
}

// lookForFence asks the second place who may write. While it could not be asked
// at the start, the first answer lets the room go on.
func (r *Room) lookForFence(ctx context.Context) error {
	if err := checkPlace(r.opt.CopyTo, r.Public()); err != nil {
		return err
	}
	if err := r.obeyFence(ctx, filepath.Join(r.opt.CopyTo, fenceFile)); err != nil {
		return err
	}
	if why := r.fence.why.Load(); why != nil && why.wait {
		r.fence.why.CompareAndSwap(why, nil)
	}
	return r.fence.err()
}

// obeyFence stops all writing when a fence names a newer generation, and keeps it
// beside the room, so that it holds after a restart without the second place too, and
// for all nodes of a room in PostgreSQL.
func (r *Room) obeyFence(ctx context.Context, file string) error {
	f, ok, err := readFence(file, r.Public())
	if err != nil || !ok || f.Generation <= r.fence.mine.Load() {
		return err
	}
	if why := r.fence.why.Load(); why != nil && !why.wait {
		return nil // stopped already
	}
	text := fmt.Sprintf("Diesen Raum hat %q am %s übernommen (Generation %d, hier %d; Grund: %s). Weiterarbeiten dort. "+
		"Was hier allein angenommen wurde, zeigt dort: leitstand takeover compare VERZEICHNIS",
		f.Node, f.At.Format("2006-01-02 15:04 MST"), f.Generation, r.fence.mine.Load(), f.Reason)
	r.fence.why.Store(&fenced{text: text})
	r.opt.Log.Error("another machine has taken over: nothing is written here any more",
		slog.String("node", f.Node), slog.Int64("generation", f.Generation), slog.Time("at", f.At))
	b, err := os.ReadFile(file)
	if own := filepath.Join(r.opt.Data, fenceFile); err == nil && own != file {
		_, err = writeDurable(own, b, nil)
	}
	if err == nil {
		err = place(r.opt, r.Settings).PutNote(ctx, fenceFile, string(b))
	}
	if err != nil {
		return fmt.Errorf("keeping the fence: %w", err)
	}
	return nil
}

// takeNotedFence puts a fence that another node of a room in PostgreSQL has seen
// beside this one.
func (r *Room) takeNotedFence(ctx context.Context) error {
	signed, err := place(r.opt, r.Settings).Note(ctx, fenceFile)
	if err != nil || signed == "" {
		return err
	}
	_, err = keepFence(r.opt.Data, []byte(signed), "of the other nodes", r.Public())
	return err
}

// keepFence puts a fence beside a room, unless there is one as new.
func keepFence(data string, signed []byte, from, public string) (Fence, error) {
	f, err := parseFence(string(signed), from, public)
	if err != nil {
		return f, err
	}
	have, ok, err := readFence(filepath.Join(data, fenceFile), public)
	if err != nil {
		return f, err
	}
	if ok && have.Generation >= f.Generation {
		return have, nil
	}
	if _, err := writeDurable(filepath.Join(data, fenceFile), signed, nil); err != nil {
		return f, fmt.Errorf("putting the fence up: %w", err)
	}
	return f, nil
}

// WritingStatus says whether this machine may write, and why not.
type WritingStatus struct {
	Node       string `json:"node"`
	Generation int64  `json:"generation"`
	Allowed    bool   `json:"allowed"`
	Why        string `json:"why,omitempty"`
}

func writingStatus(_ context.Context, r *Room, _ none) (WritingStatus, error) {
	s := WritingStatus{Node: nodeName(), Generation: r.fence.mine.Load(), Allowed: true}
	if why := r.fence.why.Load(); why != nil {
		s.Allowed, s.Why = false, why.text
	}
	return s, nil
}

// Lead waits until this machine leads a room in PostgreSQL, or ctx ends: one node
// serves, the others wait. Give its Guard to [Options].
func Lead(ctx context.Context, opt Options) (*db.Lease, error) {
	settings, err := readSettings(opt.Data)
	if err != nil {
		return nil, err
	}
	if err := settings.fits(opt); err != nil {
		return nil, err
	}
	return place(opt, settings).Lead(ctx, nodeName(), time.Now())
}
