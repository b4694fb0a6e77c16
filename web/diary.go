package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"leitstand/access"
	"leitstand/base/ledger"
)

const (
	diaryPage = 100
	diaryScan = 2000 // entries looked through for one page of a filter
)

type diaryView struct {
	Head    ledger.Head
	Items   []item
	Kind    string // filter: first part of the kind
	Who     string
	Topics  []topic
	People  []access.Person
	Older   string // query of the next page; empty at the beginning of the ledger
	Newer   bool   // this is not the newest page
	Through int64  // entries below this were not looked at yet
}

// topic is a group of kinds to filter by.
type topic struct{ Key, Word string }

func topics() []topic {
	return []topic{
		{"measure", "Maßnahmen"},
		{"consent", "Zustimmungen"},
		{"signal", "Signale"},
		{"incident", "Vorfälle"},
		{"fact", "Fakten"},
		{"clearance", "Freigaben"},
		{"rotation", "Wechsel von Kennungen"},
		{"rebuild", "Aufbau"},
		{"trial", "Probebetrieb"},
		{"regular", "Regelbetrieb"},
		{"emergency", "Notbetrieb"},
		{"handover", "Übergaben"},
		{"list", "Öffentliche Liste"},
		{"notice", "Mitteilungen"},
		{"person", "Personen"},
		{"entry", "Berichtigungen"},
		{"clock", "Uhr"},
		{"keys", "Schlüssel"},
	}
}

// diary shows the ledger in words, newest first, a page at a time.
func (s *server) diary(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := diaryView{Kind: q.Get("art"), Who: q.Get("wer"), Topics: topics()}
	head, ok, err := ledger.Newest(r.Context(), s.room.Store, s.room.Public())
	if err != nil {
		return err
	}
	if v.People, err = access.List(r.Context(), s.room.Store); err != nil {
		return err
	}
	if ok {
		v.Head = head
		below := head.Size + 1
		if n, err := strconv.ParseInt(q.Get("vor"), 10, 64); err == nil && n > 0 && n < below {
			below, v.Newer = n, true
		}
		if err := s.readDiary(r.Context(), &v, below); err != nil {
			return err
		}
	}
	return s.render(w, r, http.StatusOK, "tagebuch", v)
}

// readDiary fills a page with what fits the filter, going back from below.
func (s *server) readDiary(ctx context.Context, v *diaryView, below int64) error {
	stop := max(1, below-diaryScan)
	for below > stop && len(v.Items) < diaryPage {
		after := max(stop-1, below-1-diaryPage)
		records, err := s.room.Entries(ctx, after, int(below-1-after))
		if err != nil {
			return err
		}
		for _, rec := range slices.Backward(records) {
			below = rec.Seq
			if v.fits(rec.Record) {
				it := s.item(rec.Record)
				it.Corrections, it.Back = rec.Corrections, rec.Back
				v.Items = append(v.Items, it)
			}
			if len(v.Items) == diaryPage {
				break
			}
		}
		if len(records) == 0 {
			break
		}
	}
	if below > 1 {
		v.Older = url.Values{"vor": {strconv.FormatInt(below, 10)}, "art": {v.Kind}, "wer": {v.Who}}.Encode()
	}
	v.Through = below
	return nil
}

func (v *diaryView) fits(r ledger.Record) bool {
	topic, _, _ := strings.Cut(r.Kind, ".")
	return (v.Kind == "" || topic == v.Kind) && (v.Who == "" || r.Actor == v.Who)
}

type entryView struct {
	Item  item
	Body  string
	Rows  int
	Of    *ledger.Correction // this entry is itself a correction
	Actor actor
}

// diaryEntry shows one entry in full, the evidence behind a line, and everything
// that corrects it.
func (s *server) diaryEntry(w http.ResponseWriter, r *http.Request) error {
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 1 {
		return &failure{status: http.StatusNotFound, text: "Diesen Eintrag gibt es nicht."}
	}
	records, err := s.room.Entries(r.Context(), seq-1, 1)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return &failure{status: http.StatusNotFound, text: "Diesen Eintrag gibt es nicht."}
	}
	rec := records[0]
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rec.Record); err != nil {
		return err
	}
	v := entryView{Item: s.item(rec.Record), Body: body.String(), Rows: len(rec.Rows)}
	v.Item.Corrections, v.Item.Back = rec.Corrections, rec.Back
	if c, ok := ledger.AsCorrection(rec.Record); ok {
		v.Of = &c
	}
	if v.Actor, err = s.actors(r); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "eintrag", v)
}

// correctEntry puts beside an entry what is right.
func (s *server) correctEntry(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil {
		return &failure{status: http.StatusNotFound, text: "Diesen Eintrag gibt es nicht."}
	}
	right, err := needed(r, "richtig", "Bitte schreiben, was stattdessen richtig ist.")
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte den Grund nennen: Eine Berichtigung ohne Grund versteht später niemand.")
	if err != nil {
		return err
	}
	if _, err := s.act(r.Context(), person, "entry.correct", map[string]any{"entry": seq, "right": right, "reason": reason}); err != nil {
		return err
	}
	return seeOther(w, r, fmt.Sprintf("/tagebuch/%d", seq))
}
