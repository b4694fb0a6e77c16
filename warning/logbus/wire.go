package logbus

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"leitstand/pure/sigma"
	"leitstand/warning"
)

// place is where something stands in a log partition: the message, and which
// part of it. Places of one partition only grow.
type place struct {
	Seq  uint64 `json:"s"`
	Part int    `json:"i"`
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.Seq, q.Seq), cmp.Compare(p.Part, q.Part))
}

// observed is an observation on its way to the partition of its group.
type observed struct {
	place
	Name        int   `json:"c"` // of the correlation, in the batch
	Key         int64 `json:"k"` // what observations are ordered by, in microseconds
	Observation wire  `json:"o"`
}

// wire is sigma.Observation without what depends on one process.
type wire struct {
	Members []int             `json:"m"`
	Key     []string          `json:"k,omitempty"`
	Value   string            `json:"v,omitempty"`
	Time    time.Time         `json:"t"`
	Ref     string            `json:"r,omitempty"`
	Fields  map[string]string `json:"f,omitempty"`
}

// batch is one message on OBS: observations of one log partition, in order of
// their places, and the promise that what comes later has no key before Mark.
type batch struct {
	Version int        `json:"v"`
	From    int        `json:"p"`
	Mark    int64      `json:"mark"`
	Names   []string   `json:"names,omitempty"`
	Items   []observed `json:"items,omitempty"`
}

const batchVersion = 1

func (b *batch) add(o observed, name string) {
	for i, n := range b.Names {
		if n == name {
			o.Name = i
			b.Items = append(b.Items, o)
			return
		}
	}
	o.Name = len(b.Names)
	b.Names, b.Items = append(b.Names, name), append(b.Items, o)
}

// parseBatch reads a message of OBS.
func parseBatch(data []byte, partitions int) (batch, error) {
	var b batch
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("reading observations: %w", err)
	}
	if b.Version != batchVersion || b.From < 0 || b.From >= partitions {
		return b, fmt.Errorf("reading observations: version %d of log partition %d is not known here", b.Version, b.From)
	}
	for i := range b.Items {
		if n := b.Items[i].Name; n < 0 || n >= len(b.Names) {
			return b, fmt.Errorf("reading observations: correlation %d is not named", n)
		}
	}
	return b, nil
}

// of finds the correlation of an observation in this process.
func (w wire) of(eng *sigma.Engine, name string) (sigma.Observation, bool) {
	n, ok := eng.CorrelationNumber(name)
	return sigma.Observation{Correlation: n, Members: w.Members, Key: w.Key, Value: w.Value, Time: w.Time, Ref: w.Ref, Fields: w.Fields}, ok
}

func wireOf(o sigma.Observation) wire {
	return wire{o.Members, o.Key, o.Value, o.Time, o.Ref, o.Fields}
}

// hit is one message on HIT. It carries what people need to know of the rule,
// so that a room without that rule shows it as well.
type hit struct {
	ID          string    `json:"id"`
	Rule        string    `json:"rule"`
	Name        string    `json:"name,omitempty"`
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Level       string    `json:"level"`
	Author      string    `json:"author,omitempty"`
	License     string    `json:"license,omitempty"`
	Version     string    `json:"version,omitempty"`
	Host        string    `json:"host,omitempty"`
	Group       string    `json:"group,omitempty"`
	At          time.Time `json:"at,omitzero"`
	Events      []string  `json:"events"`
	Matched     []string  `json:"matched,omitempty"`
	Early       bool      `json:"early,omitempty"`
}

func hitOf(id string, h warning.Hit) hit {
	r := h.Rule
	return hit{
		ID: id, Rule: r.ID, Name: r.Name, Title: r.Title, Description: r.Description, Level: r.Level, Author: r.Author, License: h.License, Version: r.Version(),
		Host: h.Host, Group: h.Group, At: h.At, Events: h.Events, Matched: h.Matched, Early: h.Early,
	}
}

// eventHit names a hit of a rule on one event.
func eventHit(partition int, at place, h warning.Hit) hit {
	return hitOf(fmt.Sprintf("e-%d-%d-%d-%s", partition, at.Seq, at.Part, cmp.Or(h.Rule.ID, h.Rule.Name, h.Rule.Title)), h)
}

// correlationHit names a hit of a correlation by what it says: it is found again
// after a takeover, perhaps in another moment.
func correlationHit(h warning.Hit) hit {
	s := sha256.New()
	for _, part := range [...]string{cmp.Or(h.Rule.ID, h.Rule.Name, h.Rule.Title), h.Group, h.At.UTC().Format(time.RFC3339Nano), strings.Join(h.Matched, "\n"), strings.Join(h.Events, "\n")} {
		_, _ = s.Write([]byte(part + "\x00")) // a hash does not fail
	}
	return hitOf("c-"+hex.EncodeToString(s.Sum(nil)[:16]), h)
}

// hit makes the room's form. rules may know the rule; else what the message says is shown.
func (h hit) hit(rules *warning.Rules) warning.Hit {
	out := warning.Hit{ID: h.ID, License: h.License, Host: h.Host, Group: h.Group, At: h.At, Events: h.Events, Matched: h.Matched, Early: h.Early}
	if h.Rule != "" && rules != nil {
		if r, ok := rules.Find(h.Rule); ok && r.Version() == h.Version {
			out.Rule = r
			return out
		}
	}
	out.Rule = &sigma.Rule{ID: h.Rule, Name: h.Name, Title: h.Title, Description: h.Description, Level: h.Level, Author: h.Author, License: h.License, Modified: h.Version}
	return out
}
