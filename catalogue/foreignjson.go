package catalogue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// cdxBOM is what matters of a CycloneDX bill of materials (1.2 and later).
type cdxBOM struct {
	Metadata struct {
		Component *cdxThing `json:"component"`
	} `json:"metadata"`
	Components   []cdxThing `json:"components"`
	Services     []cdxThing `json:"services"`
	Dependencies []struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	} `json:"dependencies"`
}

type cdxThing struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Group      string     `json:"group"`
	Name       string     `json:"name"`
	Components []cdxThing `json:"components"`
	Services   []cdxThing `json:"services"`
}

// cyclonedx reads services, and components that run: libraries are left out.
func (p *foreign) cyclonedx(data []byte) error {
	var bom cdxBOM
	if err := json.Unmarshal(data, &bom); err != nil {
		return fmt.Errorf("is no CycloneDX: %w", err)
	}
	left := map[string]bool{}
	if bom.Metadata.Component != nil {
		p.cdxThings([]cdxThing{*bom.Metadata.Component}, false, left, 0)
	}
	p.cdxThings(bom.Components, false, left, 0)
	p.cdxThings(bom.Services, true, left, 0)
	if len(left) > 0 {
		p.note("%d libraries and the like left out", len(left))
	}
	for _, d := range bom.Dependencies {
		for _, to := range d.DependsOn {
			if !left[d.Ref] && !left[to] {
				p.links = append(p.links, link{from: "cdx:" + d.Ref, to: "cdx:" + to})
			}
		}
	}
	return nil
}

func (p *foreign) cdxThings(things []cdxThing, services bool, left map[string]bool, depth int) {
	for _, t := range things {
		runs := services
		switch t.Type {
		case "application", "container", "platform", "operating-system", "device", "firmware":
			runs = true
		}
		if runs && t.Name != "" {
			what := t.Name
			if t.Group != "" {
				what = t.Group + "." + t.Name
			}
			ref := t.Ref
			if ref == "" {
				ref = what // nothing can refer to it
			}
			p.add("cdx:"+ref, what, what, "")
		} else {
			left[t.Ref] = true
		}
		if depth < maxFormulaDepth {
			p.cdxThings(t.Components, false, left, depth+1)
			p.cdxThings(t.Services, true, left, depth+1)
		}
	}
}

// netboxObject is what matters of an object of NetBox's REST API. Which kind it
// is stands in its url.
type netboxObject struct {
	URL            string      `json:"url"`
	Name           string      `json:"name"`
	Site           *netboxName `json:"site"`
	Scope          *netboxName `json:"scope"` // of a cluster, from 4.2 on
	ScopeType      string      `json:"scope_type"`
	Cluster        *netboxName `json:"cluster"`
	Device         *netboxName `json:"device"`
	VirtualMachine *netboxName `json:"virtual_machine"`
	Parent         *netboxName `json:"parent"` // of a service, from 4.3 on
}

type netboxName struct {
	URL  string `json:"url"`
	Name string `json:"name"`
	Slug string `json:"slug"`
}

// netbox reads answers of the REST API: one object, a list, or pages with results.
func (p *foreign) netbox(data []byte) error {
	objects, err := netboxObjects(data)
	if err != nil {
		return err
	}
	for _, o := range objects {
		site := o.Site
		if site == nil && o.ScopeType == "dcim.site" {
			site = o.Scope
		}
		var at SiteID
		if site != nil {
			at = SiteID(slug(site.Slug))
		}
		ref := netboxRef(o.URL)
		switch {
		case o.Name == "":
			p.note("an object without a name left out: %s", ref)
		case strings.Contains(o.URL, "/dcim/devices/"):
			p.add(ref, o.Name, o.Name, at)
		case strings.Contains(o.URL, "/virtualization/virtual-machines/"):
			p.add(ref, o.Name, o.Name, at)
			p.netboxLink(ref, o.Device)
		case strings.Contains(o.URL, "/virtualization/clusters/"):
			p.add(ref, "cluster."+o.Name, o.Name, at)
		case strings.Contains(o.URL, "/ipam/services/"):
			p.netboxService(ref, o)
		default:
			p.note("%s left out: neither device, virtual machine, cluster nor service", ref)
			continue
		}
		p.netboxLink(ref, o.Cluster)
	}
	return nil
}

// netboxService adds a service under the name of what it runs on, at its site.
func (p *foreign) netboxService(ref string, o netboxObject) {
	for _, host := range []*netboxName{o.Device, o.VirtualMachine, o.Parent} {
		if host == nil {
			continue
		}
		site := p.site
		if id, known := p.byRef[netboxRef(host.URL)]; known {
			site = p.comps[id].Site
		}
		p.add(ref, host.Name+"."+o.Name, host.Name+" "+o.Name, site)
		p.netboxLink(ref, host)
		return
	}
	p.note("service %q runs on nothing: left out", o.Name)
}

func (p *foreign) netboxLink(from string, to *netboxName) {
	if to != nil && to.URL != "" {
		p.links = append(p.links, link{from: from, to: netboxRef(to.URL)})
	}
}

// netboxRef is the path of an object's url, the same on every host name.
func netboxRef(url string) string {
	if i := strings.Index(url, "/api/"); i >= 0 {
		url = url[i:]
	}
	return "netbox:" + strings.TrimSuffix(url, "/")
}

func netboxObjects(data []byte) ([]netboxObject, error) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) > 0 && trimmed[0] == '[' {
		var list []netboxObject
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, fmt.Errorf("is no answer of NetBox: %w", err)
		}
		return list, nil
	}
	var page struct {
		netboxObject
		Results []netboxObject `json:"results"`
		Next    string         `json:"next"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return nil, fmt.Errorf("is no answer of NetBox: %w", err)
	}
	if page.Next != "" {
		return nil, errors.New("is only the first page of an answer: ask NetBox with limit=0")
	}
	if page.Results == nil && page.URL != "" {
		return []netboxObject{page.netboxObject}, nil
	}
	return page.Results, nil
}
