package exercise

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/emergency"
)

// TestARecordChangedBeforeTheCutIsAConflictUntilPeopleDecide hands over what a
// practice corrected in writing to a regular system whose clerk had entered
// something else, with a restart in between.
func TestARecordChangedBeforeTheCutIsAConflictUntilPeopleDecide(t *testing.T) {
	s := testMailFor(t)
	c := testRegularConfig(t, s)
	w, err := startRegular(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	doc := testDocument(t, 1)
	id, _ := identify(doc)
	w.clerks.put(change{id: id, kasse: testIK, at: testFrom, until: "2023-05-07"})
	if err := w.clerks.book.sync(); err != nil {
		t.Fatal(err)
	}
	p := testParcel(1, doc, testDocument(t, 2))
	deliver := func(over string) emergency.ReceiptItem {
		t.Helper()
		p.Items[0].Over = over
		p.Batch = fmt.Sprint("batch", over)
		channel := &emergency.HTTPS{URL: HandoverURL(w.listen.Addr().String(), testPlacement), Client: loopbackClient(5 * time.Second), Token: "token"}
		signed, err := channel.Deliver(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		r, err := emergency.ReadReceipt(receiverKey(t, w.listen.Addr().String()), signed)
		if err != nil {
			t.Fatal(err)
		}
		if r.Items[1].Result != emergency.Applied {
			t.Errorf("an item that has nothing to do with it is %s", r.Items[1].Result)
		}
		return r.Items[0]
	}
	first := deliver("")
	if first.Result != emergency.Rejected || first.Code != emergency.CodeConflict || first.Theirs == nil || endOf(first.Theirs.Body) != "2023-05-07" {
		t.Fatalf("got %+v", first)
	}
	if diff := cmp.Diff(first, deliver("")); diff != "" {
		t.Errorf("asked again, it says something else (-first +second):\n%s", diff)
	}
	if again := deliver("another version"); again.Result != emergency.Rejected || again.Theirs == nil {
		t.Errorf("decided about a version that is not there: %+v", again)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w = regularHere(t, c)
	if diff := cmp.Diff(first, deliver("")); diff != "" {
		t.Errorf("after a restart it says something else (-first +second):\n%s", diff)
	}
	for range 2 {
		if got := deliver(first.Theirs.SHA256); got.Result != emergency.Applied || got.Theirs != nil {
			t.Errorf("after the decision: %+v", got)
		}
	}
	rows, err := ReadReceived(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var status []string
	for _, r := range rows {
		status = append(status, r.Status)
	}
	slices.Sort(status)
	if diff := cmp.Diff([]string{"accepted", "accepted", "conflict", "conflict"}, status); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	if w.shelf.counts()["items"] != 2 {
		t.Errorf("%d items, want 2", w.shelf.counts()["items"])
	}
}

// A call changes a record only if the system runs and has it.
func TestACallIsInVainWhileTheSystemIsCutOrHasNothing(t *testing.T) {
	s := testMailFor(t)
	c := testRegularConfig(t, s)
	c.Seed = 7
	c.Calls = &CallsConfig{From: testFrom, Until: testUntil, Notes: 400}
	w := regularHere(t, c)
	if len(w.clerks.left) < 4 {
		t.Fatalf("only %d calls", len(w.clerks.left))
	}
	calls := w.clerks.left[:3]
	have := func(k call) {
		n := &w.clerks.plan.notes[k.note]
		w.shelf.remember(&Received{ID: w.clerks.plan.noteID(k.note), SHA256: "x", Kasse: w.order[n.kasse], Via: ViaMail, Status: StatusAccepted})
	}
	have(calls[0]) // the second is about a note that never came
	have(calls[2])
	if err := w.advance(t.Context(), calls[1].at); err != nil {
		t.Fatal(err)
	}
	if err := w.switchFetcher(FetcherCommand{Mode: FetchOff}); err != nil {
		t.Fatal(err)
	}
	if err := w.advance(t.Context(), testUntil); err != nil {
		t.Fatal(err)
	}
	if n := w.counts(); n["changed"] != 1 || n["calls_in_vain"] < 3 {
		t.Errorf("%d changed, %d in vain", n["changed"], n["calls_in_vain"])
	}
}

func TestTheDelegateDecidesByBothVersions(t *testing.T) {
	theirs := (&change{id: "x", at: testFrom, until: "2023-05-07"}).version()
	both := emergency.Both{Ours: testDocument(t, 1), Theirs: *theirs}
	if d, _ := judgeConflict(both); d != emergency.Ours {
		t.Errorf("what was understood differently on the telephone: %s", d)
	}
	doc := testDocument(t, 1)
	end := untilOf(doc)
	both.Theirs = *(&change{id: "x", at: testFrom, until: end}).version()
	if d, _ := judgeConflict(both); end == "" || d != emergency.Theirs {
		t.Errorf("the same end %q: %s", end, d)
	}
}
