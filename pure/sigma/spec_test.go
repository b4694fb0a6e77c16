package sigma

import (
	"strings"
	"testing"
)

// check matches one detection against one event in JSON, by definition and by
// the engine, which must agree.
func check(t *testing.T, detection, event string) bool {
	t.Helper()
	yaml := "title: t\nid: 1\nlogsource: {product: x}\ndetection:\n" + detection
	set, problems := ParseRules([]File{{Name: "rule.yml", Data: []byte(yaml)}})
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, yaml)
	}
	eng, _ := Compile(set, Options{})
	ev := eng.NewEvent()
	if err := ev.DecodeJSON([]byte(event)); err != nil {
		t.Fatal(err)
	}
	ev.Sources = append(ev.Sources, Logsource{Product: "x"})
	slow, fast := set.Rules[0].Matches(ev), len(eng.NewMatcher().Match(ev)) == 1
	if slow != fast {
		t.Errorf("by definition %v, by the engine %v\n%s\n%s", slow, fast, yaml, event)
	}
	return slow
}

// each case: "item of a selection", then events that match, then events that do not.
func TestModifiersAndValues(t *testing.T) {
	for _, c := range []struct {
		item string
		yes  []string
		no   []string
	}{
		{`F: abc`, []string{`{"F":"ABC"}`, `{"F":["x","abc"]}`}, []string{`{"F":"abcd"}`, `{"F":null}`, `{"G":"abc"}`, `{}`}},
		{`F: ÄÖß`, []string{`{"F":"äöß"}`}, []string{`{"F":"aou"}`}},
		{`F|contains: needle`, []string{`{"F":"ÄÖÜ NEEDLE"}`, `{"F":"x needle","G":"\u212a"}`}, []string{`{"F":"need le ä"}`}},
		{`F|contains: kilroy`, []string{`{"F":"ä \u212aILROY"}`, `{"F":"K\u0130LROY"}`}, nil},
		{`F: kelvin`, []string{`{"F":"\u212aelvin"}`}, []string{`{"F":"elvin"}`}},
		// wildcards and escapes
		{`F: 'a*d'`, []string{`{"F":"ad"}`, `{"F":"aXXd"}`}, []string{`{"F":"adX"}`}},
		{`F: 'a?d'`, []string{`{"F":"aXd"}`, `{"F":"aäd"}`}, []string{`{"F":"ad"}`, `{"F":"aXXd"}`}},
		{`F: 'a\*d'`, []string{`{"F":"a*d"}`}, []string{`{"F":"aXd"}`}},
		{`F: 'a\?d'`, []string{`{"F":"a?d"}`}, []string{`{"F":"aXd"}`}},
		{`F: 'C:\Windows\x'`, []string{`{"F":"C:\\Windows\\x"}`}, []string{`{"F":"C:Windowsx"}`}},
		{`F: 'C:\\Windows\\x'`, []string{`{"F":"C:\\Windows\\x"}`}, []string{`{"F":"C:\\\\Windows\\\\x"}`}},
		{`F: 'a\\*'`, []string{`{"F":"a\\"}`, `{"F":"a\\b"}`}, []string{`{"F":"a*"}`}},
		{`F: 'a\\\*'`, []string{`{"F":"a\\*"}`}, []string{`{"F":"a\\b"}`}},
		{`F: 'a\\\\b'`, []string{`{"F":"a\\\\b"}`}, []string{`{"F":"a\\b"}`}},
		{`F: 'a\\\b'`, []string{`{"F":"a\\\\b"}`}, []string{`{"F":"a\\b"}`}}, // three backslashes are two, as four are
		{`F: 'a\\?'`, []string{`{"F":"a\\x"}`}, []string{`{"F":"a?"}`, `{"F":"a\\"}`}},
		{`F: '%a%'`, []string{`{"F":"%A%"}`}, []string{`{"F":"a"}`}}, // only expand makes a placeholder
		{`F: 'a\'`, []string{`{"F":"a\\"}`}, []string{`{"F":"a"}`}},
		{`F: '*a*b*c'`, []string{`{"F":"abc"}`, `{"F":"xaxbxcabc"}`}, []string{`{"F":"abcx"}`, `{"F":"cba"}`}},
		{`F: '*ab?'`, []string{`{"F":"ababc"}`}, []string{`{"F":"ab"}`}},
		// null, empty, absent
		{`F: null`, []string{`{}`, `{"F":null}`, `{"F":[null]}`}, []string{`{"F":""}`, `{"F":"x"}`}},
		{`F: ''`, []string{`{"F":""}`}, []string{`{}`, `{"F":null}`, `{"F":"x"}`}},
		{`F: '*'`, []string{`{"F":""}`, `{"F":"x"}`}, []string{`{}`, `{"F":null}`}},
		{`F: [null, '']`, []string{`{}`, `{"F":""}`}, []string{`{"F":"x"}`}},
		{`F|neq: null`, []string{`{"F":""}`, `{"F":"x"}`}, []string{`{}`, `{"F":null}`}},
		{`F|neq: ''`, []string{`{}`, `{"F":null}`, `{"F":"x"}`}, []string{`{"F":""}`}},
		{`F|exists|neq: true`, []string{`{}`}, []string{`{"F":"x"}`}},
		{`F|exists: true`, []string{`{"F":""}`, `{"F":null}`, `{"F":"x"}`}, []string{`{}`, `{"G":1}`}},
		{`F|exists: false`, []string{`{}`}, []string{`{"F":null}`, `{"F":"x"}`}},
		{`F|exists: 'no'`, []string{`{}`}, []string{`{"F":"x"}`}},
		// numbers and booleans
		{`F: 4688`, []string{`{"F":4688}`, `{"F":"4688"}`, `{"F":"0x1250"}`}, []string{`{"F":46}`, `{"F":"04688"}`}},
		{`F: '4688'`, []string{`{"F":4688}`}, []string{`{"F":"0x1250"}`}},
		{`F: 0x10`, []string{`{"F":16}`, `{"F":"0x10"}`}, []string{`{"F":10}`}},
		{`F: 007`, []string{`{"F":"007"}`}, []string{`{"F":7}`}},
		{`F: -1`, []string{`{"F":-1}`}, []string{`{"F":1}`}},
		{`F: true`, []string{`{"F":true}`, `{"F":"True"}`}, []string{`{"F":1}`, `{"F":false}`}},
		{`F: 1.5`, []string{`{"F":1.5}`}, []string{`{"F":1}`}},
		// contains and company, all
		{`F|contains: b`, []string{`{"F":"aBc"}`}, []string{`{"F":"ac"}`, `{}`}},
		{`F|startswith: ab`, []string{`{"F":"ABc"}`}, []string{`{"F":"xab"}`}},
		{`F|endswith: '\cmd.exe'`, []string{`{"F":"C:\\CMD.EXE"}`}, []string{`{"F":"cmd.exe"}`, `{"F":"\\cmd.exe.x"}`}},
		{`F|contains: 'a*b'`, []string{`{"F":"xaXbx"}`}, []string{`{"F":"ba"}`}},
		{`F|contains: 17`, []string{`{"F":"x17x"}`}, []string{`{"F":"x1x7"}`}},
		{`F|contains|all: [a, b]`, []string{`{"F":"ba"}`, `{"F":["xa","b"]}`}, []string{`{"F":"a"}`}},
		{`F|startswith: ''`, []string{`{"F":""}`}, []string{`{}`}},
		{`F|contains: 'ünï'`, []string{`{"F":"xÜNÏx"}`}, []string{`{"F":"uni"}`}},
		{`F|all: a`, []string{`{"F":"a"}`}, []string{`{"F":"b"}`}}, // of one value all is any
		{`F|endswith|all: ['b', 'ab']`, []string{`{"F":"xab"}`}, []string{`{"F":"xb"}`}},
		{`F|contains: true`, []string{`{"F":"is TRUE"}`}, []string{`{"F":"t"}`}},
		// cased, neq
		{`F|cased|startswith: aB`, []string{`{"F":"aBc"}`}, []string{`{"F":"abc"}`}},
		{`F|endswith|cased: [aB, C]`, []string{`{"F":"xC"}`}, []string{`{"F":"xc"}`}},
		{`F|cased: 'a*B'`, []string{`{"F":"axB"}`}, []string{`{"F":"axb"}`, `{"F":"AxB"}`}},
		{`F|windash|cased|contains: ' -E'`, []string{`{"F":"x /E"}`}, []string{`{"F":"x /e"}`}},
		{`F|contains|all|neq: [a, b]`, []string{`{"F":"a"}`}, []string{`{"F":"ab"}`}},
		{`F|re|neq: 'a+'`, []string{`{"F":"b"}`, `{}`}, []string{`{"F":"xaa"}`}},
		{`F|cidr|neq: 10.0.0.0/8`, []string{`{"F":"11.0.0.1"}`, `{}`}, []string{`{"F":"10.0.0.1"}`}},
		{`F|lt|neq: 10`, []string{`{"F":10}`, `{}`}, []string{`{"F":9}`}},
		{`F|hour|neq: 3`, []string{`{"F":"2023-04-26T04:04:05Z"}`}, []string{`{"F":"2023-04-26T03:04:05Z"}`}},
		{`F|cased: aB`, []string{`{"F":"aB"}`}, []string{`{"F":"ab"}`}},
		{`F|contains|cased: aB`, []string{`{"F":"xaBx"}`}, []string{`{"F":"xabx"}`}},
		{`F|neq: a`, []string{`{"F":"b"}`, `{}`}, []string{`{"F":"A"}`}},
		{`F|neq: [a, b]`, []string{`{"F":"c"}`}, []string{`{"F":"a"}`, `{"F":"b"}`}},
		{`F|neq: 5`, []string{`{"F":6}`}, []string{`{"F":5}`}},
		{`F|contains|neq: x`, []string{`{"F":"abc"}`}, []string{`{"F":"axc"}`}},
		// regular expressions
		{`F|re: 'a.c$'`, []string{`{"F":"xabc"}`}, []string{`{"F":"xABC"}`, `{"F":"abcd"}`}},
		{`F|re|i: 'a.c'`, []string{`{"F":"ABC"}`}, []string{`{"F":"ac"}`}},
		{`F|re|m: '^b$'`, []string{`{"F":"a\nb\nc"}`}, []string{`{"F":"ab"}`}},
		{`F|re|s: 'a.b'`, []string{`{"F":"a\nb"}`}, []string{`{"F":"ab"}`}},
		{`F|re: 'a.b'`, nil, []string{`{"F":"a\nb"}`}},
		{`F|re|i|s: 'A.B'`, []string{`{"F":"a\nb"}`}, nil},
		{`F|re: ['a+', 'b+']`, []string{`{"F":"b"}`}, []string{`{"F":"c"}`}},
		{`F|re|all: ['a+', 'b+']`, []string{`{"F":"ab"}`}, []string{`{"F":"b"}`}},
		{`F|re: '^a{2,3}[^b]$'`, []string{`{"F":"aac"}`}, []string{`{"F":"aab"}`, `{"F":"ac"}`}},
		{`F|re: 17`, []string{`{"F":"x17"}`}, []string{`{"F":"7"}`}},
		{`F|re|startswith: 'a+'`, []string{`{"F":"aab"}`}, []string{`{"F":"ba"}`}},
		{`F|re|endswith: 'a+'`, []string{`{"F":"baa"}`}, []string{`{"F":"ab"}`}},
		{`F|re|m: ['^b', 'x']`, []string{`{"F":"a\nb"}`}, []string{`{"F":"ab"}`}},
		// networks
		{`F|cidr: 10.1.2.3/8`, []string{`{"F":"10.9.9.9"}`}, []string{`{"F":"11.1.2.3"}`}}, // host bits do not count
		{`F|cidr: 192.0.2.7/32`, []string{`{"F":"192.0.2.7"}`}, []string{`{"F":"192.0.2.8"}`}},
		{`F|cidr: 10.0.0.0/8`, []string{`{"F":"10.1.2.3"}`, `{"F":"::ffff:10.1.2.3"}`}, []string{`{"F":"11.1.2.3"}`, `{"F":"x"}`, `{}`}},
		{`F|cidr: 'fe80::/10'`, []string{`{"F":"fe80::1"}`, `{"F":"fe80::1%eth0"}`}, []string{`{"F":"2001:db8::1"}`, `{"F":"10.0.0.1"}`}},
		{`F|cidr: [192.0.2.0/24, 198.51.100.0/24]`, []string{`{"F":"198.51.100.9"}`}, []string{`{"F":"203.0.113.1"}`}},
		// encodings
		{`F|base64: foobar`, []string{`{"F":"Zm9vYmFy"}`}, []string{`{"F":"zm9vymfy"}`, `{"F":"xZm9vYmFy"}`}},
		{`F|base64|contains: foobar`, []string{`{"F":"xZm9vYmFyx"}`}, []string{`{"F":"xzm9vymfyx"}`}},
		{`F|base64offset|contains: http://`, []string{`{"F":"aHR0cDovL2E="}`, `{"F":"IGh0dHA6Ly9h"}`, `{"F":"ICBodHRwOi8vYQ=="}`}, []string{`{"F":"http://"}`}},
		{`F|wide|base64offset|contains: cmd`, []string{`{"F":"YwBtAGQA"}`, `{"F":"IGMAbQBkAA=="}`}, []string{`{"F":"Y21k"}`}},
		{`F|utf16le|base64: a`, []string{`{"F":"YQA="}`}, nil},
		{`F|utf16be|base64: a`, []string{`{"F":"AGE="}`}, nil},
		{`F|utf16|base64: a`, []string{`{"F":"//5hAA=="}`}, nil},
		{`F|utf16le: ab`, []string{`{"F":"a\u0000b\u0000"}`}, []string{`{"F":"ab"}`}},
		{`F|base64: [foo, bar]`, []string{`{"F":"Zm9v"}`, `{"F":"YmFy"}`}, []string{`{"F":"foo"}`}},
		{`F|base64: 17`, []string{`{"F":"MTc="}`}, []string{`{"F":"17"}`}},
		{`F|utf16le|base64offset|contains: ['cmd', 'zsh']`, []string{`{"F":"YwBtAGQA"}`, `{"F":"egBzAGgA"}`}, []string{`{"F":"Y21k"}`}},
		{`F|utf16be|base64offset|contains: cmd`, []string{`{"F":"AGMAbQBk"}`}, []string{`{"F":"YwBtAGQA"}`}},
		{`F|windash|base64: 'a -b'`, []string{`{"F":"YSAtYg=="}`, `{"F":"YSAvYg=="}`, `{"F":"YSDigJRi"}`}, []string{`{"F":"a -b"}`, `{"F":"YSBi"}`}},
		// windash
		{`F|windash: '-a'`, []string{`{"F":"/A"}`, `{"F":"―a"}`}, []string{`{"F":"a"}`, `{"F":"x-a"}`}},
		{`F|startswith|windash: ['-a', '/b']`, []string{`{"F":"—b x"}`}, []string{`{"F":"b"}`}},
		{`F|windash|contains: ' -enc '`, []string{`{"F":"x -enc y"}`, `{"F":"x /ENC y"}`, `{"F":"x –enc y"}`, `{"F":"x —enc y"}`, `{"F":"x ―enc y"}`}, []string{`{"F":"x enc y"}`}},
		{`F|contains|windash: '-a /b'`, []string{`{"F":"/a –b"}`}, []string{`{"F":"a b"}`}},
		{`F|contains|windash: 'x-y'`, []string{`{"F":"x-y"}`}, []string{`{"F":"x/y"}`}},
		{`F|contains|all|windash: [' -a', ' -b']`, []string{`{"F":" /a -b"}`}, []string{`{"F":" /a"}`}},
		// comparing fields and numbers
		{`F|fieldref: G`, []string{`{"F":"a","G":"A"}`}, []string{`{"F":"a","G":"b"}`, `{"F":"a"}`, `{"F":null,"G":null}`}},
		{`F|fieldref|startswith: G`, []string{`{"F":"abc","G":"ab"}`}, []string{`{"F":"abc","G":"bc"}`}},
		{`F|fieldref|endswith: G`, []string{`{"F":"abc","G":"bc"}`}, []string{`{"F":"abc","G":"ab"}`}},
		{`F|fieldref|contains: G`, []string{`{"F":"abc","G":"b"}`}, []string{`{"F":"abc","G":"x"}`}},
		{`F|fieldref|neq: G`, []string{`{"F":"a","G":"b"}`}, []string{`{"F":"a","G":"a"}`}},
		{`F|fieldref|cased: G`, []string{`{"F":"a","G":"a"}`}, []string{`{"F":"a","G":"A"}`}},
		{`F|lt: 10`, []string{`{"F":9}`, `{"F":"0x9"}`, `{"F":"-3"}`}, []string{`{"F":10}`, `{"F":"x"}`, `{}`, `{"F":""}`}},
		{`F|lte: 10`, []string{`{"F":10}`}, []string{`{"F":11}`}},
		{`F|gt: 1.5`, []string{`{"F":2}`}, []string{`{"F":1.5}`, `{"F":"inf"}`}},
		{`F|gte: 0x10`, []string{`{"F":16}`}, []string{`{"F":15}`}},
		{`F|lt: ['1', '5']`, []string{`{"F":4}`}, []string{`{"F":5}`}},
		{`F|gt|all: [1, 5]`, []string{`{"F":6}`}, []string{`{"F":4}`}},
		{`F|fieldref: [G, H]`, []string{`{"F":"a","H":"a"}`}, []string{`{"F":"a","H":"b"}`}},
		{`F|fieldref|all: [G, H]`, []string{`{"F":"a","G":"a","H":"a"}`}, []string{`{"F":"a","H":"a"}`}},
		// parts of a time
		{`F|minute|gt: 30`, []string{`{"F":"2023-04-26T03:31:05Z"}`}, []string{`{"F":"2023-04-26T03:30:05Z"}`}},
		{`F|day|lte: 7`, []string{`{"F":"2023-04-07"}`}, []string{`{"F":"2023-04-08"}`}},
		{`F|year|gte: 2023`, []string{`{"F":"2023-01-01"}`}, []string{`{"F":"2022-12-31"}`}},
		{`F|hour: 3`, []string{`{"F":1682478245}`, `{"F":1682478245000}`}, []string{`{"F":1682474645}`}}, // Unix time is UTC
		{`F|week: [52, 1]`, []string{`{"F":"2023-01-01"}`, `{"F":"2023-01-02"}`}, []string{`{"F":"2023-01-09"}`}},
		{`F|hour: 3`, []string{`{"F":"2023-04-26T03:04:05Z"}`, `{"F":"2023-04-26 03:04:05.123"}`, `{"F":"2023-04-26T03:04:05+02:00"}`}, []string{`{"F":"2023-04-26T04:04:05Z"}`, `{"F":"x"}`}},
		{`F|hour|gte: 22`, []string{`{"F":"2023-04-26T23:04:05Z"}`}, []string{`{"F":"2023-04-26T21:04:05Z"}`}},
		{`F|minute: 4`, []string{`{"F":"2023-04-26T03:04:05Z"}`}, nil},
		{`F|day: 26`, []string{`{"F":"2023-04-26"}`}, nil},
		{`F|week: 17`, []string{`{"F":"2023-04-26"}`}, nil},
		{`F|month|lt: 5`, []string{`{"F":"2023-04-26"}`}, []string{`{"F":"2023-05-26"}`}},
		{`F|year: [2022, 2023]`, []string{`{"F":"2023-04-26"}`}, []string{`{"F":"2024-04-26"}`}},
		// field names
		{`NewValue: x`, []string{`{"New Value":"x"}`, `{"NewValue":"x"}`}, []string{`{"newvalue":"x"}`}},
		{`a.b: x`, []string{`{"a":{"b":"x"}}`, `{"a.b":"x"}`, `{"a":[{"b":"y"},{"b":"x"}]}`}, nil},
		{`Image: x`, []string{`{"process":{"executable":"x"}}`}, []string{`{"process":{"executable":"x"},"Image":"y"}`}},
	} {
		detection := "    s:\n        " + c.item + "\n    condition: s\n"
		for _, ev := range c.yes {
			if !check(t, detection, ev) {
				t.Errorf("%s does not match %s", c.item, ev)
			}
		}
		for _, ev := range c.no {
			if check(t, detection, ev) {
				t.Errorf("%s matches %s", c.item, ev)
			}
		}
	}
}

func TestConditionsAndSearches(t *testing.T) {
	searches := "    a: {F: a}\n    b_1: {G: b}\n    b_2: {H: b}\n    _c: {I: c}\n"
	for _, c := range []struct {
		cond    string
		yes, no []string
	}{
		{"a", []string{`{"F":"a"}`}, []string{`{"G":"b"}`}},
		{"a and b_1", []string{`{"F":"a","G":"b"}`}, []string{`{"F":"a"}`}},
		{"a or b_1 and b_2", []string{`{"F":"a"}`, `{"G":"b","H":"b"}`}, []string{`{"G":"b"}`}},
		{"(a or b_1) and b_2", []string{`{"F":"a","H":"b"}`}, []string{`{"F":"a"}`}},
		{"not a", []string{`{}`}, []string{`{"F":"a"}`}},
		{"not not a", []string{`{"F":"a"}`}, []string{`{}`}},
		{"not a and b_1", []string{`{"G":"b"}`}, []string{`{"F":"a","G":"b"}`}},
		{"not (a or b_1)", []string{`{"H":"b"}`}, []string{`{"G":"b"}`}},
		{"1 of b_*", []string{`{"H":"b"}`}, []string{`{"F":"a"}`}},
		{"any of b_*", []string{`{"H":"b"}`}, []string{`{"F":"a"}`}},
		{"all of b_*", []string{`{"G":"b","H":"b"}`}, []string{`{"H":"b"}`}},
		{"1 of *_1", []string{`{"G":"b"}`}, []string{`{"H":"b"}`}},
		{"1 of b_1", []string{`{"G":"b"}`}, []string{`{"H":"b"}`}},
		{"1 of *_*", []string{`{"I":"c"}`, `{"G":"b"}`}, []string{`{"F":"a"}`}},
		{"not 1 of b_* and a", []string{`{"F":"a"}`}, []string{`{"F":"a","H":"b"}`, `{}`}},
		{"not all of b_*", []string{`{"G":"b"}`}, []string{`{"G":"b","H":"b"}`}},
		{"not a or b_1 and b_2", []string{`{}`, `{"F":"a","G":"b","H":"b"}`}, []string{`{"F":"a","G":"b"}`}},
		{"a and not (b_1 and not b_2)", []string{`{"F":"a"}`, `{"F":"a","G":"b","H":"b"}`}, []string{`{"F":"a","G":"b"}`}},
		{"((a) and (b_1 or b_2))", []string{`{"F":"a","H":"b"}`}, []string{`{"F":"a"}`}},
		{"_c", []string{`{"I":"c"}`}, []string{`{"F":"a"}`}},
		{"['a and b_1', 'not 1 of them']", []string{`{"F":"a","G":"b"}`, `{}`}, []string{`{"F":"a"}`}},
		{"1 of them", []string{`{"F":"a"}`, `{"H":"b"}`}, []string{`{"I":"c"}`}},
		{"all of them", []string{`{"F":"a","G":"b","H":"b"}`}, []string{`{"F":"a","G":"b","I":"c"}`}},
		{"1 of _*", []string{`{"I":"c"}`}, []string{`{"F":"a"}`}},
		{"a AND NOT 1 OF b_*", []string{`{"F":"a"}`}, []string{`{"F":"a","H":"b"}`}},
		{"[a, b_1]", []string{`{"F":"a"}`, `{"G":"b"}`}, []string{`{"H":"b"}`}},
	} {
		for _, ev := range c.yes {
			if !check(t, searches+"    condition: "+c.cond+"\n", ev) {
				t.Errorf("%q does not match %s", c.cond, ev)
			}
		}
		for _, ev := range c.no {
			if check(t, searches+"    condition: "+c.cond+"\n", ev) {
				t.Errorf("%q matches %s", c.cond, ev)
			}
		}
	}
}

func TestKeywordsAndListsOfMaps(t *testing.T) {
	for _, c := range []struct {
		search  string
		yes, no []string
	}{
		{"    s: [evil, 'b*d']\n", []string{`{"F":"so EVIL"}`, `{"F":1,"G":"xbadx"}`}, []string{`{"evil":"x"}`, `{}`}},
		{"    s:\n        '|all': [one, two]\n", []string{`{"F":"one","G":"two"}`, `{"F":"two one"}`}, []string{`{"F":"one"}`}},
		{"    s:\n        '|all': [one, 'w*d']\n    t: {F: one}\n", []string{`{"F":"one","G":"a wild"}`}, []string{`{"F":"one","G":"wi"}`}},
		{"    s:\n        '|all|cased': [One, two]\n", []string{`{"F":"One","G":"two"}`}, []string{`{"F":"one","G":"two"}`}},
		{"    s:\n        '|cased': One\n", []string{`{"F":"so One"}`}, []string{`{"F":"one"}`}},
		{"    s:\n        '|base64offset': 'http://'\n", []string{`{"F":"x IGh0dHA6Ly9h"}`}, []string{`{"F":"http://"}`}},
		{"    s: ['a\\*b']\n", []string{`{"F":"xa*by"}`}, []string{`{"F":"axb"}`}},
		{"    s: [true, 17]\n", []string{`{"F":"x17"}`, `{"F":true}`}, []string{`{"F":"1"}`}},
		{"    s:\n        - '|all': [one, two]\n        - F: a\n", []string{`{"F":"a"}`, `{"F":"one two"}`}, []string{`{"F":"one"}`}},
		{"    s:\n        '|re': 'a+b'\n", []string{`{"F":"xaab"}`}, []string{`{"F":"ba"}`}},
		{"    s: 1102\n", []string{`{"F":"x1102"}`}, []string{`{"F":"110"}`}},
		{"    s:\n        - F: a\n        - G: b\n", []string{`{"F":"a"}`, `{"G":"b"}`}, []string{`{"F":"b"}`}},
		{"    s:\n        - F: a\n          G: b\n        - H: c\n", []string{`{"F":"a","G":"b"}`, `{"H":"c"}`}, []string{`{"F":"a"}`}},
		{"    s:\n        - word\n        - F: a\n", []string{`{"X":"a word"}`, `{"F":"a"}`}, []string{`{"F":"b"}`}},
		{"    s: [übel]\n", []string{`{"F":"so ÜBEL"}`}, []string{`{"F":"ubel"}`}},
		{"    s: [ab]\n", []string{`{"F":"xABx"}`}, []string{`{"F":"a","G":"b"}`}},
	} {
		for _, ev := range c.yes {
			if !check(t, c.search+"    condition: s\n", ev) {
				t.Errorf("%s does not match %s", c.search, ev)
			}
		}
		for _, ev := range c.no {
			if check(t, c.search+"    condition: s\n", ev) {
				t.Errorf("%s matches %s", c.search, ev)
			}
		}
	}
}

func TestPlaceholdersAreFilledOrRefused(t *testing.T) {
	yaml := "title: t\nlogsource: {product: x}\ndetection:\n    s:\n        F|expand: 'adm_%Servers%'\n        G: '%Servers%'\n    condition: s\n"
	set, problems := ParseOptions{Placeholders: Placeholders{"Servers": {"srv*", "db1"}}}.Parse([]File{{Name: "r.yml", Data: []byte(yaml)}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for ev, want := range map[string]bool{`{"F":"adm_SRV7","G":"%servers%"}`: true, `{"F":"adm_db1","G":"%Servers%"}`: true, `{"F":"adm_x","G":"%Servers%"}`: false, `{"F":"adm_db1","G":"db1"}`: false} {
		e := NewEvent()
		if err := e.DecodeJSON([]byte(ev)); err != nil {
			t.Fatal(err)
		}
		if got := set.Rules[0].Matches(e); got != want {
			t.Errorf("%s: %v", ev, got)
		}
	}
	escaped := "title: t\nlogsource: {product: x}\ndetection:\n    s: {F|expand: '\\%plain%name%'}\n    condition: s\n"
	set, problems = ParseOptions{Placeholders: Placeholders{"name": {"x"}}}.Parse([]File{{Name: "r.yml", Data: []byte(escaped)}})
	e := NewEvent()
	if err := e.DecodeJSON([]byte(`{"F":"%plainx"}`)); err != nil || len(problems) > 0 || !set.Rules[0].Matches(e) {
		t.Errorf("an escaped percent character is not taken for itself: %v %v", err, problems)
	}
	if _, problems = ParseRules([]File{{Name: "r.yml", Data: []byte(yaml)}}); len(problems) != 1 || problems[0].Line != 5 {
		t.Errorf("without values: %v", problems)
	}
}

func TestUnusableRulesAreNamedWithLineAndReason(t *testing.T) {
	for _, c := range []struct{ yaml, reason string }{
		{"- a\n", "map"},
		{"title: x\n", "no detection"},
		{"title: x\ndetection:\n    s: {F: a}\n    condition: s\n", "logsource"},
		{head + "    s: {F: a}\n", "no condition"},
		{head + "    condition: s\n", "no search"},
		{head + "    s: {F: a}\n    condition: t\n", `"t"`},
		{head + "    s: {F: a}\n    condition: s and\n", "ends"},
		{head + "    s: {F: a}\n    condition: (s\n", "bracket"},
		{head + "    s: {F: a}\n    condition: s s\n", "unexpected"},
		{head + "    s: {F: a}\n    condition: 2 of s*\n", "2"},
		{head + "    s: {F: a}\n    condition: 1 of t*\n", "t*"},
		{head + "    s: {F: a}\n    condition: s | count() > 5\n", "correlation"},
		{head + "    s: {F|what: a}\n    condition: s\n", "what"},
		{head + "    s: {F|re: '('}\n    condition: s\n", "regular expression"},
		{head + "    s: {F|re: '(?=a)'}\n    condition: s\n", "regular expression"},
		{head + "    s: {F|cidr: 300.1.1.1/8}\n    condition: s\n", "CIDR"},
		{head + "    s: {F|lt: abc}\n    condition: s\n", "number"},
		{head + "    s: {F|exists: maybe}\n    condition: s\n", "exists"},
		{head + "    s: {F|base64: 'a*'}\n    condition: s\n", "wildcards"},
		{head + "    s: {F|i: a}\n    condition: s\n", "after re"},
		{head + "    s: {'F|': a}\n    condition: s\n", "modifier"},
		{head + "    s: {F|windash: null}\n    condition: s\n", "text"},
		{head + "    s: {F|fieldref: 5}\n    condition: s\n", "fieldref"},
		{head + "    s: {F|fieldref|gt: G}\n    condition: s\n", "number"},
		{head + "    s: {F|hour: x}\n    condition: s\n", "number"},
		{head + "    s: {F|exists: [true, false]}\n    condition: s\n", "exists"},
		{head + "    s: {'|exists': true}\n    condition: s\n", "exists"},
		{head + "    s: {F|re|windash: a}\n    condition: s\n", "text"},
		{head + "    s: {F|re|Contains: a}\n    condition: s\n", "Contains"},
		{head + "    s: {F: a}\n    condition: 1 of them of them\n", "unexpected"},
		{head + "    _s: {F: a}\n    condition: all of them\n", "them"},
		{head + "    s: {F: a}\n    condition: not\n", "ends"},
		{head + "    s: {F: a}\n    condition: []\n", "empty"},
		{head + "    s: {F: []}\n    condition: s\n", "empty"},
		{head + "    s: []\n    condition: s\n", "empty"},
		{head + "    s: {F: {G: a}}\n    condition: s\n", "value"},
		{head + "    s: {F: a, F: b}\n    condition: s\n", "twice"},
		{head + "    s: {'|contains': null}\n    condition: s\n", "text"},
		{"title: x\n\tbad", "YAML"},
		{"action: global\ntitle: x\n", "action"},
	} {
		_, problems := ParseRules([]File{{Name: "r.yml", Data: []byte(c.yaml)}})
		if len(problems) != 1 || !strings.Contains(problems[0].Reason, c.reason) || (problems[0].Line == 0 && c.reason != "YAML") {
			t.Errorf("%q: got %v, want a reason with %q and a line", c.yaml, problems, c.reason)
		}
	}
}

func TestRulesWithoutRouteAreNamed(t *testing.T) {
	set, _ := ParseRules([]File{{Name: "r.yml", Data: []byte("title: t\nid: x\nlogsource: {product: windows, category: file_access}\ndetection: {s: {F: a}, condition: s}\n")}})
	_, problems := Compile(set, Options{})
	if len(problems) != 1 || problems[0].Rule != "x" || !strings.Contains(problems[0].Reason, "file_access") {
		t.Errorf("got %v", problems)
	}
}

func FuzzRules(f *testing.F) {
	f.Add("title: t\nlogsource: {product: x}\ndetection:\n    s:\n        F|contains|all: ['a*', b]\n        G|re|i: 'x+'\n    k: [word]\n    condition: 1 of s* and not k\n", `{"F":"ab","G":"xx"}`)
	f.Add("title: t\nlogsource: {product: x}\ndetection:\n    s:\n        F|windash|contains: ' -a'\n        G: null\n        H|cidr: 10.0.0.0/8\n    condition: s or not s\n", `{"F":" /a","H":"10.1.1.1"}`)
	f.Add("title: c\ncorrelation:\n    type: event_count\n    rules: [t]\n    group-by: [F]\n    timespan: 5m\n    condition: {gte: 2}\n", `{}`)
	f.Fuzz(func(t *testing.T, rule, event string) {
		if len(rule) > 4000 || len(event) > 4000 {
			return
		}
		set, problems := ParseRules([]File{{Name: "f.yml", Data: []byte(rule)}})
		for _, p := range problems {
			_ = p.Error()
		}
		eng, _ := Compile(set, Options{})
		ev := eng.NewEvent()
		if ev.DecodeJSON([]byte(event)) != nil {
			return
		}
		m := eng.NewMatcher()
		ev.Sources = append(ev.Sources, Logsource{Product: "x"})
		fast := map[*Rule]bool{}
		m.Match(ev)
		for _, r := range m.All() {
			fast[r] = true
		}
		for _, r := range set.Rules {
			if want := m.Applies(r, ev) && r.Matches(ev); want != fast[r] {
				t.Errorf("by definition %v, by the engine %v\n%s\n%s", want, fast[r], rule, event)
			}
		}
		eng.NewCorrelator(CorrelatorOptions{}).Observe(ev, m.All(), "")
	})
}
