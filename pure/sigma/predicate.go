package sigma

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
)

// predOp is the kind of test a predicate makes.
type predOp uint8

const (
	opPattern predOp = iota + 1
	opNumber         // equal to a number written in the rule
	opRegex
	opCIDR
	opExists
	opNull
	opFieldRef
	opLess
	opLessEq
	opGreater
	opGreaterEq
	opTime // a part of a time equals, or compares with, a number
)

// timePart is what a time modifier takes out of a time.
type timePart uint8

const (
	noPart timePart = iota
	partMinute
	partHour
	partDay
	partWeek
	partMonth
	partYear
)

// predicate is one test of one field. Field "" means: any value of the event.
type predicate struct {
	field string
	op    predOp
	cased bool
	pat   pattern // opPattern: folded unless cased; opFieldRef: what stands around the other field's value
	re    *regexp.Regexp
	net   netip.Prefix
	num   float64
	text  string   // opNumber: as text; opFieldRef: the other field
	want  bool     // opExists
	part  timePart // opTime
	cmp   predOp   // opTime: opNumber or one of the comparisons
}

// key is equal for predicates that always answer alike.
func (p *predicate) key() string {
	k := strconv.Itoa(int(p.op)) + "\x00" + p.field + "\x00"
	if p.cased {
		k += "c"
	}
	switch p.op {
	case opPattern:
		return k + p.pat.key()
	case opNumber:
		return k + p.text
	case opRegex:
		return k + p.re.String()
	case opCIDR:
		return k + p.net.String()
	case opExists:
		return k + strconv.FormatBool(p.want)
	case opFieldRef:
		return k + p.text + "\x00" + p.pat.key()
	case opTime:
		return k + fmt.Sprint(p.part, p.cmp, p.num)
	case opNull:
		return k
	case opLess, opLessEq, opGreater, opGreaterEq:
		return k + strconv.FormatFloat(p.num, 'g', -1, 64)
	}
	return k
}

func (p pattern) key() string {
	var k []byte
	for _, x := range p {
		k = append(k, byte('0'+x.kind))
		k = strconv.AppendInt(k, int64(len(x.text)), 10)
		k = append(k, ':')
		k = append(k, x.text...)
	}
	return string(k)
}

// String describes the test for people.
func (p *predicate) String() string {
	f := p.field
	if f == "" {
		f = "any value"
	}
	switch p.op {
	case opPattern:
		if p.cased {
			return fmt.Sprintf("%s is (case counts) %q", f, p.pat)
		}
		return fmt.Sprintf("%s is %q", f, p.pat)
	case opNumber:
		return fmt.Sprintf("%s is %s", f, p.text)
	case opRegex:
		return fmt.Sprintf("%s matches /%s/", f, p.re)
	case opCIDR:
		return fmt.Sprintf("%s lies in %s", f, p.net)
	case opExists:
		if p.want {
			return f + " exists"
		}
		return f + " does not exist"
	case opNull:
		return f + " is null or absent"
	case opFieldRef:
		return fmt.Sprintf("%s is the value of %s", f, p.text)
	case opLess, opLessEq, opGreater, opGreaterEq:
		return fmt.Sprintf("%s %s %v", f, p.op.sign(), p.num)
	case opTime:
		return fmt.Sprintf("%s of %s %s %v", p.part, f, p.cmp.sign(), p.num)
	}
	return f
}

func (op predOp) sign() string {
	//exhaustive:ignore
	switch op { // only comparisons have a sign
	case opLess:
		return "<"
	case opLessEq:
		return "<="
	case opGreater:
		return ">"
	case opGreaterEq:
		return ">="
	default:
		return "="
	}
}

// String names the part as the modifier does.
func (t timePart) String() string {
	return [...]string{"", "minute", "hour", "day", "week", "month", "year"}[t]
}

// compare applies a comparison to two numbers.
func (op predOp) compare(a, b float64) bool {
	//exhaustive:ignore
	switch op { // only comparisons reach here
	case opLess:
		return a < b
	case opLessEq:
		return a <= b
	case opGreater:
		return a > b
	case opGreaterEq:
		return a >= b
	default:
		return a == b
	}
}
