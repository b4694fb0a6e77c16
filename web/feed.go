package web

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"leitstand/notice"
)

// listForMachines is the newest list as JSON, without the people who released it.
type listForMachines struct {
	Exercise bool            `json:"uebung"` // an exercise: nothing of it is true
	Version  int             `json:"version"`
	At       time.Time       `json:"at,omitzero"`
	Reason   string          `json:"reason"`
	Entries  []notice.Entry  `json:"entries"`
	Changes  []notice.Change `json:"changes"`
}

// publicJSON is the newest list for machines.
func (s *server) publicJSON(w http.ResponseWriter, r *http.Request) error {
	l, err := notice.Newest(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	out := listForMachines{s.room.Settings.Exercise, l.Version, l.At, l.Reason, l.Entries, l.Changes}
	if out.Entries == nil {
		out.Entries, out.Changes = []notice.Entry{}, []notice.Change{}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the public list: %w", err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(b, '\n')) // the visitor is gone
	return nil
}

// The part of Atom (RFC 4287) that the feed uses.
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string      `xml:"xml:lang,attr"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Entries []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Content atomText `xml:"content"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// publicAtom is the feed of versions and notices; with ?kasse= only of one Kasse.
func (s *server) publicAtom(w http.ResponseWriter, r *http.Request) error {
	page, err := s.publicData(r, publicTexts()["partner"], "partner")
	if err != nil {
		return err
	}
	mark := ""
	if s.room.Settings.Exercise {
		mark = "ÜBUNG: "
	}
	only := r.URL.Query().Get("kasse")
	feed := atomFeed{Lang: "de", ID: "urn:leitstand:liste:" + s.room.Settings.Place + only, Title: mark + "Was geht, was geht nicht", Author: atomAuthor{s.room.Settings.Name}}
	newest := time.Time{}
	for _, v := range page.Versions {
		e, some := s.versionEntry(v, mark, only)
		if some {
			feed.Entries = append(feed.Entries, e)
			newest = later(newest, v.At)
		}
	}
	for _, n := range page.Notices {
		feed.Entries = append(feed.Entries, atomEntry{
			ID: "urn:leitstand:mitteilung:" + n.ID, Title: mark + n.Title, Updated: n.At.UTC().Format(time.RFC3339),
			Content: atomText{"text", mark + n.Text + "\n\nErkenntnisstand: " + n.Certainty},
		})
		newest = later(newest, n.At)
	}
	slices.SortStableFunc(feed.Entries, func(a, b atomEntry) int { return strings.Compare(b.Updated, a.Updated) })
	feed.Updated = newest.UTC().Format(time.RFC3339)
	b, err := xml.MarshalIndent(feed, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the feed: %w", err)
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	_, _ = w.Write(append([]byte(xml.Header), b...)) // the visitor is gone
	return nil
}

// versionEntry is one version in the feed; some is false when it says nothing of
// the one Kasse that was asked for.
func (s *server) versionEntry(v publicVersion, mark, only string) (e atomEntry, some bool) {
	var text strings.Builder
	text.WriteString(mark + v.Reason + "\n")
	for _, part := range []struct {
		word string
		of   []notice.Change
	}{{"Neu", v.Added}, {"Geändert", v.Changed}, {"Gestrichen", v.Removed}} {
		for _, c := range part.of {
			if only == "" || string(c.Kasse) == only {
				fmt.Fprintf(&text, "%s: %s, %s", part.word, c.KasseName, c.Name)
				if c.To != "" {
					text.WriteString(": " + c.To)
				}
				text.WriteByte('\n')
				some = true
			}
		}
	}
	return atomEntry{
		ID: fmt.Sprintf("urn:leitstand:liste:%s%d", s.room.Settings.Place, v.Version), Updated: v.At.UTC().Format(time.RFC3339),
		Title: fmt.Sprintf("%sFassung %d: %s", mark, v.Version, v.Reason), Content: atomText{"text", text.String()},
	}, some || only == ""
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
