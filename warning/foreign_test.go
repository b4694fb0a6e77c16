package warning

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/pure/sigma"
)

// hitSource gives hits as a log bus does.
type hitSource struct{ hits []Hit }

func (s *hitSource) Read(_ context.Context, from Position, limit int, each func(RawEvent)) (p Progress, err error) {
	at := 0
	if len(from) > 0 {
		if err := json.Unmarshal(from, &at); err != nil {
			return p, err
		}
	}
	for ; at < len(s.hits) && p.Events < limit; at++ {
		each(RawEvent{Hit: &s.hits[at]})
		p.Events++
	}
	p.To, err = json.Marshal(at)
	return p, err
}

func (s *hitSource) Waiting(Position) (int64, error) { return 0, nil }
func (s *hitSource) Forget(Position) error           { return nil }
func (s *hitSource) Close() error                    { return nil }

func TestAHitThatComesTwiceIsCountedOnceAndExceptionsHoldForIt(t *testing.T) {
	in, d := testIntake(t), testStore(t)
	now := time.Now()
	rule := &sigma.Rule{ID: "other", Title: "A rule of the workers alone", Level: "high"}
	own := in.Rules().All()[0]
	hit := func(id, host string, r *sigma.Rule, events ...string) Hit {
		return Hit{ID: id, Rule: r, Host: host, Group: host, At: now, Events: events}
	}
	err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := AddException(ctx, tx, now, access.Person{ID: "anna"}, Exception{
			Rule: ruleID(own), Selection: `{"kind": "known"}`, Reason: "test", Until: now.Add(time.Hour),
		}, in.Rules(), nil, true)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	src := &hitSource{hits: []Hit{
		hit("1", "a", rule, "one"), hit("2", "a", rule, "two"), hit("1", "a", rule, "one"), hit("3", "b", rule, "three"), hit("3", "b", rule, "three"),
		hit("4", "c", own, `{"kind":"known"}`, `{"kind":"strange"}`), // not all of it is covered
		hit("5", "d", own, `{"kind":"known"}`, `{"kind":"known"}`),
	}}
	if err := in.Add("bus", "bus", 0, src); err != nil {
		t.Fatal(err)
	}
	stepAll(t, in, d)
	src.hits = append(src.hits, src.hits...) // all of it again, later
	stepAll(t, in, d)
	all, err := List(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, s := range all {
		counts[s.Host] += s.Count
	}
	if len(counts) != 3 || counts["a"] != 2 || counts["b"] != 1 || counts["c"] != 1 {
		t.Errorf("signals count %v, want a 2, b 1, c 1", counts)
	}
	x, err := Exceptions(t.Context(), d)
	if err != nil || len(x) != 1 || x[0].Hits == 0 {
		t.Errorf("what the exception kept back is not counted: %+v %v", x, err)
	}
}
