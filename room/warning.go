package room

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/warning"
	"leitstand/warning/logbus"
)

// WarningConfig is what the early warning of a room reads and whom it tells.
// Without any the built-in rules watch what --log names, and everything belongs
// to the operator on duty.
type WarningConfig struct {
	// Hosts say which environment a host belongs to, by patterns such as
	// "kasse1-*": the first that fits. Names "env-<ik>-<site>" are known without.
	Hosts []HostPattern `json:"hosts,omitempty"`
	Duty  warning.Duty  `json:"duty,omitzero"`
	Zone  string        `json:"zone,omitempty"` // in which night is night; default Europe/Berlin
	// Rules are further Sigma rules: directories, zip files or files.
	Rules []string `json:"rules,omitempty"`
	// Sources are what is read and taken in, besides what --log names. What
	// waits lies below warning/ in the data directory.
	Sources []warning.SourceConfig `json:"sources,omitempty"`
	// Regression is a folder of events that foreign rules must match, in the form
	// of SigmaHQ's regression data: exceptions are tested against them.
	Regression string `json:"regression,omitempty"`
	// Contacts say how people are reached outside the room, by person id.
	Contacts      map[string]warning.Contact `json:"contacts,omitempty"`
	Mail          *warning.MailWay           `json:"mail,omitempty"`           // for contacts by mail
	WebhookSecret string                     `json:"webhook_secret,omitempty"` // signs calls of webhooks
}

// Check says what is wrong with the settings as far as that can be told without
// a room.
func (c WarningConfig) Check() error {
	if _, err := time.LoadLocation(c.Zone); err != nil {
		return fmt.Errorf("zone %q is not known", c.Zone)
	}
	for _, h := range c.Hosts {
		if _, err := path.Match(h.Pattern, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", h.Pattern, err)
		}
	}
	if c.Mail != nil {
		if err := c.Mail.Check(); err != nil {
			return err
		}
	}
	for _, person := range slices.Sorted(maps.Keys(c.Contacts)) {
		switch contact := c.Contacts[person]; {
		case contact.Mail == "" && contact.Webhook == "" && len(contact.Command) == 0:
			return fmt.Errorf("contact %q: mail, webhook or command is missing", person)
		case contact.Mail != "" && c.Mail == nil:
			return fmt.Errorf("contact %q is to be told by mail, and no server for it is set (smtp)", person)
		case contact.Webhook != "" && c.WebhookSecret == "":
			return fmt.Errorf("contact %q is to be told by webhook, and webhook_secret is not set", person)
		}
	}
	return nil
}

// HostPattern places hosts.
type HostPattern struct {
	Pattern     string                  `json:"pattern"`
	Environment catalogue.EnvironmentID `json:"environment"`
}

type hostRule = HostPattern

// WarningFile holds the early warning of a room whose configuration says nothing
// about it: older than the one configuration.
const WarningFile = "warning.json"

// loadWarning takes the early warning of the configuration, or reads the older file.
func (r *Room) loadWarning() (WarningConfig, error) {
	c := WarningConfig{Duty: warning.Duty{Owner: defaultOwner}, Zone: "Europe/Berlin"}
	if err := r.older(WarningFile, r.opt.Warning != nil, &c); err != nil {
		return c, err
	}
	if r.opt.Warning != nil {
		c = *r.opt.Warning
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("early warning: %w", err)
	}
	for _, h := range c.Hosts {
		if !slices.ContainsFunc(r.Catalogue.Environments, func(e catalogue.Environment) bool { return e.ID == h.Environment }) {
			return c, fmt.Errorf("early warning: environment %q of pattern %q is not in the catalogue", h.Environment, h.Pattern)
		}
	}
	return c, nil
}

// startWarning compiles the rules and opens the sources.
func (r *Room) startWarning() error {
	c, err := r.loadWarning()
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return fmt.Errorf("early warning: zone: %w", err)
	}
	more := warning.RuleFiles{Licenses: warning.Licenses{}}
	for _, name := range c.Rules {
		if err := more.Add(name); err != nil {
			return err
		}
	}
	rules, err := warning.CompileRules(more, nil)
	if err != nil {
		return err
	}
	r.regression = c.Regression
	r.duty, r.hosts, r.sources = c.Duty, c.Hosts, c.Sources
	r.Warning = warning.NewIntake(warning.IntakeOptions{
		Rules: rules, Zone: zone, Duty: c.Duty, Place: r.environmentOf, Now: r.Now, Log: r.opt.Log, Watched: r.watched,
		Bus: func(c warning.SourceConfig) warning.Source {
			return logbus.NewSource(logbus.Config{URL: c.URL, Prefix: c.Prefix, Creds: c.Creds, Token: c.Token, CA: c.CA, Cert: c.Cert, Key: c.Key}, rules)
		},
	})
	return r.startAlarm(c)
}

// environmentOf finds the environment of a host: by the configuration, else by its
// name "env-<ik>-<site>", as the catalogue's export names hosts. What follows
// the first dot is the domain.
func (r *Room) environmentOf(host string) catalogue.EnvironmentID {
	host = strings.ToLower(host)
	name, _, _ := strings.Cut(host, ".")
	for _, h := range r.hosts {
		for _, n := range [...]string{host, name} {
			if ok, err := path.Match(strings.ToLower(h.Pattern), n); ok && err == nil {
				return h.Environment
			}
		}
	}
	for _, e := range r.Catalogue.Environments {
		if name == "env-"+string(e.Kasse)+"-"+string(e.Site) {
			return e.ID
		}
	}
	return ""
}

// Follow reads what log files gained, and all other sources.
func (r *Room) Follow(ctx context.Context, _ time.Time, files ...string) ([]warning.Signal, error) {
	for _, f := range files {
		if err := r.Warning.Follow(f); err != nil {
			return nil, err
		}
	}
	var all []warning.Signal
	for more := true; more; {
		raised, again, err := r.watchStep(ctx)
		if err != nil {
			return all, err
		}
		all, more = append(all, raised...), again
	}
	return all, nil
}

// RunWarning follows log files and all sources of the configuration until ctx ends;
// stdin is for a source of that kind. What fails is logged and tried again: the
// early warning does not end with one bad source.
func (r *Room) RunWarning(ctx context.Context, stdin io.Reader, files ...string) error {
	for _, f := range files {
		if err := r.Warning.Follow(f); err != nil {
			return err
		}
	}
	for _, c := range r.sources {
		if err := r.Warning.Open(c, filepath.Join(r.opt.Data, "warning"), stdin); err != nil {
			return fmt.Errorf("early warning: %w", err)
		}
	}
	r.alarm.watched.Store(r.Now().UnixMicro())
	defer r.alarm.watched.Store(0)
	var taking sync.WaitGroup
	taking.Go(func() { r.Warning.Listen(ctx) })
	taking.Go(func() { r.runAlarm(ctx) })
	r.runSteps(ctx)
	taking.Wait()
	save, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if err := r.Warning.Save(save, r.Store); err != nil && !errors.Is(err, db.ErrClosed) {
		r.opt.Log.Warn("the memory of the early warning was not written: events are read again at the next start", slog.Any("error", err))
	}
	return nil
}

func (r *Room) runSteps(ctx context.Context) {
	for {
		_, more, err := r.watchStep(ctx)
		pause := time.Second
		switch {
		case ctx.Err() != nil, errors.Is(err, db.ErrClosed):
			return // the room closes: what is under way is read again at the next start
		case err != nil:
			r.opt.Log.Error("early warning", slog.Any("error", err))
			pause = 5 * time.Second
		case more:
			pause = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// watchStep lets the early warning read. Environments that new signals point at
// are named in the same transaction: from then on cuts of them cannot be undone.
func (r *Room) watchStep(ctx context.Context) (raised []warning.Signal, more bool, err error) {
	var res operation.Result
	raised, more, err = r.Warning.Step(ctx, r.Store, func(ctx context.Context, tx *db.Tx, raised []warning.Signal) (err error) {
		if cmd := named(r.Now(), r.Catalogue, raised); cmd != nil {
			res, err = r.Operation.DoTx(ctx, tx, cmd)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return raised, more, r.Operation.Done(ctx, res)
}

// named is the note that new signals point at environments and components, or nil. A
// component is meant by its id, or by a host that is called as it is: to bar its way back
// without need costs a way through the gate, to miss it would reconnect an attacker.
func named(now time.Time, c *catalogue.Catalogue, raised []warning.Signal) operation.Command {
	cmd := &operation.NameSubjects{}
	for _, s := range raised {
		if !s.Last.Equal(s.First) {
			continue
		}
		var subjects []string
		if s.Environment != "" {
			subjects = append(subjects, string(s.Environment))
		}
		host, _, _ := strings.Cut(s.Host, ".")
		for _, m := range c.Components {
			name, _, _ := strings.Cut(string(m.ID), "@")
			if s.Host == string(m.ID) || host != "" && strings.EqualFold(host, name) {
				subjects = append(subjects, string(m.ID))
			}
		}
		for _, subject := range subjects {
			if !slices.Contains(cmd.Subjects, subject) {
				cmd.Subjects = append(cmd.Subjects, subject)
				cmd.Source, cmd.Reason = "signal "+s.ID, s.Title
			}
		}
	}
	if len(cmd.Subjects) == 0 {
		return nil
	}
	cmd.Sign(now, access.Person{ID: ledger.System})
	return cmd
}
