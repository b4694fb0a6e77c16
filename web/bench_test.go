package web_test

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"leitstand/catalogue"
)

// BenchmarkSituation is what one open wall costs every two seconds with 47
// Kassen × 18 services: when something changed, and when nothing did.
func BenchmarkSituation(b *testing.B) {
	h := newHouse(b, catalogue.Case2023(2023), true)
	crisis(h)
	stand := ""
	for _, n := range h.get("/").all("div") {
		if attr(n, "id") == "lage" {
			stand = attr(n, "hx-get")
		}
	}
	for _, c := range []struct {
		name, path string
		want       int
	}{{"changed", "/teil/lage", http.StatusOK}, {"same", stand, http.StatusNoContent}} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://127.0.0.1"+c.path, nil)
			r.AddCookie(&http.Cookie{Name: "leitstand", Value: h.pass})
			size, before := 0, cpu()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.screens.ServeHTTP(w, r)
				if size = w.Body.Len(); w.Code != c.want {
					b.Fatalf("status %d, want %d", w.Code, c.want)
				}
			}
			b.ReportMetric(float64((cpu()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(size)/1024, "KiB/op")
		})
	}
}

// cpu is the time that this process has computed; other load on the machine does not count.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
