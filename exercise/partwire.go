package exercise

import (
	"encoding/json"
	"maps"
	"time"
)

// PartKind names one simulated party of the outside world.
type PartKind string

// The parties. Each is a process of its own.
const (
	PartMail      PartKind = "mail"      // mail server: SMTP in, POP3 out
	PartPractices PartKind = "practices" // all practices
	PartRegular   PartKind = "regular"   // the regular systems of all Kassen
	PartEmployers PartKind = "employers" // all employers
)

// Counts are what a part has counted since it was started, by name. They are
// part of the result of an exercise: same seed and steps, same counts.
type Counts map[string]int64

// Command is one line from parent to part. Do is one of
//
//	start    Config is the configuration of the kind; must come first
//	advance  do all that is due by Now, then answer
//	stats    answer with the counts
//	stop     end cleanly
//
// and what the kind itself knows: fault (mail, regular), fetcher and reach
// (regular), endpoint (employers). Those take their details from Config.
type Command struct {
	Do     string          `json:"do"`
	Now    time.Time       `json:"now,omitzero"`
	Config json.RawMessage `json:"config,omitempty"`
}

// reply is one line from part to parent.
type reply struct {
	OK     bool
	Error  string
	Addr   map[string]string
	Counts Counts
}

// MarshalJSON writes the counts beside ok, so that a line reads {"ok":true,"sent":3}.
func (r reply) MarshalJSON() ([]byte, error) {
	m := make(map[string]any, len(r.Counts)+3)
	for k, v := range r.Counts {
		m[k] = v
	}
	m["ok"] = r.OK
	if r.Error != "" {
		m["error"] = r.Error
	}
	if len(r.Addr) > 0 {
		m["addr"] = r.Addr
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *reply) UnmarshalJSON(b []byte) error {
	var fixed struct {
		OK    bool              `json:"ok"`
		Error string            `json:"error"`
		Addr  map[string]string `json:"addr"`
	}
	if err := json.Unmarshal(b, &fixed); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	maps.DeleteFunc(all, func(k string, _ json.RawMessage) bool { return k == "ok" || k == "error" || k == "addr" })
	*r = reply{OK: fixed.OK, Error: fixed.Error, Addr: fixed.Addr, Counts: make(Counts, len(all))}
	for k, raw := range all {
		var n int64
		if err := json.Unmarshal(raw, &n); err != nil {
			return err
		}
		r.Counts[k] = n
	}
	return nil
}
