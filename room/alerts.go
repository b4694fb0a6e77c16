package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"leitstand/base/db"
	"leitstand/warning"
)

// alarm is how people are told of signals outside the room.
type alarm struct {
	alerter *warning.Alerter
	heart   warning.Heartbeat
	beaten  time.Time
}

const (
	alarmEvery = 5 * time.Second
	// stillReads is how long ago the early warning read its sources at most for
	// the heartbeat to go on.
	stillReads = 2 * time.Minute
)

// startAlarm checks the settings of warning.json. An exercise tells nobody
// outside this machine.
func (r *Room) startAlarm(c WarningConfig) error {
	client := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ways := map[string]warning.Sender{"command": warning.CommandWay{}}
	if c.Mail != nil {
		if err := c.Mail.Check(); err != nil {
			return fmt.Errorf("reading %s: %w", warningFile, err)
		}
		if err := r.mayReach(c.Mail.Addr); err != nil {
			return err
		}
		ways["mail"] = c.Mail
	}
	if c.WebhookSecret != "" {
		ways["webhook"] = &warning.WebhookWay{Secret: c.WebhookSecret, Client: client, Now: r.Now}
	}
	for person, contact := range c.Contacts {
		if contact.Mail != "" && c.Mail == nil {
			return fmt.Errorf("reading %s: %q is to be told by mail, and mail is not set", warningFile, person)
		}
		if contact.Webhook == "" {
			continue
		}
		if c.WebhookSecret == "" {
			return fmt.Errorf("reading %s: %q is to be told by webhook, and webhook_secret is not set", warningFile, person)
		}
		if err := r.mayCall(contact.Webhook); err != nil {
			return err
		}
	}
	if c.Heartbeat.URL != "" {
		if err := r.mayCall(c.Heartbeat.URL); err != nil {
			return err
		}
	}
	c.Heartbeat.Client = client
	r.alarm = alarm{alerter: &warning.Alerter{Contacts: c.Contacts, Ways: ways, Log: r.opt.Log}, heart: c.Heartbeat}
	return nil
}

// mayCall allows https, and http on this machine.
func (r *Room) mayCall(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("reading %s: %q is no https address", warningFile, address)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	if u.Scheme == "http" && !isLoopback(host) {
		return fmt.Errorf("reading %s: %q: http only to this machine, else https", warningFile, address)
	}
	return r.mayReach(host)
}

func (r *Room) mayReach(addr string) error {
	if r.Settings.Exercise && !isLoopback(addr) {
		return fmt.Errorf("reading %s: an exercise room tells nobody outside this machine: %q", warningFile, addr)
	}
	return nil
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// runAlarm tells people of signals, and the outside watcher that it does, until ctx ends.
func (r *Room) runAlarm(ctx context.Context) {
	for {
		unheard, err := r.alarm.alerter.Due(ctx, r.Store, r.Now())
		if err == nil {
			err = r.sendBeat(ctx, unheard)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, db.ErrClosed) {
			r.opt.Log.Error("telling people of signals", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(alarmEvery):
		}
	}
}

// sendBeat sends the heartbeat when it is due and the early warning is alive.
func (r *Room) sendBeat(ctx context.Context, unheard int) error {
	h, now := r.alarm.heart, r.Now()
	if h.File == "" && h.URL == "" || now.Sub(r.alarm.beaten) < h.Every() || now.Sub(r.Warning.Alive()) > stillReads {
		return nil
	}
	b := warning.Beat{At: now, Unheard: unheard}
	all, err := warning.List(ctx, r.Store)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.State == warning.Open {
			b.Open++
			if s.Escalated > 0 {
				b.Overdue++
			}
		}
	}
	b.Count(r.Warning.Figures())
	if err := h.Send(ctx, b); err != nil {
		return err
	}
	r.alarm.beaten = now
	return nil
}
