package exercise

import (
	"context"
	"fmt"

	"leitstand/emergency"
)

// Conflicts are items about records that were changed in the regular system
// before the cut. Named is counted in the regular systems' books, everything
// else in the journals.
type Conflicts struct {
	Found     int64 `json:"found"`
	Ours      int64 `json:"ours"`      // what emergency operation took holds
	Theirs    int64 `json:"theirs"`    // what the regular system had holds
	Merged    int64 `json:"merged"`    // written into the regular system by hand
	Undecided int64 `json:"undecided"` // nobody has decided
	Named     int64 `json:"named"`     // by regular systems
}

func (c *Conflicts) add(ctx context.Context, j *emergency.Journal) error {
	list, err := j.Conflicts(ctx, "")
	if err != nil {
		return err
	}
	for _, one := range list {
		c.Found++
		switch one.Decision {
		case emergency.Ours:
			c.Ours++
		case emergency.Theirs:
			c.Theirs++
		case emergency.Merged:
			c.Merged++
		case emergency.Undecided:
			c.Undecided++
		}
	}
	return nil
}

func (c *Conflicts) check() error {
	switch {
	case c.Undecided != 0:
		return fmt.Errorf("%d conflicts wait for a decision", c.Undecided)
	case c.Found != c.Ours+c.Theirs+c.Merged || c.Found != c.Named:
		return fmt.Errorf("conflicts do not add up: %d found, %d named by regular systems, %d decided", c.Found, c.Named, c.Ours+c.Theirs+c.Merged)
	}
	return nil
}
