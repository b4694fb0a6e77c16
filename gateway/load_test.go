package gateway_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/gateway"
	"leitstand/operation"
)

// modeOf is what the door does in an epoch of the load tests.
func modeOf(epoch int64) operation.Mode {
	return []operation.Mode{operation.ModeRegular, operation.ModeBuffer, operation.ModeRegular, operation.ModeNotice}[epoch%4]
}

func epochTable(t *testing.T, upstream string, epoch int64) *gateway.Table {
	t.Helper()
	tab, err := door(operation.DoorRow{Answer: operation.Answer{Mode: modeOf(epoch)}, Epoch: epoch, Version: epoch + 1}, gateway.Route{Upstream: upstream})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// TestLongSeriesOfDoorChangesUnderLoadSendNothingToTheWrongSide changes a door as
// fast as the disk allows while visitors write. The regular side checks the epoch
// of everything that arrives, visitors check who answered.
func TestLongSeriesOfDoorChangesUnderLoadSendNothingToTheWrongSide(t *testing.T) {
	changes := int64(300) // 1,000 with LEITSTAND_LONG=1
	if os.Getenv("LEITSTAND_LONG") != "" {
		changes = 1000
	}
	var current atomic.Int64
	var booked sync.Map
	var wrong, doubled atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body) // an entry that breaks off is missing below
		epoch, err := strconv.ParseInt(r.Header.Get(gateway.EpochHeader), 10, 64)
		if err != nil || modeOf(epoch) != operation.ModeRegular {
			wrong.Add(1)
		}
		if _, twice := booked.LoadOrStore(string(b), true); twice {
			doubled.Add(1)
		}
		w.Header().Set("X-Epoch", strconv.FormatInt(epoch, 10))
	}))
	defer up.Close()
	k := newKey(t)
	s := openSpool(t, t.TempDir(), k)
	g := &gateway.Gateway{Keeper: s}
	g.Set(epochTable(t, up.URL, 0))
	addr := listening(t, g, gateway.Limits{}, nil)
	stop := make(chan struct{})
	var acked, counts [600]atomic.Int64
	var ids atomic.Int64
	var mu sync.Mutex
	var entries []string
	var wg sync.WaitGroup
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	defer tr.CloseIdleConnections()
	for range 16 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("e%d", ids.Add(1))
				before := current.Load()
				resp, err := send(t, tr, addr, id)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				counts[resp.StatusCode].Add(1)
				named, side := resp.Header.Get("X-Leitstand-Door"), resp.Header.Get("X-Epoch")
				after := current.Load() + 1 // it may just be set
				ok := false
				for e := before; e <= after; e++ { // the door of one moment between asking and answer
					ok = ok || modeOf(e).String() == named
				}
				status := map[string]int{"regular": 200, "buffer": 202, "notice": 503}[named]
				if !ok || resp.StatusCode != status || (side != "") != (named == "regular") {
					t.Errorf("%s: door %q, status %d, epoch %q, between %d and %d", id, named, resp.StatusCode, side, before, after)
				}
				if resp.StatusCode < 300 {
					acked[0].Add(1)
					mu.Lock()
					entries = append(entries, id)
					mu.Unlock()
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "doors")
	p := &gateway.Replayer{Gateway: g, Spool: s, Opener: k.opener}
	began := time.Now()
	for e := int64(1); e <= changes; e++ {
		tab := epochTable(t, up.URL, e)
		g.Set(tab)
		current.Store(e)
		if e%50 == 0 {
			if err := tab.Save(file); err != nil {
				t.Fatal(err)
			}
		}
		if e%10 == 0 {
			if _, err := p.Due(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	close(stop)
	wg.Wait()
	g.Set(epochTable(t, up.URL, changes+4-changes%4))
	for next := time.Now(); !next.IsZero(); {
		var err error
		if next, err = p.Due(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	lost := 0
	for _, id := range entries {
		if _, ok := booked.Load(id); !ok {
			lost++
		}
	}
	if wrong.Load() != 0 || doubled.Load() != 0 || lost != 0 {
		t.Errorf("%d on the wrong side, %d doubled, %d lost", wrong.Load(), doubled.Load(), lost)
	}
	c := s.Counts()[placement]
	if c.Check() != nil || c.Open != 0 || c.Rejected != 0 {
		t.Errorf("books %+v", c)
	}
	t.Logf("%d changes in %v: %d regular, %d buffered, %d notices, 0 on the wrong side", changes, took, counts[200].Load(), counts[202].Load(), counts[503].Load())
}

func send(t *testing.T, tr *http.Transport, addr, id string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/x", strings.NewReader(id))
	if err != nil {
		return nil, err
	}
	req.Host = "bmw.test"
	req.Header.Set("Idempotency-Key", id)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	return resp, err
}

// TestLongNothingIsLostOrDoubledWhenGatewayAndRegularSideAreKilled kills both at
// random while the door changes and clients repeat what was not acknowledged.
func TestLongNothingIsLostOrDoubledWhenGatewayAndRegularSideAreKilled(t *testing.T) {
	kills := 8
	if os.Getenv("LEITSTAND_LONG") != "" {
		kills = 84 // 1,008 changes
	}
	if testing.Short() {
		t.Skip("suite left out: kills of gateway and regular side (short)")
	}
	dir, upDir := t.TempDir(), t.TempDir()
	k := newKey(t)
	raw, err := k.private.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	up := startPart(t, partConfig{Part: "upstream", Dir: upDir})
	save := func(epoch int64) {
		tab := epochTable(t, "http://"+up.addr, epoch)
		tab.Keys = publicKeys(k)
		if err := tab.Save(filepath.Join(dir, "doors")); err != nil {
			t.Fatal(err)
		}
	}
	save(0)
	gw := startPart(t, partConfig{Part: "gateway", Dir: dir})
	addr := gw.addr
	stop := make(chan struct{})
	var ids, acks atomic.Int64
	var entries sync.Map // acknowledged: id → receipt or ""
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			tr := &http.Transport{MaxIdleConnsPerHost: 4}
			defer tr.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("e%d", ids.Add(1))
				for { // until it is acknowledged, as a careful client would
					resp, err := send(t, tr, addr, id)
					if err == nil && resp.StatusCode < 300 {
						entries.Store(id, true)
						acks.Add(1)
						break
					}
					time.Sleep(2 * time.Millisecond)
					select {
					case <-stop:
						return
					default:
					}
				}
			}
		})
	}
	dice := rand.New(rand.NewPCG(1, 2))
	epoch := int64(0)
	for i := range kills {
		for range 12 {
			epoch++
			save(epoch)
			time.Sleep(time.Duration(dice.IntN(8)) * time.Millisecond)
		}
		if i%3 == 2 {
			at := up.addr
			up.kill()
			up = startPart(t, partConfig{Part: "upstream", Dir: upDir, Listen: at})
			continue
		}
		gw.kill()
		gw = startPart(t, partConfig{Part: "gateway", Dir: dir, Listen: addr})
	}
	close(stop)
	wg.Wait()
	save(epoch + 4 - epoch%4)
	var missing, twice int
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		book, err := os.ReadFile(filepath.Join(upDir, "book"))
		if err != nil {
			t.Fatal(err)
		}
		n := map[string]int{}
		for line := range strings.Lines(string(book)) {
			n[strings.Fields(line)[1]]++
		}
		missing, twice = 0, 0
		entries.Range(func(id, _ any) bool {
			switch n[id.(string)] { //nolint:errcheck,forcetypeassert // only strings are stored
			case 0:
				missing++
			case 1:
			default:
				twice++
			}
			return true
		})
		if missing == 0 || time.Now().After(deadline) {
			break
		}
	}
	if missing != 0 || twice != 0 {
		t.Errorf("%d of %d acknowledged entries are lost, %d doubled", missing, acks.Load(), twice)
	}
	t.Logf("%d kills, %d door changes, %d entries acknowledged, 0 lost, 0 doubled", kills, epoch, acks.Load())
}
