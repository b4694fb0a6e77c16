package room

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
)

// EmployersFile says where employers ask, in a room whose configuration says
// nothing about it: older than the one configuration.
const EmployersFile = "employers.json"

// EmployersConfig is where employers ask. Files are named from the data directory.
// Without certificate it listens on loopback only, such as behind a proxy.
type EmployersConfig struct {
	Listen      string          `json:"listen,omitempty"`      // host:port; without it employers come through doors of the gateway only
	Certificate string          `json:"certificate,omitempty"` // PEM of the server, chain included
	Key         string          `json:"key,omitempty"`         // PEM
	ClientCA    string          `json:"client_ca,omitempty"`   // PEM of the CA that issues employers' certificates
	Employers   json.RawMessage `json:"employers"`             // see sicknote.ParseEmployers
}

// ServeEmployers answers employers over HTTP until ctx ends, when the configuration
// names any. ready is told the address.
func (r *Room) ServeEmployers(ctx context.Context, ready func(addr string)) error {
	srv, addr, err := r.employerServer()
	if err != nil || srv == nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listening for employers: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	ready(l.Addr().String())
	if srv.TLSConfig != nil {
		err = srv.ServeTLS(l, "", "")
	} else {
		err = srv.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering employers: %w", err)
	}
	return nil
}

// readEmployers takes employers of the configuration, or reads the older file;
// without either there is nobody.
func (r *Room) readEmployers() (c EmployersConfig, known *sicknote.Employers, err error) {
	if err := r.older(EmployersFile, r.opt.Employers != nil, &c); err != nil {
		return c, nil, err
	}
	switch {
	case r.opt.Employers != nil:
		c = *r.opt.Employers
	case c.Employers == nil:
		return c, nil, nil
	}
	if r.Intake == nil {
		return c, nil, fmt.Errorf("employers: %w", errNoIntake)
	}
	var ca []byte
	if c.ClientCA != "" {
		if ca, err = os.ReadFile(r.beside(c.ClientCA)); err != nil {
			return c, nil, fmt.Errorf("reading the CA of employers: %w", err)
		}
	}
	if known, err = sicknote.ParseEmployers(c.Employers, ca); err != nil {
		return c, nil, err
	}
	return c, known, nil
}

// employerServer is the server of the configuration; nil where it names none:
// employers then come through doors only.
func (r *Room) employerServer() (*http.Server, string, error) {
	c, known, err := r.readEmployers()
	if err != nil || known == nil || c.Listen == "" {
		return nil, "", err
	}
	srv := &http.Server{
		Handler: r.Intake.EmployerHandler(known, r.Now), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(r.opt.Log.Handler(), slog.LevelWarn),
	}
	if c.Certificate != "" {
		own, err := tls.LoadX509KeyPair(r.beside(c.Certificate), r.beside(c.Key))
		if err != nil {
			return nil, "", fmt.Errorf("employers: reading certificate and key: %w", err)
		}
		srv.TLSConfig = known.TLS(own)
	}
	if err := mayListen(c.Listen, r.Settings.Exercise || srv.TLSConfig == nil); err != nil {
		return nil, "", fmt.Errorf("employers: %w", err)
	}
	return srv, c.Listen, nil
}

// beside is a file named from the data directory.
func (r *Room) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.opt.Data, name)
}

func mayListen(addr string, loopbackOnly bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); loopbackOnly && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen %q: an exercise, or a server without certificate, listens on loopback only, such as 127.0.0.1:8470", addr)
	}
	return nil
}

// sickNoteEmployerActs are requests and answers as files.
func sickNoteEmployerActs() map[string]handler {
	return map[string]handler{
		"sicknote.ask":       doing(askSickNotes),
		"sicknote.follow-up": doing(followUpNow),
		"sicknote.reports":   reading(employerReports),
		"sicknote.fetched":   doing(reportsFetched),
	}
}

type askArgs struct {
	Kasse    catalogue.KasseID  `json:"kasse"`
	Requests []sicknote.Request `json:"requests"`
}

// Asked is the answer to one request, or why there is none.
type Asked struct {
	Request string           `json:"datensatz_id"`
	Answer  *sicknote.Answer `json:"rueckmeldung,omitempty"`
	Error   string           `json:"error,omitempty"`
}

// askSickNotes answers requests of employers that came as files. A request that is
// not valid keeps no other from its answer.
func askSickNotes(ctx context.Context, r *Room, as access.Person, a askArgs) ([]Asked, error) {
	if r.Intake == nil {
		return nil, errNoIntake
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return nil, err
	}
	out := make([]Asked, len(a.Requests))
	for i, q := range a.Requests {
		q.Kasse = a.Kasse
		out[i].Request = q.ID
		ans, err := r.Intake.Answer(ctx, q, r.Now())
		switch {
		case errors.Is(err, sicknote.ErrRequest):
			out[i].Error = err.Error()
		case err != nil:
			return nil, err
		default:
			out[i].Answer = &ans
		}
	}
	return out, nil
}

type reportsArgs struct {
	Kasse    catalogue.KasseID `json:"kasse"`
	Employer string            `json:"betriebsnummer,omitempty"`
	IDs      []string          `json:"ids,omitempty"`
	Reason   string            `json:"reason,omitempty"`
}

func employerReports(ctx context.Context, r *Room, a reportsArgs) ([]sicknote.Report, error) {
	if r.Intake == nil {
		return nil, errNoIntake
	}
	const most = 1000
	return r.Intake.Reports(ctx, a.Kasse, a.Employer, most)
}

// followUpNow makes the reports that are due, as a serving room does every minute.
func followUpNow(ctx context.Context, r *Room, as access.Person, a reportsArgs) (int, error) {
	if r.Intake == nil {
		return 0, errNoIntake
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return 0, err
	}
	made, err := r.Intake.FollowUps(ctx, a.Kasse, r.Now())
	return len(made), err
}

// reportsFetched records that reports reached their employers by other means.
func reportsFetched(ctx context.Context, r *Room, as access.Person, a reportsArgs) (int, error) {
	if r.Intake == nil {
		return 0, errNoIntake
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return 0, err
	}
	return len(a.IDs), r.Intake.Fetched(ctx, a.Kasse, a.Employer, a.IDs, sicknote.Act{At: r.Now(), Actor: as.ID, Reason: a.Reason})
}
