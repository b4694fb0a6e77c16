package containment

import (
	"fmt"
	"net/netip"
	"strings"
)

// The formats of exported rules.
const (
	FormatNFT       = "nft"
	FormatIPTables  = "iptables"  // for iptables-restore --noflush
	FormatIP6Tables = "ip6tables" // for ip6tables-restore --noflush
	FormatCisco     = "cisco-like"
	FormatCSV       = "csv"
)

// Rules writes the rules of a target as a file for a foreign firewall: what must
// stay reachable first, then everything from and to the target denied.
func (d *Drivers) Rules(id, format string) (string, error) {
	p, err := d.target(id)
	if err != nil {
		return "", err
	}
	switch format {
	case FormatNFT:
		return nftRules("leitstand", []string{"forward"}, -150, p.Target), nil
	case FormatIPTables:
		return iptablesRules(p.Target, false), nil
	case FormatIP6Tables:
		return iptablesRules(p.Target, true), nil
	case FormatCisco:
		return ciscoRules(p.Target), nil
	case FormatCSV:
		return csvRules(p.Target), nil
	}
	return "", fmt.Errorf("format %q: want nft, iptables, ip6tables, cisco-like or csv", format)
}

// nftRules is what the driver writes, in the language of nft -f.
func nftRules(table string, hooks []string, priority int32, t Target) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\ntable inet %s {\n", t.ID, table)
	for _, s := range []struct {
		owner string
		all   []netip.Prefix
	}{{alwaysOwner, t.Always}, {t.ID, t.Addresses}} {
		for _, v6 := range []bool{false, true} {
			kind := "ipv4_addr"
			if v6 {
				kind = "ipv6_addr"
			}
			fmt.Fprintf(&b, "\tset %s {\n\t\ttype %s\n\t\tflags interval\n", setName(s.owner, v6), kind)
			if list := nftElements(s.all, v6); list != "" {
				fmt.Fprintf(&b, "\t\telements = { %s }\n", list)
			}
			b.WriteString("\t}\n")
		}
	}
	for _, hook := range hooks {
		fmt.Fprintf(&b, "\tchain %s {\n\t\ttype filter hook %s priority %d; policy accept;\n", hook, hook, priority)
		for _, s := range []struct{ owner, verdict string }{{alwaysOwner, "accept"}, {t.ID, "drop"}} {
			for _, v6 := range []bool{false, true} {
				ip := "ip"
				if v6 {
					ip = "ip6"
				}
				for _, side := range []string{"saddr", "daddr"} {
					fmt.Fprintf(&b, "\t\t%s %s @%s counter %s comment %q\n", ip, side, setName(s.owner, v6), s.verdict, "leitstand "+s.owner)
				}
			}
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func nftElements(all []netip.Prefix, v6 bool) string {
	merged := merge(all, v6)
	out := make([]string, len(merged))
	for i, s := range merged {
		switch last := s.last(); {
		case last == s.from:
			out[i] = s.from.String()
		default:
			out[i] = s.from.String() + "-" + last.String()
		}
	}
	return strings.Join(out, ", ")
}

// last is the last address of a range.
func (s span) last() netip.Addr {
	if s.end.IsValid() {
		return s.end.Prev()
	}
	return after1(s.from)
}

// after1 is the last address of a family.
func after1(a netip.Addr) netip.Addr {
	b := a.AsSlice()
	for i := range b {
		b[i] = 0xff
	}
	last, _ := netip.AddrFromSlice(b) // of a valid length
	return last
}

// iptablesRules is a file for iptables-restore --noflush: a chain of our own, to
// which FORWARD jumps first.
func iptablesRules(t Target, v6 bool) string {
	var b strings.Builder
	chain := "LS-" + setName(t.ID, v6)[2:14]
	fmt.Fprintf(&b, "# %s\n*filter\n:%s - [0:0]\n-F %s\n", t.ID, chain, chain)
	for _, s := range []struct {
		all    []netip.Prefix
		target string
	}{{t.Always, "ACCEPT"}, {t.Addresses, "DROP"}} {
		for _, p := range s.all {
			if p.Addr().Is6() == v6 {
				fmt.Fprintf(&b, "-A %s -s %s -j %s\n-A %s -d %s -j %s\n", chain, p, s.target, chain, p, s.target)
			}
		}
	}
	fmt.Fprintf(&b, "-A %s -j RETURN\n-I FORWARD 1 -j %s\nCOMMIT\n", chain, chain)
	return b.String()
}

// ciscoRules is an extended access list in the style of many routers; it ends
// with permit, for it stands before the rules that are there.
func ciscoRules(t Target) string {
	var b strings.Builder
	fmt.Fprintf(&b, "! %s\n", t.ID)
	for _, v6 := range []bool{false, true} {
		fmt.Fprintf(&b, "%s\n", ciscoHead(t.ID, v6))
		family := "ip"
		if v6 {
			family = "ipv6"
		}
		for _, s := range []struct {
			all  []netip.Prefix
			verb string
		}{{t.Always, "permit"}, {t.Addresses, "deny"}} {
			for _, p := range s.all {
				if p.Addr().Is6() == v6 {
					a := ciscoAddress(p)
					fmt.Fprintf(&b, " %s %s %s any\n %s %s any %s\n", s.verb, family, a, s.verb, family, a)
				}
			}
		}
		fmt.Fprintf(&b, " permit %s any any\n!\n", family)
	}
	return b.String()
}

func ciscoHead(id string, v6 bool) string {
	if v6 {
		return "ipv6 access-list LEITSTAND-" + setName(id, true)[2:14]
	}
	return "ip access-list extended LEITSTAND-" + setName(id, false)[2:14]
}

func ciscoAddress(p netip.Prefix) string {
	switch {
	case p.Addr().Is6():
		return p.String()
	case p.IsSingleIP():
		return "host " + p.Addr().String()
	}
	mask := ^uint32(0) >> p.Bits() // wildcard bits
	return fmt.Sprintf("%s %d.%d.%d.%d", p.Addr(), byte(mask>>24), byte(mask>>16), byte(mask>>8), byte(mask))
}

// csvRules has one row for each rule, in order.
func csvRules(t Target) string {
	var b strings.Builder
	b.WriteString("nr;ziel;aktion;quelle;senke\n")
	n := 0
	for _, s := range []struct {
		all  []netip.Prefix
		verb string
	}{{t.Always, "erlauben"}, {t.Addresses, "verwerfen"}} {
		for _, p := range s.all {
			for _, row := range [][2]string{{addressText(p), "beliebig"}, {"beliebig", addressText(p)}} {
				n++
				fmt.Fprintf(&b, "%d;%s;%s;%s;%s\n", n, t.ID, s.verb, row[0], row[1])
			}
		}
	}
	return b.String()
}
