package emergency

import (
	"context"
	"fmt"
	"strings"

	"leitstand/base/db"
)

// column is one field of a standing as its table has it.
type column struct {
	name  string
	value any
}

func (s Standing) columns() []column {
	return []column{
		{"placement", string(s.Placement)},
		{"kind", string(s.Kind)},
		{"state", string(s.State)},
		{"result", string(s.Result)},
		{"reason", s.Reason},
		{"owner", s.Owner},
		{"deadline", db.Micro(s.Deadline)},
		{"batch", s.Batch},
		{"of_number", int64(s.Of)},
		{"position", s.Position},
		{"subject", s.Subject},
		{"amount", s.Amount},
		{"settled", db.Micro(s.Settled)},
	}
}

// changedColumns are the fields in which a standing differs from what it was.
func changedColumns(was, is Standing) []column {
	var out []column
	before := was.columns()
	for i, c := range is.columns() {
		if c.value != before[i].value {
			out = append(out, c)
		}
	}
	return out
}

// updateStandings writes what changed. Most acts change the same few fields of
// many items to the same values, which is one statement: a batch that leaves, a
// receipt, a comparison.
func updateStandings(ctx context.Context, tx *db.Tx, was map[Number]Standing, changed []Standing) error {
	type group struct {
		columns []column
		numbers []Number
	}
	groups := map[string]*group{}
	var order []string // the same acts make the same statements
	for _, s := range changed {
		columns := changedColumns(was[s.Number], s)
		if len(columns) == 0 {
			continue
		}
		key := fmt.Sprint(columns)
		if groups[key] == nil {
			groups[key] = &group{columns: columns}
			order = append(order, key)
		}
		groups[key].numbers = append(groups[key].numbers, s.Number)
	}
	for _, key := range order {
		g := groups[key]
		if err := chunks(g.numbers, func(part []Number) error { return updateGroup(ctx, tx, g.columns, part) }); err != nil {
			return err
		}
	}
	return nil
}

func updateGroup(ctx context.Context, tx *db.Tx, columns []column, numbers []Number) error {
	set := make([]string, len(columns))
	args := make([]any, 0, len(columns)+4)
	for i, c := range columns {
		set[i] = fmt.Sprintf("%s = $%d", c.name, i+1)
		args = append(args, c.value)
	}
	where, these := numberIs("number", len(args)+1, numbers)
	n, err := tx.Exec(ctx, `update journal_standing set `+strings.Join(set, ", ")+` where `+where, append(args, these...)...)
	if err == nil && n != int64(len(numbers)) {
		err = fmt.Errorf("%d of %d items were changed", n, len(numbers))
	}
	return err
}
