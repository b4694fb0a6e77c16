package catalogue

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// generator fills in what nobody published. It draws per Kasse, so that the
// values of one do not change when another is added, and with whole numbers
// only, so that they are the same on every machine.
type generator struct {
	seed   uint64
	c      *Catalogue
	a, b   SiteID // the two main sites, which back each other up
	placed map[PlacementID]bool
}

// What is drawn, each with a stream of its own.
const (
	drawInsured uint64 = iota
	drawHome
	drawPlaces
)

func (g *generator) rand(k KasseID, what uint64) *rand.Rand {
	n, err := strconv.ParseUint(string(k), 10, 64)
	if err != nil {
		n = 0 // an invented id; Validate refuses it
	}
	return rand.New(rand.NewPCG(g.seed, n<<8|what)) //nolint:gosec // a generator of plausible data, no secret
}

// between draws from lo to hi, both included.
func between(r *rand.Rand, lo, hi int) int { return lo + r.IntN(hi-lo+1) }

// machine is one kind of shared component. Its formula names machines at the
// same site.
type machine struct {
	what, name, needs string
	mainOnly          bool // stands at the two main sites only
}

// machines are assumed: nobody published what the services of 2023 rested on.
// Directory, DNS and database rest on each other as such things do.
func machines() []machine {
	return []machine{
		{what: "network", name: "Netzkern"},
		{what: "hypervisor", name: "Hypervisor-Cluster", needs: "network"},
		{what: "storage", name: "Speicher-Cluster", needs: "network"},
		{what: "directory", name: "Verzeichnisdienst", needs: "hypervisor & storage & dns"},
		{what: "dns", name: "DNS", needs: "hypervisor & directory"},
		{what: "database", name: "Datenbank-Cluster", needs: "hypervisor & storage & dns"},
		{what: "backup", name: "Datensicherung", needs: "storage & directory"},
		{what: "identity", name: "Anmeldedienst", needs: "directory & database"},
		{what: "vpn", name: "Fernzugang (VPN)", needs: "network & identity"},
		{what: "core", name: "Kassen-Kernsystem", needs: "database & directory"},
		{what: "web-farm", name: "Webserver", needs: "hypervisor & dns"},
		{what: "mail-server", name: "Mailserver", needs: "storage & directory"},
		{what: "telephony", name: "Telefonanlage", needs: "network & directory"},
		{what: "archive", name: "Dokumentenarchiv", needs: "storage & database"},
		{what: "ti-access", name: "Zugang zur Telematikinfrastruktur", needs: "network & dns"},
		{what: "kim-server", name: "KIM-Fachdienst", needs: "ti-access & storage", mainOnly: true},
		{what: "epa-server", name: "ePA-Aktensystem", needs: "ti-access & storage & database", mainOnly: true},
		{what: "vsdm-server", name: "VSDM-Fachdienst", needs: "ti-access & database", mainOnly: true},
		{what: "payment", name: "Zahlungsverkehrsrechner", needs: "network & core", mainOnly: true},
		{what: "exchange", name: "Datenannahme und -verteilung", needs: "network & core", mainOnly: true},
	}
}

// rule says what a service rests on. In the formulas, a plain name is a
// machine at the site of the placement, name.any one of the two at the main
// sites, name.near the one at the main site nearest to the placement, and
// id.own another service of the same Kasse.
type rule struct {
	service      ServiceID
	needs, wants string
	team         string
	second       int // in how many of 100 Kassen it is placed at a second site
}

// rules are assumed, like machines.
func rules() []rule {
	return []rule{
		{"eau", "kim-server.any & core & database", "archive", "TI", 40},
		{"kim", "kim-server.any & ti-access", "mail-server", "TI", 40},
		{"epa", "epa-server.near & ti-access", "identity", "TI", 10},
		{"zahl", "payment.near & core & directory", "", "Zahlung", 15},
		{"genehm", "core & (tel.own | mail.own)", "dms.own", "Fachverfahren", 10},
		{"tel", "telephony", "directory", "Netz", 35},
		{"mail", "mail-server & dns", "identity", "Windows", 30},
		{"web", "web-farm & dns", "", "Web", 45},
		{"app", "web-farm & identity & core", "epa.own", "Web", 15},
		{"vsdm", "vsdm-server.any & core", "", "TI", 20},
		{"zuz", "vsdm.own & web-farm", "", "Fachverfahren", 10},
		{"diga", "web-farm & core", "", "Web", 10},
		{"dta", "exchange.any & core", "archive", "Fachverfahren", 15},
		{"stat", "exchange.near & database", "", "Fachverfahren", 10},
		{"dms", "archive & directory", "backup", "Datenbank", 20},
		{"ehkp", "ti-access & identity & core", "", "TI", 10},
		{"egk", "core & exchange.near", "vsdm.own", "Fachverfahren", 10},
		{"ctrl", "database & core", "dta.own", "Datenbank", 10},
	}
}

func (g *generator) isMain(s SiteID) bool { return s == g.a || s == g.b }

// twin is the site that backs another one up.
func (g *generator) twin(s SiteID) SiteID {
	if s == g.b {
		return g.a
	}
	return g.b
}

// components places every machine at every site.
func (g *generator) components() {
	for _, s := range g.c.Sites {
		for _, m := range machines() {
			if m.mainOnly && !g.isMain(s.ID) {
				continue
			}
			g.c.Components = append(g.c.Components, Component{
				ID: at(m.what, s.ID), Name: m.name + ", " + s.Name, Site: s.ID, Assumed: true,
				Needs: mustFormula(m.needs).rename(func(n string) string { return string(at(n, s.ID)) }),
			})
		}
	}
}

func at(what string, s SiteID) ComponentID { return ComponentID(what + "@" + string(s)) }

// mustFormula reads a formula of this file.
func mustFormula(s string) Formula {
	f, err := ParseFormula(s)
	if err != nil {
		panic(err) // only if the tables above are broken; a test reads them all
	}
	return f
}

// placements puts every service of a Kasse at its home site and some at the
// second site too.
func (g *generator) placements(k KasseID, home SiteID) {
	r := g.rand(k, drawPlaces)
	sites := map[ServiceID][]SiteID{}
	for _, u := range rules() {
		sites[u.service] = []SiteID{home}
		if r.IntN(100) < u.second {
			sites[u.service] = append(sites[u.service], g.twin(home))
		}
		for _, s := range sites[u.service] {
			g.placed[PlacementOf(k, u.service, s)] = true
		}
	}
	envs := map[SiteID]bool{}
	for _, u := range rules() {
		for _, s := range sites[u.service] {
			p := Placement{
				ID: PlacementOf(k, u.service, s), Kasse: k, Service: u.service, Site: s,
				Environment: EnvironmentOf(k, s), Team: u.team, Assumed: true,
			}
			p.Needs = g.formula(u.needs, p, home)
			p.Wants = g.formula(u.wants, p, home)
			g.c.Placements = append(g.c.Placements, p)
			if !envs[s] {
				envs[s] = true
				g.c.Environments = append(g.c.Environments, Environment{ID: p.Environment, Kasse: k, Site: s})
			}
		}
	}
}

// formula puts ids for the names of a rule, as rule describes.
func (g *generator) formula(text string, p Placement, home SiteID) Formula {
	return g.expand(mustFormula(text), p, home)
}

func (g *generator) expand(f Formula, p Placement, home SiteID) Formula {
	switch f.Op {
	case OpNone:
		return f
	case OpAll, OpAny:
		of := make([]Formula, len(f.Of))
		for i, h := range f.Of {
			of[i] = g.expand(h, p, home)
		}
		return join(f.Op, of)
	case OpNode:
	}
	if name, ok := strings.CutSuffix(f.Node, ".any"); ok {
		return Any(Node(at(name, g.a)), Node(at(name, g.b)))
	}
	if name, ok := strings.CutSuffix(f.Node, ".near"); ok {
		near := p.Site
		if !g.isMain(near) {
			near = g.twin(near)
		}
		return Node(at(name, near))
	}
	if name, ok := strings.CutSuffix(f.Node, ".own"); ok {
		id := PlacementOf(p.Kasse, ServiceID(name), p.Site)
		if !g.placed[id] {
			id = PlacementOf(p.Kasse, ServiceID(name), home)
		}
		return Node(id)
	}
	return Node(at(f.Node, p.Site))
}
