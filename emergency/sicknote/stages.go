package sicknote

import (
	"sync/atomic"
	"time"
)

// Stages is how long mails have spent in each stage since the start, all
// mailboxes together: with many at once it grows faster than the clock. A batch
// counts once in a stage, however many mails it has.
type Stages struct {
	Fetch  time.Duration `json:"fetch"`  // from the server, waiting included
	Seal   time.Duration `json:"seal"`   // hash, compress, encrypt
	Store  time.Duration `json:"store"`  // raw, durable
	Delete time.Duration `json:"delete"` // on the server
	Read   time.Duration `json:"read"`   // open, verify, check
	Settle time.Duration `json:"settle"` // judge and record, durable
}

// stages counts; its fields are in nanoseconds.
type stages struct {
	fetch, seal, store, delete, read, settle atomic.Int64
}

// since adds the time from began to a stage.
func since(stage *atomic.Int64, began time.Time) { stage.Add(int64(time.Since(began))) }

// Stages says how long each stage took.
func (in *Intake) Stages() Stages {
	s := &in.stages
	return Stages{
		Fetch: time.Duration(s.fetch.Load()), Seal: time.Duration(s.seal.Load()), Store: time.Duration(s.store.Load()),
		Delete: time.Duration(s.delete.Load()), Read: time.Duration(s.read.Load()), Settle: time.Duration(s.settle.Load()),
	}
}
