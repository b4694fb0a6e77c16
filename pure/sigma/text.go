package sigma

import (
	"strconv"
	"strings"
	"time"
)

// DecodeText fills the event from one line of a text log: syslog (RFC 5424,
// RFC 3164, or with an RFC 3339 time as rsyslog and journalctl write it),
// auditd, or anything else, which becomes the field message alone.
//
// Fields: message, host, program, pid, facility, severity, timestamp; for
// auditd its own names; for sshd and PAM also user, src_ip, src_port, method,
// fingerprint and outcome (accepted, failed, invalid_user, opened). Sources are
// set from the program: a line of sshd is of the services sshd, auth and syslog.
//
// RFC 3164 has no year: year is taken, 0 leaves the time out.
func (e *Event) DecodeText(line string, year int) {
	line = strings.TrimRight(line, "\r\n")
	if pri, rest, ok := priority(line); ok {
		e.Add("facility", facility(pri/8))
		e.Add("severity", strconv.Itoa(pri%8))
		line = rest
	}
	msg, program := "", ""
	switch {
	case strings.HasPrefix(line, "1 ") && strings.Count(line, " ") >= 6:
		msg, program = e.rfc5424(line[2:])
	case strings.HasPrefix(line, "type=") || strings.HasPrefix(line, "node="):
		msg, program = line, "auditd"
	default:
		msg, program = e.header(line, year)
	}
	e.Add("message", msg)
	if e.cisco(line, year) {
		return
	}
	e.origin(program)
	switch {
	case strings.HasPrefix(msg, "type=") || strings.HasPrefix(msg, "node=") || program == "auditd" || program == "audispd":
		e.audit(msg)
	case strings.HasPrefix(program, "sshd") || strings.Contains(msg, "pam_unix("):
		e.login(msg)
	}
}

// cisco recognises the messages of IOS devices, "time: %FACILITY-SEVERITY-MNEMONIC: text".
// Which of the device's log sources a line is for, only the rule knows.
func (e *Event) cisco(line string, year int) bool {
	before, rest, ok := strings.Cut(line, "%")
	if !ok || len(before) > 100 {
		return false
	}
	tag, _, ok := strings.Cut(rest, ":")
	parts := strings.Split(tag, "-")
	if !ok || len(parts) < 3 || strings.ContainsAny(tag, " abcdefghijklmnopqrstuvwxyz") || len(parts[len(parts)-2]) != 1 {
		return false
	}
	e.Add("mnemonic", tag)
	for i := 0; i+15 <= len(before); i++ {
		if t, err := time.Parse("2006 Jan _2 15:04:05", strconv.Itoa(year)+" "+before[i:i+15]); err == nil && year > 0 {
			e.Time = t
			break
		}
	}
	for _, s := range [...]string{"aaa", "bgp", "ldp", "syslog"} {
		e.Sources = append(e.Sources, Logsource{Product: "cisco", Service: s})
	}
	return true
}

// journal completes an entry of journald, as journalctl -o json writes it.
func (e *Event) journal(program string) {
	e.origin(program)
	msg, _ := e.Get("MESSAGE")
	switch {
	case program == "audit" || strings.HasPrefix(msg, "type="):
		e.audit(msg)
	case strings.HasPrefix(program, "sshd") || strings.Contains(msg, "pam_unix("):
		e.login(msg)
	}
}

// priority reads "<PRI>" (RFC 5424 §6.2.1).
func priority(s string) (int, string, bool) {
	if s == "" || s[0] != '<' {
		return 0, s, false
	}
	end := strings.IndexByte(s, '>')
	if end < 2 || end > 4 {
		return 0, s, false
	}
	n, err := strconv.Atoi(s[1:end])
	return n, s[end+1:], err == nil && n >= 0 && n < 192
}

func facility(n int) string {
	names := [...]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"}
	if n < len(names) {
		return names[n]
	}
	return strconv.Itoa(n)
}

// rfc5424 reads TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG.
func (e *Event) rfc5424(s string) (msg, program string) {
	var part [5]string
	for i := range part {
		part[i], s, _ = strings.Cut(s, " ")
		if part[i] == "-" {
			part[i] = ""
		}
	}
	e.stamp(part[0])
	e.addSet("host", part[1])
	e.addSet("program", part[2])
	e.addSet("pid", part[3])
	e.addSet("msgid", part[4])
	s = e.structured(s)
	return strings.TrimPrefix(strings.TrimPrefix(s, " "), "\ufeff"), part[2]
}

// structured reads [id name="value" …]… and returns what follows.
func (e *Event) structured(s string) string {
	if strings.HasPrefix(s, "-") {
		return s[1:]
	}
	for strings.HasPrefix(s, "[") {
		i := strings.IndexAny(s, " ]")
		if i < 0 {
			return s
		}
		s = s[i:]
		for strings.HasPrefix(s, " ") {
			name, rest, ok := strings.Cut(s[1:], `="`)
			if !ok {
				return s
			}
			end := closingQuote(rest)
			if end < 0 {
				return s
			}
			e.Add(name, strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, `]`).Replace(rest[:end]))
			s = rest[end+1:]
		}
		s = strings.TrimPrefix(s, "]")
	}
	return s
}

func closingQuote(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// header reads "TIME HOST PROGRAM[PID]: message", in the form of RFC 3164 or with an RFC 3339 time.
func (e *Event) header(line string, year int) (msg, program string) {
	rest := ""
	switch {
	case len(line) > 16 && isMonth(line[:3]) && line[3] == ' ' && line[15] == ' ':
		e.Add("timestamp", line[:15])
		if t, err := time.Parse("2006 Jan _2 15:04:05", strconv.Itoa(year)+" "+line[:15]); err == nil && year > 0 {
			e.Time = t
		}
		rest = line[16:]
	case len(line) > 20 && line[4] == '-' && line[7] == '-' && (line[10] == 'T'):
		at, after, ok := strings.Cut(line, " ")
		if !ok || !e.stamp(at) {
			return line, ""
		}
		rest = after
	default:
		return line, ""
	}
	host, rest, ok := strings.Cut(rest, " ")
	if !ok {
		return rest, ""
	}
	e.Add("host", host)
	tag, msg, ok := strings.Cut(rest, ": ")
	if !ok || strings.ContainsAny(tag, " \t") {
		return rest, ""
	}
	program = tag
	if i := strings.IndexByte(tag, '['); i > 0 && strings.HasSuffix(tag, "]") {
		program = tag[:i]
		e.Add("pid", tag[i+1:len(tag)-1])
	}
	e.Add("program", program)
	return msg, program
}

func isMonth(s string) bool {
	return strings.Contains("JanFebMarAprMayJunJulAugSepOctNovDec", s) && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'a'
}

func (e *Event) stamp(s string) bool {
	if s == "" {
		return false
	}
	e.Add("timestamp", s)
	t, ok := ParseTime(s)
	if ok {
		e.Time = t
	}
	return ok
}

func (e *Event) addSet(name, value string) {
	if value != "" {
		e.Add(name, value)
	}
}

// origin says of which log sources a line is.
func (e *Event) origin(program string) {
	name, _, _ := strings.Cut(program, "(") // sshd(pam_unix)
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:] // postfix/smtpd
	}
	service := strings.ToLower(name)
	e.Sources = append(e.Sources, Logsource{Product: "linux", Service: "syslog"})
	switch service {
	case "":
		return
	case "sshd-session", "sshd-auth":
		service = "sshd"
	case "audispd", "audisp-syslog", "auditd", "audit":
		service = "auditd"
	case "crond", "anacron":
		service = "cron"
	}
	e.Sources = append(e.Sources, Logsource{Product: "linux", Service: service})
	switch service {
	case "sshd", "su", "sudo", "login", "systemd-logind", "polkitd", "passwd", "useradd", "userdel", "usermod", "groupadd", "gdm", "cron":
		e.Sources = append(e.Sources, Logsource{Product: "linux", Service: "auth"})
	}
}

// audit reads the name=value pairs of an auditd record.
func (e *Event) audit(s string) {
	if i := strings.Index(s, "msg=audit("); i >= 0 {
		stamp := s[i+len("msg=audit("):]
		if sec, _, ok := strings.Cut(stamp, ":"); ok {
			if t, ok := ParseTime(sec); ok {
				e.Time = t
			}
		}
	}
	for s != "" {
		s = strings.TrimLeft(s, " '")
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return
		}
		if i := strings.LastIndexByte(name, ' '); i >= 0 {
			name = name[i+1:]
		}
		value := ""
		switch {
		case strings.HasPrefix(rest, `"`):
			value, s, _ = strings.Cut(rest[1:], `"`)
		case strings.HasPrefix(rest, `'`):
			s = rest[1:] // a nested message: its pairs follow
			continue
		default:
			value, s, _ = strings.Cut(rest, " ")
			value = strings.TrimSuffix(value, "'")
		}
		if name != "msg" || !strings.HasPrefix(value, "audit(") {
			e.Add(name, value)
		}
	}
}

// login takes apart what sshd and PAM say about logins.
func (e *Event) login(msg string) {
	for _, p := range [...]struct{ start, outcome string }{
		{"Accepted ", "accepted"}, {"Failed ", "failed"}, {"Invalid user ", "invalid_user"}, {"Postponed ", "postponed"},
	} {
		rest, ok := strings.CutPrefix(msg, p.start)
		if !ok {
			continue
		}
		e.Add("outcome", p.outcome)
		if p.outcome != "invalid_user" {
			method, after, ok := strings.Cut(rest, " for ")
			if !ok {
				return
			}
			e.Add("method", method)
			rest = strings.TrimPrefix(after, "invalid user ")
		}
		e.peer(rest)
		return
	}
	if strings.Contains(msg, "pam_unix(") || strings.HasPrefix(msg, "authentication failure") {
		e.pam(msg)
	}
}

// peer reads "USER from ADDRESS port N ssh2: TYPE FINGERPRINT".
func (e *Event) peer(s string) {
	i := strings.LastIndex(s, " from ")
	if i < 0 {
		return
	}
	e.Add("user", s[:i])
	words := strings.Fields(s[i+len(" from "):])
	if len(words) > 0 {
		e.Add("src_ip", words[0])
	}
	for j, w := range words {
		if w == "port" && j+1 < len(words) {
			e.Add("src_port", words[j+1])
		}
		if strings.HasPrefix(w, "SHA256:") || strings.HasPrefix(w, "MD5:") {
			e.Add("fingerprint", w)
		}
	}
}

func (e *Event) pam(msg string) {
	switch {
	case strings.Contains(msg, "authentication failure"):
		e.Add("outcome", "failed")
		for w := range strings.FieldsSeq(msg) {
			switch k, v, _ := strings.Cut(w, "="); {
			case v == "":
			case k == "user":
				e.Add("user", v)
			case k == "rhost":
				e.Add("src_ip", v)
			}
		}
	case strings.Contains(msg, "session opened for user "):
		_, rest, _ := strings.Cut(msg, "session opened for user ")
		user, _, _ := strings.Cut(rest, " ")
		user, _, _ = strings.Cut(user, "(")
		e.Add("outcome", "opened")
		e.Add("user", user)
	}
}
