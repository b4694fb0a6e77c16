package operation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/forensics"
)

// Act is what every command has. Who acts and when is not part of what people
// consent to; the reason is.
type Act struct {
	By     []access.Person `json:"-"` // as they are now; the first is the actor of the entry
	At     time.Time       `json:"-"` // the room's clock
	Reason string          `json:"reason,omitempty"`
}

// Sign sets who acts and when.
func (a *Act) Sign(at time.Time, by ...access.Person) { a.At, a.By = at, by }

func (a *Act) act() *Act { return a }

// Command is one act. All commands of the package are pointers to structs that
// encode to JSON; names of nodes are placement or component ids.
type Command interface {
	// Kind is the kind of the ledger entry, a noun and a participle.
	Kind() string
	// Sign sets who acts and when.
	Sign(at time.Time, by ...access.Person)
	act() *Act
	run(d *draft) error
}

// OrderCut is a measure: it cuts nodes off, opens the behaviour of their doors
// first, and may order emergency operation. Nodes that are off already stay as
// they are, but take the behaviour and the start. Two people; in immediate
// danger one, and the second confirms later.
type OrderCut struct {
	Act
	Measure   string                                        `json:"measure"`
	Nodes     []string                                      `json:"nodes"`
	Behaviour map[catalogue.PlacementID]catalogue.Behaviour `json:"behaviour,omitempty"` // where it differs from what was chosen beforehand
	Start     []catalogue.PlacementID                       `json:"start,omitempty"`     // of emergency operation, once the regular side is proven closed
	Immediate bool                                          `json:"immediate,omitempty"`
}

// ConfirmCut is the second person's word on a cut in immediate danger.
type ConfirmCut struct {
	Act
	Measure string `json:"measure"`
}

// UndoCut returns what was cut to its former state, within its window.
type UndoCut struct {
	Act
	Nodes []string `json:"nodes"`
}

// ObserveFailure notes that nodes are off, not by our order.
type ObserveFailure struct {
	Act
	Nodes []string `json:"nodes"`
}

// RuleOutAttack returns failed nodes to running: the cause is proven to be no attack.
type RuleOutAttack struct {
	Act
	Nodes []string `json:"nodes"`
	Cause string   `json:"cause"`
}

// BeginRebuild says that work on nodes that are off has begun.
type BeginRebuild struct {
	Act
	Nodes []string `json:"nodes"`
}

// EnterTrial takes nodes through the gate, all or none. Members of one cycle
// are named together.
type EnterTrial struct {
	Act
	Nodes   []string `json:"nodes"`
	Testers []string `json:"testers,omitempty"`
}

// Accept ends the trial. What was in emergency operation must be handed over.
type Accept struct {
	Act
	Nodes []string `json:"nodes"`
	To    Regular  `json:"to"` // Running or Limited
	Paths []string `json:"paths,omitempty"`
	// Closed are the journals' books after they closed for good: the proof that
	// nothing is open. [Store.Do] fills it; nobody consents to it beforehand.
	Closed []JournalReport `json:"-"`
}

// Limit restricts running nodes to named paths, or names other paths.
type Limit struct {
	Act
	Nodes []string `json:"nodes"`
	Paths []string `json:"paths,omitempty"`
}

// Unlimit lets limited nodes run again.
type Unlimit struct {
	Act
	Nodes []string `json:"nodes"`
}

// PrepareEmergency says that the emergency path of placements may start.
type PrepareEmergency struct {
	Act
	Placements []catalogue.PlacementID `json:"placements"`
}

// StartEmergency orders emergency operation. It begins at once where the regular
// side is proven closed, elsewhere with the proof.
type StartEmergency struct {
	Act
	Placements []catalogue.PlacementID `json:"placements"`
}

// ReportClosed proves that the regular side of placements accepts no writes.
type ReportClosed struct {
	Act
	Placements []catalogue.PlacementID `json:"placements"`
	Proof      Proof                   `json:"proof"`
}

// JournalReport is what a journal says of one placement.
type JournalReport struct {
	Placement catalogue.PlacementID `json:"placement"`
	Counts
}

// ReportJournal takes note of the journals' books.
type ReportJournal struct {
	Act
	Reports []JournalReport `json:"reports"`
}

// BeginHandover ends intake on the emergency path: what is there is handed over.
type BeginHandover struct {
	Act
	Placements []catalogue.PlacementID `json:"placements"`
}

// ReturnToEmergency goes back from handing over, at any time before acceptance.
type ReturnToEmergency struct {
	Act
	Placements []catalogue.PlacementID `json:"placements"`
}

// EndObservation ends the time after acceptance: closed becomes none.
type EndObservation struct {
	Act
	Placements []catalogue.PlacementID `json:"placements"`
}

// GrantClearance states that a scope is clean. The first of By is the examiner,
// the second the second signer.
type GrantClearance struct {
	Act
	forensics.Application
}

// RevokeClearance takes a clearance back: everything that rests on it must go down.
type RevokeClearance struct {
	Act
	Clearance string `json:"clearance"`
}

// ProveRotation records that credentials were changed.
type ProveRotation struct {
	Act
	Scope     forensics.Scope      `json:"scope"`
	Covers    []string             `json:"covers,omitempty"`
	Evidence  []forensics.Evidence `json:"evidence"`
	RotatedAt time.Time            `json:"rotated_at"`
}

// RecordIndicator records a trace of the attacker and whom it names.
type RecordIndicator struct {
	Act
	Value    string   `json:"value"`
	Subjects []string `json:"subjects"`
	Source   string   `json:"source"`
}

// NameSubjects notes that a signal or finding names environments or components.
// From then on cuts of them can no longer be undone.
type NameSubjects struct {
	Act
	Subjects []string `json:"subjects"`
	Source   string   `json:"source"` // such as "signal s-17"
}

// LiftFlag decides that flagged nodes may stay up: the gate holds again.
// The other decision is [OrderCut].
type LiftFlag struct {
	Act
	Nodes []string `json:"nodes"`
}

// SetOwner gives nodes to somebody.
type SetOwner struct {
	Act
	Nodes []string `json:"nodes"`
	Owner string   `json:"owner"`
}

// ConfirmState says that nodes were seen to be in their stored state.
type ConfirmState struct {
	Act
	Nodes []string `json:"nodes"`
	Saw   Regular  `json:"saw,omitzero"` // what was seen; zero: the stored state
}

// SetBehaviour chooses what callers get while placements are off.
type SetBehaviour struct {
	Act
	Placements []catalogue.PlacementID `json:"placements"`
	Behaviour  catalogue.Behaviour     `json:"behaviour"`
}

// RegisterGateway says that a node stands at the doors of services (none: all).
// Until it is retired, closed doors need its word.
type RegisterGateway struct {
	Act
	Node     string                `json:"node"`
	Services []catalogue.ServiceID `json:"services,omitempty"`
}

// RetireGateway says that a node stands at no door any more, for good.
type RetireGateway struct {
	Act
	Node string `json:"node"`
}

// Adopt gives a state to everything in the catalogue that has none: running, no
// emergency operation. Without a state nothing has a door.
type Adopt struct {
	Act
	Owner  string            `json:"owner"`
	Owners map[string]string `json:"owners,omitempty"` // by node, where it differs
}

// Tick looks at deadlines: it warns and escalates, and decides nothing. It is
// the only command that may change nothing.
type Tick struct{ Act }

// Commands returns one empty command of every kind.
func Commands() []Command {
	return []Command{
		&OrderCut{}, &ConfirmCut{}, &UndoCut{}, &ObserveFailure{}, &RuleOutAttack{}, &BeginRebuild{}, &EnterTrial{}, &Accept{},
		&Limit{}, &Unlimit{}, &PrepareEmergency{}, &StartEmergency{}, &ReportClosed{}, &ReportJournal{}, &BeginHandover{},
		&ReturnToEmergency{}, &EndObservation{}, &GrantClearance{}, &RevokeClearance{}, &ProveRotation{}, &RecordIndicator{},
		&NameSubjects{}, &LiftFlag{}, &SetOwner{}, &ConfirmState{}, &SetBehaviour{}, &RegisterGateway{}, &RetireGateway{},
		&Adopt{}, &Tick{},
	}
}

// Decode reads a command that was kept as JSON, such as the payload of a request
// for consent. Unknown fields are refused. Sign it before use.
func Decode(kind string, text []byte) (Command, error) {
	for _, c := range Commands() {
		if c.Kind() != kind {
			continue
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(c); err != nil {
			return nil, fmt.Errorf("reading command %q: %w", kind, err)
		}
		return c, nil
	}
	return nil, fmt.Errorf("command %q is unknown", kind)
}

// Digest is the hash of what a command does, whoever signs it and when.
func Digest(c Command) (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding command %q: %w", c.Kind(), err)
	}
	sum := sha256.Sum256(append([]byte(c.Kind()+"\n"), text...))
	return hex.EncodeToString(sum[:]), nil
}
