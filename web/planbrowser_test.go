package web_test

import (
	"testing"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/room"
)

func TestBrowserFindsTheWayBackAccessible(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	o := must[room.Ordered](h, "operator", "measure.order", containment.Plan{
		Title: "Nord", Stage: 3, Reason: "Spuren", Selection: containment.Selection{Sites: []catalogue.SiteID{"nord"}},
	})
	h.approve("lead", o.Consent.ID)
	b := openBrowser(t, h)
	axe := readAxe(t)
	check := func(path string) {
		t.Helper()
		b.open(path)
		b.withAxe(axe)
		for _, v := range b.axe() {
			t.Errorf("%s: %s", path, v)
		}
	}
	kasse := "/wiederherstellung/kasse/" + string(h.room.Catalogue.Kassen[0].ID)
	b.size(1366, 768)
	check("/wiederherstellung")
	must[room.PlanView](h, "lead", "plan.make", map[string]any{"reason": "Rückkehr", "schedules": 20})
	must[room.PlanView](h, "lead", "plan.replan", map[string]any{"reason": "noch einmal", "schedules": 20})
	pages := []string{"/wiederherstellung", kasse, "/wiederherstellung/tag?datum=2023-04-26", "/wiederherstellung/waswaere?team=forensik&mehr=2", "/wiederherstellung/vereinbarungen", "/wiederherstellung/beobachtung"}
	for _, p := range pages {
		check(p)
	}
	b.size(390, 844)
	for _, p := range pages {
		b.open(p)
		if eval[bool](b, `document.documentElement.scrollWidth>innerWidth+1`) {
			t.Errorf("%s must be scrolled sideways on a phone: %s", p, eval[string](b, `[...document.querySelectorAll('main *')].filter(e=>e.getBoundingClientRect().right>innerWidth+1&&!e.closest('.tabelle')).slice(0,3).map(e=>e.outerHTML.slice(0,120)).join(' ; ')`))
		}
	}
	b.noForeign()
}
