package operation

import (
	"fmt"
	"slices"
)

// Regular is the regular track of a placement or component. The zero value is
// invalid and refused everywhere.
type Regular int

// The regular track.
const (
	_          Regular = iota
	Running            // in regular operation
	Limited            // in regular operation on named paths only
	Cut                // off by our order
	Failed             // off, not by our order
	Rebuilding         // being rebuilt or cleaned
	Trial              // through the gate, not yet accepted
)

// Emergency is the emergency track of a placement. The zero value is invalid.
type Emergency int

// The emergency track.
const (
	_           Emergency = iota
	None                  // nothing prepared
	Ready                 // prepared, may start
	Active                // takes in and writes
	HandingOver           // takes in nothing more, hands over what it has
	Closed                // handed over; the regular system is being observed
)

var (
	regularNames   = [...]string{"", "running", "limited", "cut", "failed", "rebuilding", "trial"}
	regularWords   = [...]string{"", "läuft", "eingeschränkt", "abgetrennt", "ausgefallen", "im Aufbau", "Probebetrieb"}
	emergencyNames = [...]string{"", "none", "ready", "active", "handing_over", "closed"}
	emergencyWords = [...]string{"", "kein Notbetrieb", "Notbetrieb bereit", "Notbetrieb", "Übergabe läuft", "Notbetrieb abgeschlossen"}
)

// Regulars lists every state of the regular track.
func Regulars() []Regular { return []Regular{Running, Limited, Cut, Failed, Rebuilding, Trial} }

// Emergencies lists every state of the emergency track.
func Emergencies() []Emergency { return []Emergency{None, Ready, Active, HandingOver, Closed} }

// Connected reports whether the regular system is attached to the outside:
// running, limited or in trial.
func (r Regular) Connected() bool { return r == Running || r == Limited || r == Trial }

// String gives the word used in files and on the command line.
func (r Regular) String() string { return word(regularNames[:], int(r), "Regular") }

// Word gives the German word for screens and notices.
func (r Regular) Word() string { return word(regularWords[:], int(r), "Regular") }

// MarshalText writes String; an invalid state is an error.
func (r Regular) MarshalText() ([]byte, error) {
	return marshal(regularNames[:], int(r), "regular state")
}

// UnmarshalText reads what String writes.
func (r *Regular) UnmarshalText(b []byte) error {
	return unmarshal(regularNames[:], b, r, "regular state")
}

// ParseRegular reads what String writes.
func ParseRegular(s string) (r Regular, err error) { return r, r.UnmarshalText([]byte(s)) }

// String gives the word used in files and on the command line.
func (e Emergency) String() string { return word(emergencyNames[:], int(e), "Emergency") }

// Word gives the German word for screens and notices.
func (e Emergency) Word() string { return word(emergencyWords[:], int(e), "Emergency") }

// MarshalText writes String; an invalid state is an error.
func (e Emergency) MarshalText() ([]byte, error) {
	return marshal(emergencyNames[:], int(e), "emergency state")
}

// UnmarshalText reads what String writes.
func (e *Emergency) UnmarshalText(b []byte) error {
	return unmarshal(emergencyNames[:], b, e, "emergency state")
}

// ParseEmergency reads what String writes.
func ParseEmergency(s string) (e Emergency, err error) { return e, e.UnmarshalText([]byte(s)) }

func word(names []string, i int, kind string) string {
	if i <= 0 || i >= len(names) {
		return fmt.Sprintf("%s(%d)", kind, i)
	}
	return names[i]
}

func marshal(names []string, i int, kind string) ([]byte, error) {
	if i <= 0 || i >= len(names) {
		return nil, fmt.Errorf("%s %d is not set", kind, i)
	}
	return []byte(names[i]), nil
}

func unmarshal[T ~int](names []string, text []byte, to *T, kind string) error {
	i := slices.Index(names, string(text))
	if i <= 0 {
		return fmt.Errorf("%s %q is none of %q", kind, text, names[1:])
	}
	*to = T(i)
	return nil
}
