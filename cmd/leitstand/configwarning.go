package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
	"leitstand/room"
	"leitstand/warning"
)

// smtpConfig is the server for mail from the room to people.
type smtpConfig struct {
	Server       string `yaml:"server" example:"mail.example:465" help:"SMTP server (host:port) for mail to people: signals of the early warning, and the sign of life. The Kassen's mailboxes have their own."`
	Security     string `yaml:"security" default:"tls" enum:"tls,stls,plain" help:"How it is reached: tls, stls (upgrade of an open connection) or plain (loopback only)."`
	From         string `yaml:"from" example:"leitstand@example.org" help:"Address that the mails come from."`
	User         string `yaml:"user" help:"Name of the account. Empty: no login."`
	Password     string `yaml:"password" secret:"true" help:"Password of the account. Better: password_file."`
	PasswordFile string `yaml:"password_file" path:"true" example:"secrets/smtp" help:"File that holds the password and nothing else."`
	CA           string `yaml:"ca" path:"true" help:"PEM file of the CA of the server. Empty: the system's."`
}

// warningConfig is the early warning.
type warningConfig struct {
	Zone       string          `yaml:"zone" default:"Europe/Berlin" help:"In which time zone night is night."`
	Hosts      []hostConfig    `yaml:"hosts" help:"Which environment a host belongs to; the first pattern that fits. Hosts named env-IK-SITE are known without."`
	Sources    []sourceConfig  `yaml:"sources" help:"What is read and taken in, besides logs (docs/warning.md). What waits lies below warning/ in the data directory."`
	Rules      []string        `yaml:"rules" path:"true" example:"[/etc/leitstand/sigma]" help:"Further Sigma rules: directories, zip files or files."`
	Regression string          `yaml:"regression" path:"true" help:"Folder of events that foreign rules must match (SigmaHQ's regression data): exceptions are tested against them."`
	Owner      string          `yaml:"owner" default:"operator" help:"Id of the person who gets signals that nobody else gets."`
	Owners     []ownerConfig   `yaml:"owners" help:"Who gets the signals about one environment or one Kasse."`
	Deputies   []string        `yaml:"deputies" example:"[lead]" help:"Ids of people who get, in this order, what its owner did not take on in time."`
	Contacts   []contactConfig `yaml:"contacts" help:"How people are reached outside the room."`
	Secret     string          `yaml:"webhook_secret" secret:"true" help:"Signs calls of webhooks. Better: webhook_secret_file."`
	SecretFile string          `yaml:"webhook_secret_file" path:"true" example:"secrets/webhook" help:"File that holds the secret and nothing else."`
}

type hostConfig struct {
	Pattern     string `yaml:"pattern" required:"true" example:"kasse1-*" help:"Name of hosts, with * and ?."`
	Environment string `yaml:"environment" required:"true" example:"109034270@munich" help:"Their environment (Kasse@site)."`
}

type ownerConfig struct {
	Of     string `yaml:"of" required:"true" example:"109034270@munich" help:"Environment (Kasse@site), or a Kasse's main IK for its other environments."`
	Person string `yaml:"person" required:"true" help:"Id of the person."`
}

type contactConfig struct {
	Person  string   `yaml:"person" required:"true" help:"Id of the person."`
	Mail    string   `yaml:"mail" help:"Mail address; needs smtp."`
	Webhook string   `yaml:"webhook" secret:"url" help:"Address (https) that is called; needs webhook_secret."`
	Command []string `yaml:"command" example:"[/usr/local/bin/sms, +49301234567]" help:"Program and arguments, such as a pager or an SMS modem; the text comes on its standard input."`
}

type sourceConfig struct {
	Name      string   `yaml:"name" required:"true" example:"windows" help:"Small letters, digits and dashes, for life: what was read is known by it."`
	Kind      string   `yaml:"kind" required:"true" enum:"file,evtx,syslog,otlp,stdin,journal,command,bus" help:"What it is."`
	Path      string   `yaml:"path" path:"true" help:"file and evtx: the file or directory."`
	Command   []string `yaml:"command" help:"command: program and arguments. journal: instead of journalctl --follow --output=json."`
	URL       string   `yaml:"url" secret:"url" help:"bus: nats://host:4222 or tls://…, several with commas."`
	Prefix    string   `yaml:"prefix" help:"bus: of its streams. Empty: leitstand."`
	Creds     string   `yaml:"creds" path:"true" help:"bus: file with credentials."`
	CA        string   `yaml:"ca" path:"true" help:"bus: PEM file of its CA, or of its own certificate: nothing else is trusted."`
	UDP       string   `yaml:"udp" help:"syslog: address (host:port) for datagrams."`
	TCP       string   `yaml:"tcp" help:"syslog: address for connections."`
	TLS       string   `yaml:"tls" help:"syslog: address for TLS."`
	From      []string `yaml:"from" example:"[10.0.0.0/8]" help:"syslog: networks that may send. Empty: all that reach the address."`
	Listen    string   `yaml:"listen" help:"otlp: address (host:port)."`
	Token     string   `yaml:"token" secret:"true" help:"otlp: bearer token of senders; bus: ours. Better: token_file."`
	TokenFile string   `yaml:"token_file" path:"true" help:"File that holds the token and nothing else."`
	Cert      string   `yaml:"cert" path:"true" help:"syslog over TLS, otlp, bus: PEM file."`
	Key       string   `yaml:"key" path:"true" help:"Its key (PEM)."`
	ClientCA  string   `yaml:"client_ca" path:"true" help:"syslog over TLS: senders need a certificate of this CA."`
	QueueMB   int64    `yaml:"queue_mb" help:"How much may wait on disk, 32 at least. 0: 512. A full queue makes senders wait; datagrams are dropped and counted."`
}

// employersConfig is where employers ask.
type employersConfig struct {
	Listen      string           `yaml:"listen" example:"127.0.0.1:8480" help:"Address (host:port) that employers ask. Empty: they come through doors of the gateway only. Beyond loopback only with a certificate."`
	Certificate string           `yaml:"certificate" path:"true" help:"Certificate file (PEM) of the server, chain included."`
	Key         string           `yaml:"key" path:"true" help:"Key file (PEM) of the certificate."`
	ClientCA    string           `yaml:"client_ca" path:"true" help:"PEM file of the CA that issues employers' certificates."`
	Known       []employerConfig `yaml:"known" help:"The employers; those with a certificate of client_ca need no entry."`
}

type employerConfig struct {
	Number      string `yaml:"betriebsnummer" required:"true" example:"\"12345678\"" help:"Eight digits, in quotes."`
	Token       string `yaml:"token_sha256" help:"SHA-256 (hexadecimal) of the employer's bearer token."`
	Certificate string `yaml:"certificate_sha256" help:"SHA-256 (hexadecimal) of its client certificate. One of both is enough."`
}

// says tells whether the file sets anything of a section.
func (c *config) says(section string) bool { return c.line[section] > 0 }

// mailWay is the server for mail to people, nil when the file names none.
func (c *config) mailWay() (*warning.MailWay, error) {
	s := c.SMTP
	if s.Server == "" {
		return nil, nil //nolint:nilnil // no server is no error
	}
	password, err := c.secret("smtp.password_file", s.Password, s.PasswordFile)
	if err != nil {
		return nil, err
	}
	way := &warning.MailWay{Addr: s.Server, Security: s.Security, From: s.From, User: s.User, Password: password, CA: s.CA}
	if err := way.Check(); err != nil {
		return nil, c.wrong("smtp.server", "%v", err)
	}
	return way, nil
}

// heartbeat is the dead-man's signal.
func (c *config) heartbeat() (room.Heartbeat, error) {
	h := c.Heartbeat
	mail, err := c.mailWay()
	return room.Heartbeat{Every: h.Every, File: h.File, URL: h.URL, MailTo: h.MailTo, MailEvery: h.MailEvery, Mail: mail}, err
}

// warning is the early warning, nil when the file says nothing about it.
func (c *config) warning() (*room.WarningConfig, error) {
	if !c.says("warning") {
		return nil, nil //nolint:nilnil // the built-in rules watch what --log names
	}
	w := c.Warning
	out := &room.WarningConfig{
		Zone: w.Zone, Rules: w.Rules, Regression: w.Regression, Contacts: map[string]warning.Contact{},
		Duty: warning.Duty{
			Owner: w.Owner, Deputies: w.Deputies,
			Environments: map[catalogue.EnvironmentID]string{}, Kassen: map[catalogue.KasseID]string{},
		},
	}
	for _, h := range w.Hosts {
		out.Hosts = append(out.Hosts, room.HostPattern{Pattern: h.Pattern, Environment: catalogue.EnvironmentID(h.Environment)})
	}
	for _, o := range w.Owners {
		if strings.Contains(o.Of, "@") {
			out.Duty.Environments[catalogue.EnvironmentID(o.Of)] = o.Person
		} else {
			out.Duty.Kassen[catalogue.KasseID(o.Of)] = o.Person
		}
	}
	for _, p := range w.Contacts {
		out.Contacts[p.Person] = warning.Contact{Mail: p.Mail, Webhook: p.Webhook, Command: p.Command}
	}
	var err error
	if out.WebhookSecret, err = c.secret("warning.webhook_secret_file", w.Secret, w.SecretFile); err != nil {
		return nil, err
	}
	if out.Mail, err = c.mailWay(); err != nil {
		return nil, err
	}
	for i, s := range w.Sources {
		token, err := c.secret(fmt.Sprintf("warning.sources[%d].token_file", i), s.Token, s.TokenFile)
		if err != nil {
			return nil, err
		}
		out.Sources = append(out.Sources, warning.SourceConfig{
			Name: s.Name, Kind: s.Kind, Path: s.Path, Command: s.Command, URL: s.URL, Prefix: s.Prefix, Creds: s.Creds, CA: s.CA,
			UDP: s.UDP, TCP: s.TCP, TLS: s.TLS, From: s.From, Listen: s.Listen, Token: token, Cert: s.Cert, Key: s.Key,
			ClientCA: s.ClientCA, QueueMB: s.QueueMB,
		})
	}
	return out, nil
}

// employers is where employers ask, nil when the file says nothing about it.
func (c *config) employers() (*room.EmployersConfig, error) {
	if !c.says("employers") {
		return nil, nil //nolint:nilnil // nobody asks
	}
	e := c.Employers
	type entry struct {
		Number      string `json:"betriebsnummer"`
		Token       string `json:"token_sha256,omitempty"`
		Certificate string `json:"certificate_sha256,omitempty"`
	}
	list := []entry{}
	for _, k := range e.Known {
		list = append(list, entry(k))
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encoding employers: %w", err)
	}
	return &room.EmployersConfig{Listen: e.Listen, Certificate: e.Certificate, Key: e.Key, ClientCA: e.ClientCA, Employers: raw}, nil
}

// tellingMistakes are those of mail to people, of the early warning and of employers.
func (c *config) tellingMistakes() (found []error) {
	add := func(key string, err error) {
		if e, ok := errors.AsType[*configError](err); ok {
			found = append(found, e)
		} else if err != nil {
			found = append(found, c.wrong(key, "%v", err))
		}
	}
	way, err := c.mailWay()
	add("smtp", err)
	h := c.Heartbeat
	if h.MailTo != "" && way == nil && err == nil {
		add("heartbeat.mail_to", errors.New("smtp.server is missing: no mail can leave"))
	}
	if h.MailEvery < time.Minute || h.MailEvery > 24*time.Hour {
		add("heartbeat.mail_every", errors.New("between 1m and 24h is expected"))
	}
	if c.SMTP.Password != "" && c.SMTP.PasswordFile != "" {
		add("smtp.password", errors.New("password and password_file: keep one"))
	}
	w, err := c.warning()
	add("warning", err)
	if w != nil {
		add("warning", w.Check())
		for i, s := range w.Sources {
			add(fmt.Sprintf("warning.sources[%d]", i), s.Check())
		}
	}
	names := map[string]int{}
	for i, s := range c.Warning.Sources {
		if names[s.Name]++; names[s.Name] == 2 {
			add(fmt.Sprintf("warning.sources[%d].name", i), errors.New("there is another source of this name"))
		}
	}
	_, err = c.desks()
	add("desks", err)
	return append(found, c.employerMistakes()...)
}

func (c *config) employerMistakes() (found []error) {
	e, err := c.employers()
	if err != nil || e == nil {
		return found
	}
	var ca []byte
	if e.ClientCA != "" {
		if ca, err = os.ReadFile(e.ClientCA); err != nil {
			return []error{c.wrong("employers.client_ca", "%v", err)}
		}
	}
	if _, err := sicknote.ParseEmployers(e.Employers, ca); err != nil {
		found = append(found, c.wrong("employers.known", "%v", err))
	}
	if (e.Certificate == "") != (e.Key == "") {
		found = append(found, c.wrong("employers.certificate", "certificate and key belong together"))
	}
	if e.Listen != "" && e.Certificate == "" {
		if err := loopback(e.Listen); err != nil {
			found = append(found, c.wrong("employers.listen", "%v, unless there are certificate and key", err))
		}
	}
	return found
}

// olderFiles are files that said a part of the configuration before it was one,
// with a key of that part which the file has, or "".
func (c *config) olderFiles() map[string]string {
	return map[string]string{
		room.ConnectionsFile: c.first("mail.mailboxes[0]", "regular[0]"), room.GatewayFile: c.first("gateway.routes[0]"),
		room.WarningFile: c.first("warning"), room.EmployersFile: c.first("employers"),
	}
}

// sayOlder asks for files from before there was one configuration to be moved.
func sayOlder(a *app, data string) {
	for _, name := range room.OlderFiles(data) {
		fmt.Fprintf(a.stderr, "%s wird noch gelesen, ist aber veraltet: nach %s übertragen (leitstand config example), dann entfernen.\n", filepath.Join(data, name), configFile)
	}
}
