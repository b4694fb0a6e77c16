package sigma

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTextLinesBecomeFields(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       []string
		time       string
		services   []string
	}{
		{
			"RFC 3164 from sshd", "Dec 10 06:55:46 LabSZ sshd[24200]: Failed password for invalid user web master from 173.234.31.186 port 38926 ssh2",
			[]string{"timestamp=Dec 10 06:55:46", "host=LabSZ", "pid=24200", "program=sshd", "message=Failed password for invalid user web master from 173.234.31.186 port 38926 ssh2", "outcome=failed", "method=password", "user=web master", "src_ip=173.234.31.186", "src_port=38926"},
			"2023-12-10T06:55:46Z",
			[]string{"syslog", "sshd", "auth"},
		},
		{
			"RFC 3339 with a key", "2023-04-26T03:12:07.5+02:00 bz1 sshd[7]: Accepted publickey for root from 10.0.0.5 port 4711 ssh2: ED25519 SHA256:abc",
			[]string{"timestamp=2023-04-26T03:12:07.5+02:00", "host=bz1", "pid=7", "program=sshd", "message=Accepted publickey for root from 10.0.0.5 port 4711 ssh2: ED25519 SHA256:abc", "outcome=accepted", "method=publickey", "user=root", "src_ip=10.0.0.5", "src_port=4711", "fingerprint=SHA256:abc"},
			"2023-04-26T01:12:07.5Z",
			[]string{"syslog", "sshd", "auth"},
		},
		{
			"RFC 5424", "<165>1 2003-10-11T22:14:15.003Z mymachine evntslog - ID47 [ex@32473 iut=\"3\" a=\"x\\\"]y\"] \ufeffAn application event",
			[]string{"facility=20", "severity=5", "timestamp=2003-10-11T22:14:15.003Z", "host=mymachine", "program=evntslog", "msgid=ID47", "iut=3", `a=x"]y`, "message=An application event"},
			"2003-10-11T22:14:15.003Z",
			[]string{"syslog", "evntslog"},
		},
		{
			"auditd", `type=EXECVE msg=audit(1604996384.965:93777): argc=2 a0="dd" a1=6966`,
			[]string{`message=type=EXECVE msg=audit(1604996384.965:93777): argc=2 a0="dd" a1=6966`, "type=EXECVE", "argc=2", "a0=dd", "a1=6966"},
			"2020-11-10T08:19:44.965Z",
			[]string{"syslog", "auditd"},
		},
		{
			"PAM", "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 rhost=218.188.2.4  user=root",
			[]string{"timestamp=Jun 14 15:16:01", "host=combo", "pid=19939", "program=sshd(pam_unix)", "message=authentication failure; logname= uid=0 rhost=218.188.2.4  user=root", "outcome=failed", "src_ip=218.188.2.4", "user=root"},
			"2023-06-14T15:16:01Z",
			[]string{"syslog", "sshd", "auth"},
		},
		{
			"Cisco IOS", "172.16.5.10 6705: Feb 17 13:40:03.673: %PARSER-5-CFGLOG_LOGGEDCMD: User:admin  logged command:x",
			[]string{"message=172.16.5.10 6705: Feb 17 13:40:03.673: %PARSER-5-CFGLOG_LOGGEDCMD: User:admin  logged command:x", "mnemonic=PARSER-5-CFGLOG_LOGGEDCMD"},
			"2023-02-17T13:40:03Z",
			[]string{"aaa", "bgp", "ldp", "syslog"},
		},
		{"anything else", "just words", []string{"message=just words"}, "", []string{"syslog"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := NewEvent()
			e.DecodeText(c.line+"\r\n", 2023)
			if d := cmp.Diff(c.want, lines(e)); d != "" {
				t.Errorf("fields (-want +got):\n%s", d)
			}
			at := ""
			if !e.Time.IsZero() {
				at = e.Time.UTC().Format(time.RFC3339Nano)
			}
			if len(at) > 24 {
				at = e.Time.UTC().Round(time.Millisecond).Format(time.RFC3339Nano)
			}
			var services []string
			for _, s := range e.Sources {
				services = append(services, s.Service)
			}
			if at != c.time || cmp.Diff(c.services, services) != "" {
				t.Errorf("time %s of services %v, want %s of %v", at, services, c.time, c.services)
			}
		})
	}
}

func FuzzDecodeText(f *testing.F) {
	f.Add("<165>1 2003-10-11T22:14:15.003Z m p - I [e i=\"3\"] x")
	f.Add("Dec 10 06:55:46 h sshd[1]: Failed password for x from 1.2.3.4 port 5 ssh2")
	f.Add(`type=EXECVE msg=audit(1604996384.965:9): a0="dd" msg='op=x res=success'`)
	f.Fuzz(func(t *testing.T, line string) {
		e := NewEvent()
		e.DecodeText(line, 2023)
		if _, ok := e.Get("message"); !ok {
			t.Errorf("%q lost its message", line)
		}
	})
}
