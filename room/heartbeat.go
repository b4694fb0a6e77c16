package room

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/warning"
)

// Heartbeat is a dead-man's signal: it is renewed as long as the room is ready,
// so that its absence, not its presence, raises the alarm outside.
type Heartbeat struct {
	Every time.Duration
	File  string // rewritten in one step; empty: none
	URL   string // is sent a POST; empty: none
	// MailTo gets the signal through Mail, every MailEvery; empty: nobody.
	MailTo    string
	MailEvery time.Duration
	Mail      *warning.MailWay
}

// Beat is what an outside watcher sees.
type Beat struct {
	Room    string        `json:"room"` // public key name: tells rooms apart
	At      time.Time     `json:"at"`
	Every   time.Duration `json:"every"` // how often it is renewed this way
	Entries int64         `json:"ledger_entries"`

	// How the early warning does, for monitoring.
	Signals  int      `json:"signals_open"`
	Overdue  int      `json:"signals_escalated"`
	Unheard  int      `json:"unheard"` // messages to people that could not be sent
	Waiting  int64    `json:"waiting_bytes"`
	Dropped  int64    `json:"dropped"`
	Failing  []string `json:"failing,omitempty"` // sources that cannot be read
	Pressure float64  `json:"pressure_percent"`  // of the fullest queue

	// Signed is Text, signed with the key of the room's ledger: others can send
	// mail or write files too.
	Signed string `json:"signed,omitempty"`
}

// Text is what is signed of a signal.
func (b Beat) Text() string {
	return fmt.Sprintf("leitstand sign of life\n%s\n%s\n%s\n%d\n", b.Room, b.At.UTC().Format(time.RFC3339Nano), b.Every, b.Entries)
}

// ErrForged says that a signal does not come from the room.
var ErrForged = errors.New("the signal is not signed with the key of the room")

// Check says whether the key whose public half is given signed the signal.
func (b Beat) Check(public string) error {
	text, err := ledger.Unsign(b.Signed, public)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForged, err)
	}
	if text != b.Text() {
		return ErrForged
	}
	return nil
}

// beatTimeout bounds one ping, so that a watcher that hangs does not stop the beat.
const beatTimeout = 10 * time.Second

// lifeSigns keeps how the last beat went, for the doctor.
type lifeSigns struct {
	mu      sync.Mutex
	running bool
	err     error
}

func (l *lifeSigns) set(running bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running, l.err = running, err
}

func (l *lifeSigns) get() (running bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running, l.err
}

// ways names where the signal goes.
func (h Heartbeat) ways() []string {
	var out []string
	for _, w := range []struct{ to, name string }{{h.File, "Datei"}, {h.URL, "Adresse"}, {h.MailTo, "Mail"}} {
		if w.to != "" {
			out = append(out, w.name)
		}
	}
	return out
}

// lookLife says whether anybody outside can notice that the room is gone.
func (r *Room) lookLife(_ context.Context, c *Checkup) error {
	ways := r.opt.Heartbeat.ways()
	running, err := r.life.get()
	switch {
	case len(ways) == 0:
		c.add("Lebenszeichen", Warn, "heartbeat in "+ConfigFile+" einrichten (Datei, Adresse oder Mail) und auf einem anderen Rechner beobachten: leitstand watchman", "keines: bleibt der Raum stehen, merkt es draußen niemand")
	case !running:
		c.add("Lebenszeichen", Warn, "Den Raum in Betrieb nehmen: leitstand serve", "eingerichtet (%s), der Raum läuft aber nicht", strings.Join(ways, ", "))
	case err != nil:
		c.add("Lebenszeichen", Bad, "Den Weg nach draußen in Ordnung bringen, sonst schlägt der Wächter Alarm.", "geht nicht hinaus: %v", err)
	default:
		c.add("Lebenszeichen", Good, "", "geht hinaus (%s)", strings.Join(ways, ", "))
	}
	return nil
}

// RunHeartbeat renews the signal of the options until ctx ends. A room that is not ready does
// not beat: what is wrong is logged and in Vitals. Nor does one whose early
// warning has stopped reading. notify is told how the room does after every beat,
// such as the supervisor that restarts it; nil: nobody.
func (r *Room) RunHeartbeat(ctx context.Context, notify func(Vitals)) error {
	h := r.opt.Heartbeat
	defer r.life.set(false, nil)
	said := ""
	var mailed time.Time
	for {
		v := r.Vitals(ctx)
		b, err := r.signOfLife(v, h.Every)
		if err == nil { // one way that fails keeps the signal from no other
			err = errors.Join(r.beat(ctx, h, b), r.beatByMail(ctx, h, v, &mailed))
		}
		r.life.set(true, err)
		if err != nil && err.Error() != said && ctx.Err() == nil {
			r.opt.Log.Error("the dead-man's signal", slog.Any("error", err))
		}
		if said = ""; err != nil {
			said = err.Error()
		}
		if notify != nil && ctx.Err() == nil {
			notify(v)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(time.Second, h.Every)):
		}
	}
}

// signOfLife is the signal of a room that does well; otherwise the error says why
// there is none.
func (r *Room) signOfLife(v Vitals, every time.Duration) (Beat, error) {
	b := Beat{Room: r.keyName(), At: v.At, Every: every, Entries: v.LedgerSize, Signals: v.Signals, Overdue: v.Escalated}
	if !v.Ready {
		problems := make([]error, len(v.Problems))
		for i, p := range v.Problems {
			problems[i] = errors.New(p)
		}
		return b, fmt.Errorf("the room is not ready and does not beat: %w", errors.Join(problems...))
	}
	if quiet := r.alarm.quiet(v.At, r.Warning.Alive()); quiet > stillReads {
		return b, fmt.Errorf("the early warning has not read its sources for %s: the room does not beat", quiet.Round(time.Second))
	}
	b.Unheard = int(r.alarm.unheard.Load())
	for _, f := range r.Warning.Figures() {
		b.Waiting += f.Waiting
		b.Dropped += f.Dropped
		b.Pressure = max(b.Pressure, f.Pressure)
		if f.Error != "" {
			b.Failing = append(b.Failing, f.Name)
		}
	}
	var err error
	b.Signed, err = r.key.Sign(b.Text())
	return b, err
}

// beatByMail sends the signal by mail when its time has come. What cannot be sent
// is tried again with the next beat.
func (r *Room) beatByMail(ctx context.Context, h Heartbeat, v Vitals, mailed *time.Time) error {
	if h.MailTo == "" || h.Mail == nil || v.At.Sub(*mailed) < h.MailEvery && !v.At.Before(*mailed) {
		return nil
	}
	if err := r.mayReach(h.Mail.Addr); err != nil {
		return err
	}
	b, err := r.signOfLife(v, h.MailEvery)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encoding the signal: %w", err)
	}
	text := fmt.Sprintf("Der Raum „%s“ arbeitet: %s, %d Einträge im Buch.\n"+
		"Die nächste Nachricht kommt in %s. Bleibt sie aus: nachsehen, anrufen, Handbuch „Night shift“.\n\n%s\n",
		r.Settings.Name, v.At.Format(time.RFC3339), b.Entries, b.Every, raw)
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	if err := h.Mail.Send(ctx, warning.Contact{Mail: h.MailTo}, warning.Message{Subject: "Lebenszeichen " + b.Room, Text: text}); err != nil {
		return fmt.Errorf("sign of life: %w", err)
	}
	*mailed = v.At
	return nil
}

func (r *Room) beat(ctx context.Context, h Heartbeat, life Beat) error {
	b, err := json.Marshal(life)
	if err != nil {
		return fmt.Errorf("encoding the signal: %w", err)
	}
	var errs []error
	if h.File != "" {
		errs = append(errs, replaceFile(h.File, append(b, '\n')))
	}
	if h.URL != "" {
		errs = append(errs, r.ping(ctx, h.URL, b))
	}
	return errors.Join(errs...)
}

func replaceFile(file string, content []byte) error {
	tmp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".new")
	err := os.WriteFile(tmp, content, 0o644) //nolint:gosec // another user's watcher reads it; it holds no secrets
	if err == nil {
		err = os.Rename(tmp, file)
	}
	if err != nil {
		return fmt.Errorf("writing the signal to a file: %w", err)
	}
	return nil
}

// ErrFarPing says that an exercise room does not ping beyond loopback.
var ErrFarPing = errors.New("an exercise room pings loopback only")

func (r *Room) ping(ctx context.Context, to string, body []byte) error {
	u, err := url.Parse(to)
	if err != nil {
		return errors.New("the address of the signal cannot be read") // the address may hold a secret
	}
	if ip := net.ParseIP(u.Hostname()); r.Settings.Exercise && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return ErrFarPing
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address of the signal cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client().Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // without the address
		}
		return fmt.Errorf("pinging %s: %w", u.Host, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing in it is wanted
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("pinging %s: %s", u.Host, resp.Status)
	}
	return nil
}

// limitRule is the rule of the signals with which a room warns about itself.
const limitRule = "leitstand.limit"

// dueLimits raises a signal for everything about the room's own machine that
// nears its limit, so that a person owns it before anything stops. A thing that
// somebody has taken on is not raised again.
func (r *Room) dueLimits(ctx context.Context, now time.Time) error {
	if r.Settings.Exercise { // its clock is not this machine's
		return nil
	}
	if err := r.sampleGrowth(now); err != nil {
		return err
	}
	c := Checkup{At: now}
	for _, look := range []func(context.Context, *Checkup) error{r.lookDisk, r.lookGrowth, r.lookClock, r.lookCertificates} {
		if err := look(ctx, &c); err != nil {
			return err
		}
	}
	var all []warning.Signal
	for _, f := range c.Findings {
		if f.Health == Good {
			continue
		}
		if all == nil {
			var err error
			if all, err = warning.List(ctx, r.Store); err != nil {
				return err
			}
		}
		if known(all, f.Name, now) {
			continue
		}
		level := map[Health]string{Warn: "medium", Bad: "critical"}[f.Health]
		err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := warning.Raise(ctx, tx, now, warning.Signal{
				Rule: limitRule, RuleVersion: "1", Title: "Der Raum selbst: " + f.Name, Description: f.Todo, Level: level,
				Author: "Leitstand", Host: f.Name, Group: f.Name, Owner: defaultOwner,
			}, f.Name+": "+f.Text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// known says whether a limit was raised and is not decided, or was decided less
// than a day ago.
func known(all []warning.Signal, name string, now time.Time) bool {
	for _, s := range all {
		if s.Rule == limitRule && s.Host == name && (s.State == warning.Open || s.State == warning.Acknowledged || now.Sub(s.Last) < 24*time.Hour) {
			return true
		}
	}
	return false
}
