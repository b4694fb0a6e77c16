package evtx

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Type is the type of a value as BinXml has it ([MS-EVEN6] §2.2.12, BinXml value types).
type Type uint8

// The value types. An array has ArrayFlag set on the type of its items.
const (
	Null       Type = 0x00
	String     Type = 0x01
	AnsiString Type = 0x02
	Int8       Type = 0x03
	UInt8      Type = 0x04
	Int16      Type = 0x05
	UInt16     Type = 0x06
	Int32      Type = 0x07
	UInt32     Type = 0x08
	Int64      Type = 0x09
	UInt64     Type = 0x0a
	Real32     Type = 0x0b
	Real64     Type = 0x0c
	Bool       Type = 0x0d
	Binary     Type = 0x0e
	GUID       Type = 0x0f
	SizeT      Type = 0x10
	FileTime   Type = 0x11
	SysTime    Type = 0x12
	SID        Type = 0x13
	HexInt32   Type = 0x14
	HexInt64   Type = 0x15
	EvtHandle  Type = 0x20
	BinXML     Type = 0x21
	EvtXML     Type = 0x23

	ArrayFlag Type = 0x80
)

// width is the size of one item; 0 when it varies.
func (t Type) width() int {
	switch t {
	case Int8, UInt8:
		return 1
	case Int16, UInt16:
		return 2
	case Int32, UInt32, Real32, Bool, HexInt32:
		return 4
	case Int64, UInt64, Real64, FileTime, HexInt64:
		return 8
	case GUID, SysTime:
		return 16
	case Null, String, AnsiString, Binary, SizeT, SID, EvtHandle, BinXML, EvtXML, ArrayFlag:
		return 0
	}
	return 0
}

// appendValue renders one value as Windows shows it.
func appendValue(dst []byte, t Type, b []byte) []byte {
	if w := t.width(); w > 0 && len(b) < w {
		return appendHex(dst, b) // shorter than its type: show what is there
	}
	switch t {
	case String:
		return appendUTF16(dst, trimNUL16(b))
	case AnsiString:
		return appendLatin(dst, b)
	case Int8:
		return strconv.AppendInt(dst, int64(int8(b[0])), 10)
	case UInt8:
		return strconv.AppendUint(dst, uint64(b[0]), 10)
	case Int16:
		return strconv.AppendInt(dst, int64(int16(binary.LittleEndian.Uint16(b))), 10)
	case UInt16:
		return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint16(b)), 10)
	case Int32:
		return strconv.AppendInt(dst, int64(int32(binary.LittleEndian.Uint32(b))), 10)
	case UInt32:
		return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(b)), 10)
	case Int64:
		return strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(b)), 10)
	case UInt64:
		return strconv.AppendUint(dst, binary.LittleEndian.Uint64(b), 10)
	case Real32:
		return strconv.AppendFloat(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 'g', -1, 32)
	case Real64:
		return strconv.AppendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(b)), 'g', -1, 64)
	case Bool:
		return strconv.AppendBool(dst, binary.LittleEndian.Uint32(b) != 0)
	case GUID:
		return appendGUID(dst, b)
	case FileTime:
		return appendTime(dst, fileTime(binary.LittleEndian.Uint64(b)))
	case SysTime:
		return appendTime(dst, sysTime(b))
	case SID:
		return appendSID(dst, b)
	case HexInt32:
		return strconv.AppendUint(append(dst, '0', 'x'), uint64(binary.LittleEndian.Uint32(b)), 16)
	case HexInt64:
		return strconv.AppendUint(append(dst, '0', 'x'), binary.LittleEndian.Uint64(b), 16)
	case SizeT, EvtHandle:
		return appendSizeT(dst, b)
	case EvtXML:
		return appendUTF16(dst, trimNUL16(b))
	case Null:
		return dst
	case Binary, BinXML, ArrayFlag:
	}
	return appendHex(dst, b)
}

func appendSizeT(dst, b []byte) []byte {
	switch {
	case len(b) >= 8:
		return strconv.AppendUint(append(dst, '0', 'x'), binary.LittleEndian.Uint64(b), 16)
	case len(b) >= 4:
		return strconv.AppendUint(append(dst, '0', 'x'), uint64(binary.LittleEndian.Uint32(b)), 16)
	}
	return appendHex(dst, b)
}

func appendHex(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// appendGUID writes {XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}.
func appendGUID(dst, b []byte) []byte {
	order := [...]byte{3, 2, 1, 0, 255, 5, 4, 255, 7, 6, 255, 8, 9, 255, 10, 11, 12, 13, 14, 15}
	dst = append(dst, '{')
	for _, i := range order {
		if i == 255 {
			dst = append(dst, '-')
			continue
		}
		dst = appendHex(dst, b[i:i+1])
	}
	return append(dst, '}')
}

// appendSID writes S-1-5-18 and the like ([MS-DTYP] §2.4.2.1).
func appendSID(dst, b []byte) []byte {
	if len(b) < 8 || len(b) < 8+4*int(b[1]) {
		return appendHex(dst, b)
	}
	dst = append(dst, 'S', '-')
	dst = strconv.AppendUint(dst, uint64(b[0]), 10)
	dst = append(dst, '-')
	var auth uint64
	for _, c := range b[2:8] {
		auth = auth<<8 | uint64(c)
	}
	dst = strconv.AppendUint(dst, auth, 10)
	for i := range int(b[1]) {
		dst = append(dst, '-')
		dst = strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(b[8+4*i:])), 10)
	}
	return dst
}

// fileTime turns 100 ns since 1601 into a time.
func fileTime(v uint64) time.Time {
	const epoch = 116444736000000000 // 1970 in that count
	if v > 1<<62 {
		return time.Time{}
	}
	d := int64(v) - epoch
	sec, rest := d/1e7, d%1e7
	return time.Unix(sec, rest*100).UTC()
}

func sysTime(b []byte) time.Time {
	f := func(i int) int { return int(binary.LittleEndian.Uint16(b[2*i:])) }
	return time.Date(f(0), time.Month(f(1)), f(3), f(4), f(5), f(6), f(7)*1e6, time.UTC)
}

// appendTime writes 2006-01-02T15:04:05.1234567Z, the digits a FILETIME has.
func appendTime(dst []byte, t time.Time) []byte {
	y, mo, d := t.Date()
	h, mi, s := t.Clock()
	if y < 1000 || y > 9999 {
		return t.AppendFormat(dst, "2006-01-02T15:04:05.0000000Z")
	}
	dst = append(dst, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-')
	dst = append(two(append(two(dst, int(mo)), '-'), d), 'T')
	dst = append(two(append(two(append(two(dst, h), ':'), mi), ':'), s), '.')
	n := t.Nanosecond() / 100
	for div := 1000000; div > 0; div /= 10 {
		dst = append(dst, byte('0'+n/div%10))
	}
	return append(dst, 'Z')
}

func two(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// trimNUL16 takes the terminating zeros off.
func trimNUL16(b []byte) []byte {
	b = b[:len(b)&^1]
	for len(b) >= 2 && b[len(b)-1] == 0 && b[len(b)-2] == 0 {
		b = b[:len(b)-2]
	}
	return b
}

// appendUTF16 converts little-endian UTF-16; lone surrogates become U+FFFD.
func appendUTF16(dst, b []byte) []byte {
	i := 0
	for i+8 <= len(b) { // four ASCII characters at a time
		v := binary.LittleEndian.Uint64(b[i:])
		if v&0xff80ff80ff80ff80 != 0 {
			break
		}
		dst = append(dst, byte(v), byte(v>>16), byte(v>>32), byte(v>>48))
		i += 8
	}
	for ; i+2 <= len(b); i += 2 {
		u := rune(b[i]) | rune(b[i+1])<<8
		switch {
		case u < utf8.RuneSelf:
			dst = append(dst, byte(u))
		case utf16.IsSurrogate(u) && i+4 <= len(b):
			r := utf16.DecodeRune(u, rune(b[i+2])|rune(b[i+3])<<8)
			if r != utf8.RuneError {
				i += 2
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = utf8.AppendRune(dst, u)
		}
	}
	return dst
}

// appendLatin converts an 8-bit string; bytes above 0x7f are taken as Latin-1.
func appendLatin(dst, b []byte) []byte {
	for _, c := range b {
		if c == 0 {
			break
		}
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}
