package exercise

import "slices"

// Comparison is what two books say about each other. A document is one file at
// one Kasse, whatever its id: the same bytes twice are one document, the same
// id with other bytes are two.
type Comparison struct {
	Sent      int // mails sent
	Documents int // different documents among them

	Accepted   int // documents taken as new
	Duplicates int // lines that repeat a document
	Held       int // documents put aside for people
	Refused    int // lines answered with an error message
	Conflicts  int // documents about a record that was changed there before the cut

	Lost     int // documents sent, but never taken, neither as new nor as held, never refused and in no conflict
	Doubled  int // times a document was taken as new although it had been before
	Unknown  int // documents received that nobody sent
	Changed  int // among them those whose id was sent with other content
	Examples []string
}

// maxExamples bounds Comparison.Examples.
const maxExamples = 20

type document struct{ kasse, sha256 string }

// CompareBooks compares what practices sent with what regular systems received,
// at the end, when nothing is under way any more. Examples names the first
// documents that were lost, doubled or unknown, by Kasse and id.
func CompareBooks(sent []Sent, received []Received) Comparison {
	c := Comparison{Sent: len(sent)}
	known := make(map[document]bool, len(sent))
	ids := make(map[document]bool, len(sent)) // kasse and id
	for i := range sent {
		known[document{sent[i].Kasse, sent[i].SHA256}] = true
		ids[document{sent[i].Kasse, sent[i].ID}] = true
	}
	c.Documents = len(known)
	seen := make(map[document]bool, len(received))
	told, conflicting := make(map[document]bool), make(map[document]bool)
	taken := make(map[document]bool, len(received))
	for i := range received {
		r := &received[i]
		d := document{r.Kasse, r.SHA256}
		if !known[d] && !seen[d] {
			c.Unknown++
			c.example("unknown", r.Kasse, r.ID)
			if ids[document{r.Kasse, r.ID}] {
				c.Changed++
			}
		}
		seen[d] = true
		switch r.Status {
		case StatusDuplicate:
			c.Duplicates++
			continue
		case StatusRefused:
			c.Refused++
			told[d] = true
			continue
		case StatusConflict: // on file, whatever people decide
			if !conflicting[d] {
				c.Conflicts++
			}
			conflicting[d], told[d] = true, true
			continue
		case StatusHeld:
			c.Held++
		default:
			c.Accepted++
		}
		if taken[d] {
			c.Doubled++
			c.example("doubled", r.Kasse, r.ID)
		}
		taken[d] = true
	}
	for i := range sent {
		d := document{sent[i].Kasse, sent[i].SHA256}
		if known[d] && !taken[d] && !told[d] {
			c.Lost++
			c.example("lost", sent[i].Kasse, sent[i].ID)
		}
		known[d] = false // once
	}
	return c
}

func (c *Comparison) example(what, kasse, id string) {
	if text := what + " " + kasse + " " + id; len(c.Examples) < maxExamples && !slices.Contains(c.Examples, text) {
		c.Examples = append(c.Examples, text)
	}
}
