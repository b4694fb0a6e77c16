package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
	"leitstand/web"
)

// house is a room with its screens, and a clock that a test moves.
type house struct {
	t       testing.TB
	room    *room.Room
	screens http.Handler
	link    string // admits one device
	pass    string // of the device that get and post use
	now     atomic.Int64
}

// newHouse makes an exercise room in which nothing has happened yet.
func newHouse(t testing.TB, c *catalogue.Catalogue, exercise bool) *house {
	t.Helper()
	h := &house{t: t}
	h.now.Store(time.Date(2023, 4, 24, 20, 0, 0, 0, time.UTC).UnixMicro())
	var ids []catalogue.KasseID
	for _, k := range c.Kassen {
		ids = append(ids, k.ID)
	}
	setup := room.Setup{Name: "Leitstand Probe", Exercise: exercise, Catalogue: c, People: room.PracticePeople(ids...), Owner: "operator"}
	if !exercise {
		setup.Passphrase = []byte("nur für diesen Test")
	}
	r, err := room.Init(t.Context(), room.Options{Data: t.TempDir(), Clock: func() time.Time { return db.Time(h.now.Load()) }}, setup)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	h.room, h.screens = r, web.New(r)
	h.link = strings.TrimPrefix(r.Links.First("127.0.0.1:8460"), "http://127.0.0.1:8460")
	h.pass = h.enter(h.link)
	return h
}

// enter is the first visit of a device.
func (h *house) enter(link string) (pass string) {
	h.t.Helper()
	for _, c := range (&http.Response{Header: h.stranger(link).is(http.StatusSeeOther).header}).Cookies() {
		if c.Name == "leitstand" {
			pass = c.Value
		}
	}
	if pass == "" {
		h.t.Fatal("the link admits nobody")
	}
	return pass
}

// further is a link for one more device.
func (h *house) further() string {
	h.t.Helper()
	link, _, err := h.room.Links.Further(time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimPrefix(link, "http://127.0.0.1:8460")
}

// wait moves the room's clock.
func (h *house) wait(d time.Duration) { h.now.Add(d.Microseconds()) }

func (h *house) ctx() context.Context { return h.t.Context() }

// must carries an act out.
func must[R any](h *house, person, act string, args any) R {
	h.t.Helper()
	out, err := room.Do[R](h.ctx(), h.room, person, act, args)
	if err != nil {
		h.t.Fatalf("%s as %s: %v", act, person, err)
	}
	return out
}

func (h *house) approve(person, id string) {
	h.t.Helper()
	must[room.Outcome](h, person, "approve", map[string]string{"id": id})
}

// closed is an isolator whose probes find everything closed.
type closed struct{}

func (closed) Isolate(context.Context, []catalogue.PlacementID, []catalogue.ComponentID) error {
	return nil
}
func (closed) Connect(context.Context, []catalogue.PlacementID) error { return nil }
func (closed) Closed(context.Context, catalogue.PlacementID) (bool, string, error) {
	return true, "probe-1", nil
}

// crisis makes things happen: a signal, an incident with facts and a correction,
// measures in every stage of consent, emergency operation, rebuilding, a
// clearance, a published list and a statement.
func crisis(h *house) (incidentID string) {
	h.t.Helper()
	c := h.room.Catalogue
	site, env := c.Sites[0].ID, c.Environments[0]
	if err := h.room.Store.Write(h.ctx(), func(ctx context.Context, tx *db.Tx) error {
		for _, level := range []string{"critical", "high"} {
			s := warning.Signal{Rule: "bruteforce-" + level, RuleVersion: "1", Title: "Anmeldungen häufen sich " + level, Level: level, Host: "dc01", Environment: env.ID, Owner: "operator"}
			if _, err := warning.Raise(ctx, tx, h.room.Now(), s, "Zeile <b>eins</b>"); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	h.wait(10 * time.Minute)
	i := must[incident.Incident](h, "lead", "incident.declare", map[string]string{"title": "Angriff <script>alert('titel')</script>", "grade": "krise"})
	f := must[incident.Fact](h, "operator", "fact.note", incident.Fact{Incident: i.ID, Text: "Keine Daten betroffen", Source: "Betrieb", Certainty: incident.Proven})
	h.wait(time.Hour)
	must[incident.Fact](h, "operator", "fact.note", incident.Fact{Incident: i.ID, Text: "Doch Daten <img src=x onerror=alert(1)> betroffen", Source: "Forensik", Certainty: incident.Proven, Corrects: f.ID})
	if err := h.room.Connect(room.Connections{}, closed{}); err != nil {
		h.t.Fatal(err)
	}
	plan := containment.Plan{Incident: i.ID, Title: "Stufe 2", Stage: 2, Reason: "Spuren \"<script>\" gefunden", Emergency: []catalogue.ServiceID{"eau"}, Selection: containment.Selection{Sites: []catalogue.SiteID{site}}}
	o := must[room.Ordered](h, "operator", "measure.order", plan)
	h.approve("lead", o.Consent.ID)
	if err := h.room.Isolate(h.ctx()); err != nil {
		h.t.Fatal(err)
	}
	l := must[access.Consent](h, "press", "list.publish", map[string]string{"reason": "Stufe 2 <script>alert('grund')</script>"})
	h.approve("lead", l.ID)
	n := must[access.Consent](h, "press", "notice.release", notice.Notice{Incident: i.ID, Audience: notice.Public, Title: "Bitte <u>nicht</u> doppelt senden", Text: "Alles wird aufbewahrt.", Certainty: "Stand 22 Uhr"})
	h.approve("lead", n.ID)
	n = must[access.Consent](h, "press", "notice.release", notice.Notice{Incident: i.ID, Audience: notice.Kassen, Title: "Nur für Kassen", Text: "Vertraulich.", Certainty: "Stand 22 Uhr"})
	h.approve("lead", n.ID)
	h.wait(time.Hour)
	h.rebuildAndClear(env)
	h.pending(i.ID, site)
	return i.ID
}

// rebuildAndClear begins to rebuild an environment that is cut and clears it.
func (h *house) rebuildAndClear(env catalogue.Environment) {
	h.t.Helper()
	var nodes []string
	for _, p := range h.room.Operation.Current().Placements() {
		if p.Environment == env.ID && p.Regular == operation.Cut && p.Emergency != operation.Active {
			nodes = append(nodes, string(p.ID))
		}
	}
	if len(nodes) > 0 {
		must[room.Changed](h, "operator", "rebuild.begin", map[string]any{"nodes": nodes, "reason": "Aufbau"})
	}
	g := must[access.Consent](h, "examiner", "clearance.grant", map[string]any{
		"scope": map[string]string{"kind": "environment", "id": string(env.ID)}, "check": "rebuilt", "reason": "neu aufgebaut", "until": h.room.Now().Add(30 * 24 * time.Hour),
		"evidence": []map[string]any{{"name": "bericht.pdf", "sha256": strings.Repeat("ab", 32), "size": 12}},
	})
	h.approve("examiner2", g.ID)
}

// pending leaves requests of several kinds that wait for a second person.
func (h *house) pending(incidentID string, gone catalogue.SiteID) {
	h.t.Helper()
	for _, s := range h.room.Catalogue.Sites {
		if s.ID != gone {
			must[room.Ordered](h, "operator", "measure.order", containment.Plan{Incident: incidentID, Title: "Stufe 3", Stage: 3, Reason: "gleiche Spuren", Selection: containment.Selection{Sites: []catalogue.SiteID{s.ID}}})
			must[room.Ordered](h, "operator", "measure.order", containment.Plan{Title: "Sofort", Stage: 1, Reason: "Fernsteuerung", Immediate: true, Selection: containment.Selection{Sites: []catalogue.SiteID{s.ID}, Services: []catalogue.ServiceID{"tel"}}})
			break
		}
	}
	must[access.Consent](h, "press", "list.publish", map[string]string{"reason": "Telefon"})
	must[access.Consent](h, "press", "notice.release", notice.Notice{Audience: notice.Partners, Title: "Hinweis", Text: "Text", Certainty: "Stand"})
	g := h.room.Catalogue.Environments[len(h.room.Catalogue.Environments)-1]
	must[access.Consent](h, "examiner", "clearance.grant", map[string]any{
		"scope": map[string]string{"kind": "environment", "id": string(g.ID)}, "check": "untouched", "reason": "nicht erreicht", "until": h.room.Now().Add(time.Hour * 24 * 30),
		"evidence": []map[string]any{{"name": "log.txt", "sha256": strings.Repeat("cd", 32), "size": 9}},
	})
}

// get asks for a page as a device that is inside.
func (h *house) get(path string) page { return h.ask(http.MethodGet, path, nil, true) }

// stranger asks for a page without it.
func (h *house) stranger(path string) page { return h.ask(http.MethodGet, path, nil, false) }

// post sends a form as the page's own form would.
func (h *house) post(path string, form url.Values) page {
	return h.ask(http.MethodPost, path, form, true)
}

func (h *house) ask(method, path string, form url.Values, inside bool, change ...func(*http.Request)) page {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.ctx(), method, "http://127.0.0.1:8460"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if inside {
		r.AddCookie(&http.Cookie{Name: "leitstand", Value: h.pass})
	}
	for _, fn := range change {
		fn(r)
	}
	w := httptest.NewRecorder()
	h.screens.ServeHTTP(w, r)
	return newPage(h.t, path, w)
}

// page is an answer as a person reads it.
type page struct {
	t        testing.TB
	path     string
	status   int
	header   http.Header
	raw      string
	root     *html.Node
	Text     string // what is visible or read out, white space folded
	location string
}

func newPage(t testing.TB, path string, w *httptest.ResponseRecorder) page {
	t.Helper()
	p := page{t: t, path: path, status: w.Code, header: w.Header(), raw: w.Body.String(), location: w.Header().Get("Location")}
	root, err := html.Parse(strings.NewReader(p.raw))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	p.root = root
	var text strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			text.WriteString(n.Data + " ")
		}
	}
	p.Text = strings.Join(strings.Fields(text.String()), " ")
	return p
}

func (p page) is(status int) page {
	p.t.Helper()
	if p.status != status {
		p.t.Errorf("%s: status %d, want %d: %.300s", p.path, p.status, status, p.Text)
	}
	return p
}

func (p page) says(want ...string) page {
	p.t.Helper()
	for _, w := range want {
		if !strings.Contains(p.Text, w) {
			p.t.Errorf("%s does not say %q: %.2000s", p.path, w, p.Text)
		}
	}
	return p
}

func (p page) never(not ...string) page {
	p.t.Helper()
	for _, w := range not {
		if strings.Contains(p.raw, w) {
			p.t.Errorf("%s holds %q", p.path, w)
		}
	}
	return p
}

// all finds the elements of a name.
func (p page) all(name string) []*html.Node {
	var out []*html.Node
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			out = append(out, n)
		}
	}
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// sound checks what every page owes to everybody: one heading of the first
// level, a language, a title, labels, headers of tables, no style or script inside.
func (p page) sound() page {
	p.t.Helper()
	if n := len(p.all("h1")); n != 1 {
		p.t.Errorf("%s has %d headings of the first level", p.path, n)
	}
	for _, n := range p.all("html") {
		if attr(n, "lang") == "" || attr(n, "data-kern-theme") == "" {
			p.t.Errorf("%s: html without lang or theme", p.path)
		}
	}
	ids, labels := map[string]int{}, map[string]bool{}
	for n := range p.root.Descendants() {
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		if n.Data == "label" {
			labels[attr(n, "for")] = true
		}
		if attr(n, "style") != "" || n.Data == "style" || n.Data == "script" && attr(n, "src") == "" || strings.HasPrefix(attr(n, "href"), "http") || strings.HasPrefix(attr(n, "src"), "http") {
			p.t.Errorf("%s: %s holds style, script or a foreign address", p.path, n.Data)
		}
	}
	for id, n := range ids {
		if n > 1 {
			p.t.Errorf("%s: id %q stands %d times", p.path, id, n)
		}
	}
	for _, name := range []string{"select", "textarea", "input"} {
		for _, n := range p.all(name) {
			if kind := attr(n, "type"); kind != "hidden" && kind != "checkbox" && !labels[attr(n, "id")] {
				p.t.Errorf("%s: %s %q has no label", p.path, name, attr(n, "name"))
			}
		}
	}
	for _, n := range p.all("th") {
		if attr(n, "scope") == "" {
			p.t.Errorf("%s: a table header without scope", p.path)
		}
	}
	return p
}
