package logbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"leitstand/pure/sigma"
	"leitstand/warning"
)

// Options of a worker.
type Options struct {
	Name  string // one for each process; letters, digits, dash
	Rules *warning.Rules
	Zone  *time.Location // night is night here
	// Lease is how long a partition stays ours without a sign of life. All workers
	// of a bus use about the same. Default 10 seconds.
	Lease  time.Duration
	Log    *slog.Logger
	Limits sigma.CorrelatorOptions // of each partition

	step func(point string) // tests die here
}

// Worker is one process that shares the load.
type Worker struct {
	bus   *Bus
	opt   Options
	setup Setup
	kv    jetstream.KeyValue
	board *board
	held  map[string]*task // by key; of the loop alone
}

// task is a partition that we hold and the work on it.
type task struct {
	lease *lease
	stop  context.CancelFunc
	done  chan struct{}
}

const (
	kindLog  = "log."
	kindObs  = "obs."
	kindWork = "worker."
	grace    = 10 * time.Second // for the last notes when a worker stops
)

var workerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$`)

// NewWorker makes a worker. It does nothing before Run.
func (b *Bus) NewWorker(opt Options) (*Worker, error) {
	if !workerName.MatchString(opt.Name) {
		return nil, fmt.Errorf("worker %q: a name has letters, digits, - and _", opt.Name)
	}
	if opt.Lease == 0 {
		opt.Lease = 10 * time.Second
	}
	if opt.Lease < time.Second {
		return nil, fmt.Errorf("a lease of %s is too short: a second or more", opt.Lease)
	}
	if opt.Zone == nil {
		opt.Zone = time.UTC
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.step == nil {
		opt.step = func(string) {}
	}
	return &Worker{bus: b, opt: opt, board: &board{keys: map[string]seen{}}, held: map[string]*task{}}, nil
}

// Run works until ctx ends; then partitions are given back. It returns an error
// when the bus is not set up or cannot be followed.
func (w *Worker) Run(ctx context.Context) (err error) {
	if w.setup, w.kv, err = w.bus.load(ctx); err != nil {
		return err
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan struct{}), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- w.board.follow(following, w.kv, ready) })
	defer func() {
		w.giveUp(context.WithoutCancel(ctx))
		stop()
		wg.Wait()
	}()
	select {
	case <-ready:
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
	every := time.NewTicker(w.opt.Lease / 5)
	defer every.Stop()
	for {
		w.tick(ctx)
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case <-every.C:
		}
	}
}

// presence is what a worker says of itself.
type presence struct {
	At   time.Time `json:"at"` // by its clock; for people
	Held int       `json:"held"`
}

// tick says that we live, renews what we hold, and takes or gives back.
func (w *Worker) tick(ctx context.Context) {
	text, err := json.Marshal(presence{time.Now().UTC(), len(w.held)})
	if err == nil {
		_, err = w.kv.Put(ctx, kindWork+w.opt.Name, text)
	}
	if err != nil && ctx.Err() == nil {
		w.opt.Log.Warn("the bus does not take our sign of life", slog.Any("error", err))
	}
	for key, t := range w.held {
		select {
		case <-t.done:
			delete(w.held, key)
			continue
		default:
		}
		if err := t.lease.update(ctx, func(*record) {}); errors.Is(err, errLost) {
			w.opt.Log.Warn("a partition is somebody else's now", slog.String("partition", key))
			t.stop()
		} else if err != nil && ctx.Err() == nil {
			w.opt.Log.Warn("renewing a partition", slog.String("partition", key), slog.Any("error", err))
		}
	}
	w.balance(ctx, kindLog)
	w.balance(ctx, kindObs)
}

// balance aims at an equal share of partitions for every worker that lives.
func (w *Worker) balance(ctx context.Context, kind string) {
	alive := 1
	for _, name := range w.board.fresh(kindWork, w.opt.Lease) {
		if name != w.opt.Name {
			alive++
		}
	}
	share := (w.setup.Partitions + alive - 1) / alive
	mine := 0
	for key := range w.held {
		if strings.HasPrefix(key, kind) {
			mine++
		}
	}
	if mine > share {
		for key, t := range w.held {
			if strings.HasPrefix(key, kind) {
				t.stop() // one in a round
				return
			}
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(w.opt.Name)) // a hash does not fail
	for i := 0; i < w.setup.Partitions && mine < share && ctx.Err() == nil; i++ {
		p := (i + int(h.Sum32()%uint32(w.setup.Partitions))) % w.setup.Partitions
		if w.held[kind+strconv.Itoa(p)] == nil && w.take(ctx, kind, p) {
			mine++
		}
	}
}

// take makes a partition ours when it is free, and starts the work on it.
func (w *Worker) take(ctx context.Context, kind string, p int) bool {
	key := kind + strconv.Itoa(p)
	l := &lease{kv: w.kv, key: key}
	last, known := w.board.get(key)
	if known {
		if err := json.Unmarshal(last.value, &l.rec); err != nil {
			w.opt.Log.Error("a record of the bus cannot be read", slog.String("partition", key), slog.Any("error", err))
			return false
		}
		if l.rec.Worker != "" && time.Since(last.since) < w.opt.Lease {
			return false
		}
		l.rev = last.rev
	}
	from := l.rec.Worker
	if err := l.update(ctx, func(r *record) { r.Worker = w.opt.Name }); err != nil {
		return false // somebody was faster, or the bus is away: the next round tells
	}
	w.opt.Log.Info("took a partition", slog.String("partition", key), slog.String("from", from), slog.Uint64("at", l.rec.Seq))
	work, stop := context.WithCancel(ctx)
	t := &task{lease: l, stop: stop, done: make(chan struct{})}
	w.held[key] = t
	go func() { // giveUp waits for it
		defer close(t.done)
		w.work(work, kind, p, l)
	}()
	return true
}

// work does the work of a partition and gives it back.
func (w *Worker) work(ctx context.Context, kind string, p int, l *lease) {
	var err error
	if kind == kindLog {
		err = w.match(ctx, p, l)
	} else {
		err = w.correlate(ctx, p, l)
	}
	if err != nil && !errors.Is(err, errLost) && ctx.Err() == nil {
		w.opt.Log.Error("working on a partition", slog.String("partition", l.key), slog.Any("error", err))
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer stop()
	if err := l.update(last, func(r *record) { r.Worker = "" }); err != nil && !errors.Is(err, errLost) {
		w.opt.Log.Warn("giving a partition back: it is free when the lease is over", slog.String("partition", l.key), slog.Any("error", err))
	}
}

// giveUp ends all work and waits for it.
func (w *Worker) giveUp(ctx context.Context) {
	for _, t := range w.held {
		t.stop()
	}
	for _, t := range w.held {
		<-t.done
	}
	ctx, stop := context.WithTimeout(ctx, grace)
	defer stop()
	if w.kv != nil {
		_ = w.kv.Delete(ctx, kindWork+w.opt.Name) // else it is forgotten by time
	}
}

// reader reads a partition after a message. gap: the bus may no longer have all that came after it.
func (w *Worker) reader(ctx context.Context, stream, subject string, after uint64) (it jetstream.MessagesContext, gap bool, err error) {
	s, err := w.bus.js.Stream(ctx, stream)
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", stream, err)
	}
	conf := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverAllPolicy}
	if after > 0 {
		conf.DeliverPolicy, conf.OptStartSeq = jetstream.DeliverByStartSequencePolicy, after+1
	}
	c, err := s.OrderedConsumer(ctx, conf)
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", subject, err)
	}
	it, err = c.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", subject, err)
	}
	return it, after > 0 && s.CachedInfo().State.FirstSeq > after+1, nil
}

const readAhead = 500

// next waits for a message; nil when none came.
func next(it jetstream.MessagesContext, wait time.Duration) (jetstream.Msg, *jetstream.MsgMetadata, error) {
	m, err := it.Next(jetstream.NextMaxWait(wait))
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the bus: %w", err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the bus: %w", err)
	}
	return m, meta, nil
}
