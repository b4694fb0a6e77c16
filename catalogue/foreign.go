package catalogue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Format is a kind of file that describes machinery for another tool.
type Format string

// The formats that ReadForeign understands.
const (
	Backstage  Format = "backstage"  // catalog-info.yaml: Component, Resource, API
	CycloneDX  Format = "cyclonedx"  // JSON: services, applications and their dependencies
	NetBox     Format = "netbox"     // JSON of the REST API: devices, virtual machines, clusters, services
	Ansible    Format = "ansible"    // inventory as YAML or INI: hosts
	Kubernetes Format = "kubernetes" // manifests: workloads, and what their settings name
	Compose    Format = "compose"    // compose.yaml: services and depends_on
)

// Formats lists them all.
func Formats() []Format {
	return []Format{Backstage, CycloneDX, NetBox, Ansible, Kubernetes, Compose}
}

// Part is what foreign files know: machinery, for Merge to add to a catalogue.
type Part struct {
	Sites      []Site
	Components []Component
	// Notes say what was left out and why, for a person to look at.
	Notes []string
}

// Reading says how to read foreign files.
type Reading struct {
	Format Format // "" finds out, file by file
	Site   SiteID // of what names none
	// Prefix comes before every id, with a point between: two tools may use one
	// name for different things.
	Prefix string
}

// ReadForeign reads machinery from files that may refer to each other. Ids are
// made from the names the other tool knows, so that reading a newer export
// updates the same components. Secrets in the files are not kept. The error is
// of type Problems.
func ReadForeign(how Reading, files ...File) (Part, error) {
	p := foreign{site: how.Site, byRef: map[string]ComponentID{}, comps: map[ComponentID]*Component{}}
	if !plainID(string(how.Site)) {
		p.say("import", 0, "standort", "%q is no id of a site", how.Site)
	}
	if how.Prefix != "" {
		p.prefix = slug(how.Prefix) + "."
	}
	for _, f := range files {
		p.file(how.Format, f)
	}
	if len(p.problems) > 0 {
		return Part{}, p.problems.sorted()
	}
	return p.part(), nil
}

// foreign collects what files of other tools know.
type foreign struct {
	reader
	name  string // of the file being read
	site  SiteID
	order []ComponentID

	prefix string
	comps  map[ComponentID]*Component
	byRef  map[string]ComponentID // what the format calls a thing
	links  []link
	notes  []string
	kube   kubeState

	tooMany bool // said already
}

// link says that one thing rests on another, both as the format calls them.
type link struct {
	from, to string
}

func (p *foreign) file(format Format, f File) {
	p.name = f.Name
	if len(f.Data) > MaxYAML {
		p.say(f.Name, 0, "", "%d bytes, at most %d", len(f.Data), MaxYAML)
		return
	}
	data, ok := p.utf8(f)
	if !ok {
		return
	}
	if format == "" {
		if format = detect(f.Name, data); format == "" {
			p.say(f.Name, 0, "", "is in none of the known formats %v, or does not show which", Formats())
			return
		}
	}
	var err error
	switch format {
	case Backstage:
		err = p.backstage(data)
	case CycloneDX:
		err = p.cyclonedx(data)
	case NetBox:
		err = p.netbox(data)
	case Ansible:
		err = p.ansible(f.Name, data)
	case Kubernetes:
		err = p.kubernetes(data)
	case Compose:
		err = p.compose(data)
	default:
		err = fmt.Errorf("unknown format %q, known are %v", format, Formats())
	}
	if err != nil {
		p.say(f.Name, 0, "", "%v", err)
	}
}

// detect looks for what only one format has.
func detect(name string, data []byte) Format {
	has := func(s string) bool { return bytes.Contains(data, []byte(s)) }
	switch ext := path.Ext(name); {
	case ext == ".json" && has(`"CycloneDX"`):
		return CycloneDX
	case ext == ".json" && has(`"url"`) && has("/api/"):
		return NetBox
	case ext == ".ini" || path.Base(name) == "hosts":
		return Ansible
	case has("apiVersion: backstage.io/"):
		return Backstage
	case has("apiVersion:") && has("kind:"):
		return Kubernetes
	case bytes.HasPrefix(data, []byte("services:")) || has("\nservices:"):
		return Compose
	case has("hosts:"):
		return Ansible
	}
	return ""
}

// add makes a component, or finds the one with the same name.
func (p *foreign) add(ref, what, title string, site SiteID) {
	if site == "" {
		site = p.site
	} else if !plainID(string(site)) {
		site = SiteID(slug(string(site)))
	}
	id := at(p.prefix+slug(what), site)
	if p.comps[id] == nil {
		if p.full() {
			return
		}
		p.comps[id] = &Component{ID: id, Name: clean(title), Site: site}
		p.order = append(p.order, id)
	}
	p.byRef[ref] = id
}

// maxForeign is how many components foreign files may hold: a line of an
// inventory can stand for millions.
const maxForeign = 100_000

// full reports whether there is no room for another component; that is an error of the file.
func (p *foreign) full() bool {
	if len(p.order) < maxForeign {
		return false
	}
	if !p.tooMany {
		p.tooMany = true
		p.say(p.name, 0, "", "more than %d components in all files", maxForeign)
	}
	return true
}

// slug makes the first part of an id out of a foreign name: it keeps letters,
// digits, points, dashes and underscores.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(s)) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._", r):
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-._")
	if len(out) > 120 {
		out = strings.Trim(strings.ToValidUTF8(out[:120], ""), "-._")
	}
	if out == "" || strings.Contains("0123456789", out[:1]) {
		out = "x-" + out
	}
	return strings.TrimRight(out, "-")
}

// clean takes control characters out of a title and shortens it.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}

func (p *foreign) note(format string, args ...any) {
	p.notes = append(p.notes, clean(p.name+": "+fmt.Sprintf(format, args...)))
}

// part resolves the links and gives everything in a fixed order.
func (p *foreign) part() Part {
	p.kubeLinks()
	for _, l := range p.links {
		from, ok1 := p.byRef[l.from]
		to, ok2 := p.byRef[l.to]
		switch {
		case !ok1 || from == to:
		case !ok2:
			p.notes = append(p.notes, clean(fmt.Sprintf("%s rests on %q, which is not in the files: left out", from, l.to)))
		default:
			p.comps[from].Needs = All(p.comps[from].Needs, Node(to))
		}
	}
	var out Part
	sites := map[SiteID]bool{}
	slices.Sort(p.order)
	for _, id := range p.order {
		c := *p.comps[id]
		if c.Name == "" {
			c.Name = string(id)
		}
		if !sites[c.Site] {
			sites[c.Site] = true
			out.Sites = append(out.Sites, Site{ID: c.Site, Name: string(c.Site)})
		}
		out.Components = append(out.Components, c)
	}
	slices.SortFunc(out.Sites, func(a, b Site) int { return strings.Compare(string(a.ID), string(b.ID)) })
	slices.Sort(p.notes)
	out.Notes = slices.Compact(p.notes)
	return out
}

// maxExpanded is how many nodes a YAML file may have once its aliases are
// put in place: a few lines can stand for billions.
const maxExpanded = 1_000_000

// eachYAML decodes every document of a file into a new value and gives it to take.
func eachYAML[T any](data []byte, take func(*T)) error {
	file, err := parseYAML(data)
	if err != nil {
		return fmt.Errorf("is no YAML: %w", err)
	}
	sizes := map[string]int{}
	total := 0
	for _, doc := range file.Docs {
		if total += expanded(doc.Body, sizes, 0); total > maxExpanded {
			return fmt.Errorf("is more than %d values once its aliases are put in place", maxExpanded)
		}
	}
	return decodeYAML(data, take)
}

// decodeYAML keeps a panic of the decoder on hostile input from ending the program.
func decodeYAML[T any](data []byte, take func(*T)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML decoder gave up: %v", p)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		v := new(T)
		switch err := d.Decode(v); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading YAML: %w", err)
		}
		take(v)
	}
}

// expanded counts the nodes below n with aliases put in place, up to a little above the limit.
func expanded(n ast.Node, sizes map[string]int, depth int) int {
	if depth > 200 {
		return maxExpanded + 1
	}
	sum := 1
	add := func(m ast.Node) {
		if sum <= maxExpanded && m != nil {
			sum += expanded(m, sizes, depth+1)
		}
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		for _, m := range v.Values {
			add(m.Value)
		}
	case *ast.MappingValueNode:
		add(v.Value)
	case *ast.SequenceNode:
		for _, m := range v.Values {
			add(m)
		}
	case *ast.TagNode:
		add(v.Value)
	case *ast.AnchorNode:
		add(v.Value)
		sizes[v.Name.String()] = sum
	case *ast.AliasNode:
		sum += sizes[v.Value.String()]
	}
	return min(sum, maxExpanded+1)
}
