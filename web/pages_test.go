package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
)

// paths are all pages of a room, with ids that exist in it.
func paths(h *house, incidentID string) []string {
	h.t.Helper()
	k := h.room.Catalogue.Placements[0]
	out := []string{
		"/", "/?ordnung=zustand", "/fristen", "/zugang", "/entscheidungen", "/massnahmen", "/massnahmen/neu", "/signale", "/vorfall", "/freigaben", "/pruefungen", "/notbetrieb", "/wiederherstellung", "/rueckstand", "/rueckfuehrung", "/abnahme/" + string(k.Kasse) + "/" + string(k.Service), "/konflikte/" + string(k.Kasse),
		"/mitteilungen", "/tagebuch", "/tagebuch?art=measure", "/tagebuch?wer=lead", "/tagebuch/1", "/kasse/" + string(k.Kasse), "/zelle/" + string(k.Kasse) + "/" + string(k.Service),
	}
	if incidentID != "" {
		out = append(out, "/vorfall/"+incidentID)
	}
	open, err := access.Open(h.ctx(), h.room.Store)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range open {
		out = append(out, "/entscheidungen/"+c.ID)
	}
	return append(out, publicPaths(h)...)
}

func publicPaths(h *house) []string {
	return []string{
		"/oeffentlich", "/oeffentlich/partner", "/oeffentlich/leicht", "/oeffentlich/en", "/oeffentlich/aenderungen",
		"/oeffentlich?kasse=b", "/oeffentlich/kasse/" + string(h.room.Catalogue.Kassen[0].ID),
	}
}

// TestScreens runs what only reads on one room: empty first, then in a crisis.
func TestScreens(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	empty := func(name string, check func(*testing.T, *house)) {
		t.Run(name, func(t *testing.T) {
			h.t = t
			check(t, h)
		})
	}
	empty("every page renders in an empty room", func(_ *testing.T, h *house) { everyPageRendersEmpty(h) })
	empty("a page that does not exist says so", aPageThatDoesNotExistSaysSo)
	empty("a link admits one device, once", aLinkAdmitsOneDeviceOnce)
	empty("one device gives links and shuts others out", oneDeviceGivesLinksAndShutsOthersOut)
	empty("only names of this machine are answered", onlyNamesOfThisMachineAreAnswered)
	empty("every answer forbids foreign and inline content", everyAnswerForbidsForeignAndInlineContent)
	empty("a form that is too large is refused", aFormThatIsTooLargeIsRefused)
	empty("the view is remembered", theViewIsRememberedAndRedirectsStayHere)
	empty("the open screen is told only what changed", theOpenScreenIsToldOnlyWhatChanged)
	h.t = t
	id := crisis(h)
	full := func(name string, check func(*testing.T, *house, string)) {
		t.Run(name, func(t *testing.T) {
			h.t = t
			check(t, h, id)
		})
	}
	full("every page renders in a crisis and escapes what people wrote", func(_ *testing.T, h *house, id string) { everyPageRendersFull(h, id) })
	full("the situation says what a tired person needs", theSituationSaysWhatATiredPersonNeeds)
	full("the diary is paged and filtered", theDiaryIsPagedAndFiltered)
	full("the public sees what was released", thePublicSeesWhatWasReleasedAndNobodyOfTheCrisisTeam)
	full("without a link nothing is shown or done", withoutALinkNothingOfTheControlRoomIsShownOrDone)
	empty("a foreign site cannot act", aForeignSiteCannotAct)
	empty("unknown is red", unknownIsRed)
}

func everyPageRendersEmpty(h *house) {
	for _, p := range paths(h, "") {
		h.get(p).is(http.StatusOK).sound().says("ÜBUNG")
	}
	h.get("/").says("Kein Vorfall erklärt", "Alle lebenswichtigen Dienste laufen")
	h.get("/oeffentlich").says("Zurzeit sind keine Einschränkungen bekannt gegeben")
}

func everyPageRendersFull(h *house, id string) {
	for _, p := range paths(h, id) {
		h.get(p).is(http.StatusOK).sound().says("ÜBUNG").never("<script>alert", "<img src=x", "<b>eins", "<u>nicht", "ZgotmplZ", "%!")
	}
}

func TestARealRoomIsNotMarkedAsExercise(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), false)
	for _, p := range append(publicPaths(h), "/", "/oeffentlich/liste.atom") {
		h.get(p).is(http.StatusOK).never("ÜBUNG")
	}
	h.get("/oeffentlich/liste.json").is(http.StatusOK).says(`"uebung": false`)
}

func theSituationSaysWhatATiredPersonNeeds(t *testing.T, h *house, _ string) {
	p := h.get("/").says(
		"00:11", "MESZ", "Abgetrennt · Notbetrieb", "Krise", "Ines Übungsleiter", "Nächste Fristen", "Offene Entscheidungen: 4", "Freigabe der Kassenumgebung", "von ",
		"offene Signale", "Neu und korrigiert", "Notbetrieb", "abgetrennt", "läuft", "Öffentliche Liste: Fassung 1", "Änderungen fehlen", "überfällig",
	)
	// state is never colour alone: each cell has a sign and a word
	cells := 0
	for _, td := range p.all("td") {
		if strings.Contains(attr(td, "class"), "z-") {
			cells++
			text := ""
			for n := range td.Descendants() {
				text += n.Data
			}
			if !strings.ContainsAny(text, "✓◐✚⇄◇↻⊘✕▼?") || !strings.Contains(text, "läuft") && !strings.Contains(text, "abgetrennt") && !strings.Contains(text, "Notbetrieb") && !strings.Contains(text, "im Aufbau") {
				t.Errorf("a cell without sign or word: %q", text)
			}
		}
	}
	if want := len(h.room.Cells()); cells != want {
		t.Errorf("the matrix shows %d cells, the room has %d", cells, want)
	}
}

func unknownIsRed(t *testing.T, h *house) {
	h.get("/").never("z-unknown")
	h.wait(25 * 3600e9)
	p := h.get("/").says("unbekannt")
	if !strings.Contains(p.raw, `class="z-unknown`) {
		t.Error("no cell is marked unknown a day after the last confirmation")
	}
	if strings.Contains(p.raw, `td class="z-running`) {
		t.Error("a cell still says that it runs, though nobody confirmed it for a day")
	}
}

func aPageThatDoesNotExistSaysSo(t *testing.T, h *house) {
	for _, p := range []string{"/nirgends", "/kasse/000000000", "/zelle/000000000/eau", "/vorfall/i-XXXX", "/entscheidungen/c-XXXX", "/tagebuch/99999", "/tagebuch/x", "/oeffentlich/klingonisch", "/oeffentlich/kasse/1"} {
		h.get(p).is(http.StatusNotFound).sound().says("Das ging nicht")
	}
}

func theDiaryIsPagedAndFiltered(t *testing.T, h *house, _ string) {
	h.get("/tagebuch?wer=examiner").says("Zustimmung erbeten: Freigabe").never("Vorfall erklärt:")
	h.get("/tagebuch?art=fact").says("Fakt festgehalten: Korrektur eines früheren Fakts")
	seen, next := 0, "/tagebuch"
	for range 20 {
		p := h.get(next).is(http.StatusOK)
		seen += len(p.all("tr")) - 1
		next = ""
		for _, a := range p.all("a") {
			if strings.Contains(attr(a, "href"), "vor=") {
				next = attr(a, "href")
			}
		}
		if next == "" {
			break
		}
	}
	head := h.get("/tagebuch/" + itoa(seen))
	head.is(http.StatusOK)
	h.get("/tagebuch/" + itoa(seen+1)).is(http.StatusNotFound)
}

func theOpenScreenIsToldOnlyWhatChanged(t *testing.T, h *house) {
	p := h.get("/")
	part := ""
	for _, n := range p.all("div") {
		if attr(n, "id") == "lage" {
			part = attr(n, "hx-get")
		}
	}
	if part == "" {
		t.Fatal("the screen does not ask for news")
	}
	h.get(part).is(http.StatusNoContent)
	h.wait(time.Minute)
	h.get(part).is(http.StatusOK).says("22:01")
	pausedPage := h.ask(http.MethodGet, "/", nil, true, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "anhalten", Value: "ja"}) })
	pausedPage.never("hx-get").says("Aktualisierung fortsetzen")
}
