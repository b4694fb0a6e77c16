package sigma

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// Event is one log event: fields with texts. It is made for reuse: Reset and
// fill it again for every event. An Event belongs to one goroutine.
//
// A field can have several values: add it once for each. Numbers and booleans
// are held as the text the log shows, so that 0x3e7 stays 0x3e7.
type Event struct {
	Time    time.Time   // when it happened; zero: When looks into the fields
	Sources []Logsource // what kind of log it is from, when the source knows

	names   *nameTable
	fields  []field
	arena   []byte // names and values
	low     []byte // folded values
	first   []slot // by field id
	epoch   uint32
	byPath  map[string]*nameEntry // names of JSON
	entries []*nameEntry          // of byPath, and of fields marked inExtra
	last    *nameEntry            // the name that was read last
	root    nameEntry             // what comes before the first
	path    []byte                // name being built while reading JSON
	alias   []int32               // index of fields that have another name in rules
}

// field is one value of a field; all texts are in the arena.
type field struct {
	id      int32 // of the name table, 0: no rule names it
	next    int32 // index+1 of the next value of the same field
	name    uint32
	nameLen uint32 // only when id is 0, or the name differs from the table's
	off, n  uint32
	low     uint32 // offset+1 of the folded value
	lowLen  uint32
	null    bool
	high    bool // not only ASCII; known once it is folded
	copied  bool // made by a route's field names; not part of the log
}

// inExtra as nameLen: name is an index into Event.entries.
const inExtra = 1<<32 - 1

// slot finds the first value of a field; valid in one epoch only.
type slot struct {
	epoch uint32
	first int32 // index+1
	last  int32
}

// NewEvent makes an event that any rule can be asked about with Explain. For
// an Engine use its own NewEvent.
func NewEvent() *Event { return newEvent(newNameTable()) }

func newEvent(t *nameTable) *Event {
	e := &Event{names: t, epoch: 1, first: make([]slot, len(t.names)), byPath: map[string]*nameEntry{}}
	e.last = &e.root
	return e
}

// Reset empties the event and keeps its memory.
func (e *Event) Reset() {
	e.Time, e.Sources, e.alias = time.Time{}, e.Sources[:0], e.alias[:0]
	e.fields, e.arena, e.low = e.fields[:0], e.arena[:0], e.low[:0]
	if len(e.entries) > maxEntries {
		clear(e.byPath)
		clear(e.entries)
		e.entries, e.root.next = e.entries[:0], nil
	}
	e.last = &e.root
	e.epoch++
	if e.epoch == 0 { // after 2^32 events old marks could look new
		clear(e.first)
		e.epoch = 1
	}
}

// Add adds a value to a field.
func (e *Event) Add(name, value string) {
	off := e.keep(value)
	e.named(name, off, uint32(len(value)), false)
}

// AddBytes is Add for a value that is not a string yet. The bytes are copied.
func (e *Event) AddBytes(name string, value []byte) {
	off := uint32(len(e.arena))
	e.arena = append(e.arena, value...)
	e.named(name, off, uint32(len(value)), false)
}

// AddNull adds a field that is there and has no value.
func (e *Event) AddNull(name string) { e.named(name, 0, 0, true) }

func (e *Event) keep(s string) uint32 {
	off := uint32(len(e.arena))
	e.arena = append(e.arena, s...)
	return off
}

func (e *Event) named(name string, off, n uint32, null bool) {
	f := field{id: e.names.lookup([]byte(name)), off: off, n: n, null: null}
	if f.id == 0 || e.names.names[f.id] != name {
		f.name = e.keep(name)
		f.nameLen = uint32(len(name))
	}
	if e.names.alias[f.id] != 0 {
		e.alias = append(e.alias, int32(len(e.fields)))
	}
	e.push(f)
}

// push appends a field and links it to earlier values of the same name.
func (e *Event) push(f field) {
	e.fields = append(e.fields, f)
	if f.id == 0 {
		return
	}
	at := int32(len(e.fields))
	s := &e.first[f.id]
	if s.epoch != e.epoch {
		*s = slot{epoch: e.epoch, first: at, last: at}
		return
	}
	e.fields[s.last-1].next = at
	s.last = at
}

// head returns index+1 of the first value of a field, 0 when it is absent.
func (e *Event) head(id int32) int32 {
	if s := &e.first[id]; s.epoch == e.epoch {
		return s.first
	}
	return 0
}

func (e *Event) value(f *field) []byte { return e.arena[f.off : f.off+f.n] }

// folded returns the value as it is compared when case does not count. Behind
// it the buffer has at least 8 bytes more, which scanners may read.
func (e *Event) folded(f *field) []byte {
	if f.low == 0 {
		from := len(e.low)
		e.low, f.high = foldInto(e.low, e.value(f))
		f.low, f.lowLen = uint32(from+1), uint32(len(e.low)-from)
		e.low = append(e.low, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return e.low[f.low-1 : f.low-1+f.lowLen]
}

// nameOf returns the name as the log has it.
func (e *Event) nameOf(f *field) string {
	switch f.nameLen {
	case 0:
		return e.names.names[f.id]
	case inExtra:
		return e.entries[f.name].final
	}
	return view(e.arena[f.name : f.name+f.nameLen])
}

// view makes a string of bytes without copying. It must not outlive the event's content.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // read only, never kept
}

// Get returns the first value of a field as text.
func (e *Event) Get(name string) (string, bool) {
	for i := range e.fields {
		if f := &e.fields[i]; nameIs(e.nameOf(f), name) {
			return string(e.value(f)), true
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
		if x := &e.fields[i]; !x.copied {
			f(strings.Clone(e.nameOf(x)), string(e.value(x)), x.null)
		}
	}
}

// When returns the time of the event: the one set, else from the field that
// holds it. False: the event does not say.
func (e *Event) When() (time.Time, bool) {
	if !e.Time.IsZero() {
		return e.Time, true
	}
	for _, name := range [...]string{"TimeCreated_SystemTime", "SystemTime", "@timestamp", "UtcTime", "EventTime", "timestamp", "time", "Timestamp", "eventTime", "__REALTIME_TIMESTAMP", "date"} {
		if s, ok := e.Get(name); ok {
			if t, ok := ParseTime(s); ok {
				e.Time = t
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// AddMap adds what encoding/json made of a JSON object. Objects inside become
// names with dots, lists become several values.
func (e *Event) AddMap(m map[string]any) { e.addMap("", m, 0) }

func (e *Event) addMap(prefix string, m map[string]any, depth int) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		e.addAny(prefix+k, m[k], depth+1)
	}
	if depth == 0 {
		e.aliases()
	}
}

func (e *Event) addAny(path string, v any, depth int) {
	name := path
	if strings.IndexByte(path, '.') >= 0 {
		name = canonical(path)
	}
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
		if depth <= maxDepth {
			e.addMap(path+".", v, depth)
		}
	case []any:
		for _, x := range v {
			if depth <= maxDepth {
				e.addAny(path, x, depth+1)
			}
		}
	case time.Time:
		e.Add(name, v.UTC().Format(time.RFC3339Nano))
	default:
		e.Add(name, fmt.Sprint(v))
	}
}
