package warning

import (
	"context"
	"encoding/json"
	"time"

	"leitstand/pure/sigma"
)

// Position is where a source stands, in its own words. Empty is the beginning.
type Position = json.RawMessage

// RawEvent is one event on its way in: a line, what Fill makes, or a hit that
// workers on a log bus found.
type RawEvent struct {
	Line     []byte // valid until the next event
	Fill     func(*sigma.Event)
	Hit      *Hit
	Received time.Time // stands in for the year that old syslog leaves out
}

// Progress is what a Read came to.
type Progress struct {
	To     Position // where the next event stands
	Events int
	Bytes  int64
	Cut    int // events of which a part was left out, for length or damage
	Gaps   int // places where events are missing: a file that is gone before it was read to its end
}

// Source gives events in order. Read and Forget are called by one goroutine.
type Source interface {
	// Read hands over up to limit events after from. Fewer: there are no more now.
	Read(ctx context.Context, from Position, limit int, each func(RawEvent)) (Progress, error)
	// Waiting is how many bytes lie after from: the pressure.
	Waiting(from Position) (int64, error)
	// Forget says that nothing before the position is asked for again.
	Forget(before Position) error
	Close() error
}

// Listener is a source that others send to. Listen takes in until ctx ends.
type Listener interface {
	Source
	Listen(ctx context.Context) error
	// Dropped counts what could not be kept, and by what.
	Dropped() uint64
}

// Figures are the counts of one source over its life in this room.
type Figures struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Events   int64     `json:"events"`
	Bytes    int64     `json:"bytes"`
	Damaged  int64     `json:"damaged"`          // cut, or no event at all
	Dropped  int64     `json:"dropped"`          // could not be kept; never silently
	Gaps     int64     `json:"gaps"`             // rotated away before they were read
	Waiting  int64     `json:"waiting_bytes"`    // queued and not looked at yet
	Limit    int64     `json:"limit_bytes"`      // of the queue; 0: the source itself is the queue
	Last     time.Time `json:"last,omitzero"`    // when something came last
	Error    string    `json:"error,omitempty"`  // why it cannot be read now
	Refused  int64     `json:"refused"`          // connections and requests turned away; the sender knows
	Pressure float64   `json:"pressure_percent"` // of the limit
}
