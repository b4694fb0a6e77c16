package evtx

import "fmt"

// DamageKind says how much a damage costs.
type DamageKind uint8

// The kinds of damage.
const (
	DamagedHeader DamageKind = iota + 1 // of the file; records are read all the same
	DamagedChunk                        // its records are read as far as they can be found
	DamagedRecord                       // this record is lost
	BadChecksum                         // content differs from its checksum; records are read all the same
)

// String names the kind.
func (k DamageKind) String() string {
	switch k {
	case DamagedHeader:
		return "header"
	case DamagedChunk:
		return "chunk"
	case DamagedRecord:
		return "record"
	case BadChecksum:
		return "checksum"
	}
	return "unknown"
}

// Damage is one thing that could not be read, or is doubtful.
type Damage struct {
	Chunk  int    // -1: the file header
	Offset int64  // in the file
	Record uint64 // id of the lost record, when it could be read
	Kind   DamageKind
	Reason string
}

// Error reads as one line.
func (d Damage) Error() string {
	s := fmt.Sprintf("offset %d: %s: %s", d.Offset, d.Kind, d.Reason)
	if d.Record != 0 {
		s = fmt.Sprintf("record %d, %s", d.Record, s)
	}
	return s
}

// maxReports bounds the list for files that are nothing but damage; the counts go on.
const maxReports = 10000

func (r *Reader) report(d Damage) {
	if len(r.damage) < maxReports {
		r.damage = append(r.damage, d)
	}
}
