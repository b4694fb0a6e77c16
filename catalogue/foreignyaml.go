package catalogue

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// backstageEntity is what matters of an entity (backstage.io, descriptor format).
type backstageEntity struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name        string            `yaml:"name"`
		Namespace   string            `yaml:"namespace"`
		Title       string            `yaml:"title"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Spec struct {
		DependsOn      []string `yaml:"dependsOn"`
		DependencyOf   []string `yaml:"dependencyOf"`
		ProvidesApis   []string `yaml:"providesApis"`
		ConsumesApis   []string `yaml:"consumesApis"`
		SubcomponentOf string   `yaml:"subcomponentOf"`
	} `yaml:"spec"`
}

// siteAnnotation names the site of an entity or workload.
const siteAnnotation = "leitstand/site"

// backstage reads entities. What provides an API is what its consumers rest on.
func (p *foreign) backstage(data []byte) error {
	return eachYAML(data, func(e *backstageEntity) {
		kind := strings.ToLower(e.Kind)
		self := backstageRef(kind+":"+e.Metadata.Name, kind, e.Metadata.Namespace)
		switch kind {
		case "component", "resource":
		case "api", "system", "domain", "group", "user", "location", "template", "":
			return // not machinery
		default:
			p.note("entity of kind %q left out", e.Kind)
			return
		}
		what := e.Metadata.Name
		if ns := e.Metadata.Namespace; ns != "" && !strings.EqualFold(ns, "default") {
			what = ns + "." + what
		}
		if kind == "resource" {
			what = "resource." + what
		}
		title := e.Metadata.Title
		if title == "" {
			title = e.Metadata.Name
		}
		p.add(self, what, title, SiteID(e.Metadata.Annotations[siteAnnotation]))
		ns := e.Metadata.Namespace
		for _, d := range e.Spec.DependsOn {
			p.links = append(p.links, link{from: self, to: backstageRef(d, "component", ns)})
		}
		for _, d := range e.Spec.DependencyOf {
			p.links = append(p.links, link{from: backstageRef(d, "component", ns), to: self})
		}
		for _, a := range e.Spec.ProvidesApis {
			p.byRef[backstageRef(a, "api", ns)] = p.byRef[self]
		}
		for _, a := range e.Spec.ConsumesApis {
			p.links = append(p.links, link{from: self, to: backstageRef(a, "api", ns)})
		}
	})
}

// backstageRef is [kind:][namespace/]name in full, in lower case: references are compared so.
func backstageRef(s, kind, namespace string) string {
	if k, rest, ok := strings.Cut(s, ":"); ok {
		kind, s = k, rest
	}
	if ns, rest, ok := strings.Cut(s, "/"); ok {
		namespace, s = ns, rest
	}
	if namespace == "" {
		namespace = "default"
	}
	return strings.ToLower(kind + ":" + namespace + "/" + s)
}

// composeFile is what matters of a Compose file (compose-spec).
type composeFile struct {
	Name     string                    `yaml:"name"`
	Services map[string]composeService `yaml:"services"`
}

type composeService struct {
	DependsOn any      `yaml:"depends_on"` // a list, or a map to conditions
	Links     []string `yaml:"links"`
	VolumesOf []string `yaml:"volumes_from"`
	Network   string   `yaml:"network_mode"`
}

func (p *foreign) compose(data []byte) error {
	return eachYAML(data, func(f *composeFile) {
		prefix := ""
		if f.Name != "" {
			prefix = f.Name + "."
		}
		for _, name := range sortedKeys(f.Services) {
			s, self := f.Services[name], "compose:"+prefix+name
			p.add(self, prefix+name, prefix+name, "")
			needs := slices.Concat(names(s.DependsOn), s.Links, s.VolumesOf)
			if n, ok := strings.CutPrefix(s.Network, "service:"); ok {
				needs = append(needs, n)
			}
			for _, n := range needs {
				n, _, _ = strings.Cut(n, ":") // a link may rename, a volume may be read-only
				p.links = append(p.links, link{from: self, to: "compose:" + prefix + n})
			}
		}
	})
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// names of a list, or the keys of a map.
func names(v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out = append(out, fmt.Sprint(x))
		}
	case map[string]any:
		out = sortedKeys(v)
	}
	return out
}

// ansible reads the hosts of an inventory. It knows nothing of dependencies.
func (p *foreign) ansible(name string, data []byte) error {
	if formatOf(name) != "yaml" {
		return p.ansibleINI(data)
	}
	return eachYAML(data, func(groups *map[string]ansibleGroup) {
		for _, g := range sortedKeys(*groups) {
			p.group((*groups)[g], 0)
		}
	})
}

type ansibleGroup struct {
	Hosts    map[string]any          `yaml:"hosts"`
	Children map[string]ansibleGroup `yaml:"children"`
}

func (p *foreign) group(g ansibleGroup, depth int) {
	for _, h := range sortedKeys(g.Hosts) {
		p.host(h)
	}
	for _, c := range sortedKeys(g.Children) {
		if depth < maxFormulaDepth {
			p.group(g.Children[c], depth+1)
		}
	}
}

// host adds one host, or each of a range such as web[01:20].example.
func (p *foreign) host(pattern string) {
	open, end := strings.IndexByte(pattern, '['), strings.IndexByte(pattern, ']')
	if open < 0 || end < open {
		p.add("host:"+pattern, pattern, pattern, "")
		return
	}
	from, to, ok := strings.Cut(pattern[open+1:end], ":")
	var a, b int
	_, err1 := fmt.Sscanf(from, "%d", &a)
	_, err2 := fmt.Sscanf(to, "%d", &b)
	if !ok || err1 != nil || err2 != nil || b < a || b-a > 10_000 {
		p.note("host range %q left out", pattern)
		return
	}
	for n := a; n <= b && !p.full(); n++ {
		p.host(pattern[:open] + fmt.Sprintf("%0*d", len(from), n) + pattern[end+1:])
	}
}

func (p *foreign) ansibleINI(data []byte) error {
	hosts := true
	for n, raw := range strings.Split(string(data), "\n") {
		line := strings.TrimSpace(raw)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			if line[len(line)-1] != ']' {
				return fmt.Errorf("line %d: %q is no group", n+1, clean(line))
			}
			hosts = !strings.HasSuffix(line, ":vars]") && !strings.HasSuffix(line, ":children]")
		case hosts:
			p.host(strings.Fields(line)[0])
		}
	}
	return nil
}
