package sigma

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func lines(e *Event) []string {
	var out []string
	e.Each(func(name, value string, null bool) {
		if null {
			out = append(out, name)
			return
		}
		out = append(out, name+"="+value)
	})
	return out
}

func TestJSONBecomesFieldsThatRulesName(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"flat", `{"Image":"C:\\a\\b.exe","EventID":1,"Ok":true,"N":null,"F":-1.5e3}`, []string{`Image=C:\a\b.exe`, "EventID=1", "Ok=true", "N", "F=-1.5e3"}},
		{"escapes", `{"a":"\"\/\b\f\n\r\t\u00e4\ud83d\ude00\ud83dx"}`, []string{"a=\"/\b\f\n\r\tä😀\uFFFDx"}},
		{"long texts", `{"abcdefghijklmnop":"0123456789abcdef\\0123456789"}`, []string{`abcdefghijklmnop=0123456789abcdef\0123456789`}},
		{"lists", ` { "a" : [ 1 , "x" , null , [ 2 ] ] , "b":[] } `, []string{"a=1", "a=x", "a", "a=2"}},
		{"nested", `{"a":{"b":{"c":1},"d":[{"e":2},{"e":3}]},"f":4}`, []string{"a.b.c=1", "a.d.e=2", "a.d.e=3", "f=4"}},
		{
			"evtx_dump", `{"Event":{"#attributes":{"xmlns":"u"},"System":{"Provider":{"#attributes":{"Name":"P"}},"EventID":{"#attributes":{"Qualifiers":0},"#text":7},"Channel":"System"},"EventData":{"Image":"x","Level":"3"},"UserData":{"X":{"Y":"z"}}}}`,
			[]string{"Event.#attributes.xmlns=u", "Provider_Name=P", "EventID_Qualifiers=0", "EventID=7", "Channel=System", "Image=x", "EventData.Level=3", "Y=z"},
		},
		{"winlogbeat", `{"@timestamp":"t","winlog":{"channel":"Security","event_id":4688,"event_data":{"NewProcessName":"x"}}}`, []string{"@timestamp=t", "Channel=Security", "EventID=4688", "NewProcessName=x"}},
		{"winlogbeat flattened", `{"winlog.channel":"Security","winlog.event_data.A":"x"}`, []string{"Channel=Security", "A=x"}},
		{
			"journald", `{"MESSAGE":"Failed password for bob from 192.0.2.1 port 9 ssh2","SYSLOG_IDENTIFIER":"sshd","_HOSTNAME":"h","__REALTIME_TIMESTAMP":"1682478000000000"}`,
			[]string{"MESSAGE=Failed password for bob from 192.0.2.1 port 9 ssh2", "SYSLOG_IDENTIFIER=sshd", "_HOSTNAME=h", "__REALTIME_TIMESTAMP=1682478000000000", "outcome=failed", "method=password", "user=bob", "src_ip=192.0.2.1", "src_port=9"},
		},
		{"empty", `{}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := NewEvent()
			if err := e.DecodeJSON([]byte(c.in)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, lines(e)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestBrokenJSONIsRefusedWithItsPlace(t *testing.T) {
	for _, in := range []string{"", "x", "{", `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{"a":"x`, `{"a":"\`, `{"a":"\u12`, `{"a":"\x"}`, `{"a":tru}`, `{"a":1}x`, `{"a":[1`, `{"a":[1,]}`, `[1]`, `{"a":-}`, strings.Repeat(`{"a":`, 100)} {
		if err := NewEvent().DecodeJSON([]byte(in)); err == nil {
			t.Errorf("%q is taken for JSON", in)
		}
	}
}

func TestPredictedNamesAreTheOnesThatStandThere(t *testing.T) {
	e := NewEvent()
	for _, c := range []struct{ in, want string }{
		{`{"a":1,"b":2}`, "a=1 b=2"},
		{`{"a":1,"c":2}`, "a=1 c=2"},
		{`{"a":1,"b":2}`, "a=1 b=2"},
		{`{"a":{"x":1},"b":[2,3]}`, "a.x=1 b=2 b=3"},
		{`{"a":1,"b" : 2}`, "a=1 b=2"},
		{`{"a\\b":1}`, `a\b=1`},
		{`{"a\b":1}`, "a\b=1"},
		{`{"a\\b":1}`, `a\b=1`},
		{`{"a\"b":1}`, `a"b=1`},
		{`{"a\"b":1}`, `a"b=1`},
	} {
		e.Reset()
		if err := e.DecodeJSON([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(lines(e), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.in, got, c.want)
		}
	}
	e.Reset()
	if err := e.DecodeJSON([]byte(`{"a"b":1}`)); err == nil {
		t.Error("a name with a bare quote is taken for JSON")
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(`{"Image":"C:\\a\\b.exe","EventID":1,"Ok":true,"N":null,"L":[1,{"x":"\u00e4\ud83d\ude00"}]}`)
	f.Add(`{"Event":{"System":{"Provider":{"#attributes":{"Name":"P"}}}}}`)
	e := NewEvent()
	f.Fuzz(func(t *testing.T, in string) {
		e.Reset()
		err := e.DecodeJSON([]byte(in))
		var want map[string]any
		if json.Unmarshal([]byte(in), &want) == nil && want != nil && err != nil && len(in) < 1000 && !strings.Contains(err.Error(), "too") {
			t.Fatalf("%q is JSON, but: %v", in, err)
		}
		for _, l := range lines(e) {
			_ = l
		}
	})
}
