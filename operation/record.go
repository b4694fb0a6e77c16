package operation

import (
	"slices"
	"time"

	"leitstand/catalogue"
)

// Track is what placements and components have in common. Times are the room's
// clock; what must be ordered is ordered by versions of the state.
type Track struct {
	Regular   Regular    `json:"regular"`
	Since     time.Time  `json:"since"`               // of Regular
	Down      int64      `json:"down,omitempty"`      // version that last took it off
	DownAt    time.Time  `json:"down_at,omitzero"`    // and when
	GateOnly  bool       `json:"gate_only,omitempty"` // nothing but the gate leads back
	Passed    bool       `json:"passed,omitempty"`    // came back through the gate
	Rests     []string   `json:"rests,omitempty"`     // clearances with which it passed
	Owner     string     `json:"owner"`
	Confirmed time.Time  `json:"confirmed"` // when somebody last saw that the state is so
	Cut       *CutRecord `json:"cut,omitempty"`
	Flag      *Flag      `json:"flag,omitempty"`
	Version   int64      `json:"version"` // of the state that wrote it last
}

// CutRecord is what is known of the measure that cut something off. It is
// replaced, never changed.
type CutRecord struct {
	Measure   string    `json:"measure"`
	At        time.Time `json:"at"`
	Version   int64     `json:"version"`
	By        []string  `json:"by"`
	Lead      bool      `json:"lead,omitempty"`      // a crisis lead was among them
	Former    Regular   `json:"former"`              // what undoing returns to
	UndoUntil time.Time `json:"undo_until"`          // end of the undo window
	ConfirmBy time.Time `json:"confirm_by,omitzero"` // of one person in immediate danger, until the second confirms
	Escalated bool      `json:"escalated,omitempty"` // ConfirmBy passed and people were told
	Barred    string    `json:"barred,omitempty"`    // clearance whose revocation bars undoing
}

// Flag is "must go down": its door is closed to new traffic and people decide
// the cut. It is replaced, never changed.
type Flag struct {
	Clearance string    `json:"clearance"` // whose revocation reached it
	At        time.Time `json:"at"`
	By        time.Time `json:"by"` // T: past it without a decision is a violation
	Reason    string    `json:"reason"`
	Escalated bool      `json:"escalated,omitempty"` // T passed and people were told
}

// Writer is the side that may write for a placement. The zero value is nobody.
type Writer string

// The sides.
const (
	Nobody        Writer = ""
	RegularSide   Writer = "regular"
	EmergencySide Writer = "emergency"
)

// Writing is the one right to write for a placement. It is given only while
// nobody has it, and each time under a higher epoch.
type Writing struct {
	Writer  Writer `json:"writer,omitempty"`
	Epoch   int64  `json:"epoch"`             // under which Writer writes, or wrote last
	Closing bool   `json:"closing,omitempty"` // told to stop, not yet proven to have stopped
	Proof   *Proof `json:"proof,omitempty"`   // how the side before was proven closed
}

// ProofKind is how a side was proven closed.
type ProofKind string

// The kinds of proof.
const (
	ByProbe   ProofKind = "probe"   // the regular side does not answer from outside
	ByDoors   ProofKind = "doors"   // every gateway has closed the door, or its lease has run out
	ByJournal ProofKind = "journal" // the journal takes in nothing more, durably
)

// Proof that a side accepts no more writes. It is replaced, never changed.
type Proof struct {
	Kind  ProofKind `json:"kind"`
	Ref   string    `json:"ref,omitempty"` // record of the probe
	At    time.Time `json:"at"`
	Nodes []Ack     `json:"nodes,omitempty"` // of ByDoors, one for each gateway
}

// Ack is what is known of one gateway: the newest door version that it obeys, or
// that its lease has ended.
type Ack struct {
	Node       string    `json:"node"`
	Door       int64     `json:"door,omitempty"`
	LeaseEnded time.Time `json:"lease_ended,omitzero"`
}

// Starting says that emergency operation was ordered and begins once the regular
// side is proven closed.
type Starting string

// The ways of waiting.
const (
	NotStarting Starting = ""
	Ordered     Starting = "ordered"     // waits for the proof
	Unconfirmed Starting = "unconfirmed" // waits for the second person as well
)

// Placement is the state of one Kasse × one service × one site. What a State
// hands out is never changed.
type Placement struct {
	ID          catalogue.PlacementID   `json:"id"`
	Kasse       catalogue.KasseID       `json:"kasse"`
	Service     catalogue.ServiceID     `json:"service"`
	Site        catalogue.SiteID        `json:"site"`
	Environment catalogue.EnvironmentID `json:"environment"`
	Track
	Emergency    Emergency           `json:"emergency"`
	Behaviour    catalogue.Behaviour `json:"behaviour"`         // of its interface while off
	Paths        []string            `json:"paths,omitempty"`   // that work while limited
	Testers      []string            `json:"testers,omitempty"` // who may in while in trial
	Starting     Starting            `json:"starting,omitempty"`
	Undoing      Regular             `json:"undoing,omitzero"` // in trial by undoing: what acceptance returns to
	Writing      Writing             `json:"writing"`
	Journal      Counts              `json:"journal,omitzero"`       // as last reported
	ObserveUntil time.Time           `json:"observe_until,omitzero"` // of Closed
}

// Component is the state of shared machinery.
type Component struct {
	ID   catalogue.ComponentID `json:"id"`
	Site catalogue.SiteID      `json:"site"`
	Track
}

// JournalState is what a journal does for a placement.
type JournalState string

// The states of a journal.
const (
	JournalNone     JournalState = ""
	JournalOpen     JournalState = "open"     // takes in
	JournalDraining JournalState = "draining" // takes in nothing more, durably
	JournalClosed   JournalState = "closed"   // nothing of it is open
)

// Counts are a journal's books about a placement:
// Taken ≥ Accepted = HandedOver + Rejected + Open. Numbers are of its whole life.
type Counts struct {
	State      JournalState `json:"state,omitempty"`
	Epoch      int64        `json:"epoch,omitempty"` // under which it was opened last
	Taken      int64        `json:"taken,omitempty"` // duplicates included
	Accepted   int64        `json:"accepted,omitempty"`
	HandedOver int64        `json:"handed_over,omitempty"`
	Rejected   int64        `json:"rejected,omitempty"`
	Open       int64        `json:"open,omitempty"`
}

// Balanced reports whether the numbers add up (rule 3).
func (c Counts) Balanced() bool {
	return c.Taken >= c.Accepted && c.Accepted == c.HandedOver+c.Rejected+c.Open &&
		c.HandedOver >= 0 && c.Rejected >= 0 && c.Open >= 0
}

// DoorRow is the door of a placement as gateways follow it. Version only grows;
// what a gateway has not seen is what is above the newest version it knows.
type DoorRow struct {
	Placement catalogue.PlacementID `json:"placement"`
	Answer
	Paths   []string `json:"paths,omitempty"`  // of ModeLimited
	People  []string `json:"people,omitempty"` // of Testers
	Epoch   int64    `json:"epoch"`            // of the right to write
	Version int64    `json:"version"`
}

func (d *DoorRow) equal(o *DoorRow) bool {
	return d.Placement == o.Placement && d.Answer == o.Answer && d.Epoch == o.Epoch && d.Version == o.Version &&
		slices.Equal(d.Paths, o.Paths) && slices.Equal(d.People, o.People)
}

// Trail is what undoing a cut must ask of an environment or component.
type Trail struct {
	Subject     string `json:"subject"`
	Named       int64  `json:"named,omitempty"` // version at which a signal, finding or indicator last named it
	NamedBy     string `json:"named_by,omitempty"`
	Reconnected int64  `json:"reconnected,omitempty"` // version at which something of it was last reconnected
	Version     int64  `json:"version"`
}

// Gateway is a node that stands at doors: a reverse proxy, or the poller of a
// mailbox. A door counts as closed when all that serve it say so.
type Gateway struct {
	Node     string                `json:"node"`
	Services []catalogue.ServiceID `json:"services,omitempty"` // none: all
	Retired  bool                  `json:"retired,omitempty"`
	Version  int64                 `json:"version"`
}
