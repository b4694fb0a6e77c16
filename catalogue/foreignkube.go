package catalogue

import (
	"fmt"
	"maps"
	"strings"
)

// kubeObject is what matters of a manifest.
type kubeObject struct {
	Kind     string       `yaml:"kind"`
	Metadata kubeMeta     `yaml:"metadata"`
	Spec     kubeSpec     `yaml:"spec"`
	Items    []kubeObject `yaml:"items"` // of a List
}

type kubeMeta struct {
	Name        string            `yaml:"name"`
	Namespace   string            `yaml:"namespace"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

type kubeSpec struct {
	Template    kubeTemplate `yaml:"template"`
	JobTemplate struct {
		Spec struct {
			Template kubeTemplate `yaml:"template"`
		} `yaml:"spec"`
	} `yaml:"jobTemplate"`
	Selector   map[string]any  `yaml:"selector"`
	Containers []kubeContainer `yaml:"containers"` // of a Pod
}

type kubeTemplate struct {
	Metadata kubeMeta `yaml:"metadata"`
	Spec     struct {
		Containers     []kubeContainer `yaml:"containers"`
		InitContainers []kubeContainer `yaml:"initContainers"`
	} `yaml:"spec"`
}

type kubeContainer struct {
	Env []struct {
		Value any `yaml:"value"`
	} `yaml:"env"`
	Args    []string `yaml:"args"`
	Command []string `yaml:"command"`
}

// kubeState collects what can only be put together when all objects are known.
type kubeState struct {
	workloads []kubeWorkload
	services  []kubeService
}

type kubeWorkload struct {
	ref, namespace string
	labels         map[string]string
	settings       []string
}

type kubeService struct {
	name, namespace string
	selector        map[string]string
}

// kubernetes reads manifests; kubeLinks puts them together.
func (p *foreign) kubernetes(data []byte) error {
	return eachYAML(data, func(o *kubeObject) { p.kubeObject(&p.kube, *o, 0) })
}

// kubeLinks finds what rests on what when all files are read: a workload rests
// on another one when one of its settings names the service before it, as
// service, service.namespace or longer. That is a guess, and a note says so.
func (p *foreign) kubeLinks() {
	guesses := 0
	for _, svc := range p.kube.services {
		for _, w := range p.kube.workloads {
			if w.namespace == svc.namespace && selects(svc.selector, w.labels) {
				p.byRef["service:"+svc.namespace+"/"+svc.name] = p.byRef[w.ref]
			}
		}
	}
	for _, w := range p.kube.workloads {
		for _, host := range hostsIn(w.settings) {
			name, rest, _ := strings.Cut(host, ".")
			namespace := w.namespace
			if ns, _, _ := strings.Cut(rest, "."); ns != "" {
				namespace = ns
			}
			ref := "service:" + namespace + "/" + name
			if id, ok := p.byRef[ref]; ok && id != p.byRef[w.ref] {
				p.links = append(p.links, link{from: w.ref, to: ref})
				guesses++
			}
		}
	}
	if guesses > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%d dependencies were found in settings that name a service: check them", guesses))
	}
}

func (p *foreign) kubeObject(s *kubeState, o kubeObject, depth int) {
	ns := o.Metadata.Namespace
	if ns == "" {
		ns = "default"
	}
	template := o.Spec.Template
	switch o.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
	case "CronJob":
		template = o.Spec.JobTemplate.Spec.Template
	case "Pod":
		template.Metadata = o.Metadata
		template.Spec.Containers = o.Spec.Containers
	case "Service":
		selector := map[string]string{}
		for k, v := range o.Spec.Selector {
			selector[k] = fmt.Sprint(v)
		}
		s.services = append(s.services, kubeService{o.Metadata.Name, ns, selector})
		return
	case "List":
		for _, item := range o.Items {
			if depth < maxFormulaDepth {
				p.kubeObject(s, item, depth+1)
			}
		}
		return
	default:
		return // not machinery
	}
	w := kubeWorkload{ref: "workload:" + ns + "/" + o.Metadata.Name, namespace: ns, labels: maps.Clone(template.Metadata.Labels)}
	for _, list := range [][]kubeContainer{template.Spec.InitContainers, template.Spec.Containers} {
		for _, c := range list {
			for _, e := range c.Env {
				if v, ok := e.Value.(string); ok {
					w.settings = append(w.settings, v)
				}
			}
			w.settings = append(append(w.settings, c.Args...), c.Command...)
		}
	}
	s.workloads = append(s.workloads, w)
	p.add(w.ref, ns+"."+o.Metadata.Name, ns+"/"+o.Metadata.Name, SiteID(o.Metadata.Annotations[siteAnnotation]))
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// hostsIn finds what could be host names in settings: words of the characters of one.
func hostsIn(settings []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range settings {
		words := strings.FieldsFunc(s, func(r rune) bool {
			host := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.'
			return !host
		})
		for _, w := range words {
			if !seen[w] && len(w) <= 253 {
				seen[w] = true
				out = append(out, w)
			}
		}
	}
	return out
}
