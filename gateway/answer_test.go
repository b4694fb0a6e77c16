package gateway_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"leitstand/gateway"
	"leitstand/operation"
)

// outcome is what a FHIR client reads of an OperationOutcome.
type outcome struct {
	XMLName  xml.Name `xml:"http://hl7.org/fhir OperationOutcome"`
	Resource string   `json:"resourceType"`
	Issue    []struct {
		Severity, Code, Diagnostics value
		Details                     struct{ Text value }
	}
}

type value struct{ V string }

func (v *value) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &v.V) }

// UnmarshalXML reads the attribute.
func (v *value) UnmarshalXML(d *xml.Decoder, e xml.StartElement) error {
	v.V = e.Attr[0].Value
	return d.Skip()
}

// lowered lets encoding/xml find the elements of outcome.
func lowered(s string) string {
	for _, n := range []string{"Issue", "Severity", "Code", "Diagnostics", "Details", "Text"} {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "<"+strings.ToLower(n), "<"+n), "</"+strings.ToLower(n), "</"+n)
	}
	return s
}

// TestEachClientIsToldInItsFormAndTwoLanguages: HTML, JSON and both forms of FHIR.
func TestEachClientIsToldInItsFormAndTwoLanguages(t *testing.T) {
	for _, tt := range []struct {
		mode                    operation.Mode
		status                  int
		code, german, inEnglish string
	}{
		{operation.ModeRefuse, 503, "transient", "App“ der BMW", "offline"},
		{operation.ModeBuffer, 202, "informational", "Nummer R-1", "R-1"},
	} {
		g := &gateway.Gateway{Keeper: &shelf{}}
		g.Set(table(t, "http://127.0.0.1:1", tt.mode, 1))
		for _, accept := range []string{"text/html,application/xhtml+xml", "application/json", "application/fhir+json", "application/fhir+xml;q=0.9", "", "*/*"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://bmw.test/app", strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/fhir+json")
			if accept != "" {
				r.Header.Set("Accept", accept)
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			body := w.Body.String()
			if w.Code != tt.status || (w.Header().Get("Retry-After") != "") != (tt.status == 503) {
				t.Errorf("%q: %d, Retry-After %q", accept, w.Code, w.Header().Get("Retry-After"))
			}
			var o outcome
			var err error
			switch form := w.Header().Get("Content-Type"); {
			case strings.HasPrefix(form, "application/fhir+json") && !strings.Contains(accept, "html") && accept != "application/json":
				err = json.Unmarshal([]byte(body), &o)
			case strings.HasPrefix(form, "application/fhir+xml") && strings.Contains(accept, "xml"):
				err = xml.Unmarshal([]byte(lowered(body)), &o)
			case strings.HasPrefix(form, accept) && accept != "", strings.HasPrefix(form, "text/html") && strings.Contains(accept, "html"):
				if strings.Contains(body, "resourceType") || !strings.Contains(body, strings.TrimPrefix(tt.german, "Nummer ")) || !strings.Contains(body, "our") {
					t.Errorf("%q: %s", accept, body)
				}
				continue
			default:
				t.Errorf("%q is answered as %s", accept, form)
				continue
			}
			if err != nil || len(o.Issue) != 1 || o.Issue[0].Code.V != tt.code || !strings.Contains(o.Issue[0].Diagnostics.V, tt.german) ||
				!strings.Contains(o.Issue[0].Details.Text.V, tt.inEnglish) || o.Issue[0].Severity.V == "" {
				t.Errorf("%q: %+v %v in %s", accept, o, err, body)
			}
		}
	}
}

func TestAGatewayWithoutATableIsNotTheClientsFault(t *testing.T) {
	if resp, _ := ask(t, &gateway.Gateway{}, "GET", "/", "text/html"); resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
}

// TestForwardedHeadersAreOursOnEveryWay: plain, at net/http, through the transport, and over HTTP/2.
func TestForwardedHeadersAreOursOnEveryWay(t *testing.T) {
	var got atomic.Pointer[http.Request]
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // as a regular system would
		got.Store(r)
	}))
	defer up.Close()
	g := &gateway.Gateway{}
	g.Set(table(t, up.URL, operation.ModeRegular, 1))
	addr := listening(t, g, gateway.Limits{}, nil)
	files, _ := certificate(t, t.TempDir(), "server")
	c, err := gateway.LoadCertificate(files[0], files[1])
	if err != nil {
		t.Fatal(err)
	}
	encrypted := listening(t, g, gateway.Limits{}, c.Config())
	const claims = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Leitstand-Epoch: 99\r\nX-Leitstand-Receipt: x\r\n"
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	once := func(method, text string) {
		c, r := dial(t, addr)
		answerTo(t, c, r, method, text)
	}
	for way, send := range map[string]func(){
		"plain":    func() { once("GET", "GET /app HTTP/1.1\r\nHost: bmw.test\r\n"+claims+"\r\n") },
		"net/http": func() { once("GET", "GET /app HTTP/1.1\r\nHost: bmw.test\r\nTe: trailers\r\n"+claims+"\r\n") },
		"transport": func() {
			once("POST", "POST /app HTTP/1.1\r\nHost: bmw.test\r\nTransfer-Encoding: chunked\r\n"+claims+"\r\n1\r\na\r\n0\r\n\r\n")
		},
		"HTTP/2": func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+encrypted+"/app", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "bmw.test"
			for line := range strings.SplitSeq(strings.TrimSuffix(claims, "\r\n"), "\r\n") {
				name, v, _ := strings.Cut(line, ": ")
				req.Header.Set(name, v)
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close() // empty
		},
	} {
		got.Store(nil)
		send()
		r := got.Load()
		if r == nil {
			t.Errorf("%s: nothing arrived", way)
			continue
		}
		proto := map[bool]string{false: "http", true: "https"}[way == "HTTP/2"]
		h := r.Header
		if h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Proto") != proto || h.Get("X-Forwarded-Host") != "bmw.test" ||
			h.Get("Forwarded") != "" || h.Get(gateway.EpochHeader) != "0" || h.Get("X-Leitstand-Receipt") != "" || r.Host != "bmw.test" {
			t.Errorf("%s: %v at %s", way, h, r.Host)
		}
	}
}
