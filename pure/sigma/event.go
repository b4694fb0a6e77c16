package sigma

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Event is one log event: fields with texts. It is made for reuse: Reset and
// fill it again for every event. An Event belongs to one goroutine.
//
// A field can have several values: add it once for each. Numbers and booleans
// are held as the text the log shows, so that 0x3e7 stays 0x3e7.
type Event struct {
	Time    time.Time   // when it happened; zero when the event does not say
	Sources []Logsource // what kind of log it is from, when the source knows

	fields []field
	arena  []byte
	names  *nameTable
	first  []slot // by field id
	epoch  uint32
}

// field is one value of a field.
type field struct {
	name string
	val  []byte
	low  []byte // folded value, nil until asked for
	id   int32  // of the engine's name table, 0 unknown
	next int32  // index+1 of the next value of the same field
	null bool
}

// slot finds the first value of a field; valid in one epoch only.
type slot struct {
	epoch uint32
	first int32 // index+1
}

// nameTable gives the fields that rules name a number.
type nameTable struct {
	ids map[string]int32
}

func (t *nameTable) add(name string) int32 {
	if id, ok := t.ids[name]; ok {
		return id
	}
	id := int32(len(t.ids) + 1) //nolint:gosec // there are not 2^31 field names in memory
	t.ids[name] = id
	return id
}

// NewEvent makes an event that any rule can be asked about with Explain. For
// an Engine use its own NewEvent.
func NewEvent() *Event { return &Event{names: &nameTable{ids: map[string]int32{}}, epoch: 1} }

// Reset empties the event and keeps its memory.
func (e *Event) Reset() {
	e.Time, e.Sources = time.Time{}, e.Sources[:0]
	e.fields, e.arena = e.fields[:0], e.arena[:0]
	e.epoch++
	if e.epoch == 0 { // after 2^32 events old marks could look new
		clear(e.first)
		e.epoch = 1
	}
}

// Add adds a value to a field.
func (e *Event) Add(name, value string) {
	from := len(e.arena)
	e.arena = append(e.arena, value...)
	e.add(name, e.arena[from:len(e.arena):len(e.arena)], false)
}

// AddNull adds a field that is there and has no value.
func (e *Event) AddNull(name string) { e.add(name, nil, true) }

func (e *Event) add(name string, val []byte, null bool) {
	id := e.names.ids[name]
	if id == 0 && strings.IndexByte(name, ' ') >= 0 {
		// "strip all spaces" (rules specification, Field Usage 2)
		id = e.names.ids[strings.ReplaceAll(name, " ", "")]
	}
	e.fields = append(e.fields, field{name: name, val: val, id: id, null: null})
	if id > 0 {
		e.link(id, int32(len(e.fields))) //nolint:gosec // an event has not 2^31 fields
	}
}

// link makes fields[at-1] a further value of id.
func (e *Event) link(id, at int32) {
	for int(id) >= len(e.first) {
		e.first = append(e.first, slot{})
	}
	s := &e.first[id]
	if s.epoch != e.epoch {
		*s = slot{epoch: e.epoch, first: at}
		return
	}
	i := s.first
	for e.fields[i-1].next != 0 {
		i = e.fields[i-1].next
	}
	e.fields[i-1].next = at
}

// Get returns the first value of a field as text.
func (e *Event) Get(name string) (string, bool) {
	for i := range e.fields {
		if f := &e.fields[i]; nameIs(f.name, name) {
			return string(f.val), true
		}
	}
	return "", false
}

// nameIs compares a field's name with a rule's, which has no spaces.
func nameIs(have, want string) bool {
	if have == want {
		return true
	}
	return strings.IndexByte(have, ' ') >= 0 && strings.ReplaceAll(have, " ", "") == want
}

// Each calls f for every value in the order of the event.
func (e *Event) Each(f func(name, value string, null bool)) {
	for i := range e.fields {
		f(e.fields[i].name, string(e.fields[i].val), e.fields[i].null)
	}
}

// AddMap adds what encoding/json made of a JSON object. Objects inside become
// names with dots, lists become several values.
func (e *Event) AddMap(m map[string]any) { e.addMap("", m) }

func (e *Event) addMap(prefix string, m map[string]any) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		e.addAny(prefix+k, m[k])
	}
}

func (e *Event) addAny(name string, v any) {
	switch v := v.(type) {
	case nil:
		e.AddNull(name)
	case string:
		e.Add(name, v)
	case bool:
		e.Add(name, strconv.FormatBool(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			e.Add(name, strconv.FormatInt(int64(v), 10))
			return
		}
		e.Add(name, strconv.FormatFloat(v, 'g', -1, 64))
	case map[string]any:
		e.addMap(name+".", v)
	case []any:
		for _, x := range v {
			e.addAny(name, x)
		}
	case time.Time:
		e.Add(name, v.UTC().Format(time.RFC3339Nano))
	default:
		e.Add(name, fmt.Sprint(v))
	}
}
