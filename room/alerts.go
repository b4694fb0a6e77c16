package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/warning"
)

// alarm is how people are told of signals outside the room.
type alarm struct {
	alerter *warning.Alerter
	unheard atomic.Int64 // messages that could not be sent
	watched atomic.Int64 // microseconds when the early warning began to read; 0: it does not
}

// lookReach says whether those who get signals can be told outside the room.
func (r *Room) lookReach(ctx context.Context, c *Checkup) error {
	people, err := access.List(ctx, r.Store)
	if err != nil {
		return err
	}
	var unknown, silent []string
	duty := append([]string{r.duty.Owner}, r.duty.Deputies...)
	for _, id := range duty {
		if !slices.ContainsFunc(people, func(p access.Person) bool { return p.ID == id && p.Active }) {
			unknown = append(unknown, id)
		} else if !r.alarm.alerter.Reaches(id) {
			silent = append(silent, id)
		}
	}
	const todo = "In " + ConfigFile + " unter warning eintragen, wer Signale bekommt (owner, deputies) und wie er außerhalb erreicht wird (contacts)."
	switch n := r.alarm.unheard.Load(); {
	case len(unknown) > 0:
		c.add("Alarmierung", Bad, todo, "Signale gehen an %s, im Raum gibt es diese Person nicht", strings.Join(unknown, ", "))
	case n > 0:
		c.add("Alarmierung", Bad, "leitstand signal alerts zeigt, wer nicht erreicht wurde und warum.", "%d Nachrichten kamen nicht an", n)
	case len(silent) > 0:
		c.add("Alarmierung", Warn, todo, "außerhalb des Raums nicht zu erreichen: %s", strings.Join(silent, ", "))
	case len(duty) < 2:
		c.add("Alarmierung", Warn, todo, "%s hat keine Vertretung, die ein Signal nach Ablauf der Frist bekommt", r.duty.Owner)
	default:
		c.add("Alarmierung", Good, "", "%s sind zu erreichen", catalogue.Counted(len(duty), "1 Person", "%s Personen"))
	}
	return nil
}

// quiet is how long the early warning has not read its sources, when it should.
func (a *alarm) quiet(now, alive time.Time) time.Duration {
	since := a.watched.Load()
	if since == 0 {
		return 0
	}
	if begun := time.UnixMicro(since); alive.Before(begun) {
		alive = begun
	}
	return now.Sub(alive)
}

const (
	alarmEvery = 5 * time.Second
	// stillReads is how long ago the early warning read its sources at most for
	// the dead-man's signal to go on.
	stillReads = 2 * time.Minute
)

// startAlarm opens the ways to people. An exercise tells nobody outside this machine.
func (r *Room) startAlarm(c WarningConfig) error {
	client := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ways := map[string]warning.Sender{"command": warning.CommandWay{}}
	if c.Mail != nil {
		if err := r.mayReach(c.Mail.Addr); err != nil {
			return err
		}
		ways["mail"] = c.Mail
	}
	if c.WebhookSecret != "" {
		ways["webhook"] = &warning.WebhookWay{Secret: c.WebhookSecret, Client: client, Now: r.Now}
	}
	for person, contact := range c.Contacts {
		if contact.Webhook == "" {
			continue
		}
		if err := r.mayCall(contact.Webhook); err != nil {
			return fmt.Errorf("early warning: contact %q: %w", person, err)
		}
	}
	r.alarm.alerter = &warning.Alerter{Contacts: c.Contacts, Ways: ways, Log: r.opt.Log}
	return nil
}

// mayCall allows https, and http on this machine.
func (r *Room) mayCall(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is no https address", address)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	if u.Scheme == "http" && !isLoopback(host) {
		return fmt.Errorf("%q: http only to this machine, else https", address)
	}
	return r.mayReach(host)
}

func (r *Room) mayReach(addr string) error {
	if r.Settings.Exercise && !isLoopback(addr) {
		return fmt.Errorf("an exercise room tells nobody outside this machine: %q", addr)
	}
	return nil
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// runAlarm tells people of signals until ctx ends.
func (r *Room) runAlarm(ctx context.Context) {
	for {
		unheard, err := r.alarm.alerter.Due(ctx, r.Store, r.Now())
		r.alarm.unheard.Store(int64(unheard))
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
