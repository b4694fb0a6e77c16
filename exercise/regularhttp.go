package exercise

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"leitstand/emergency"
)

// HandoverURL is where the emergency operation hands over to a placement's regular
// system; addr is the part's address "http".
func HandoverURL(addr, placement string) string {
	return "http://" + addr + "/" + placement + "/handover"
}

// ReceiptKey asks the regular systems at addr for the key with which a Kasse signs receipts.
func ReceiptKey(ctx context.Context, addr, ik string) (ed25519.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/"+ik+"/key", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking for the key of Kasse %q: %w", ik, err)
	}
	resp, err := loopbackClient(10 * time.Second).Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the key of Kasse %q: %w", ik, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing more is read
	var answer struct{ Key []byte }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&answer); err != nil || len(answer.Key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("asking for the key of Kasse %q: the answer %s is no key: %w", ik, resp.Status, errors.Join(err, errKeySize))
	}
	return answer.Key, nil
}

// serve answers HTTP:
//
//	GET  /health                       the process lives
//	GET  /{ik}/fetcher                 how the mail fetcher stands
//	GET  /{ik}/key                     public key of receipts, base64
//	     /{ik}/{service}/{site}/       the regular page
//	POST /{ik}/{service}/{site}/handover/…   emergency.Receiver
//	POST /control                      a Command of a parent, with the token
func (w *regularWorld) serve(ctx context.Context) (err error) {
	if w.listen, err = listenLoopback(ctx, w.config.Listen); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(rw http.ResponseWriter, _ *http.Request) { answerJSON(rw, map[string]bool{"ok": true}) })
	mux.HandleFunc("POST /control", w.control)
	mux.HandleFunc("GET /{ik}/fetcher", w.withKasse(w.showFetcher))
	mux.HandleFunc("GET /{ik}/key", w.withKasse(func(rw http.ResponseWriter, _ *http.Request, s *kasseSystem) {
		answerJSON(rw, map[string]string{"kasse": s.IK, "key": base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))}) //nolint:errcheck,forcetypeassert // by its type
	}))
	mux.HandleFunc("/{ik}/{service}/{site}/", w.withKasse(w.placement))
	w.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	w.wg.Go(func() { _ = w.http.Serve(w.listen) }) // ends with an error when stopped, always
	return nil
}

func (w *regularWorld) withKasse(h func(http.ResponseWriter, *http.Request, *kasseSystem)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		s := w.systems[r.PathValue("ik")]
		if s == nil {
			http.NotFound(rw, r)
			return
		}
		h(rw, r, s)
	}
}

// FetcherState is what GET /{ik}/fetcher answers: the proof that a Kasse's own
// fetcher is off. It waits for a session under way.
type FetcherState struct {
	Kasse string      `json:"kasse"`
	Mode  FetcherMode `json:"fetcher"`
	Since time.Time   `json:"since,omitzero"` // simulated; absent when it stands so from the start
}

func (w *regularWorld) showFetcher(rw http.ResponseWriter, _ *http.Request, s *kasseSystem) {
	s.fetching.Lock()
	state := FetcherState{Kasse: s.IK, Mode: s.mode, Since: s.since}
	s.fetching.Unlock()
	answerJSON(rw, state)
}

// control takes "fetcher", "reach" and "fault", as from the parent.
func (w *regularWorld) control(rw http.ResponseWriter, r *http.Request) {
	if !w.hasToken(r) {
		http.Error(rw, "token is missing or wrong", http.StatusUnauthorized)
		return
	}
	var c Command
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, 1<<20))
	if err == nil {
		err = decodeStrict(body, &c)
	}
	if err == nil {
		err = w.command(r.Context(), c.Do, c.Config)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	answerJSON(rw, reply{OK: true, Counts: w.counts()})
}

func (w *regularWorld) hasToken(r *http.Request) bool {
	return w.config.Token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+w.config.Token)) == 1
}

func answerJSON(rw http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(rw, "the answer could not be made", http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_, _ = rw.Write(append(b, '\n')) // a lost answer is asked for again
}

// placement serves the page of a placement and its handover.
func (w *regularWorld) placement(rw http.ResponseWriter, r *http.Request, s *kasseSystem) {
	service, site := r.PathValue("service"), r.PathValue("site")
	if w.isDown(s.IK, service, site) {
		panic(http.ErrAbortHandler) // cut: the connection closes without a word
	}
	base := "/" + s.IK + "/" + service + "/" + site
	if strings.HasPrefix(r.URL.Path, base+"/handover/") {
		http.StripPrefix(base+"/handover", w.faulty(w.receiver(s, strings.Trim(base, "/")))).ServeHTTP(rw, r)
		return
	}
	w.page(rw, r, s, strings.Trim(base, "/"))
}

func (w *regularWorld) receiver(s *kasseSystem, placement string) http.Handler {
	r := emergency.Receiver{
		Name: "ÜBUNG Regelsystem " + s.Name, Key: s.key, Token: w.config.Token,
		Receiving: &receiving{world: w, system: s, placement: placement},
	}
	return r.Handler()
}

// faulty lets a parcel arrive twice or loses the answer after it was applied.
func (w *regularWorld) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/parcels" {
			next.ServeHTTP(rw, r)
			return
		}
		lose := w.roll(func(f RegularFault) float64 { return f.LoseAnswers })
		if w.roll(func(f RegularFault) float64 { return f.Duplicate }) {
			body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, 64<<20))
			if err != nil {
				http.Error(rw, "request could not be read", http.StatusBadRequest)
				return
			}
			w.count("repeated_parcels")
			first := r.Clone(r.Context())
			first.Body, r.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(httptest.NewRecorder(), first)
		}
		if lose {
			next.ServeHTTP(httptest.NewRecorder(), r)
			w.count("lost_answers")
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(rw, r)
	})
}

// receiving files what is handed over to one placement (emergency.Receiving).
type receiving struct {
	world     *regularWorld
	system    *kasseSystem
	placement string
}

// Receive files a parcel: all of it, durable, or nothing. An item that it has
// is not filed again and gets the result that it got.
func (r *receiving) Receive(_ context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	if string(p.Kasse) != r.system.IK || string(p.Placement) != r.placement {
		return emergency.Receipt{}, fmt.Errorf("a parcel for %s reached %s: %w", p.Placement, r.placement, emergency.ErrConflict)
	}
	r.system.filing.Lock()
	defer r.system.filing.Unlock()
	receipt := emergency.Receipt{At: r.world.time()}
	within := make(map[document]bool)
	var rows []receivedRow
	for i := range p.Items {
		it := &p.Items[i]
		row, known := r.world.shelf.item(r.system.IK, it.ID)
		if j := slices.IndexFunc(rows, func(o receivedRow) bool { return o.entry.ID == it.ID }); !known && j >= 0 {
			row, known = rows[j], true
		}
		if known && row.entry.SHA256 != it.SHA256 {
			return emergency.Receipt{}, fmt.Errorf("item %q: %w", it.ID, emergency.ErrConflict)
		}
		if !known || row.row.Status == StatusConflict && it.Over != "" { // people decided: it is judged anew
			row = r.file(it, within)
			row.batch = p.Batch
			rows = append(rows, row)
		}
		receipt.Items = append(receipt.Items, r.answer(it, row))
	}
	if err := r.world.shelf.takeItems(rows); err != nil {
		return emergency.Receipt{}, err
	}
	return receipt, nil
}

// answer says what came of an item.
func (r *receiving) answer(it *emergency.ParcelItem, row receivedRow) emergency.ReceiptItem {
	a := emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: row.entry.Result}
	if row.entry.Result == emergency.Rejected {
		a.Code, a.Text = "leer", row.row.Reason
	}
	if c, ok := r.conflicts(it); ok && row.row.Status == StatusConflict {
		a.Code, a.Theirs = emergency.CodeConflict, c.version()
	}
	return a
}

// file decides about an item that is new here, or about which people decided.
func (r *receiving) file(it *emergency.ParcelItem, within map[document]bool) receivedRow {
	row := receivedRow{
		entry: emergency.ListEntry{ID: it.ID, Kind: it.Kind, Result: emergency.Applied, SHA256: it.SHA256, Amount: it.Amount},
		kasse: r.system.IK, placement: r.placement,
		row: Received{Kasse: r.system.IK, Time: r.world.time(), Via: ViaHandover, Item: it.ID, Reason: it.Held},
	}
	if len(it.Body) == 0 {
		row.entry.Result, row.row.Reason = emergency.Rejected, "Vorgang ohne Inhalt"
		return row
	}
	switch it.Kind {
	case emergency.KindSickNote, emergency.KindStorno, emergency.KindMail:
	case emergency.KindRequest, emergency.KindPayment, emergency.KindRecord, emergency.KindMessage, emergency.KindPaper:
		return row // no document of a practice: items.csv alone has it
	default:
		row.entry.Result, row.row.Reason = emergency.Rejected, "unbekannte Art"
		return row
	}
	content := it.Body
	if it.Media == "message/rfc822" {
		_, content, row.row.ID = mailDocument(it.Body)
	} else {
		row.row.ID, _ = identify(content)
	}
	sum := sha256.Sum256(content)
	row.row.SHA256 = hex.EncodeToString(sum[:])
	if row.row.Reason == "" {
		row.row.Reason = faultOf(content)
	}
	if c, ok := r.conflicts(it); ok && it.Over != c.version().SHA256 && !r.world.shelf.has(&row.row) {
		row.entry.Result, row.row.Status = emergency.Rejected, StatusConflict
		row.row.Reason = "im Regelsystem am " + c.at.Format("02.01.2006, 15:04 Uhr") + " geändert"
		return row
	}
	r.world.shelf.judge(&row.row, within)
	if row.row.Status == StatusDuplicate {
		row.entry.Result = emergency.Known
	}
	return row
}

// Compare sums up what was handed over here.
func (r *receiving) Compare(context.Context, emergency.Comparison) ([]emergency.Line, error) {
	return emergency.Sum(r.world.shelf.entries(r.system.IK, r.placement)), nil
}

// List shows what was handed over here, bucket by bucket.
func (r *receiving) List(_ context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
	if string(q.Placement) != r.placement {
		return nil, errors.New("a question about another placement")
	}
	list := r.world.shelf.entries(r.system.IK, r.placement)
	list = slices.DeleteFunc(list, func(e emergency.ListEntry) bool { return !strings.HasPrefix(e.ID, q.Bucket) })
	slices.SortFunc(list, func(a, b emergency.ListEntry) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// page shows that the regular system of this Kasse answers. A request that
// writes is counted: during emergency operation there must be none.
func (w *regularWorld) page(rw http.ResponseWriter, r *http.Request, s *kasseSystem, placement string) {
	service, ok := s.Pages[placement]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	did := "Diese Seite kommt aus dem Regelbetrieb."
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		w.count("page_reads")
	default:
		w.count("page_writes")
		lost, err := w.pages.take(r, placement)
		if err != nil {
			http.Error(rw, "the entry could not be booked", http.StatusServiceUnavailable)
			return
		}
		if lost {
			panic(http.ErrAbortHandler) // booked, and the answer lost: it comes again
		}
		did = "Der Regelbetrieb hat Ihre Eingabe angenommen."
	}
	var b bytes.Buffer
	err := regularPage.Execute(&b, struct{ Kasse, Service, Placement, Path, Did string }{s.Name, service, placement, r.URL.Path, did})
	if err != nil {
		http.Error(rw, "the page could not be made", http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("X-Uebung", "UEBUNG")
	_, _ = rw.Write(b.Bytes()) // a lost page is asked for again
}

var regularPage = template.Must(template.New("regular").Parse(`<!doctype html>
<html lang="de"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>ÜBUNG: {{.Service}} – {{.Kasse}}</title></head>
<body><p><strong>ÜBUNG – ÜBUNG – ÜBUNG</strong></p>
<main><h1>{{.Kasse}}</h1><h2>{{.Service}}</h2><p>{{.Did}}</p><p>{{.Placement}} · {{.Path}}</p></main>
</body></html>
`))
