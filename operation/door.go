package operation

import (
	"fmt"

	"leitstand/catalogue"
)

// Mode is what a person at the door gets. The zero value is invalid: a gateway
// that meets it must refuse to guess.
type Mode int

// The modes of a door.
const (
	_             Mode = iota
	ModeRegular        // the regular system
	ModeLimited        // the regular system on named paths, the rest refused in plain words
	ModeReadOnly       // the regular system, reading only
	ModeBuffer         // kept durably and delivered later
	ModeNotice         // plain words, for a limited time
	ModeRefuse         // refused in plain words
	ModeEmergency      // the emergency path
)

var (
	modeNames = [...]string{"", "regular", "limited", "read_only", "buffer", "notice", "refuse", "emergency"}
	modeWords = [...]string{"", "Regelbetrieb", "eingeschränkt", "nur lesen", "wird gepuffert", "Hinweis", "abgewiesen", "Notbetrieb"}
)

// Modes lists every mode.
func Modes() []Mode {
	return []Mode{ModeRegular, ModeLimited, ModeReadOnly, ModeBuffer, ModeNotice, ModeRefuse, ModeEmergency}
}

// String gives the word used in files and on the command line.
func (m Mode) String() string { return word(modeNames[:], int(m), "Mode") }

// Word gives the German word for screens.
func (m Mode) Word() string { return word(modeWords[:], int(m), "Mode") }

// MarshalText writes String; an invalid mode is an error.
func (m Mode) MarshalText() ([]byte, error) { return marshal(modeNames[:], int(m), "door mode") }

// UnmarshalText reads what String writes.
func (m *Mode) UnmarshalText(b []byte) error { return unmarshal(modeNames[:], b, m, "door mode") }

// ParseMode reads what String writes.
func ParseMode(s string) (m Mode, err error) { return m, m.UnmarshalText([]byte(s)) }

// Answer is what the door of a placement does. Whoever knows only Mode errs on
// the safe side: the two exceptions let more through, never less.
type Answer struct {
	Mode    Mode `json:"mode"`              // what everybody gets
	Testers bool `json:"testers,omitempty"` // named testers reach the regular system instead
	Marked  bool `json:"marked,omitempty"`  // marked test items also go to the regular system
}

// String names the answer for people and logs, such as "testers, others buffer".
func (a Answer) String() string {
	switch {
	case a.Testers:
		return "testers, others " + a.Mode.String()
	case a.Marked:
		return a.Mode.String() + ", marked test items to regular"
	}
	return a.Mode.String()
}

// Door is the one table of what follows from both tracks, the behaviour chosen
// beforehand and the flag "must go down". An error says that the combination is
// illegal, flagged or not, and why: no state of the room may be in it.
func Door(r Regular, e Emergency, b catalogue.Behaviour, flagged bool) (Answer, error) {
	if err := legal(r, e); err != nil {
		return Answer{}, err
	}
	asCut, err := chosen(b)
	if err != nil {
		return Answer{}, err
	}
	if flagged { // closed to new traffic; only an emergency path that is open goes on
		if e == Active {
			return Answer{Mode: ModeEmergency}, nil
		}
		return Answer{Mode: asCut}, nil
	}
	switch r {
	case Running:
		return Answer{Mode: ModeRegular}, nil
	case Limited:
		return Answer{Mode: ModeLimited}, nil
	case Cut, Failed, Rebuilding:
		if e == Active {
			return Answer{Mode: ModeEmergency}, nil
		}
		return Answer{Mode: asCut}, nil
	case Trial:
		switch e {
		case None, Ready:
			return Answer{Mode: asCut, Testers: true}, nil
		case Active:
			return Answer{Mode: ModeEmergency, Marked: true}, nil
		case HandingOver:
			return Answer{Mode: ModeReadOnly}, nil
		case Closed:
		}
	}
	return Answer{}, fmt.Errorf("no door for %s and %s", r, e) // legal left nothing for here
}

// legal refuses the combinations that may never exist.
func legal(r Regular, e Emergency) error {
	if r < Running || r > Trial || e < None || e > Closed {
		return fmt.Errorf("state %s with %s is not set", r, e)
	}
	inRegular := r == Running || r == Limited
	switch {
	case inRegular && (e == Active || e == HandingOver):
		return fmt.Errorf("%s with %s: two writers", r, e)
	case !inRegular && r != Trial && e == HandingOver:
		return fmt.Errorf("%s with %s: there is nothing to hand over to", r, e)
	case !inRegular && e == Closed:
		return fmt.Errorf("%s with %s: closing the journal and entering regular operation are one step", r, e)
	}
	return nil
}

func chosen(b catalogue.Behaviour) (Mode, error) {
	switch b {
	case catalogue.Buffer:
		return ModeBuffer, nil
	case catalogue.Notice:
		return ModeNotice, nil
	case catalogue.Refuse:
		return ModeRefuse, nil
	}
	return 0, fmt.Errorf("behaviour %d is unknown", int(b))
}
