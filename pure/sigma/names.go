package sigma

import (
	"encoding/binary"
	"slices"
	"strings"
)

// The fields every engine knows by number.
const (
	idUnknown int32 = iota
	idChannel
	idEventID
	idProvider
	idProgram // of journald
)

// nameTable gives the fields that rules name a number. It is built once and
// read by many goroutines afterwards.
type nameTable struct {
	names []string         // by id; names[0] is ""
	ids   map[string]int32 // for building
	slots []nameSlot       // open addressing, a power of two, at most half full
	alias []int32          // by id: what the field is also called in rules, 0: nothing
}

type nameSlot struct {
	name string
	id   int32
}

func newNameTable() *nameTable {
	t := &nameTable{names: []string{""}, ids: map[string]int32{}, slots: make([]nameSlot, 16), alias: []int32{0}}
	for _, n := range [...]string{"Channel", "EventID", "Provider_Name", "SYSLOG_IDENTIFIER"} {
		t.add(n)
	}
	for _, a := range aliasTable() {
		t.alias[t.add(a[0])] = t.add(a[1])
	}
	return t
}

// add returns the number of a name, a new one when it has none.
func (t *nameTable) add(name string) int32 {
	if name == "" {
		return idUnknown
	}
	if id, ok := t.ids[name]; ok {
		return id
	}
	id := int32(len(t.names))
	t.names, t.alias = append(t.names, name), append(t.alias, 0)
	t.ids[name] = id
	if len(t.names)*2 > len(t.slots) {
		t.slots = make([]nameSlot, 2*len(t.slots))
		for i, n := range t.names[1:] {
			t.place(n, int32(i+1))
		}
		return id
	}
	t.place(name, id)
	return id
}

func (t *nameTable) place(name string, id int32) {
	i := nameHash([]byte(name)) & uint32(len(t.slots)-1)
	for t.slots[i].id != 0 {
		i = (i + 1) & uint32(len(t.slots)-1)
	}
	t.slots[i] = nameSlot{name, id}
}

// lookup returns the number of a name as it stands in a log, 0 when no rule
// names it. Names with blanks are also known without them, as the rules
// specification asks ("strip all spaces").
func (t *nameTable) lookup(name []byte) int32 {
	if s := t.find(name); s.id != 0 {
		return s.id
	}
	if slices.Contains(name, ' ') {
		return t.ids[strings.ReplaceAll(string(name), " ", "")]
	}
	return idUnknown
}

// find looks a name up exactly; its id is 0 when it is not known.
func (t *nameTable) find(name []byte) *nameSlot {
	mask := uint32(len(t.slots) - 1)
	for i := nameHash(name) & mask; ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.id == 0 || string(name) == s.name {
			return s
		}
	}
}

// nameHash looks at the length and at most 16 bytes.
func nameHash(b []byte) uint32 {
	n := uint64(len(b))
	var x, y uint64
	switch {
	case n >= 8:
		x, y = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		x, y = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		x, y = uint64(b[0]), uint64(b[n/2])|uint64(b[n-1])<<8
	}
	h := (x ^ n*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	h ^= h >> 29
	h = (h ^ y) * 0xc4ceb9fe1a85ec53
	return uint32(h >> 32)
}
