package web_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"leitstand/access"
)

func itoa(n int) string { return strconv.Itoa(n) }

func withoutALinkNothingOfTheControlRoomIsShownOrDone(t *testing.T, h *house, id string) {
	for _, p := range paths(h, id) {
		if !strings.HasPrefix(p, "/oeffentlich") {
			h.stranger(p).is(http.StatusForbidden).never("Angriff", "Ines", "operator", "Maßnahmen")
		}
	}
	h.stranger("/teil/lage").is(http.StatusForbidden)
	h.ask(http.MethodPost, "/vorfall", url.Values{"als": {"lead"}, "titel": {"fremd"}}, false).is(http.StatusForbidden)
	h.stranger("/?token=FALSCH").is(http.StatusForbidden)
	h.stranger("/?token=").is(http.StatusForbidden)
	h.ask(http.MethodGet, "/", nil, false, func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "leitstand", Value: strings.TrimPrefix(h.further(), "/?token=")})
	}).is(http.StatusForbidden) // a link is no pass
}

func aLinkAdmitsOneDeviceOnce(t *testing.T, h *house) {
	h.stranger(h.link).is(http.StatusForbidden).says("benutzt oder abgelaufen")
	h.get(h.link).is(http.StatusSeeOther) // reloaded by the device that used it
	link := h.further()
	p := h.stranger(link).is(http.StatusSeeOther)
	if p.location != "/" {
		t.Errorf("sent on to %q, want the same page without the link", p.location)
	}
	c := p.header.Get("Set-Cookie")
	for _, want := range []string{"leitstand=", "HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(c, want) {
			t.Errorf("cookie %q lacks %q", c, want)
		}
	}
	if secret := strings.TrimPrefix(link, "/?token="); strings.Contains(c, secret) {
		t.Error("the cookie is the secret of the address")
	}
	h.stranger(link).is(http.StatusForbidden)
	if _, ok := h.room.Links.Redeem(strings.TrimPrefix(h.further(), "/?token="), time.Now().Add(10*time.Minute)); ok {
		t.Error("a link admits after its end")
	}
}

func oneDeviceGivesLinksAndShutsOthersOut(t *testing.T, h *house) {
	page := h.post("/zugang", url.Values{"was": {"link"}}).is(http.StatusOK).says("einmal")
	i := strings.Index(page.Text, "/?token=")
	if i < 0 {
		t.Fatal("no link is shown")
	}
	other := h.enter(strings.Fields(page.Text[i:])[0])
	if !h.room.Links.Knows(other) {
		t.Fatal("the shown link admits nobody")
	}
	waiting := h.further()
	h.post("/zugang", url.Values{"was": {"allein"}}).is(http.StatusSeeOther)
	if h.room.Links.Knows(other) {
		t.Error("another device is still inside")
	}
	h.stranger(waiting).is(http.StatusForbidden)
	h.get("/zugang").is(http.StatusOK).says("Angemeldete Geräte: 1")
	h.post("/zugang", url.Values{"was": {"fremd"}}).is(http.StatusBadRequest)
}

func aForeignSiteCannotAct(t *testing.T, h *house) {
	form := url.Values{"als": {"lead"}, "titel": {"untergeschoben"}}
	h.ask(http.MethodPost, "/vorfall", form, true, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).is(http.StatusForbidden)
	h.ask(http.MethodPost, "/vorfall", form, true, func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "http://boese.example")
	}).is(http.StatusForbidden)
	h.get("/vorfall").never("untergeschoben")
	h.post("/vorfall", form).is(http.StatusSeeOther)
	h.get("/vorfall").says("untergeschoben")
}

func onlyNamesOfThisMachineAreAnswered(t *testing.T, h *house) {
	for host, want := range map[string]int{
		"127.0.0.1:8460": 200, "localhost:8460": 200, "LOCALHOST": 200, "[::1]:8460": 200, "127.9.9.9": 200,
		"boese.example": 421, "127.0.0.1.boese.example": 421, "localhost.boese.example:8460": 421, "10.0.0.1:8460": 421, "": 421,
	} {
		for _, path := range []string{"/", "/oeffentlich", "/assets/leitstand.css"} {
			h.ask(http.MethodGet, path, nil, true, func(r *http.Request) { r.Host = host }).is(want)
		}
	}
}

func everyAnswerForbidsForeignAndInlineContent(t *testing.T, h *house) {
	for _, path := range []string{"/", "/oeffentlich", "/nirgends", "/assets/leitstand.css", "/oeffentlich/liste.json"} {
		p := h.get(path)
		csp := p.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || strings.Contains(csp, "http") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if p.header.Get("X-Content-Type-Options") != "nosniff" || p.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s lacks a header", path)
		}
	}
}

func aFormThatIsTooLargeIsRefused(t *testing.T, h *house) {
	h.post("/vorfall", url.Values{"als": {"lead"}, "titel": {strings.Repeat("x", 1<<20)}}).is(http.StatusBadRequest).says("zu groß")
}

func theViewIsRememberedAndRedirectsStayHere(t *testing.T, h *house) {
	for back, want := range map[string]string{"/signale": "/signale", "//boese.example/": "/", "https://boese.example": "/", `/\boese.example`: "/", "": "/"} {
		p := h.post("/ansicht", url.Values{"ansicht": {"dunkel"}, "zurueck": {back}}).is(http.StatusSeeOther)
		if p.location != want {
			t.Errorf("back to %q leads to %q, want %q", back, p.location, want)
		}
	}
	dark := h.ask(http.MethodGet, "/", nil, true, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "ansicht", Value: "dunkel"}) })
	if !strings.Contains(dark.raw, `data-kern-theme="dark"`) {
		t.Error("the dark view was not remembered")
	}
}

func thePublicSeesWhatWasReleasedAndNobodyOfTheCrisisTeam(t *testing.T, h *house, id string) {
	people, err := access.List(h.ctx(), h.room.Store)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(publicPaths(h), "/oeffentlich/liste.json", "/oeffentlich/liste.atom", "/oeffentlich/liste.atom?kasse="+string(h.room.Catalogue.Kassen[0].ID)) {
		p := h.stranger(path).is(http.StatusOK).never("Nur für Kassen", "Vertraulich", "Telefon</", "published_by", "second_by", "Angriff", h.pass)
		for _, person := range people {
			for _, word := range []string{person.Name, `"` + person.ID + `"`, ">" + person.ID + "<"} {
				if strings.Contains(p.raw, word) {
					t.Errorf("%s names %q", path, word)
				}
			}
		}
		if !strings.Contains(p.raw, "ÜBUNG") && !strings.Contains(p.raw, `"uebung": true`) {
			t.Errorf("%s is not marked as exercise", path)
		}
	}
	h.stranger("/oeffentlich").says("Fassung 1", "nicht erreichbar", "im Notbetrieb", "Bitte <u>nicht</u> doppelt senden", "Stand 22 Uhr", "116 117")
	h.stranger("/oeffentlich/en").says("emergency operation", "not available")
	h.stranger("/oeffentlich/leicht").says("funktioniert nicht", "Kranken-Kasse")
	h.stranger("/oeffentlich/aenderungen").says("Fassung 1", "+ Neu", "Grund: Stufe 2 <script>")
	h.stranger("/oeffentlich/liste.atom").says("ÜBUNG: Fassung 1")
}
