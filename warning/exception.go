package warning

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/pure/sigma"
)

// Exception keeps known harmless events from raising a signal: for one rule, for
// events that a selection describes, for a reason, until a day.
type Exception struct {
	ID        string    `json:"id"`
	Rule      string    `json:"rule"`
	Selection string    `json:"selection"` // a Sigma selection: YAML map of field tests
	Reason    string    `json:"reason"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Until     time.Time `json:"until"`
	EndedBy   string    `json:"ended_by,omitempty"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Checked   string    `json:"checked"` // against how many must-match cases it was tested
	Hits      int64     `json:"hits"`    // what it kept from raising a signal
	LastHit   time.Time `json:"last_hit,omitzero"`
}

// maxException is how long an exception may hold: then somebody looks again.
const maxException = 366 * 24 * time.Hour

// Errors of exceptions that a person decides on.
var (
	ErrBlinds   = errors.New("the exception would blind the rule")
	ErrUntested = errors.New("no must-match case is known for the rule, so nobody knows what the exception would hide")
)

// matcher compiles the selection.
func (x Exception) matcher() (*sigma.Rule, error) {
	text := "title: exception\nlogsource: {product: any}\ndetection:\n  selection: " + x.Selection + "\n  condition: selection\n"
	set, problems := sigma.ParseRules([]sigma.File{{Name: "exception " + x.ID, Data: []byte(text)}})
	if len(problems) > 0 {
		return nil, fmt.Errorf("the selection of the exception cannot be used: %w", problems[0])
	}
	if len(set.Rules) != 1 {
		return nil, errors.New("the selection of the exception is empty")
	}
	return set.Rules[0], nil
}

// Selection writes field tests as a Sigma selection: names may carry modifiers,
// such as ls.address|cidr.
func Selection(tests map[string]string) (string, error) {
	if len(tests) == 0 {
		return "", errors.New("an exception needs at least one field that its events have")
	}
	for name, value := range tests {
		if strings.TrimSpace(name) == "" || strings.Trim(value, "*? ") == "" {
			return "", fmt.Errorf("%q=%q holds for everything", name, value)
		}
	}
	b, err := json.Marshal(tests) // JSON is YAML
	return string(b), err
}

// AddException puts an exception in force, after it was tested against cases: if
// one of its rule's is no longer found, it is refused. untested lets it pass when
// there is no case.
func AddException(ctx context.Context, tx *db.Tx, now time.Time, by access.Person, x Exception, rules *Rules, cases []Case, untested bool) (Exception, error) {
	rule, ok := rules.Find(x.Rule)
	switch {
	case !ok:
		return x, fmt.Errorf("rule %q is not known", x.Rule)
	case strings.TrimSpace(x.Reason) == "":
		return x, errors.New("an exception needs a reason")
	case !x.Until.After(now) || x.Until.Sub(now) > maxException:
		return x, fmt.Errorf("an exception ends: name a day after now, and within a year, not %s", x.Until.Format(time.DateOnly))
	}
	x.ID, x.Rule, x.By, x.At, x.Until = "x-"+rand.Text()[:8], ruleID(rule), by.ID, db.Trim(now), db.Trim(x.Until)
	tried, blinded, err := x.test(rules, cases)
	switch {
	case err != nil:
		return x, err
	case len(blinded) > 0:
		return x, fmt.Errorf("%w: of %d must-match cases it hides %s", ErrBlinds, tried, strings.Join(blinded, ", "))
	case tried == 0 && !untested:
		return x, ErrUntested
	}
	x.Checked = fmt.Sprintf("%d must-match cases", tried)
	return x, x.store(ctx, tx, now, by.ID, "exception.added")
}

// EndException ends an exception before its day.
func EndException(ctx context.Context, tx *db.Tx, now time.Time, by access.Person, id string) (Exception, error) {
	found, err := exceptions(ctx, tx, `where id = $1`, id)
	if err != nil {
		return Exception{}, err
	}
	if len(found) == 0 || !found[0].EndedAt.IsZero() {
		return Exception{}, fmt.Errorf("%q: %w", id, errors.New("no exception in force has this id"))
	}
	x := found[0]
	x.EndedBy, x.EndedAt = by.ID, db.Trim(now)
	return x, x.store(ctx, tx, now, by.ID, "exception.ended")
}

// test plays the cases of the exception's rule with and without it. Cases that
// do not match without it say nothing and do not count.
func (x Exception) test(rules *Rules, cases []Case) (tried int, blinded []string, err error) {
	active, err := compileExceptions([]Exception{x})
	if err != nil {
		return 0, nil, err
	}
	found := func(c Case, except func(r *sigma.Rule, ev *sigma.Event) (string, bool)) bool {
		d := rules.NewDetector(DetectorOptions{Except: except})
		return c.play(d, x.At, func(h Hit) bool { return ruleID(h.Rule) == x.Rule })
	}
	for _, c := range cases {
		if c.Rule != x.Rule || !found(c, nil) {
			continue
		}
		tried++
		if !found(c, func(r *sigma.Rule, ev *sigma.Event) (string, bool) { return active.except(x.At, r, ev) }) {
			blinded = append(blinded, c.Name)
		}
	}
	return tried, blinded, nil
}

// activeException is an exception ready for matching.
type activeException struct {
	Exception
	rule *sigma.Rule
}

// exceptionSet finds exceptions by rule.
type exceptionSet map[string][]activeException

func compileExceptions(list []Exception) (exceptionSet, error) {
	out := exceptionSet{}
	for _, x := range list {
		if !x.EndedAt.IsZero() {
			continue
		}
		r, err := x.matcher()
		if err != nil {
			return nil, fmt.Errorf("exception %q: %w", x.ID, err)
		}
		out[x.Rule] = append(out[x.Rule], activeException{x, r})
	}
	return out, nil
}

// except names the exception in force that an event of a rule falls under.
func (s exceptionSet) except(now time.Time, r *sigma.Rule, ev *sigma.Event) (string, bool) {
	if ev == nil {
		return "", false // a correlation: its events were asked one by one
	}
	for _, x := range s[ruleID(r)] {
		if now.Before(x.Until) && x.rule.Matches(ev) {
			return x.ID, true
		}
	}
	return "", false
}

func (x Exception) store(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string) error {
	if _, err := tx.Exec(ctx, `insert into exception (id, rule, selection, reason, by_person, at, until, ended_by, ended_at, checked, hits, last_hit)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0)
		on conflict (id) do update set ended_by = excluded.ended_by, ended_at = excluded.ended_at`,
		x.ID, x.Rule, x.Selection, x.Reason, x.By, db.Micro(x.At), db.Micro(x.Until), x.EndedBy, db.Micro(x.EndedAt), x.Checked); err != nil {
		return fmt.Errorf("storing exception %q: %w", x.ID, err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: actor, Kind: kind, Subject: x.ID, Reason: x.Reason, Rows: []ledger.Row{x.row()}})
	return err
}

// row leaves out how often it was used.
func (x Exception) row() ledger.Row {
	return ledger.Row{Table: "exception", Key: x.ID, Value: map[string]any{
		"rule": x.Rule, "selection": x.Selection, "reason": x.Reason, "by": x.By, "at": db.Micro(x.At), "until": db.Micro(x.Until),
		"ended_by": x.EndedBy, "ended_at": db.Micro(x.EndedAt), "checked": x.Checked,
	}}
}

// Exceptions are all, newest first.
func Exceptions(ctx context.Context, q db.Querier) ([]Exception, error) {
	return exceptions(ctx, q, `order by at desc, id`)
}

func exceptions(ctx context.Context, q db.Querier, rest string, args ...any) ([]Exception, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (x Exception, err error) {
		var at, until, ended, last int64
		err = rows.Scan(&x.ID, &x.Rule, &x.Selection, &x.Reason, &x.By, &at, &until, &x.EndedBy, &ended, &x.Checked, &x.Hits, &last)
		x.At, x.Until, x.EndedAt, x.LastHit = db.Time(at), db.Time(until), db.Time(ended), db.Time(last)
		return x, err
	}, `select id, rule, selection, reason, by_person, at, until, ended_by, ended_at, checked, hits, last_hit from exception `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading exceptions: %w", err)
	}
	return out, nil
}
