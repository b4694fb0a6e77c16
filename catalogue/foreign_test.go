package catalogue_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
)

// described is what a part says, one line a component.
func described(p catalogue.Part) []string {
	var out []string
	for _, c := range p.Components {
		s := string(c.ID)
		if !c.Needs.IsZero() {
			s += " needs " + c.Needs.String()
		}
		out = append(out, s)
	}
	return out
}

const (
	backstageSample = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: kim-poller
  annotations: {leitstand/site: essen}
spec:
  type: service
  lifecycle: production
  owner: team-ti
  dependsOn: [resource:journal-db, component:default/clock, component:gone]
  consumesApis: [directory-api]
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: directory, namespace: base}
spec: {providesApis: [default/directory-api], dependencyOf: [default/clock]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: clock}
spec: {type: service}
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: Journal-DB}
spec: {type: database}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: directory-api}
spec: {type: openapi}
`
	cyclonedxSample = `{"bomFormat":"CycloneDX","specVersion":"1.6",
"metadata":{"component":{"bom-ref":"room","type":"application","name":"room"}},
"components":[{"bom-ref":"pg","type":"platform","group":"org.postgresql","name":"server"},{"bom-ref":"lib","type":"library","name":"left-pad"}],
"services":[{"bom-ref":"s1","name":"Status page","services":[{"bom-ref":"s2","name":"feed"}]}],
"dependencies":[{"ref":"room","dependsOn":["pg","lib","s9"]},{"ref":"s1","dependsOn":["room"]},{"ref":"s2","dependsOn":["s1"]}]}`
	netboxSample = `{"count":4,"next":null,"results":[
{"id":1,"url":"https://nb.example/api/virtualization/virtual-machines/1/","name":"dc01","site":{"slug":"muc"},"cluster":{"url":"https://nb.example/api/virtualization/clusters/7/","name":"hv-a"}},
{"id":7,"url":"https://nb.example/api/virtualization/clusters/7/","name":"hv-a","scope_type":"dcim.site","scope":{"slug":"muc"}},
{"id":3,"url":"https://nb.example/api/dcim/devices/3/","name":"SW 1","site":{"slug":"muc"}},
{"id":9,"url":"https://nb.example/api/ipam/services/9/","name":"ldap","virtual_machine":{"url":"https://nb.example/api/virtualization/virtual-machines/1/","name":"dc01"}},
{"id":2,"url":"https://nb.example/api/tenancy/tenants/2/","name":"SBK"}]}`
	ansibleSample = `all:
  children:
    web:
      hosts:
        web[01:03].example:
        db1: {ansible_host: 192.0.2.1, ansible_password: geheim}
    db:
      hosts: {db1: }
`
	kubernetesSample = `apiVersion: apps/v1
kind: Deployment
metadata: {name: poller, namespace: kim}
spec:
  template:
    metadata: {labels: {app: poller}}
    spec:
      containers:
        - name: c
          env: [{name: DB, value: "postgres://u:p@journal.data.svc.cluster.local:5432/x"}, {name: N, value: 3}]
          args: [--cache=cache:6379]
---
apiVersion: v1
kind: List
items:
  - {kind: StatefulSet, metadata: {name: pg, namespace: data}, spec: {template: {metadata: {labels: {app: pg}}}}}
  - {kind: Service, metadata: {name: journal, namespace: data}, spec: {selector: {app: pg}}}
  - {kind: Service, metadata: {name: cache, namespace: kim}, spec: {selector: {app: cache}}}
  - {kind: Pod, metadata: {name: cache, namespace: kim, labels: {app: cache}}}
  - {kind: ConfigMap, metadata: {name: x}}
`
	composeSample = `name: amt
x-base: &base {restart: always, links: ["cache:c"]}
services:
  web:
    <<: *base
    depends_on: {db: {condition: service_healthy}}
  worker: {depends_on: [db, gone], network_mode: "service:web"}
  db: {image: postgres}
  cache: {image: redis}
`
)

func TestForeignFilesBecomeComponents(t *testing.T) {
	for _, x := range []struct {
		format     catalogue.Format
		name, data string
		want       []string
		notes      string
	}{
		{
			catalogue.Backstage, "catalog-info.yaml", backstageSample,
			[]string{"base.directory@munich", "clock@munich needs base.directory@munich", "kim-poller@essen needs base.directory@munich & clock@munich & resource.journal-db@munich", "resource.journal-db@munich"},
			`kim-poller@essen rests on "component:default/gone", which is not in the files: left out`,
		},
		{
			catalogue.CycloneDX, "bom.json", cyclonedxSample,
			[]string{"feed@munich needs status-page@munich", "org.postgresql.server@munich", "room@munich needs org.postgresql.server@munich", "status-page@munich needs room@munich"},
			"bom.json: 1 libraries and the like left out\nroom@munich rests on \"cdx:s9\", which is not in the files: left out",
		},
		{
			catalogue.NetBox, "vms.json", netboxSample,
			[]string{"cluster.hv-a@muc", "dc01.ldap@muc needs dc01@muc", "dc01@muc needs cluster.hv-a@muc", "sw-1@muc"},
			"vms.json: netbox:/api/tenancy/tenants/2 left out: neither device, virtual machine, cluster nor service",
		},
		{
			catalogue.Ansible, "inventory.yml", ansibleSample,
			[]string{"db1@munich", "web01.example@munich", "web02.example@munich", "web03.example@munich"},
			"",
		},
		{
			catalogue.Ansible, "inventory.ini", "# x\n[web]\nweb[1:2]  ansible_host=1\n[web:vars]\nx=1\n[all:children]\nweb\n[db]\ndb[a:c]\n",
			[]string{"web1@munich", "web2@munich"},
			`inventory.ini: host range "db[a:c]" left out`,
		},
		{
			catalogue.Kubernetes, "all.yaml", kubernetesSample,
			[]string{"data.pg@munich", "kim.cache@munich", "kim.poller@munich needs data.pg@munich & kim.cache@munich"},
			"2 dependencies were found in settings that name a service: check them",
		},
		{
			catalogue.Compose, "compose.yaml", composeSample,
			[]string{"amt.cache@munich", "amt.db@munich", "amt.web@munich needs amt.cache@munich & amt.db@munich", "amt.worker@munich needs amt.db@munich & amt.web@munich"},
			`amt.worker@munich rests on "compose:amt.gone", which is not in the files: left out`,
		},
	} {
		for _, format := range []catalogue.Format{x.format, ""} { // also when the format is to be found out
			p, err := catalogue.ReadForeign(catalogue.Reading{Format: format, Site: "munich"}, catalogue.File{Name: x.name, Data: []byte(x.data)})
			if err != nil {
				t.Errorf("%s as %q: %v", x.name, format, err)
				continue
			}
			if diff := cmp.Diff(x.want, described(p)); diff != "" {
				t.Errorf("%s as %q (-want +got):\n%s", x.name, format, diff)
			}
			if got := strings.Join(p.Notes, "\n"); got != x.notes {
				t.Errorf("%s as %q: notes\n%s\nwant\n%s", x.name, format, got, x.notes)
			}
		}
	}
}

func TestAPrefixKeepsTwoToolsApart(t *testing.T) {
	p, err := catalogue.ReadForeign(catalogue.Reading{Site: "munich", Prefix: "Amt 1"}, catalogue.File{Name: "compose.yaml", Data: []byte("services:\n  dns: {depends_on: [ntp]}\n  ntp: {}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"amt-1.dns@munich needs amt-1.ntp@munich", "amt-1.ntp@munich"}, described(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestForeignFilesThatCannotBeReadAreNamed(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		prev, cur := string(rune('a'+i)), string(rune('b'+i))
		bomb += cur + ": &" + cur + " [*" + prev + strings.Repeat(",*"+prev, 9) + "]\n"
	}
	for want, x := range map[string]struct {
		format catalogue.Format
		f      catalogue.File
	}{
		"bom.json: is no CycloneDX":           {catalogue.CycloneDX, catalogue.File{Name: "bom.json", Data: []byte("{")}},
		"x.json: is no answer of NetBox":      {catalogue.NetBox, catalogue.File{Name: "x.json", Data: []byte("[1]")}},
		"is only the first page":              {catalogue.NetBox, catalogue.File{Name: "x.json", Data: []byte(`{"next":"u","results":[]}`)}},
		"is in none of the known formats":     {"", catalogue.File{Name: "x.txt", Data: []byte("x")}},
		`unknown format "visio"`:              {"visio", catalogue.File{Name: "x.yaml", Data: []byte("x: 1")}},
		"is no YAML":                          {catalogue.Compose, catalogue.File{Name: "x.yaml", Data: []byte("a: [")}},
		"reading YAML":                        {catalogue.Compose, catalogue.File{Name: "x.yaml", Data: []byte("services: 3")}},
		"once its aliases are put in place":   {catalogue.Compose, catalogue.File{Name: "x.yaml", Data: []byte(bomb)}},
		`line 1: "[web" is no group`:          {catalogue.Ansible, catalogue.File{Name: "x.ini", Data: []byte("[web")}},
		"more than 100000 components":         {catalogue.Ansible, catalogue.File{Name: "x.ini", Data: []byte("a[1:9999][1:9999][1:9999]")}},
		"is not UTF-8":                        {catalogue.Compose, catalogue.File{Name: "x.yaml", Data: []byte("a: \xff")}},
		"x.yaml: 4194305 bytes, at most 4194": {catalogue.Compose, catalogue.File{Name: "x.yaml", Data: make([]byte, catalogue.MaxYAML+1)}},
	} {
		if _, err := catalogue.ReadForeign(catalogue.Reading{Format: x.format, Site: "munich"}, x.f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := catalogue.ReadForeign(catalogue.Reading{Site: "mu nich"}); err == nil {
		t.Error("a bad site was taken")
	}
}

func TestMergingUpdatesByIdentityAndShowsTheDifference(t *testing.T) {
	c := small()
	read := func(data string) catalogue.Part {
		t.Helper()
		p, err := catalogue.ReadForeign(catalogue.Reading{Format: catalogue.Compose, Site: "munich"}, catalogue.File{Name: "compose.yaml", Data: []byte(data)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := c.Hash()
	m := catalogue.Merge(c, read("services:\n  dns: {depends_on: [ntp]}\n  ntp: {}\n"))
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Hash() != before {
		t.Error("merging changed the catalogue it was given")
	}
	var got []string
	for _, d := range catalogue.Diff(c, m) {
		got = append(got, d.String())
	}
	want := []string{
		`~ komponenten dns@munich: name "DNS" → "dns"`,
		`~ komponenten dns@munich: haengt_ab_von "directory@munich" → "ntp@munich"`,
		`+ komponenten ntp@munich`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	again := catalogue.Merge(m, read("services:\n  dns: {depends_on: [ntp]}\n  ntp: {}\n"))
	if d := catalogue.Diff(m, again); len(d) > 0 {
		t.Errorf("reading the same twice changes %v", d)
	}
	kept := catalogue.Merge(c, read("services:\n  dns: {}\n"))
	if d := catalogue.Diff(c, kept); len(d) != 1 || d[0].Field != "name" {
		t.Errorf("what the file does not know was taken away: %v", d)
	}
	gone := small()
	gone.Placements = gone.Placements[:3]
	if d := catalogue.Diff(c, gone); len(d) != 1 || d[0].String() != "- platzierungen 108433248/app/essen" {
		t.Errorf("%v", d)
	}
}

func FuzzReadForeign(f *testing.F) {
	for i, s := range []string{backstageSample, cyclonedxSample, netboxSample, ansibleSample, kubernetesSample, composeSample, "[web]\nweb[1:3]\n"} {
		f.Add(i, []byte(s))
	}
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		formats := catalogue.Formats()
		format := formats[uint(i)%uint(len(formats))]
		name := "x.yaml"
		if i%2 == 1 {
			name = "x.ini"
		}
		p, err := catalogue.ReadForeign(catalogue.Reading{Format: format, Site: "munich"}, catalogue.File{Name: name, Data: b})
		if err != nil {
			return
		}
		if err := catalogue.Merge(small(), p).Validate(); err != nil {
			t.Errorf("%s: what was read makes an invalid catalogue: %v", format, err)
		}
	})
}
