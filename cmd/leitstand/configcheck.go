package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"leitstand/containment"
	"leitstand/gateway"
	"leitstand/room"
)

type configCmd struct {
	Check     configCheckCmd     `cmd:"" help:"Read the configuration as serve would, and name all mistakes with their lines. Exit 1 when there are any."`
	Show      configShowCmd      `cmd:"" help:"Print what is in force and where it comes from; secrets are left out."`
	Example   configExampleCmd   `cmd:"" help:"Print a file with every key, explained and commented out."`
	Reference configReferenceCmd `cmd:"" help:"Print the reference of all keys (Markdown)."`
}

type configCheckCmd struct{ roomFlags }

// Run reads and checks; it opens no store, so that it works while the room is served.
func (c *configCheckCmd) Run(a *app) error {
	found := c.mistakes()
	if c.JSON {
		list := []string{}
		for _, err := range found {
			list = append(list, err.Error())
		}
		raw, err := json.Marshal(map[string]any{"file": c.configFile(), "mistakes": list, "older": room.OlderFiles(c.Data)})
		if err != nil {
			return err
		}
		if err := printRaw(a, raw, false); err != nil {
			return err
		}
	} else {
		sayOlder(a, c.Data)
		for _, err := range found {
			fmt.Fprintln(a.stdout, err)
		}
		if len(found) == 0 {
			fmt.Fprintf(a.stdout, "%s is in order.\n", c.configFile())
		}
	}
	if len(found) > 0 {
		return &exitError{code: 1}
	}
	return nil
}

func (c *configCheckCmd) mistakes() []error {
	conf, err := c.config()
	if err != nil {
		return split(err)
	}
	found := conf.mistakes(c.Data)
	if _, err := containment.LoadDrivers(filepath.Join(c.Data, containment.DriversFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		found = append(found, err)
	}
	return found
}

// split is the list of mistakes that an error joins.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// mistakes are all values that cannot be used. data is the room's directory, in
// which nothing but file names is looked at.
func (c *config) mistakes(data string) (found []error) {
	found = c.missing(reflect.ValueOf(*c), "")
	add := func(key string, err error) {
		if err != nil {
			found = append(found, c.wrong(key, "%v", err))
		}
	}
	add("listen", loopback(c.Listen))
	add("passphrase_file", readable(c.PassphraseFile))
	for i, l := range c.Logs {
		add(fmt.Sprintf("logs[%d]", i), readable(l))
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		add("database", errors.New("an address that begins with postgres:// is expected"))
	}
	found = append(found, c.gatewayMistakes()...)
	found = append(found, c.outsideMistakes()...)
	found = append(found, c.watchMistakes()...)
	found = append(found, c.tellingMistakes()...)
	if _, err := c.connections(); err != nil {
		found = append(found, err)
	}
	found = append(found, c.clashes(data)...)
	return append(found, c.exposed()...)
}

func (c *config) gatewayMistakes() (found []error) {
	g := c.Gateway
	switch {
	case (g.Certificate == "") != (g.Key == ""):
		found = append(found, c.wrong("gateway.certificate", "certificate and key belong together"))
	case g.Certificate != "":
		if _, err := gateway.LoadCertificate(g.Certificate, g.Key); err != nil {
			found = append(found, c.wrong("gateway.certificate", "%v", err))
		}
	case g.Listen != "":
		if err := loopback(g.Listen); err != nil {
			found = append(found, c.wrong("gateway.listen", "%v, unless there are certificate and key", err))
		}
	}
	if g.Drain < 0 {
		found = append(found, c.wrong("gateway.drain", "less than nothing"))
	}
	return found
}

func (c *config) outsideMistakes() (found []error) {
	if c.Mail.Look <= 0 || c.Mail.Look > 10*time.Minute {
		found = append(found, c.wrong("mail.look", "between 0 and 10m is expected"))
	}
	for i, m := range c.Mail.Mailboxes {
		at := fmt.Sprintf("mail.mailboxes[%d]", i)
		for key, addr := range map[string]string{"pop3": m.POP3, "smtp": m.SMTP} {
			if addr == "" {
				continue
			}
			if err := hostPort(addr); err != nil {
				found = append(found, c.wrong(at+"."+key, "%v", err))
			} else if err := loopback(addr); m.Security == "plain" && err != nil {
				found = append(found, c.wrong(at+"."+key, "security plain reaches loopback only"))
			}
		}
		if m.Password != "" && m.PasswordFile != "" {
			found = append(found, c.wrong(at+".password", "password and password_file: keep one"))
		}
	}
	for i, r := range c.Regular {
		if bad := r.mistake(); bad != nil {
			found = append(found, c.wrong(fmt.Sprintf("regular[%d].%s", i, bad.key), "%s", bad.text))
		}
	}
	return found
}

// regularMistake is what a regular system's channel lacks.
type regularMistake struct{ key, text string }

func (r regularConfig) mistake() *regularMistake {
	need := func(key, value string) *regularMistake {
		if value == "" {
			return &regularMistake{key, "is missing: channel " + r.Channel + " needs it"}
		}
		return nil
	}
	var found []*regularMistake
	switch r.Channel {
	case room.BySFTP:
		found = append(found, need("recipient", r.Recipient), need("sftp.address", r.SFTP.Address), need("sftp.user", r.SFTP.User), need("sftp.key_file", r.SFTP.KeyFile), need("sftp.host_keys", strings.Join(r.SFTP.HostKeys, "")))
	case room.ByStick:
		found = append(found, need("recipient", r.Recipient), need("stick", r.Stick))
	case room.ByKIM:
		found = append(found, need("recipient", r.Recipient), need("kim.from", r.KIM.From), need("kim.to", r.KIM.To), need("kim.smtp", r.KIM.SMTP), need("kim.pop3", r.KIM.POP3))
	default:
		if u, err := url.Parse(r.URL); err != nil || u.Host == "" {
			found = append(found, &regularMistake{"url", "an address such as https://… is expected"})
		}
	}
	for _, f := range found {
		if f != nil {
			return f
		}
	}
	return nil
}

func (c *config) watchMistakes() (found []error) {
	if c.Admin.Listen != "" {
		if err := loopback(c.Admin.Listen); err != nil && (!c.Admin.Beyond || hostPort(c.Admin.Listen) != nil) {
			found = append(found, c.wrong("admin.listen", "%v, unless beyond_loopback is true", err))
		}
	}
	h := c.Heartbeat
	if h.Every < time.Second || h.Every > 2*time.Minute {
		found = append(found, c.wrong("heartbeat.every", "between 1s and 2m is expected"))
	}
	if h.URL != "" {
		if u, err := url.Parse(h.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			found = append(found, c.wrong("heartbeat.url", "an address such as https://… is expected"))
		}
	}
	if h.File != "" {
		if info, err := os.Stat(filepath.Dir(h.File)); err != nil || !info.IsDir() {
			found = append(found, c.wrong("heartbeat.file", "its directory is not there"))
		}
	}
	l := c.Limits
	for key, n := range map[string]int64{
		"disk_free_gb": l.DiskFree, "disk_days": int64(l.DiskDays), "backup_age": int64(l.Backup), "restore_age": int64(l.Restore),
		"certificate": int64(l.Certificate), "outbox_age": int64(l.OutboxAge), "witness_age": int64(l.WitnessAge), "people_per_role": int64(l.PeoplePerRole),
	} {
		if n <= 0 {
			found = append(found, c.wrong("limits."+key, "more than 0 is expected"))
		}
	}
	return found
}

// clashes are parts that an older file says as well: nobody should edit the one
// that does not count.
func (c *config) clashes(data string) (found []error) {
	for file, key := range c.olderFiles() {
		if _, err := os.Stat(filepath.Join(data, file)); err == nil && key != "" {
			found = append(found, c.wrong(strings.TrimSuffix(key, "[0]"), "%s says this as well: move it here and remove %s", file, filepath.Join(data, file)))
		}
	}
	return found
}

func (c *config) first(keys ...string) string {
	for _, k := range keys {
		if c.line[k] > 0 {
			return k
		}
	}
	return ""
}

// exposed is a file with secrets that others may read.
func (c *config) exposed() []error {
	info, err := os.Stat(c.from)
	if c.from == "" || err != nil || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	secret := c.Database != ""
	for _, m := range c.Mail.Mailboxes {
		secret = secret || m.Password != ""
	}
	for _, r := range c.Regular {
		secret = secret || r.Token != "" || r.KIM.Password != ""
	}
	for _, s := range c.Warning.Sources {
		secret = secret || s.Token != ""
	}
	secret = secret || c.SMTP.Password != "" || c.Warning.Secret != ""
	if !secret {
		return nil
	}
	return []error{&configError{c.from, 0, fmt.Sprintf("it holds secrets and others may read it (%s): chmod go= %s", info.Mode().Perm(), c.from)}}
}

func hostPort(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" {
		return errors.New("host:port is expected")
	}
	return nil
}

func loopback(addr string) error {
	if err := hostPort(addr); err != nil {
		return errors.New("host:port is expected, such as 127.0.0.1:8460; loopback only")
	}
	host, _, _ := net.SplitHostPort(addr) // checked above
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("loopback only")
	}
	return nil
}

func readable(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	return f.Close()
}

type configShowCmd struct{ roomFlags }

// Run prints what is in force.
func (c *configShowCmd) Run(a *app) error {
	conf, err := c.config()
	if err != nil {
		return err
	}
	if c.JSON {
		raw, err := json.Marshal(conf.values())
		if err != nil {
			return err
		}
		return printRaw(a, raw, true)
	}
	_, err = fmt.Fprint(a.stdout, conf.effective())
	return err
}

type configExampleCmd struct{}

// Run prints the example.
func (configExampleCmd) Run(a *app) error {
	_, err := fmt.Fprint(a.stdout, configExample())
	return err
}

type configReferenceCmd struct{}

// Run prints the reference.
func (configReferenceCmd) Run(a *app) error {
	_, err := fmt.Fprint(a.stdout, configReference())
	return err
}
