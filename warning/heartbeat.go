package warning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Heartbeat is the dead-man's signal: as long as the early warning reads its
// sources and can tell people, it says so where an outside watcher looks. When it
// stops, the watcher has to raise the alarm: this process may be gone.
type Heartbeat struct {
	File string `json:"file,omitempty"` // written anew each time; its age tells
	URL  string `json:"url,omitempty"`  // called with GET
	// Seconds between two; 0 is 60.
	Seconds int `json:"seconds,omitempty"`

	Client *http.Client `json:"-"`
}

// Beat is what a heartbeat says.
type Beat struct {
	At       time.Time `json:"at"`
	Next     time.Time `json:"next"` // when the following one is due
	Open     int       `json:"open"` // undecided signals
	Overdue  int       `json:"overdue"`
	Unheard  int       `json:"unheard"` // messages that could not be sent
	Waiting  int64     `json:"waiting_bytes"`
	Dropped  int64     `json:"dropped"`
	Failing  []string  `json:"failing,omitempty"` // sources that cannot be read
	Pressure float64   `json:"pressure_percent"`  // of the fullest queue
}

// Every is the time between two beats.
func (h Heartbeat) Every() time.Duration {
	if h.Seconds <= 0 {
		return time.Minute
	}
	return time.Duration(h.Seconds) * time.Second
}

// Count adds the figures of sources.
func (b *Beat) Count(figures []Figures) {
	for _, f := range figures {
		b.Waiting += f.Waiting
		b.Dropped += f.Dropped
		b.Pressure = max(b.Pressure, f.Pressure)
		if f.Error != "" {
			b.Failing = append(b.Failing, f.Name)
		}
	}
}

// Send writes the file and calls the address.
func (h Heartbeat) Send(ctx context.Context, b Beat) error {
	b.Next = b.At.Add(h.Every())
	var errs []error
	if h.File != "" {
		errs = append(errs, writeWhole(h.File, b))
	}
	if h.URL != "" {
		errs = append(errs, h.call(ctx))
	}
	return errors.Join(errs...)
}

// writeWhole replaces the file in one step: a reader sees a whole one.
func writeWhole(name string, b Beat) error {
	data, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encoding the heartbeat: %w", err)
	}
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil { //nolint:gosec // an outside watcher reads it
		return fmt.Errorf("writing the heartbeat: %w", err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("writing the heartbeat: %w", err)
	}
	return nil
}

func (h Heartbeat) call(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, sendFor)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return fmt.Errorf("calling the watcher: %w", err)
	}
	resp, err := h.Client.Do(req)
	if err != nil {
		return fmt.Errorf("calling the watcher: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("calling the watcher: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the watcher answered %s", resp.Status)
	}
	return nil
}
