package room

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/pure/eau"
)

type conflictArgs struct {
	Kasse  catalogue.KasseID  `json:"kasse"`
	Number string             `json:"number,omitempty"`
	Keep   emergency.Decision `json:"keep,omitempty"`
	Reason string             `json:"reason,omitempty"`
}

// listConflicts lists what both sides changed, without contents.
func listConflicts(ctx context.Context, r *Room, a conflictArgs) ([]emergency.Conflict, error) {
	j, err := r.Journals.Open(ctx, a.Kasse)
	if err != nil {
		return nil, err
	}
	out, err := j.Conflicts(ctx, "")
	if out == nil {
		out = []emergency.Conflict{}
	}
	return out, err
}

// conflictOf opens the journal for the Kasse's delegate: contents and which of
// them holds are the Kasse's business.
func (r *Room) conflictOf(ctx context.Context, as access.Person, a conflictArgs) (*emergency.Journal, emergency.Number, error) {
	if !r.mayRead(as, a.Kasse) {
		return nil, 0, &Failure{Rule: int(operation.RuleTwoPeople), Text: fmt.Sprintf("Beide Fassungen eines Vorgangs sieht und entscheidet nur die Vertretung der Kasse %s.", a.Kasse)}
	}
	if a.Reason == "" {
		return nil, 0, errors.New("a reason is needed: it is put on record")
	}
	n, err := emergency.ParseNumber(a.Kasse, a.Number)
	if err != nil {
		return nil, 0, err
	}
	j, err := r.Journals.Open(ctx, a.Kasse)
	return j, n, err
}

// showConflict gives both versions. Who read them and why stands in the Kasse's
// ledger before they are shown.
func showConflict(ctx context.Context, r *Room, as access.Person, a conflictArgs) (emergency.Both, error) {
	j, n, err := r.conflictOf(ctx, as, a)
	if err != nil {
		return emergency.Both{}, err
	}
	b, err := j.ReadConflict(ctx, n, r.Now(), as.ID, a.Reason, r.Intake.DescribeFor(a.Kasse))
	b.Brief = briefly(b.Ours)
	return b, err
}

// briefly says in a line what people compare of a sick note; empty for anything else.
func briefly(content []byte) string {
	doc, err := eau.Read(content)
	if err != nil {
		return ""
	}
	switch doc.Kind {
	case eau.KindEAU:
		c := doc.Certificate
		out := "Arbeitsunfähig"
		if c.Since != "" {
			out += " seit " + eau.GermanDay(c.Since)
		}
		return out + " bis " + eau.GermanDay(c.Until) + ", festgestellt am " + eau.GermanDay(c.Determined)
	case eau.KindStorno:
		return "Storno der Bescheinigung " + strings.TrimPrefix(doc.Storno.Cancels, "urn:uuid:")
	case eau.KindUnknown, eau.KindError:
	}
	return ""
}

// decideConflict says which version holds.
func decideConflict(ctx context.Context, r *Room, as access.Person, a conflictArgs) ([]emergency.Conflict, error) {
	j, n, err := r.conflictOf(ctx, as, a)
	if err != nil {
		return nil, err
	}
	if err := j.Decide(ctx, r.Now(), as.ID, a.Reason, n, a.Keep); err != nil {
		return nil, err
	}
	return listConflicts(ctx, r, a)
}
