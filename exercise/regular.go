package exercise

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// RegularConfig configures the regular systems of all Kassen.
type RegularConfig struct {
	// Dir is where the books and keys are kept. A second start goes on with them.
	Dir string `json:"dir"`
	// Listen is a loopback address for HTTP; empty means any free port.
	Listen string `json:"listen,omitempty"`
	// POP3 and SMTP are the addresses of the mail server, Password that of its maildrops.
	POP3     string `json:"pop3"`
	SMTP     string `json:"smtp"`
	Password string `json:"password"`
	// Token is asked of handovers and of /control as bearer token.
	Token string `json:"token"`
	// Kassen are those whose systems run here.
	Kassen []RegularKasse `json:"kassen"`
	// Fetchers is how all fetchers stand at the start; empty means on.
	Fetchers FetcherMode `json:"fetchers,omitempty"`
	// Fault is what handovers suffer; Seed decides when.
	Fault RegularFault `json:"fault,omitzero"`
	Seed  uint64       `json:"seed,omitempty"`
	// Calls lets practices call: clerks change records by hand. Seed must be that
	// of the practices, and Kassen theirs. Nil: nobody calls.
	Calls *CallsConfig `json:"calls,omitempty"`
}

// RegularKasse is a Kasse with the placements that have pages.
type RegularKasse struct {
	KasseSpec
	// Pages are placements, "<ik>/<service>/<site>", with the name of the service.
	Pages map[string]string `json:"pages,omitempty"`
}

// RegularFault makes handovers fail (command "fault" of the regular systems).
// Each is a share of the requests, 0 to 1.
type RegularFault struct {
	// LoseAnswers cuts the connection after the parcel was applied.
	LoseAnswers float64 `json:"lose_answers,omitempty"`
	// Duplicate lets the parcel arrive twice, as by a middle box that repeats it.
	Duplicate float64 `json:"duplicate,omitempty"`
}

// FetcherMode is what the mail fetcher of a Kasse does.
type FetcherMode string

// The modes. FetchRefuse is the policy of 2023: the front end runs, what stands
// behind it does not, and every document is answered as faulty.
const (
	FetchOn     FetcherMode = "on"
	FetchOff    FetcherMode = "off"
	FetchRefuse FetcherMode = "refuse"
)

// FetcherCommand switches the fetcher of a Kasse, or of all (command "fetcher").
// When it is answered, no session of a fetcher that is off is open.
type FetcherCommand struct {
	Kasse string      `json:"kasse,omitempty"` // IK; empty means all
	Mode  FetcherMode `json:"mode"`
}

// ReachCommand cuts systems off the network or connects them (command "reach").
// What is cut closes each connection without a word.
type ReachCommand struct {
	// Target is "<ik>", "<ik>/<service>", "<ik>/<service>/<site>", "<ik>@<site>" or "@<site>".
	Target string `json:"target"`
	Up     bool   `json:"up"`
}

// regularWorld is the regular systems of all Kassen.
type regularWorld struct {
	config  RegularConfig
	systems map[string]*kasseSystem // by IK; fixed after start
	order   []string                // IKs as configured
	shelf   *shelf
	clerks  *clerks
	pages   *pageDesk
	answers []*postLine // for error messages, one per worker

	now    atomic.Int64 // simulated time, Unix seconds
	listen net.Listener
	http   *http.Server
	wg     sync.WaitGroup

	mu    sync.Mutex
	down  map[string]bool
	fault RegularFault
	dice  *rand.Rand
	tally Counts
}

// kasseSystem is the regular system of one Kasse.
type kasseSystem struct {
	RegularKasse
	key ed25519.PrivateKey

	filing sync.Mutex // one at a time judges and files documents; taken after fetching

	fetching sync.Mutex // held during a mail session and while the mode changes
	mode     FetcherMode
	since    time.Time // of mode, simulated; zero from the start
}

// startRegular opens the books and serves HTTP.
func startRegular(ctx context.Context, c RegularConfig) (*regularWorld, error) {
	if c.Fetchers == "" {
		c.Fetchers = FetchOn
	}
	for _, addr := range [...]string{c.POP3, c.SMTP} {
		if err := checkLoopback(addr); err != nil {
			return nil, err
		}
	}
	w := &regularWorld{
		config: c, systems: make(map[string]*kasseSystem, len(c.Kassen)), down: make(map[string]bool),
		fault: c.Fault, dice: rand.New(rand.NewPCG(c.Seed, 2)), tally: make(Counts), //nolint:gosec // faults must be repeatable
	}
	for _, name := range [...]string{"unfetched", "refetched", "answered", "lost_answers", "repeated_parcels", "page_reads", "page_writes", "changed", "calls_in_vain"} {
		w.tally[name] = 0
	}
	for range fetchWorkers {
		w.answers = append(w.answers, &postLine{addr: c.SMTP})
	}
	if err := c.Fetchers.check(); err != nil {
		return nil, err
	}
	for _, k := range c.Kassen {
		key, err := receiptKey(c.Dir, k.IK)
		if err != nil {
			return nil, err
		}
		if w.systems[k.IK] != nil {
			return nil, fmt.Errorf("the Kasse %q comes twice", k.IK)
		}
		w.systems[k.IK] = &kasseSystem{RegularKasse: k, key: key, mode: c.Fetchers}
		w.order = append(w.order, k.IK)
	}
	var err error
	if w.shelf, err = openShelf(c.Dir); err != nil {
		return nil, err
	}
	if w.clerks, err = openClerks(&w.config); err != nil {
		return nil, errors.Join(err, w.shelf.close())
	}
	if w.pages, err = openPageDesk(c.Dir); err != nil {
		return nil, errors.Join(err, w.clerks.book.close(), w.shelf.close())
	}
	if err := w.serve(ctx); err != nil {
		return nil, errors.Join(err, w.pages.book.close(), w.clerks.book.close(), w.shelf.close())
	}
	return w, nil
}

// receiptKey reads or makes the key with which a Kasse signs receipts.
func receiptKey(dir, ik string) (ed25519.PrivateKey, error) {
	if ik == "" || strings.ContainsAny(ik, "/\\.") {
		return nil, fmt.Errorf("the IK %q is not one", ik)
	}
	path := filepath.Join(dir, "keys", ik+".seed")
	seed, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(nil)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = writeDurably(path, key.Seed())
		}
		if err != nil {
			return nil, fmt.Errorf("making the key of Kasse %q: %w", ik, err)
		}
		return key, nil
	}
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the key of Kasse %q in %q cannot be read: %w", ik, path, errors.Join(err, errKeySize))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

var errKeySize = errors.New("it needs 32 bytes")

func (m FetcherMode) check() error {
	switch m {
	case FetchOn, FetchOff, FetchRefuse:
		return nil
	}
	return fmt.Errorf("fetcher mode %q is none of on, off, refuse", string(m))
}

func (w *regularWorld) command(_ context.Context, do string, config json.RawMessage) error {
	switch do {
	case "fetcher":
		var c FetcherCommand
		if err := decodeStrict(config, &c); err != nil {
			return err
		}
		return w.switchFetcher(c)
	case "reach":
		var c ReachCommand
		if err := decodeStrict(config, &c); err != nil {
			return err
		}
		return w.reach(c)
	case "fault":
		var f RegularFault
		if err := decodeStrict(config, &f); err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fault = f
		return nil
	}
	return errUnknownCommand
}

func (w *regularWorld) switchFetcher(c FetcherCommand) error {
	if err := c.Mode.check(); err != nil {
		return err
	}
	if c.Kasse != "" && w.systems[c.Kasse] == nil {
		return fmt.Errorf("there is no Kasse %q", c.Kasse)
	}
	for ik, s := range w.systems {
		if c.Kasse == "" || c.Kasse == ik {
			s.fetching.Lock() // waits for a session under way
			if s.mode != c.Mode {
				s.mode, s.since = c.Mode, w.time()
			}
			s.fetching.Unlock()
		}
	}
	return nil
}

func (w *regularWorld) reach(c ReachCommand) error {
	if ik, _, _ := strings.Cut(strings.ReplaceAll(c.Target, "@", "/"), "/"); c.Target == "" || ik != "" && w.systems[ik] == nil {
		return fmt.Errorf("target %q names no Kasse of this exercise", c.Target)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Up {
		delete(w.down, c.Target)
	} else {
		w.down[c.Target] = true
	}
	return nil
}

// isDown reports whether a placement is cut off by any target that covers it.
func (w *regularWorld) isDown(ik, service, site string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down[ik] || w.down[ik+"/"+service] || w.down[ik+"/"+service+"/"+site] || w.down[ik+"@"+site] || w.down["@"+site]
}

// roll decides whether a fault of this share strikes now.
func (w *regularWorld) roll(share func(RegularFault) float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := share(w.fault)
	return p > 0 && w.dice.Float64() < p
}

func (w *regularWorld) count(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tally[name]++
}

func (w *regularWorld) time() time.Time { return time.Unix(w.now.Load(), 0).UTC() }

func (w *regularWorld) counts() Counts {
	c := w.shelf.counts()
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(c, w.tally)
	return c
}

func (w *regularWorld) addresses() map[string]string {
	return map[string]string{"http": w.listen.Addr().String()}
}

func (w *regularWorld) stop() error {
	err := w.http.Close()
	w.wg.Wait()
	for _, l := range w.answers {
		l.hangUp()
	}
	return errors.Join(err, w.pages.book.close(), w.clerks.book.close(), w.shelf.close())
}
