package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"leitstand/emergency"
)

// FormField marks what was written into the form that an emergency door shows.
const FormField = "leitstand-notbetrieb"

// atDesk serves a door in emergency operation whose service has no handler of its
// own. What is written goes to the emergency path, which checks the right to write
// in the transaction that keeps it. When that right has moved on meanwhile, the
// request is kept as at a buffering door and reaches the regular side later: it is
// neither lost nor written by a side that may not. What only reads is told that
// the service is in emergency operation; people get a form.
func (g *Gateway) atDesk(w http.ResponseWriter, r *http.Request, d *Door) {
	if g.Desk == nil {
		g.keep(w, r, d)
		return
	}
	if reads(r) {
		g.askInstead(w, r, d)
		return
	}
	body, ok := g.whole(w, r)
	if !ok {
		return
	}
	receipt, err := g.Desk.Keep(r.Context(), *d, r, body)
	if late(err) && g.Keeper != nil {
		if g.Log != nil {
			g.Log.Warn("the emergency path refused a late request: it is kept for the regular side", slog.String("placement", string(d.Placement)), slog.Any("error", err))
		}
		receipt, err = g.Keeper.Keep(r.Context(), *d, r, body)
	}
	g.kept(w, r, d, receipt, err)
}

func late(err error) bool {
	return errors.Is(err, emergency.ErrEpoch) || errors.Is(err, emergency.ErrNotOpen)
}

// askInstead answers a request that only reads at an emergency door.
func (g *Gateway) askInstead(w http.ResponseWriter, r *http.Request, d *Door) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		g.notice(w, r, d) // a program must not take a form for what it asked for
		return
	}
	h := w.Header()
	h.Set("Retry-After", retryAfter)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", "text/html; charset=utf-8")
	var buf bytes.Buffer
	err := form.Execute(&buf, map[string]string{
		"Banner": g.Banner, "Service": d.Service, "Kasse": d.Kasse, "Advice": d.Advice, "Field": FormField,
	})
	if err != nil {
		g.notice(w, r, d)
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable) // what was asked for is not here
	if r.Method != http.MethodHead {
		_, _ = w.Write(buf.Bytes()) // the client is gone: it learned nothing wrong
	}
}

// Message is a request as one message (RFC 9112, media type message/http): what
// somebody needs who carries it out later, and the same again when the client
// repeats it. Of the headers it has those that describe the content, name the Kasse
// or the key; not what proves who asks: a token kept for weeks is a danger, and the
// certificate that the client proved to have is named by its hash instead.
func Message(r *http.Request, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.Host)
	for _, name := range [...]string{"Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Idempotency-Key", "X-Kasse-Ik"} {
		for _, v := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	if cert := fingerprint(r); cert != "-" {
		fmt.Fprintf(&b, "X-Client-Certificate-Sha256: %s\r\n", cert)
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
	b.Write(body)
	return b.Bytes()
}

var form = template.Must(template.New("form").Parse(`<!doctype html>
<html lang="de"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{with .Banner}}{{.}} · {{end}}Notbetrieb: {{.Service}}</title>
<style>body{font:1.125rem/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#171a2b}
h1{font-size:1.6rem;line-height:1.3}.b{background:#171a2b;color:#fff;padding:.25rem .75rem;display:inline-block;font-weight:700}
label{display:block;font-weight:600;margin-top:1rem}input,textarea{font:inherit;width:100%;padding:.5rem;box-sizing:border-box;border:2px solid #4a4f66;border-radius:.25rem}
button{font:inherit;font-weight:700;margin-top:1.5rem;padding:.6rem 1.4rem;background:#171a2b;color:#fff;border:0;border-radius:.25rem}p[lang=en]{color:#4a4f66}</style></head>
<body>{{with .Banner}}<p class="b">{{.}}</p>{{end}}<h1>{{.Service}} läuft im Notbetrieb</h1>
<p>Die Seite, die Sie aufgerufen haben, ist zurzeit nicht erreichbar. Das liegt nicht an Ihnen; Ihre Daten sind davon nicht verändert.
Ihr Anliegen nimmt die {{.Kasse}} hier trotzdem an: Sie bekommen eine Eingangsnummer, und es geht nicht verloren.</p>
{{with .Advice}}<p>Oder nutzen Sie: {{.}}.</p>{{end}}
<form method="post"><input type="hidden" name="{{.Field}}" value="1">
<label for="n">Ihr Name</label><input id="n" name="name" autocomplete="name" required maxlength="200">
<label for="v">Versichertennummer (falls zur Hand)</label><input id="v" name="versichertennummer" maxlength="20">
<label for="r">Wie erreichen wir Sie? (Telefon oder Anschrift)</label><input id="r" name="erreichbar" required maxlength="300">
<label for="a">Ihr Anliegen</label><textarea id="a" name="anliegen" rows="6" required maxlength="10000"></textarea>
<button>Absenden</button></form>
<p lang="en">This service runs in emergency operation. The page you asked for is not available; you can leave your request here.</p></body></html>
`))
