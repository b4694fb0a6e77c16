package web_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"leitstand/catalogue"
)

// browser is a Chromium that shows the pages of a house over real HTTP.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu      sync.Mutex
	foreign []string // requests to any other host
}

// openBrowser starts Debian's Chromium; the suite is left out by name without it.
func openBrowser(t *testing.T, h *house) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("browser suite left out: -short")
	}
	exe := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			exe = p
			break
		}
	}
	if exe == "" {
		t.Skip("browser suite left out: chromium is not installed (apt-get install chromium)")
	}
	srv := httptest.NewServer(h.screens)
	t.Cleanup(srv.Close)
	ctx, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(
		chromedp.ExecPath(exe), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true),
	))
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: srv.URL}
	own, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, func(ev any) { b.watch(ev, own.Host) }); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	b.open(h.further())
	return b
}

func (b *browser) watch(ev any, own string) {
	sent, ok := ev.(*network.EventRequestWillBeSent)
	if !ok {
		return
	}
	u, err := url.Parse(sent.Request.URL)
	if err != nil || u.Host != own && u.Scheme != "data" && u.Scheme != "about" {
		b.mu.Lock()
		b.foreign = append(b.foreign, sent.Request.URL)
		b.mu.Unlock()
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// eval runs a script in the page, past its content security policy.
func eval[R any](b *browser, script string) R {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[R](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.80s: %v", script, err)
	}
	return v
}

// until waits for a condition of the page.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	for range 100 {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition)); err == nil && ok {
			return // an error is a page that is just being left
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("the page does not %s", what)
}

// shoot keeps a picture when LEITSTAND_SHOTS names a directory.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("LEITSTAND_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// axe checks the page that is open against WCAG 2.2 A and AA.
func (b *browser) axe() []string {
	b.t.Helper()
	found := eval[string](b, `axe.run(document,{runOnly:['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice'],resultTypes:['violations']})
		.then(r=>JSON.stringify(r.violations.map(v=>v.id+': '+v.help+' at '+v.nodes.slice(0,3).map(n=>n.target.join(' ')+' '+n.html.slice(0,120)+' '+(n.any[0]?n.any[0].message:'')).join(' | '))))`)
	var out []string
	if err := json.Unmarshal([]byte(found), &out); err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *browser) withAxe(script string) {
	b.t.Helper()
	if !eval[bool](b, script+";typeof axe==='object'") {
		b.t.Fatal("axe did not load")
	}
}

// noForeign checks that nothing but this server was ever asked.
func (b *browser) noForeign() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.foreign) > 0 {
		b.t.Errorf("pages asked other hosts: %v", b.foreign)
	}
}

func readAxe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "axe", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

func TestBrowserFindsEveryPageAccessible(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	id := crisis(h)
	b := openBrowser(t, h)
	axe := readAxe(t)
	check := func(path string) {
		b.open(path)
		b.withAxe(axe)
		for _, v := range b.axe() {
			t.Errorf("%s: %s", path, v)
		}
	}
	b.size(1366, 768)
	// one page of every template; what only lists the same parts is left to the page tests
	for _, p := range paths(h, id) {
		if !strings.Contains(p, "?") && !strings.HasPrefix(p, "/entscheidungen/") && p != "/oeffentlich/partner" && p != "/oeffentlich/leicht" {
			check(p)
		}
	}
	b.size(390, 844)
	check("/")
	for _, p := range []string{"/", "/entscheidungen", "/massnahmen/neu", "/oeffentlich", "/tagebuch", "/freigaben", "/notbetrieb"} {
		b.open(p)
		if eval[bool](b, `document.documentElement.scrollWidth>innerWidth+1`) {
			t.Errorf("%s must be scrolled sideways on a phone: %s", p, eval[string](b, `[...document.querySelectorAll('main *')].filter(e=>e.getBoundingClientRect().right>innerWidth+1&&!e.closest('.tabelle')).slice(0,3).map(e=>e.outerHTML.slice(0,120)).join(' ; ')`))
		}
	}
	b.size(1920, 1080)
	b.open("/")
	b.do(chromedp.Click(chromedp.CSS(`button[value="dunkel"]`)))
	b.until("turn dark", `document.documentElement.dataset.kernTheme==='dark'`)
	check("/")
	b.noForeign()

	// a check that finds nothing proves nothing unless it can find something
	eval[string](b, `document.querySelector('main').innerHTML='<img src="data:,"><p id=x>blass</p><input><a href="#"></a>';x.style.color='#bbb';x.style.background='#ccc';document.documentElement.removeAttribute('lang');''`)
	b.withAxe(axe)
	bad := strings.Join(b.axe(), "\n")
	for _, want := range []string{"color-contrast", "image-alt", "label", "link-name", "html-has-lang"} {
		if !strings.Contains(bad, want) {
			t.Errorf("axe does not find %q in a page made bad on purpose: %s", want, bad)
		}
	}
}

func TestBrowserShowsTheWallOnOneScreenAndKeepsItLive(t *testing.T) {
	h := newHouse(t, catalogue.Case2023(2023), true)
	crisis(h)
	b := openBrowser(t, h)
	b.size(1920, 1080)
	b.open("/")
	if fits := eval[string](b, `(()=>{const out=[];for(const e of document.querySelectorAll('.matrix tr,.tafel,.leiste,.stab')){const r=e.getBoundingClientRect();if(r.bottom>innerHeight+1||r.right>innerWidth+1||r.height<4)out.push(e.className+' '+e.textContent.slice(0,20)+' '+r.bottom)}
		return document.documentElement.scrollHeight>innerHeight+1?'the page scrolls':out.slice(0,4).join('; ')})()`); fits != "" {
		t.Errorf("the wall does not fit on one screen: %s", fits)
	}
	if n := eval[int](b, `document.querySelectorAll('.matrix tbody tr').length`); n != len(h.room.Catalogue.Kassen) {
		t.Errorf("the wall shows %d Kassen, want %d", n, len(h.room.Catalogue.Kassen))
	}
	// words must be readable where they stand: not clipped by the next cell
	if clipped := eval[string](b, `[...document.querySelectorAll('.matrix td:not(.fort) .w')].filter(e=>{const r=e.getBoundingClientRect(),a=document.elementFromPoint(r.left+r.width/2,r.top+r.height/2);return r.width<8||!a}).slice(0,3).map(e=>e.outerHTML).join()`); clipped != "" {
		t.Errorf("words without room: %s", clipped)
	}
	b.shoot("wand-hell")
	// what is focused stays focused and scrolled when the screen changes by itself
	eval[bool](b, `(()=>{const a=document.querySelector('.matrix tbody th a');a.focus();window.same=a;return true})()`)
	h.wait(5 * time.Minute)
	b.until("show the new time by itself", `document.querySelector('.uhr').textContent.includes('16')||document.querySelector('.uhr').textContent.includes('15')`)
	if !eval[bool](b, `document.activeElement===window.same&&window.same.isConnected`) {
		t.Error("the update took the focus away")
	}
	b.do(chromedp.Click(chromedp.CSS(`button[value="dunkel"]`)))
	b.until("turn dark", `document.documentElement.dataset.kernTheme==='dark'`)
	b.shoot("wand-dunkel")
	b.do(chromedp.Click(chromedp.CSS(`button[value="ja"][name="anhalten"]`)))
	b.until("stop asking for news", `document.querySelector('#lage')?.hasAttribute('hx-get')===false`)
	b.do(chromedp.Click(chromedp.CSS(`button[value="hell"]`)))
	for _, v := range []struct {
		name, path string
		w, h       int64
	}{
		{"laptop", "/", 1366, 768},
		{"telefon", "/", 390, 844},
		{"telefon-betroffene", "/?ordnung=zustand", 390, 844},
		{"oeffentlich-wand", "/oeffentlich", 1920, 1080},
		{"oeffentlich-laptop", "/oeffentlich", 1366, 768},
		{"oeffentlich-telefon", "/oeffentlich", 390, 844},
	} {
		b.size(v.w, v.h)
		b.open(v.path)
		b.shoot(v.name)
	}
	b.noForeign()
}

func TestBrowserWorksByKeyboardAndWithoutScripts(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	crisis(h)
	b := openBrowser(t, h)
	b.size(1366, 768)
	b.open("/")
	// the first stop is the way past the menu, and it can be seen
	b.do(chromedp.KeyEvent("\t"))
	if got := eval[string](b, `document.activeElement.className+' '+(document.activeElement.getBoundingClientRect().left>=0)`); got != "sprung true" {
		t.Errorf("the first stop of the keyboard is %q", got)
	}
	seen := map[string]bool{}
	for range 40 {
		b.do(chromedp.KeyEvent("\t"))
		got := eval[string](b, `(()=>{const e=document.activeElement,s=getComputedStyle(e);return (e.getAttribute('href')||e.name||e.tagName)+'|'+(s.outlineStyle!=='none'&&parseFloat(s.outlineWidth)>=2)})()`)
		name, visible, _ := strings.Cut(got, "|")
		seen[name] = true
		if visible != "true" && name != "BODY" {
			t.Errorf("focus on %q cannot be seen", name)
		}
	}
	for _, want := range []string{"/entscheidungen", "/fristen", "/tagebuch", "/mitteilungen"} {
		if !seen[want] {
			t.Errorf("the keyboard does not reach %q in 40 steps", want)
		}
	}
	small := eval[string](b, `[...document.querySelectorAll('main a,main button,header a')].filter(e=>{const r=e.getBoundingClientRect();return e.offsetParent&&r.width>0&&(r.height<23.5||r.width<23.5)&&getComputedStyle(e).display!=='inline'}).slice(0,3).map(e=>e.outerHTML.slice(0,90)+e.getBoundingClientRect().height).join(' ; ')`)
	if small != "" {
		t.Errorf("targets smaller than 24 px: %s", small)
	}
	b.noForeign()
}
