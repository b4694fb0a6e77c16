package warning

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"leitstand/pure/sigma"
)

// Fields that Enrich adds, so that one rule can speak of logs of all kinds.
// docs/warning.md lists what they are made from.
const (
	fieldMachine  = "ls.machine"   // whose log it is
	fieldAccount  = "ls.account"   // who acted, in lower case
	fieldAddress  = "ls.address"   // from where
	fieldNetwork  = "ls.network"   // the address cut to /24 or /48
	fieldOutside  = "ls.outside"   // true: the address is no private one
	fieldLogin    = "ls.login"     // ok or failed
	fieldNight    = "ls.night"     // true: from 22 to 6 o'clock
	fieldBytesOut = "ls.bytes_out" // bytes given to the outside
)

// ownField says whether Enrich made the field: it is no part of the log.
func ownField(name string) bool { return strings.HasPrefix(name, "ls.") }

// Enrich adds what the built-in rules ask for under one name, whatever the log
// calls it. Night is night in zone. What the event does not tell is left out.
func Enrich(ev *sigma.Event, zone *time.Location) {
	if m := first(ev, "host", "Computer", "host.name", "host.hostname", "_HOSTNAME", "hostname", "HostName", "MachineName"); m != "" {
		ev.Add(fieldMachine, strings.ToLower(m))
	}
	account := accountOf(ev)
	if account != "" {
		ev.Add(fieldAccount, account)
	}
	if a, ok := addressOf(ev); ok {
		ev.Add(fieldAddress, a.String())
		ev.Add(fieldNetwork, networkOf(a))
		ev.Add(fieldOutside, strconv.FormatBool(outside(a)))
	}
	if login := loginOf(ev); login != "" && !technical(account) {
		ev.Add(fieldLogin, login)
	}
	if b := first(ev, "cs-bytes", "bytes_out", "BytesOut", "sentbyte", "SentBytes", "source.bytes"); b != "" {
		ev.Add(fieldBytesOut, b)
	}
	if at, ok := ev.When(); ok {
		if h := at.In(zone).Hour(); h >= 22 || h < 6 {
			ev.Add(fieldNight, "true")
		}
	}
}

// first returns the value of the first of these fields that has one.
func first(ev *sigma.Event, names ...string) string {
	for _, n := range names {
		if v, ok := ev.Get(n); ok && v != "" && v != "-" {
			return v
		}
	}
	return ""
}

func accountOf(ev *sigma.Event) string {
	return strings.ToLower(first(ev, "user", "TargetUserName", "user.name", "userPrincipalName", "UserPrincipalName", "UserId", "SubjectUserName", "acct"))
}

// technical accounts log in all the time and by themselves: those of machines
// and of Windows itself.
func technical(account string) bool {
	if strings.HasSuffix(account, "$") || strings.HasPrefix(account, "dwm-") || strings.HasPrefix(account, "umfd-") {
		return true
	}
	switch account {
	case "anonymous logon", "system", "local service", "network service":
		return true
	}
	return false
}

func addressOf(ev *sigma.Event) (netip.Addr, bool) {
	s := first(ev, "src_ip", "IpAddress", "source.ip", "ipAddress", "IPAddress", "ClientIP", "client.ip", "c-ip", "SourceIp", "addr")
	if s == "" {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		p, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = p.Addr()
	}
	return a.Unmap().WithZone(""), true
}

func outside(a netip.Addr) bool {
	return !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified()
}

func networkOf(a netip.Addr) string {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// loginOf recognises the outcome of a login in logs of sshd, Windows, ECS and Entra ID.
func loginOf(ev *sigma.Event) string {
	switch v, _ := ev.Get("outcome"); v {
	case "accepted":
		return "ok"
	case "failed":
		return "failed"
	}
	if id, ok := ev.Get("EventID"); ok {
		if login := windowsLogin(ev, id); login != "" {
			return login
		}
	}
	if v, ok := ev.Get("ResultType"); ok && first(ev, "Category", "category") == "SignInLogs" {
		return outcome(v == "0")
	}
	if v, ok := ev.Get("event.outcome"); ok && ecsLogin(ev) {
		switch v {
		case "success":
			return "ok"
		case "failure":
			return "failed"
		}
	}
	return ""
}

func outcome(ok bool) string {
	if ok {
		return "ok"
	}
	return "failed"
}

func ecsLogin(ev *sigma.Event) bool {
	category, _ := ev.Get("event.category")
	action := strings.ToLower(first(ev, "event.action"))
	return category == "authentication" && !strings.Contains(action, "logoff") && !strings.Contains(action, "logged-out")
}

// windowsLogin: network, unlock and remote interactive logons; Kerberos and NTLM refusals.
func windowsLogin(ev *sigma.Event, id string) string {
	switch id {
	case "4624":
		switch t, _ := ev.Get("LogonType"); t {
		case "3", "8", "10":
			return "ok"
		}
	case "4625", "4771":
		return "failed"
	case "4776":
		if s, _ := ev.Get("Status"); s != "" && s != "0x0" && s != "0x00000000" {
			return "failed"
		}
	}
	return ""
}
