package emergency_test

import (
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/emergency"
)

func TestTheBacklogSaysWhatCameAndWhatWentByTheHour(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		j := newRoom(t, where).journal(t)
		late := draft("late")
		late.Received = t0.Add(3 * time.Hour)
		held := draft("held")
		held.Hold = &emergency.Hold{Reason: "unlesbar", Owner: "Postkorb", Deadline: t0.Add(24 * time.Hour)}
		unread := draft("unread")
		unread.Unread = true
		_, err := j.Accept(ctx, place, 1, t0, actor, draft("a"), draft("b"), late, held, unread)
		must(t, err)
		must(t, j.Apply(ctx, emergency.Entry{At: t0.Add(time.Hour), Actor: actor, Kind: "item.rejected"}, emergency.Change{
			Number: 5, Apply: func(s emergency.Standing) (emergency.Standing, error) { return s.Refuse("leer", "Postkorb") },
		}))
		b, err := j.Backlog(ctx)
		must(t, err)
		want := emergency.Waiting{Placement: place, People: 1, Transfer: 3, Rejected: 1}
		if len(b.Waiting) != 1 || b.Waiting[0] != want || len(b.Speeds) != 0 {
			t.Errorf("before the handover: %+v", b)
		}
		h := newRegular(t).handover(j)
		h.MaxItems = 2
		at := t0.Add(5 * time.Hour)
		if next, err := h.Due(ctx, at); err != nil || !next.IsZero() {
			t.Fatal(next, err)
		}
		b, err = j.Backlog(ctx)
		must(t, err)
		hour := t0.Truncate(time.Hour)
		got := map[time.Duration][2]int64{}
		for _, f := range b.Flows {
			got[f.Hour.Sub(hour)] = [2]int64{f.In, f.Out}
		}
		wantFlow := map[time.Duration][2]int64{0: {4, 0}, time.Hour: {0, 1}, 3 * time.Hour: {1, 0}, 5 * time.Hour: {0, 4}}
		for k, v := range wantFlow {
			if got[k] != v {
				t.Errorf("after %s: %v, want %v (all: %v)", k, got[k], v, got)
			}
		}
		if len(b.Speeds) != 2 || b.Speeds[0].Items != 2 || b.Speeds[0].Took <= 0 {
			t.Errorf("speeds %+v", b.Speeds)
		}
		if it, err := j.Item(ctx, 1); err != nil || !it.Settled.Equal(at) {
			t.Errorf("settled %s, %v", it.Settled, err)
		}
		must(t, j.Reopen(ctx, at, actor, "korrigiert", 5))
		if it, err := j.Item(ctx, 5); err != nil || !it.Settled.IsZero() {
			t.Errorf("taken up again it is settled %s, %v", it.Settled, err)
		}
		verify(t, j)
	})
}
