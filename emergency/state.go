package emergency

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"leitstand/catalogue"
)

// State is how far an item has come. The zero value is no state.
type State string

// The states. Open are those in which somebody still has to do something.
const (
	Unread     State = "unread"     // durable, not yet looked at
	Pending    State = "pending"    // ready to be handed over
	Held       State = "held"       // has a reason, an owner and a deadline; may be handed over with its reason
	Duplicate  State = "duplicate"  // the same as another item, which stands for both
	Sent       State = "sent"       // on its way: in a batch without a receipt
	Receipted  State = "receipted"  // the receiver has it, signed, and has not said what came of it
	Applied    State = "applied"    // the regular system has done it
	Known      State = "known"      // the regular system had it already
	Rejected   State = "rejected"   // refused, with a reason and a named owner
	Reconciled State = "reconciled" // both sides compared and agree; Result tells what it was
)

// States lists all states in the order in which items pass through them.
func States() []State {
	return []State{Unread, Pending, Held, Duplicate, Sent, Receipted, Applied, Known, Rejected, Reconciled}
}

// Open reports whether an item in this state keeps its book from closing.
func (s State) Open() bool {
	switch s {
	case Unread, Pending, Held, Sent, Receipted:
		return true
	case Duplicate, Applied, Known, Rejected, Reconciled:
		return false
	}
	return true // what we do not know is not finished
}

// Kind says what an item is.
type Kind string

// The kinds of items. A mail is what nobody could read as anything better.
const (
	KindMail     Kind = "mail"
	KindSickNote Kind = "sicknote"
	KindStorno   Kind = "storno"
	KindRequest  Kind = "request"
	KindPayment  Kind = "payment"
	KindRecord   Kind = "record"
	KindMessage  Kind = "message"
	KindPaper    Kind = "paper"
)

// ErrIllegal says that an item is not in a state from which the act is possible.
var ErrIllegal = errors.New("not possible in this state")

// ErrIncomplete says that holding or rejecting lacks a reason, an owner or a deadline.
var ErrIncomplete = errors.New("a reason, a named owner and, for held items, a deadline are needed")

// Standing is what changes about an item. Its methods are the only transitions;
// they change a copy.
type Standing struct {
	Number    Number
	Placement catalogue.PlacementID
	Kind      Kind
	State     State
	Result    State     // of a settled item: Applied, Known or Rejected; stays when reconciled
	Reason    string    // why held or rejected; no health data, no names of insured
	Owner     string    // who must do something about it
	Deadline  time.Time // until when
	Batch     string    // in which it was handed over
	Of        Number    // the item a duplicate is the same as
	Position  int64     // order of handing over
	Subject   string    // keyed hash of the person it is about; not in the ledger
	Settled   time.Time // when its result became known; zero while it is open
	Amount    int64     // in cents, for payments
}

func (s Standing) from(act string, allowed ...State) error {
	if slices.Contains(allowed, s.State) {
		return nil
	}
	return fmt.Errorf("item %d is %s: to %s it is %w", s.Number, s.State, act, ErrIllegal)
}

// Ready makes an item that was read, or a held one that was released, wait for
// handing over. The store gives it the next position.
func (s Standing) Ready(k Kind, subject string) (Standing, error) {
	if err := s.from("make it ready", Unread, Held); err != nil {
		return s, err
	}
	s.Kind, s.Subject, s.State, s.Position = k, subject, Pending, 0
	s.Reason, s.Owner, s.Deadline = "", "", time.Time{}
	return s, nil
}

// Hold stops an item until its owner has looked at it. A held item may be held
// again: for another reason, by another owner, until later.
func (s Standing) Hold(k Kind, subject, reason, owner string, deadline time.Time) (Standing, error) {
	if err := s.from("hold", Unread, Pending, Held); err != nil {
		return s, err
	}
	if reason == "" || owner == "" || deadline.IsZero() {
		return s, fmt.Errorf("holding item %d: %w", s.Number, ErrIncomplete)
	}
	s.Kind, s.Subject, s.State = k, subject, Held
	s.Reason, s.Owner, s.Deadline = reason, owner, deadline
	return s, nil
}

// Merge says that an item is the same as another one; of a held one it may show later.
func (s Standing) Merge(k Kind, of Number) (Standing, error) {
	if err := s.from("merge", Unread, Held); err != nil {
		return s, err
	}
	if of <= 0 || of == s.Number {
		return s, fmt.Errorf("merging item %d into %d: %w", s.Number, of, ErrIllegal)
	}
	s.Kind, s.State, s.Of = k, Duplicate, of
	s.Reason, s.Owner, s.Deadline = "", "", time.Time{}
	return s, nil
}

// Refuse rejects an item on our side.
func (s Standing) Refuse(reason, owner string) (Standing, error) {
	if err := s.from("reject", Unread, Pending, Held); err != nil {
		return s, err
	}
	if reason == "" || owner == "" {
		return s, fmt.Errorf("rejecting item %d: %w", s.Number, ErrIncomplete)
	}
	s.State, s.Result, s.Reason, s.Owner, s.Deadline = Rejected, Rejected, reason, owner, time.Time{}
	return s, nil
}

// Send puts an item into a batch. A held one keeps its reason, which travels with it.
func (s Standing) Send(batch string) (Standing, error) {
	if err := s.from("send", Pending, Held); err != nil {
		return s, err
	}
	s.State, s.Batch = Sent, batch
	return s, nil
}

// Recall takes an item out of a batch that will not be sent again. It leaves
// later with the same id, so the receiver notices if it had it after all.
func (s Standing) Recall() (Standing, error) {
	if err := s.from("recall", Sent); err != nil {
		return s, err
	}
	s.Batch = ""
	s.State = Pending
	if s.Reason != "" {
		s.State = Held
	}
	return s, nil
}

// Receipt notes that the receiver has the item and will say later what came of it.
func (s Standing) Receipt() (Standing, error) {
	if err := s.from("note the receipt of", Sent); err != nil {
		return s, err
	}
	s.State = Receipted
	return s, nil
}

// Settle notes what the receiver did: Applied, Known or Rejected.
func (s Standing) Settle(result State, reason, owner string) (Standing, error) {
	if err := s.from("settle", Sent, Receipted); err != nil {
		return s, err
	}
	switch result {
	case Applied, Known:
		// A held item that was applied keeps its reason as a remark; nobody has to act.
		s.Owner, s.Deadline = "", time.Time{}
	case Rejected:
		if reason == "" || owner == "" {
			return s, fmt.Errorf("noting the rejection of item %d: %w", s.Number, ErrIncomplete)
		}
		s.Reason, s.Owner, s.Deadline = reason, owner, time.Time{}
	case Unread, Pending, Held, Duplicate, Sent, Receipted, Reconciled:
		return s, fmt.Errorf("settling item %d as %s: %w", s.Number, result, ErrIllegal)
	default:
		return s, fmt.Errorf("settling item %d as %q: %w", s.Number, result, ErrIllegal)
	}
	s.State, s.Result = result, result
	return s, nil
}

// Reopen takes a rejected item up again, for instance after a correction on the
// receiver's side. A person decides that.
func (s Standing) Reopen() (Standing, error) {
	if err := s.from("reopen", Rejected); err != nil {
		return s, err
	}
	s.State, s.Result, s.Batch, s.Position = Pending, "", "", 0
	s.Reason, s.Owner = "", ""
	return s, nil
}

// Reconcile notes that both sides compared and agree about the item.
func (s Standing) Reconcile() (Standing, error) {
	if err := s.from("reconcile", Applied, Known, Rejected); err != nil {
		return s, err
	}
	s.State = Reconciled
	return s, nil
}
