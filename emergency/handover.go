package emergency

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// Handover hands the items of one placement over to its regular system: batch
// after batch, one on its way at a time, so that the order of items is kept. It
// keeps no state of its own: killed at any point, another one goes on.
type Handover struct {
	Journal   *Journal
	Placement catalogue.PlacementID
	Channel   Channel
	Receiver  ed25519.PublicKey // signs receipts
	Owner     string            // takes care of what the receiver rejects

	// Holder names the node that runs it. A batch that another holder sent is
	// left alone until its lease has run out; one's own is sent again at once.
	Holder string
	Lease  time.Duration // 0 means 30 s

	// Describe turns the stored body into what the receiver gets, always the same
	// for the same item. It is called from several goroutines. Nil sends the body as it is.
	Describe func(ctx context.Context, it Item, body []byte) (Content, error)

	MaxItems int           // per batch, 0 means 500
	MaxBytes int64         // per batch, 0 means 8 MiB; one larger item goes alone
	Retry    time.Duration // after the first failure, doubled up to a minute; 0 means 1 s

	// Hook is called at the durable steps with "sent", "delivered" and "settled".
	// An error stops the step there, as a crash would.
	Hook func(point string) error

	// ahead are items of the next batch, opened while this one is put on record,
	// under way and settled. It is read only after looking has ended, and used only
	// if the batch's own transaction finds them unchanged.
	ahead   map[Number]opened
	looking sync.WaitGroup
	took    time.Duration // that the last batch was under way, whatever the room's clock says
}

// opened is an item as it will leave, and what it was made from.
type opened struct {
	item   Item
	parcel ParcelItem
}

// Content is an item as the receiver gets it.
type Content struct {
	Media      string
	Body       []byte
	Attributes map[string]string
}

// batch is a row of journal_batch.
type batch struct {
	id       string
	attempts int64
	holder   string
	lease    time.Time
	next     time.Time
}

// Due hands over what can be handed over now. It returns when to call it again:
// at next after a failure, which err describes; the zero time when nothing is left.
func (h *Handover) Due(ctx context.Context, now time.Time) (next time.Time, err error) {
	defer h.looking.Wait()
	for {
		more, next, err := h.step(ctx, now)
		if err != nil || !more {
			return next, err
		}
	}
}

// step sends one batch.
func (h *Handover) step(ctx context.Context, now time.Time) (more bool, next time.Time, err error) {
	b, found, err := h.inFlight(ctx)
	if err != nil {
		return false, now, err
	}
	if found && b.next.After(now) {
		return false, b.next, nil
	}
	if found && b.holder != h.Holder && b.lease.After(now) {
		return false, b.lease, nil
	}
	var p Parcel
	if found {
		p, err = h.resume(ctx, now, b)
		b.attempts++
	} else {
		b, p, err = h.begin(ctx, now)
	}
	if err == nil && !found && len(p.Items) == 0 {
		return h.askAgain(ctx, now)
	}
	if err != nil || len(p.Items) == 0 {
		return false, time.Time{}, err
	}
	return h.deliver(ctx, now, b, p)
}

// askAgain sends a batch once more that the receiver has kept without saying what
// came of it: a receiver answers a parcel that it has with the results of today.
func (h *Handover) askAgain(ctx context.Context, now time.Time) (more bool, next time.Time, err error) {
	var b batch
	var at int64
	err = h.Journal.store.QueryRow(ctx, `select id, attempts, next from journal_batch where state = 'receipted' and placement = $1
		order by next, id limit 1`, string(h.Placement)).Scan(&b.id, &b.attempts, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return false, time.Time{}, nil
	}
	if err != nil {
		return false, now, fmt.Errorf("looking for a batch without results: %w", err)
	}
	if at := db.Time(at); at.After(now) {
		return false, at, nil
	}
	p, err := h.again(ctx, b.id)
	if err != nil {
		return false, now, err
	}
	return h.deliver(ctx, now, b, p)
}

// again makes the parcel of a batch once more: the same items, the same bytes.
func (h *Handover) again(ctx context.Context, id string) (Parcel, error) {
	items, err := db.Collect(ctx, h.Journal.store, scanItem, itemQuery+`where s.batch = $1 order by s.position`, id)
	if err != nil {
		return Parcel{}, fmt.Errorf("reading batch %s: %w", id, err)
	}
	p, broken, err := h.pack(ctx, id, items)
	if err == nil && len(broken) > 0 {
		err = broken[0].err // it left whole once: this is damage, and a person must look
	}
	return p, err
}

func (h *Handover) deliver(ctx context.Context, now time.Time, b batch, p Parcel) (more bool, next time.Time, err error) {
	if err := h.hook("sent"); err != nil {
		return false, now, err
	}
	left := time.Now()
	signed, err := h.Channel.Deliver(ctx, p)
	if err == nil {
		h.took = time.Since(left)
		if err := h.hook("delivered"); err != nil {
			return false, now, err
		}
		err = h.settle(ctx, now, p.Batch, hashes(p), signed)
	}
	if err != nil {
		next, ferr := h.failed(ctx, now, b, err)
		return false, next, errors.Join(fmt.Errorf("handing over batch %s: %w", b.id, err), ferr)
	}
	return true, time.Time{}, h.hook("settled")
}

// lookAhead opens items of the next batch. What fails here is met again, and
// reported, when it is their turn.
func (h *Handover) lookAhead(ctx context.Context, items []Item) map[Number]opened {
	if len(items) == 0 {
		return nil
	}
	opener, err := h.Journal.reader(ctx)
	if err != nil {
		return nil
	}
	bodies, over, err := h.Journal.contents(ctx, items)
	if err != nil {
		return nil
	}
	packed := make([]ParcelItem, len(items))
	fine := make([]bool, len(items))
	inParallel(len(items), func(i int) {
		var a, b error
		packed[i], a, b = h.packOne(ctx, opener, items[i], bodies[items[i].Number], over[items[i].Number])
		fine[i] = a == nil && b == nil
	})
	ahead := make(map[Number]opened, len(items))
	for i, it := range items {
		if fine[i] {
			ahead[it.Number] = opened{it, packed[i]}
		}
	}
	return ahead
}

func (h *Handover) hook(point string) error {
	if h.Hook == nil {
		return nil
	}
	return h.Hook(point)
}

// inFlight finds the batch of this placement that has no receipt yet.
func (h *Handover) inFlight(ctx context.Context) (batch, bool, error) {
	var b batch
	var lease, next int64
	err := h.Journal.store.QueryRow(ctx, `select id, attempts, holder, lease, next from journal_batch where state = 'sent' and placement = $1`,
		string(h.Placement)).Scan(&b.id, &b.attempts, &b.holder, &lease, &next)
	if errors.Is(err, sql.ErrNoRows) {
		return b, false, nil
	}
	if err != nil {
		return b, false, fmt.Errorf("looking for a batch on its way: %w", err)
	}
	b.lease, b.next = db.Time(lease), db.Time(next)
	return b, true, nil
}

// errStale says that an item changed after it was packed and before it was sent.
var errStale = errors.New("item changed while it was packed")

// begin makes the next batch and puts it on record before it leaves.
func (h *Handover) begin(ctx context.Context, now time.Time) (batch, Parcel, error) {
	for {
		b, p, err := h.tryBegin(ctx, now)
		if !errors.Is(err, errStale) {
			return b, p, err
		}
		h.looking.Wait()
		h.ahead = nil // as it is now, then
	}
}

func (h *Handover) tryBegin(ctx context.Context, now time.Time) (batch, Parcel, error) {
	items, rest, err := h.ready(ctx)
	if err != nil || len(items) == 0 {
		return batch{}, Parcel{}, err
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails, see crypto/rand
	b := batch{id: hex.EncodeToString(id), attempts: 1, holder: h.Holder, lease: now.Add(h.lease())}
	p, broken, err := h.pack(ctx, b.id, items)
	if err != nil {
		return b, p, err
	}
	if len(broken) > 0 {
		return h.rejectBroken(ctx, now, broken)
	}
	h.looking.Go(func() { h.ahead = h.lookAhead(ctx, rest) })
	changes := make([]Change, len(items))
	for i, it := range items {
		changes[i] = Change{Number: it.Number, Apply: func(s Standing) (Standing, error) {
			if s != it.Standing {
				return s, errStale
			}
			return s.Send(b.id)
		}}
	}
	err = h.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `insert into journal_batch (id, placement, channel, state, items, made, attempts, holder, lease, next, error, receipt)
			values ($1, $2, $3, 'sent', $4, $5, 1, $6, $7, 0, '', $8)`,
			b.id, string(h.Placement), h.Channel.Name(), len(items), db.Micro(now), h.Holder, db.Micro(b.lease), []byte{}); err != nil {
			return fmt.Errorf("writing batch %s: %w", b.id, err)
		}
		return h.Journal.ApplyTx(ctx, tx, Entry{
			At: now, Actor: ledger.System, Kind: "batch.sent",
			Data: map[string]any{"batch": b.id, "channel": h.Channel.Name(), "items": len(items)},
		}, changes...)
	})
	return b, p, err
}

// resume takes over a batch on its way and makes its parcel again.
func (h *Handover) resume(ctx context.Context, now time.Time, b batch) (Parcel, error) {
	p, err := h.again(ctx, b.id)
	if err != nil {
		return p, err
	}
	err = h.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update journal_batch set attempts = attempts + 1, holder = $1, lease = $2
			where id = $3 and state = 'sent' and attempts = $4`, h.Holder, db.Micro(now.Add(h.lease())), b.id, b.attempts)
		if err == nil && n == 0 {
			return fmt.Errorf("batch %s was taken over by another node", b.id)
		}
		return err
	})
	return p, err
}

type brokenItem struct {
	number Number
	err    error
}

// pack opens the bodies of a batch. Items that cannot be opened are returned as broken.
func (h *Handover) pack(ctx context.Context, id string, items []Item) (Parcel, []brokenItem, error) {
	p := Parcel{Version: WireVersion, Kasse: h.Journal.kasse, Placement: h.Placement, Batch: id}
	h.looking.Wait()
	opener, err := h.Journal.reader(ctx)
	if err != nil {
		return p, nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(items), func(it Item) bool { a, ok := h.ahead[it.Number]; return ok && a.item == it })
	bodies, over, err := h.Journal.contents(ctx, missing)
	if err != nil {
		return p, nil, err
	}
	packed := make([]ParcelItem, len(items))
	unopened, undescribed := make([]error, len(items)), make([]error, len(items))
	inParallel(len(items), func(i int) {
		if a, ok := h.ahead[items[i].Number]; ok && a.item == items[i] {
			packed[i] = a.parcel
			return
		}
		packed[i], unopened[i], undescribed[i] = h.packOne(ctx, opener, items[i], bodies[items[i].Number], over[items[i].Number])
	})
	if err := errors.Join(append(undescribed, ctx.Err())...); err != nil {
		return p, nil, err
	}
	var broken []brokenItem
	for i, it := range items {
		if unopened[i] != nil {
			broken = append(broken, brokenItem{it.Number, unopened[i]})
			continue
		}
		p.Items = append(p.Items, packed[i])
	}
	return p, broken, nil
}

// packOne opens one item and describes it.
func (h *Handover) packOne(ctx context.Context, opener Opener, it Item, sealed []byte, over string) (p ParcelItem, unopened, undescribed error) {
	if sealed == nil {
		return p, fmt.Errorf("body of item %s: %w", it.Number.Label(h.Journal.kasse), ErrErased), nil
	}
	body, err := h.Journal.unseal(opener, it.ID, it.commitment, sealed)
	if err != nil {
		return p, err, nil
	}
	c := Content{Media: it.Media, Body: body}
	if h.Describe != nil {
		if c, err = h.Describe(ctx, it, body); err != nil {
			return p, nil, fmt.Errorf("describing item %s: %w", it.Number.Label(h.Journal.kasse), err)
		}
	}
	sum := sha256.Sum256(c.Body)
	return ParcelItem{
		Basis: it.Basis, Over: over,
		ID: it.ID, Number: it.Number.Label(h.Journal.kasse), Kind: it.Kind, Received: it.Received, Held: it.Reason,
		Amount: it.Amount, Attributes: c.Attributes, Media: c.Media, SHA256: hex.EncodeToString(sum[:]), Body: c.Body,
	}, nil, nil
}

// inParallel runs fn for 0 to n-1 on all processors and waits.
func inParallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				fn(i)
			}
		})
	}
	wg.Wait()
}

// rejectBroken takes items that cannot be opened out of the way: they get an
// owner, everything else goes on with the next step.
func (h *Handover) rejectBroken(ctx context.Context, now time.Time, broken []brokenItem) (batch, Parcel, error) {
	changes := make([]Change, len(broken))
	var errs []error
	for i, b := range broken {
		errs = append(errs, b.err)
		changes[i] = Change{Number: b.number, Apply: func(s Standing) (Standing, error) {
			return s.Refuse("Inhalt lässt sich nicht öffnen: Journal prüfen, Sicherung heranziehen", h.Owner)
		}}
	}
	err := h.Journal.Apply(ctx, Entry{At: now, Actor: ledger.System, Kind: "item.rejected", Reason: "body does not open"}, changes...)
	return batch{}, Parcel{}, errors.Join(append(errs, err)...)
}

// failed notes a failure and when to try again.
func (h *Handover) failed(ctx context.Context, now time.Time, b batch, cause error) (time.Time, error) {
	wait := h.Retry
	if wait == 0 {
		wait = time.Second
	}
	for range min(b.attempts, 6) - 1 {
		wait *= 2
	}
	next := now.Add(min(wait, time.Minute))
	text := cause.Error()
	err := h.Journal.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `update journal_batch set next = $1, error = $2 where id = $3 and state in ('sent', 'receipted')`,
			db.Micro(next), text[:min(len(text), 500)], b.id)
		return err
	})
	return next, err
}

// Recall gives a batch up that will not be sent again this way, for instance
// because the channel is changed. Its items leave later in other batches with
// the same ids, so a receiver that had them after all notices. A person decides it.
func (h *Handover) Recall(ctx context.Context, now time.Time, actor, reason string) error {
	b, found, err := h.inFlight(ctx)
	if err != nil || !found {
		return err
	}
	return h.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update journal_batch set state = 'recalled' where id = $1 and state = 'sent'`, b.id)
		if err != nil || n == 0 {
			return err
		}
		numbers, _, err := numbersOf(ctx, tx, b.id)
		if err != nil {
			return err
		}
		changes := make([]Change, 0, len(numbers))
		for _, n := range numbers {
			changes = append(changes, Change{Number: n, Apply: func(s Standing) (Standing, error) { return s.Recall() }})
		}
		slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Number, b.Number) })
		return h.Journal.ApplyTx(ctx, tx, Entry{At: now, Actor: actor, Kind: "batch.recalled", Reason: reason, Data: map[string]string{"batch": b.id}}, changes...)
	})
}

func (h *Handover) lease() time.Duration {
	if h.Lease == 0 {
		return 30 * time.Second
	}
	return h.Lease
}

func hashes(p Parcel) map[string]string {
	m := make(map[string]string, len(p.Items))
	for _, it := range p.Items {
		m[it.ID] = it.SHA256
	}
	return m
}
