package exercise

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// LogTraffic is invented log traffic of a provider with known answers: what is an
// attack, which rule has to tell, and what is harmless. The same seed gives the
// same lines.
type LogTraffic struct {
	Lines   []LogLine // in order of time
	Attacks []LogAttack
	Hosts   int
	Days    float64
}

// LogLine is one event.
type LogLine struct {
	At   time.Time
	Text string
}

// LogAttack is one attack with its answer.
type LogAttack struct {
	Pattern string // in words
	Rule    string // id of the rule that has to tell
	Token   string // what all its events have in common and no other event has
	// Slow attacks stay below the threshold of their rule: that they are missed
	// is the price of the threshold, and shown.
	Slow     bool
	Account  string // whose earlier days the attack stands out against; "" when it needs none
	From, To time.Time
}

const ruleIDs = "6d1c4a0e-6a0b-4c52-9f3c-0a7f1f7a"

type trafficMaker struct {
	rnd   *rand.Rand
	start time.Time
	out   LogTraffic
	hosts []string
	users []string
	n     int // attacks so far: each has its own address and host
}

// MakeTraffic invents days of traffic of 40 hosts and 60 people, and each attack
// so many times.
func MakeTraffic(seed uint64, days, attacks int) LogTraffic {
	m := &trafficMaker{rnd: rand.New(rand.NewPCG(seed, 7)), start: time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)} //nolint:gosec // invented, repeatable
	for i := range 40 {
		m.hosts = append(m.hosts, fmt.Sprintf("srv%02d", i))
	}
	for i := range 60 {
		m.users = append(m.users, fmt.Sprintf("person%02d", i))
	}
	m.out.Hosts, m.out.Days = len(m.hosts), float64(days)
	for d := range days {
		m.benign(m.start.AddDate(0, 0, d), d)
	}
	for range attacks {
		m.attackAll(days)
	}
	slices.SortStableFunc(m.out.Lines, func(a, b LogLine) int { return a.At.Compare(b.At) })
	return m.out
}

func (m *trafficMaker) line(at time.Time, format string, args ...any) {
	m.out.Lines = append(m.out.Lines, LogLine{at, at.Format("2006-01-02T15:04:05.000000Z07:00") + " " + fmt.Sprintf(format, args...)})
}

func (m *trafficMaker) object(at time.Time, fields map[string]any) {
	fields["@timestamp"] = at.Format(time.RFC3339Nano)
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err) // texts and numbers only
	}
	m.out.Lines = append(m.out.Lines, LogLine{at, string(b)})
}

func (m *trafficMaker) host() string { return m.hosts[m.rnd.IntN(len(m.hosts))] }

// within is a time of the day, in hours.
func (m *trafficMaker) within(day time.Time, from, to float64) time.Time {
	h := from + (to-from)*m.rnd.Float64()
	return day.Add(time.Duration(h * float64(time.Hour))).Truncate(time.Microsecond)
}

// benign is a working day: people log in from their places, mistype, travel now
// and then; machines are managed, backed up and restarted.
func (m *trafficMaker) benign(day time.Time, n int) {
	for i, u := range m.users {
		addr := fmt.Sprintf("10.20.%d.%d", i%8, 10+i)
		for range 6 + m.rnd.IntN(6) {
			at, host := m.within(day, 5, 17), m.host()
			for range m.rnd.IntN(8) / 6 * (1 + m.rnd.IntN(3)) {
				at = at.Add(4 * time.Second)
				m.line(at, "%s sshd[%d]: Failed password for %s from %s port 5%03d ssh2", host, i, u, addr, i)
			}
			m.line(at.Add(6*time.Second), "%s sshd[%d]: Accepted publickey for %s from %s port 5%03d ssh2: ED25519 SHA256:key-of-%s", host, i, u, addr, i, u)
			m.object(at, map[string]any{"Channel": "Security", "Provider_Name": "Microsoft-Windows-Security-Auditing", "EventID": 4624, "LogonType": 3, "Computer": "win-" + host, "TargetUserName": u, "IpAddress": addr})
		}
		if n > 1 && m.rnd.IntN(60) == 0 { // somebody travels
			m.line(m.within(day, 8, 15), "%s sshd[9]: Accepted publickey for %s from 198.51.100.%d port 40000 ssh2: ED25519 SHA256:key-of-%s", m.host(), u, i, u)
		}
	}
	for i, h := range m.hosts { // management, in groups of five
		at := day.Add(3*time.Hour + time.Duration(i/5)*8*time.Minute + time.Duration(i%5)*10*time.Second)
		m.line(at, "%s sshd[7]: Accepted publickey for ansible from 10.1.1.5 port 40000 ssh2: ED25519 SHA256:automation", h)
		m.line(at.Add(time.Second), "%s sudo: ansible : TTY=pts/0 ; COMMAND=/usr/bin/apt-get upgrade", h)
		m.line(m.within(day, 0, 24), "%s systemd[1]: Stopped Session %d of User root.", h, i)
		m.line(m.within(day, 1, 4), "%s restic[3]: forget --keep-daily 7 --keep-weekly 4: 3 snapshots removed", h)
		m.line(m.within(day, 0, 24), "%s CRON[%d]: (root) CMD (run-parts /etc/cron.hourly)", h, i)
		m.object(m.within(day, 6, 18), map[string]any{"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Computer": "win-" + h, "Image": `C:\Windows\System32\vssadmin.exe`, "CommandLine": "vssadmin list shadows"})
		m.object(m.within(day, 6, 18), map[string]any{"Channel": "System", "Provider_Name": "Service Control Manager", "EventID": 7045, "Computer": "win-upd-" + h, "ServiceName": "EdgeUpdate", "ImagePath": `C:\Program Files\Edge\update.exe`})
		m.object(m.within(day, 22, 24), map[string]any{"source.ip": "10.30.0." + fmt.Sprint(10+i), "source.bytes": 40_000_000, "event.category": "network"})
	}
	for i := range 400 { // the file server, also at night
		at := m.within(day, 0, 24)
		m.line(at, "files smbd_audit: person%02d|10.20.0.9|share|open|ok|r|dokument%d.odt", i%60, i)
		if i%8 == 0 {
			m.line(at.Add(time.Second), "files smbd_audit: person%02d|10.20.0.9|share|renameat|ok|dokument%d.odt|dokument%d-alt.odt", i%60, i, i)
		}
	}
}
