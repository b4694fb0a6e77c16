package sigma

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
)

//go:embed routes.yml
var defaultRoutes []byte

// Routes say which events a rule's log source means.
type Routes struct {
	entries   []route
	providers map[string][]byte // folded provider -> folded channel, for events without a channel
}

// route is one entry: events of these channels with these numbers.
type route struct {
	source   Logsource
	channels []string // folded; empty: of no Windows channel
	events   []int    // empty: all
	when     *expr    // nil: always
	fields   []rename
}

// rename gives a field another name in the events of a route.
type rename struct{ name, from string }

// DefaultRoutes is the built-in table for Windows.
func DefaultRoutes() *Routes {
	r, problems := ParseRoutes(File{Name: "routes.yml", Data: defaultRoutes})
	if len(problems) > 0 {
		panic("the built-in routes do not parse: " + problems[0].Error()) // a broken build, tests see it
	}
	return r
}

// ParseRoutes reads a table in the form of the built-in one.
func ParseRoutes(f File) (*Routes, []Problem) {
	docs, err := parseYAML(f.Data)
	if err != nil {
		return nil, []Problem{problemOf(f.Name, nil, err)}
	}
	r := &Routes{providers: map[string][]byte{}}
	for _, d := range docs {
		if err := r.read(d); err != nil {
			return nil, []Problem{problemOf(f.Name, nil, err)}
		}
	}
	return r, nil
}

func (r *Routes) read(d *node) error {
	if d.kind != mapNode {
		return errAt(d.line, "a table of routes is a map with services and categories")
	}
	channels := map[string][]string{}
	for i, k := range d.keys {
		if k.text == "placeholders" { // read by Mapping
			continue
		}
		if k.text == "providers" {
			for j, p := range d.kids[i].keys {
				r.providers[fold(p.text)] = []byte(fold(d.kids[i].kids[j].text))
			}
			continue
		}
		if k.text != "services" && k.text != "categories" {
			return errAt(k.line, "key %q is not known in a table of routes", k.text)
		}
		for _, n := range d.kids[i].kids {
			e, err := readRoute(n, channels)
			if err != nil {
				return err
			}
			if k.text == "services" {
				channels[e.source.Product+"\x00"+e.source.Service] = e.channels
			}
			r.entries = append(r.entries, e)
		}
	}
	return nil
}

func readRoute(n *node, channels map[string][]string) (route, error) {
	e := route{source: Logsource{Category: n.str("category"), Product: n.str("product"), Service: n.str("service")}}
	for i, k := range n.keys {
		v := n.kids[i]
		switch k.text {
		case "category", "product", "service":
		case "channels":
			for _, c := range n.strings("channels") {
				e.channels = append(e.channels, fold(c))
			}
		case "events":
			for _, s := range n.strings("events") {
				id, err := strconv.Atoi(s)
				if err != nil {
					return e, errAt(v.line, "event number %q is no number", s)
				}
				e.events = append(e.events, id)
			}
		case "when":
			x, err := parseSearch(v, nil, 0)
			if err != nil {
				return e, err
			}
			e.when = x
		case "fields":
			for j, name := range v.keys {
				e.fields = append(e.fields, rename{name: name.text, from: v.kids[j].text})
			}
		default:
			return e, errAt(k.line, "key %q is not known in a route", k.text)
		}
	}
	if len(e.channels) == 0 {
		e.channels = channels[e.source.Product+"\x00"+e.source.Service]
	}
	if len(e.channels) == 0 {
		return e, errAt(n.line, "route has no channels, and its service none either")
	}
	return e, nil
}

// fits says whether a rule for want applies to events of kind have.
func (want Logsource) fits(have Logsource) bool {
	return (want.Category == "" || strings.EqualFold(want.Category, have.Category)) &&
		(want.Product == "" || strings.EqualFold(want.Product, have.Product)) &&
		(want.Service == "" || strings.EqualFold(want.Service, have.Service))
}

// anyOf says that the log source names this product and nothing else: all of
// its events, those of channels that no route knows included.
func (want Logsource) anyOf(product string) bool {
	return want.Category == "" && want.Service == "" && strings.EqualFold(want.Product, product)
}

// of returns the routes of a rule's log source.
func (r *Routes) of(l Logsource) []route {
	var out []route
	if l == (Logsource{}) {
		return nil
	}
	for _, e := range r.entries {
		if l.fits(e.source) {
			out = append(out, e)
		}
	}
	return out
}

// takesID says whether the route takes events of this number.
func (e *route) takesID(event int) bool {
	return len(e.events) == 0 || slices.Contains(e.events, event)
}

// takes says whether the route takes an event of this channel and number.
func (e *route) takes(channel string, event int) bool {
	return slices.Contains(e.channels, channel) && e.takesID(event)
}
