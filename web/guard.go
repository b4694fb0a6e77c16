package web

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Names of the cookies. None but the first is a secret.
const (
	passCookie   = "leitstand" // what a device shows after a link admitted it
	themeCookie  = "ansicht"   // dunkel or hell
	pauseCookie  = "anhalten"  // ja: no live update
	personCookie = "handelnd"  // who acted last, to choose it again
)

// maxForm is the size of the largest form but one: a notice of 20,000 bytes, encoded.
const maxForm = 128 << 10

// policy lets pages use what the program brings with it and nothing else: no
// other host, no script and no style inside a page.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard sets what every answer carries.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// onlyLoopback refuses requests for any name but this machine's own. A foreign
// site can let its name point here; its pages would then count as ours.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		if !strings.EqualFold(host, "localhost") && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "Der Leitstand antwortet nur unter seiner eigenen Adresse, zum Beispiel http://127.0.0.1:8460/.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		next.ServeHTTP(w, r)
	})
}

// admit lets in who was admitted before, or has a link that nobody used yet.
// moved says that the visitor was sent on, with the link out of the address bar.
func (s *server) admit(w http.ResponseWriter, r *http.Request) (moved bool, err error) {
	known := s.room.Links.Knows(pass(r))
	if given := r.URL.Query().Get("token"); given != "" && r.Method == http.MethodGet {
		if !known { // a device that is inside leaves the link to another one
			fresh, ok := s.room.Links.Redeem(given, time.Now())
			if !ok {
				return false, &failure{status: http.StatusForbidden, text: "Dieser Link ist benutzt oder abgelaufen: jeder lässt ein Gerät ein, einmal. Einen neuen zeigt ein Gerät, das schon drin ist, unter „Zugang“, oder der Befehl: leitstand link --data ORDNER."}
			}
			setCookie(w, passCookie, fresh)
		}
		q := r.URL.Query()
		q.Del("token")
		http.Redirect(w, r, (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String(), http.StatusSeeOther)
		return true, nil
	}
	if !known {
		return false, &failure{status: http.StatusForbidden, text: "Bitte öffnen Sie die Adresse, die beim Start ausgegeben wurde; sie enthält den Zugang für ein Gerät. Eine weitere gibt der Befehl: leitstand link --data ORDNER."}
	}
	limit := int64(maxForm)
	switch r.Pattern {
	case imagePattern:
		limit = maxImageForm
	case evidencePattern:
		limit = maxEvidence
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return false, nil
}

// pass is what the visitor's device shows, or nothing.
func pass(r *http.Request) string {
	c, err := r.Cookie(passCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

func setCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // loopback without TLS: Secure would keep the cookie from being sent
		Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

func cookieIs(r *http.Request, name, value string) bool {
	c, err := r.Cookie(name)
	return err == nil && c.Value == value
}

func theme(r *http.Request) string {
	if cookieIs(r, themeCookie, "dunkel") {
		return "dark"
	}
	return "light"
}

func paused(r *http.Request) bool { return cookieIs(r, pauseCookie, "ja") }

// setView remembers how somebody wants to see the pages.
func (s *server) setView(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	for name, allowed := range map[string][]string{themeCookie: {"hell", "dunkel"}, pauseCookie: {"ja", "nein"}} {
		for _, v := range allowed {
			if r.PostForm.Get(name) == v {
				setCookie(w, name, v)
			}
		}
	}
	return seeOther(w, r, localPath(r.PostForm.Get("zurueck")))
}

// seeOther sends a visitor on within this server after a form was accepted.
func seeOther(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, localPath(path), http.StatusSeeOther) //nolint:gosec // localPath lets nothing through but paths of this server
	return nil
}

// localPath keeps a redirect on this server.
func localPath(p string) string {
	u, err := url.Parse(p)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.Contains(p, "\\") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery, Fragment: u.Fragment}).String()
}

// parse reads a form.
func parse(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &failure{status: http.StatusBadRequest, text: "Das Formular war nicht lesbar oder zu groß. Es wurde nichts geändert; bitte noch einmal absenden."}
	}
	return nil
}
