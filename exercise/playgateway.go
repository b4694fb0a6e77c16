package exercise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/gateway"
	"leitstand/operation"
	"leitstand/room"
)

// Visits are the books of those who came to the doors: requests = regular +
// buffered + notice + emergency + wrong_side, and buffered = delivered + lost.
type Visits struct {
	Requests  int64 `json:"requests"`
	Regular   int64 `json:"regular"`    // served by the regular system
	Buffered  int64 `json:"buffered"`   // acknowledged with a receipt
	Notice    int64 `json:"notice"`     // told in plain words that the service is off
	Emergency int64 `json:"emergency"`  // at a door in emergency operation, taken in by its journal or told
	Delivered int64 `json:"delivered"`  // receipts whose request the regular side has booked
	Taken     int64 `json:"taken"`      // of Emergency, entries that are items of a journal
	Items     int64 `json:"items"`      // items that the journals have of them
	Lost      int64 `json:"lost"`       // entries that were acknowledged and never booked
	Doubled   int64 `json:"doubled"`    // entries that were booked more than once
	WrongSide int64 `json:"wrong_side"` // answered by another side than the door says
}

func (v *Visits) check() error {
	switch {
	case v.Lost != 0 || v.Doubled != 0 || v.WrongSide != 0:
		return fmt.Errorf("at the doors %d entries were lost, %d doubled and %d requests answered by the wrong side", v.Lost, v.Doubled, v.WrongSide)
	case v.Requests != v.Regular+v.Buffered+v.Notice+v.Emergency:
		return fmt.Errorf("the visits do not add up: %+v", *v)
	case v.Buffered != v.Delivered:
		return fmt.Errorf("%d receipts were given and %d delivered", v.Buffered, v.Delivered)
	case v.Taken != v.Items:
		return fmt.Errorf("the doors in emergency operation took in %d entries, and the journals hold %d", v.Taken, v.Items)
	}
	return nil
}

const (
	visitsEachStep = 6 // so that the visitors cost seconds, not minutes
	visitors       = 4 // at once
	gateNode       = "uebung-gateway"
)

// gate is the room's gateway before the regular systems, and its visitors.
type gate struct {
	doors  *room.Doors
	places []catalogue.Placement
	end    context.CancelFunc // of serving
	addr   string
	client *http.Client
	dice   *rand.Rand
	wg     sync.WaitGroup

	mu      sync.Mutex
	visits  Visits
	entered map[[2]string]bool // acknowledged entries by placement: true when by receipt
	next    int
}

// gateHost is the name of a service of a Kasse at the gateway.
func gateHost(p catalogue.Placement) string {
	return strings.ToLower(string(p.Service)) + "." + string(p.Kasse) + ".uebung.invalid"
}

// startGate lets the room's gateway listen before the regular systems.
func startGate(ctx context.Context, p *player, w *surroundings) (*gate, error) {
	g := &gate{
		client: loopbackClient(30 * time.Second), entered: map[[2]string]bool{},
		dice: rand.New(rand.NewPCG(p.opt.Seed, 8)), //nolint:gosec // visits must be repeatable
	}
	conf := room.DoorsConfig{Node: gateNode}
	for _, pl := range p.room.Catalogue.Placements {
		kasse, _ := p.room.Catalogue.Kasse(pl.Kasse)
		svc, _ := p.room.Catalogue.Service(pl.Service)
		if _, mail := w.boxes[pl.ID]; mail {
			conf.Elsewhere = append(conf.Elsewhere, pl.ID) // its fetcher goes past the gateway
		}
		if w.regular == nil || !w.hasPages(pl.Kasse) {
			continue
		}
		g.places = append(g.places, pl)
		conf.Routes = append(conf.Routes, gateway.Route{
			Host: gateHost(pl), Prefix: "/" + string(pl.Site), Placement: pl.ID, Kasse: kasse.Name, Service: svc.Name,
			Upstream: "http://" + w.regular.Addr("http") + "/" + string(pl.ID),
		})
	}
	var err error
	if g.doors, err = p.room.OpenDoors(ctx, conf); err != nil {
		return nil, err
	}
	var l net.Listener
	if l, err = listenLoopback(ctx, ""); err != nil {
		return nil, errors.Join(err, g.doors.Close())
	}
	g.addr = l.Addr().String()
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	g.end = end
	front := gateway.NewFront(g.doors.Gateway, gateway.Limits{}, nil)
	g.wg.Go(func() { _ = front.Serve(serving, l, 0) }) // it does not wait for visitors who linger
	return g, nil
}

// hasPages reports whether the regular systems of a Kasse are simulated.
func (w *surroundings) hasPages(k catalogue.KasseID) bool {
	for _, with := range w.boxes {
		if with == k {
			return true
		}
	}
	return false
}

// stop ends the gateway; nil when it never started.
func (g *gate) stop() error {
	if g == nil {
		return nil
	}
	g.end()
	g.wg.Wait()
	g.client.CloseIdleConnections()
	return g.doors.Close()
}

// obey makes the gateway obey the newest doors before anything else happens.
func (g *gate) obey(ctx context.Context) error {
	if g == nil {
		return nil
	}
	return g.doors.Step(ctx)
}

// visit lets visitors come to the doors, and delivers what waits behind doors
// that are open again.
func (g *gate) visit(ctx context.Context, p *player, now time.Time) error {
	if g == nil {
		return nil
	}
	if err := g.doors.Step(ctx); err != nil {
		return err
	}
	if _, err := g.doors.Replay(ctx, now); err != nil {
		return err
	}
	state := p.room.Operation.Current()
	var wg sync.WaitGroup
	places := make(chan func(), visitsEachStep)
	for i := range visitsEachStep {
		place := g.pick(state, i%2 == 0)
		door, ok := state.Door(place.ID)
		if !ok {
			return fmt.Errorf("%s has no door", place.ID)
		}
		writes := g.dice.IntN(2) == 0
		g.next++
		entry := fmt.Sprintf("uebung-%06d", g.next)
		places <- func() { g.ask(ctx, place, door, writes, entry) }
	}
	close(places)
	for range visitors {
		wg.Go(func() {
			for do := range places {
				do()
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// pick draws a place; with preference, a few times until its door is no regular one.
func (g *gate) pick(state *operation.State, off bool) catalogue.Placement {
	var place catalogue.Placement
	for range 8 {
		place = g.places[g.dice.IntN(len(g.places))]
		if door, ok := state.Door(place.ID); !off || ok && door.Mode != operation.ModeRegular {
			break
		}
	}
	return place
}

// ask makes one visit and books the answer.
func (g *gate) ask(ctx context.Context, place catalogue.Placement, door *operation.DoorRow, writes bool, entry string) {
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if writes {
		method, body = http.MethodPost, strings.NewReader(entry)
	}
	status, regular := 0, false
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.addr+"/"+string(place.Site)+"/formular", body)
	if err == nil {
		req.Host = gateHost(place)
		var resp *http.Response
		if resp, err = g.client.Do(req); err == nil {
			status, regular = resp.StatusCode, resp.Header.Get("X-Uebung") != ""
			_, err = io.Copy(io.Discard, resp.Body)
			err = errors.Join(err, resp.Body.Close())
		}
	}
	if ctx.Err() != nil {
		return // the exercise was stopped
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.visits.Requests++
	substitute := door.Mode == operation.ModeEmergency
	forward := door.Mode == operation.ModeRegular || door.Mode == operation.ModeReadOnly && !writes
	keeps := writes && door.Mode == operation.ModeBuffer
	switch {
	case err == nil && forward && regular && status == http.StatusOK:
		g.visits.Regular++
		if writes {
			g.entered[[2]string{string(place.ID), entry}] = false
		}
	case err == nil && keeps && !regular && status == http.StatusAccepted:
		g.visits.Buffered++
		g.entered[[2]string{string(place.ID), entry}] = true
	case err == nil && substitute && writes && !regular && status == http.StatusAccepted:
		g.visits.Emergency++
		g.visits.Taken++
	case err == nil && substitute && !writes && !regular && status == http.StatusServiceUnavailable:
		g.visits.Emergency++
	case err == nil && !forward && !keeps && !regular && status == http.StatusServiceUnavailable:
		g.visits.Notice++
	default:
		g.visits.WrongSide++
	}
}

// result delivers what still waits and compares the visitors' book with that of
// the regular systems.
func (g *gate) result(ctx context.Context, p *player, w *surroundings, now time.Time) (Visits, error) {
	if g == nil {
		return Visits{}, nil
	}
	if err := g.doors.Step(ctx); err != nil {
		return g.visits, err
	}
	const tries = 200 // the other side loses answers on purpose
	for range tries {
		next, err := g.doors.Replay(ctx, now)
		if err != nil {
			return g.visits, err
		}
		if next.IsZero() {
			break
		}
	}
	booked, err := readPages(filepath.Join(w.dir, "regular"))
	if err != nil {
		return g.visits, err
	}
	for entry, byReceipt := range g.entered {
		n := booked[entry]
		switch {
		case n == 0:
			g.visits.Lost++
		case n > 1:
			g.visits.Doubled++
		}
		if byReceipt && n > 0 {
			g.visits.Delivered++
		}
		delete(booked, entry)
	}
	g.visits.WrongSide += int64(len(booked)) // nobody was told of these
	g.visits.Items, err = itemsAtDoors(ctx, p.room)
	return g.visits, err
}

// itemsAtDoors counts what the journals took in at doors: it is handed over with
// everything else, which the books of the handover see to.
func itemsAtDoors(ctx context.Context, r *room.Room) (n int64, err error) {
	for _, k := range r.Catalogue.Kassen {
		j, err := r.Journals.Open(ctx, k.ID)
		if err != nil {
			return n, err
		}
		f := emergency.Filter{Kind: emergency.KindRequest, Limit: 10_000}
		items, err := j.Items(ctx, f)
		if err != nil {
			return n, err
		}
		n += int64(len(items))
	}
	return n, nil
}
