package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
	"leitstand/gateway"
	"leitstand/room"
)

// configFile is the one configuration file of a room, in its data directory.
const configFile = room.ConfigFile

// config is everything about a room that is neither data nor a secret of its
// own: where it listens, what it watches, whom it fetches mail from. Flags win
// over the file, the file over the default. Every key says in its tag what it
// means; docs/configuration.md is made from these tags.
type config struct {
	Listen         string          `yaml:"listen" default:"127.0.0.1:8460" help:"Address of the control room (host:port). Loopback only."`
	Database       string          `yaml:"database" secret:"url" example:"postgres://leitstand@db.example/leitstand" help:"PostgreSQL address when the room's rows do not lie in SQLite files. Same as --db."`
	PassphraseFile string          `yaml:"passphrase_file" path:"true" example:"/run/credentials/leitstand/passphrase" help:"File with the passphrase that unlocks the room at start. Without it the room starts locked: accepting goes on, opening bodies waits for people."`
	Logs           []string        `yaml:"logs" path:"true" example:"[/var/log/remote/ad.log]" help:"Log files that the early warning follows while the room is served."`
	CopyTo         string          `yaml:"copy_to" path:"true" example:"/mnt/second" help:"Second place that the room is copied to all the time (prepared by leitstand copy init). Same as --copy-to."`
	Gateway        gatewayConfig   `yaml:"gateway" help:"The doors in front of services."`
	Mail           mailConfig      `yaml:"mail" help:"Mailboxes of sick notes, one per Kasse, for emergency operation."`
	Regular        []regularConfig `yaml:"regular" help:"Regular systems that items of emergency operation are handed over to."`
	Warning        warningConfig   `yaml:"warning" help:"Early warning: what is read, who owns what is found, and how people are told."`
	SMTP           smtpConfig      `yaml:"smtp" help:"The server for mail from the room to people."`
	Employers      employersConfig `yaml:"employers" help:"Where employers ask for sick notes in emergency operation, and who they are."`
	Desks          desksConfig     `yaml:"desks" help:"Typed emergency services behind doors in emergency operation: payments, records, contact (docs/desk.md)."`
	Admin          adminConfig     `yaml:"admin" help:"What monitoring and load balancers ask."`
	Heartbeat      heartbeatConfig `yaml:"heartbeat" help:"The dead-man's signal: as long as the room works it is renewed; when it stops, an outside watcher (leitstand watchman) raises the alarm."`
	Limits         limitsConfig    `yaml:"limits" help:"When the room warns. Warnings come before anything stops."`

	from string         // file it was read from; empty without one
	line map[string]int // line of every key that the file sets, by dotted path
}

type gatewayConfig struct {
	Listen      string          `yaml:"listen" example:"127.0.0.1:8470" help:"Address of the room's gateway (host:port). Empty: this room has none. Beyond loopback only with a certificate."`
	Certificate string          `yaml:"certificate" path:"true" example:"/etc/leitstand/tls/gateway.crt" help:"Certificate file (PEM) of the gateway. SIGHUP takes a new one without losing a connection."`
	Key         string          `yaml:"key" path:"true" example:"/etc/leitstand/tls/gateway.key" help:"Key file (PEM) of the certificate."`
	Node        string          `yaml:"node" default:"gateway" help:"Name of this gateway, for life: proofs of closed doors carry it."`
	Routes      []routeConfig   `yaml:"routes" help:"What the gateway stands before."`
	Testers     []testerConfig  `yaml:"testers" help:"People who reach the regular system during trial."`
	Elsewhere   []string        `yaml:"elsewhere" example:"[109034270/eau/munich]" help:"Placements whose regular side can be reached past the gateway, such as by a fetcher of mail: a closed door proves nothing about them."`
	People      []ordererConfig `yaml:"people" help:"People who may move doors at this gateway without the room (leitstand gateway move), each known by a key. Without any, people are named, not proven."`
	Nodes       []string        `yaml:"nodes" example:"[tor-1]" help:"Names of gateways elsewhere that follow this room's store on PostgreSQL: a side counts as closed by its doors only with the word of each."`
	Drain       time.Duration   `yaml:"drain" default:"30s" help:"How long requests may stay under way behind a closed door before they are cut off and listed in the ledger."`
}

type mailConfig struct {
	Trust     []string        `yaml:"trust" path:"true" example:"[trust/kim-ca.pem]" help:"Certificate files (DER or PEM) of CAs that signatures on mails and documents must lead to. Empty: signatures are checked, trust is not, and results say so."`
	Between   []string        `yaml:"intermediates" path:"true" help:"Certificate files of CAs between signers and trust."`
	Look      time.Duration   `yaml:"look" default:"1m" help:"Pause between two looks into a mailbox, at most 10m."`
	Mailboxes []mailboxConfig `yaml:"mailboxes" help:"The mailboxes."`
}

type mailboxConfig struct {
	Kasse        string `yaml:"kasse" required:"true" example:"109034270" help:"The Kasse's main IK."`
	Placement    string `yaml:"placement" required:"true" example:"109034270/eau/munich" help:"Placement (Kasse/service/site) whose door the mailbox obeys."`
	Address      string `yaml:"address" required:"true" example:"eau@kasse.kim.telematik" help:"Mail address."`
	POP3         string `yaml:"pop3" required:"true" example:"kim.example:995" help:"POP3 server (host:port)."`
	Security     string `yaml:"security" default:"tls" enum:"tls,stls,plain" help:"How the servers are reached: tls, stls (upgrade of an open connection) or plain (loopback only)."`
	User         string `yaml:"user" required:"true" help:"Name of the account."`
	Password     string `yaml:"password" secret:"true" help:"Password of the account. Better: password_file."`
	PasswordFile string `yaml:"password_file" path:"true" example:"secrets/109034270.pop3" help:"File that holds the password and nothing else."`
	Keys         string `yaml:"keys" path:"true" example:"secrets/109034270.p12" help:"PKCS#12 file with the Kasse's keys, for mail that comes encrypted. Empty: a Clientmodul decrypts it."`
	KeysPassword string `yaml:"keys_password" secret:"true" help:"Password of the PKCS#12 file. Better: keys_password_file."`
	KeysPassFile string `yaml:"keys_password_file" path:"true" example:"secrets/109034270.p12.password" help:"File that holds the password of the PKCS#12 file and nothing else."`
	TokenModule  string `yaml:"token_module" path:"true" example:"/usr/lib/vendor/libpkcs11.so" help:"PKCS#11 library of a token with the Kasse's keys, instead of keys. The helper leitstand-token loads it."`
	TokenLabel   string `yaml:"token_label" help:"Label of the token. Empty: the first."`
	TokenPIN     string `yaml:"token_pin" secret:"true" help:"PIN of the token. Better: token_pin_file. A refused PIN is not tried again before a restart."`
	TokenPINFile string `yaml:"token_pin_file" path:"true" example:"secrets/109034270.pin" help:"File that holds the PIN and nothing else."`
	TokenHelper  string `yaml:"token_helper" path:"true" help:"The helper. Empty: leitstand-token beside this program."`
	CA           string `yaml:"ca" path:"true" help:"PEM file of the CA of the mail servers. Empty: the system's."`
	SMTP         string `yaml:"smtp" example:"kim.example:465" help:"SMTP server (host:port) for answers. Empty: answers are prepared and stay."`
}

type regularConfig struct {
	Placement string     `yaml:"placement" required:"true" example:"109034270/eau/munich" help:"Placement (Kasse/service/site)."`
	Channel   string     `yaml:"channel" default:"https" enum:"https,sftp,stick,kim" help:"How items get there."`
	URL       string     `yaml:"url" example:"https://eau.kasse.example/handover" help:"https: where the regular system takes items."`
	Token     string     `yaml:"token" secret:"true" help:"Token that the regular system asks for. Better: token_file."`
	TokenFile string     `yaml:"token_file" path:"true" help:"File that holds the token and nothing else."`
	Key       string     `yaml:"key" required:"true" help:"Public key (Ed25519, base64) with which the regular system signs receipts."`
	Recipient string     `yaml:"recipient" example:"age1…" help:"sftp, stick and kim: age key of the regular system, which alone opens the files."`
	Stick     string     `yaml:"stick" path:"true" example:"/media/stick" help:"stick: folder where it is mounted."`
	SFTP      sftpConfig `yaml:"sftp" help:"sftp: the folder that both sides reach."`
	KIM       kimConfig  `yaml:"kim" help:"kim: the mailbox for this, behind a Clientmodul."`
}

type sftpConfig struct {
	Address  string   `yaml:"address" example:"files.kasse.example:22" help:"SSH server (host:port)."`
	User     string   `yaml:"user" help:"Name of the account."`
	KeyFile  string   `yaml:"key_file" path:"true" example:"secrets/sftp" help:"Private key (OpenSSH) without a passphrase."`
	HostKeys []string `yaml:"host_keys" example:"[ssh-ed25519 AAAA…]" help:"Keys of the server, as in authorized_keys. Others are refused."`
	Dir      string   `yaml:"dir" help:"Folder on the server."`
}

type kimConfig struct {
	From         string `yaml:"from" help:"KIM address of this side."`
	To           string `yaml:"to" help:"KIM address of the regular system."`
	SMTP         string `yaml:"smtp" help:"SMTP server (host:port)."`
	POP3         string `yaml:"pop3" help:"POP3 server (host:port)."`
	User         string `yaml:"user" help:"Name of the account."`
	Password     string `yaml:"password" secret:"true" help:"Password of the account. Better: password_file."`
	PasswordFile string `yaml:"password_file" path:"true" help:"File that holds the password and nothing else."`
	Plain        bool   `yaml:"plain" help:"Without TLS; loopback only."`
}

type ordererConfig struct {
	Person string `yaml:"person" required:"true" help:"Id of the person."`
	Key    string `yaml:"key" required:"true" example:"ssh-ed25519 AAAA…" help:"Public key (ssh-ed25519), as in authorized_keys."`
}

type adminConfig struct {
	Listen string `yaml:"listen" example:"127.0.0.1:9460" help:"Address for /metrics (Prometheus), /healthz and /readyz. Empty: none. No secrets and no health data are told, but figures of the crisis are: beyond loopback only with beyond_loopback."`
	Beyond bool   `yaml:"beyond_loopback" help:"Let the admin address be reached from other machines, such as a load balancer's. Guard it by a firewall: it asks nobody who they are."`
}

type heartbeatConfig struct {
	Every     time.Duration `yaml:"every" default:"1m" help:"How often, between 1s and 2m: systemd's watchdog is renewed as often."`
	File      string        `yaml:"file" path:"true" example:"/mnt/watch/leitstand.beat" help:"File that is rewritten, best on a disk that the watcher sees."`
	MailTo    string        `yaml:"mail_to" example:"wache@example.org" help:"Mailbox that gets a signed sign of life by mail (needs smtp); leitstand watchman --pop3 reads it."`
	MailEvery time.Duration `yaml:"mail_every" default:"15m" help:"How often by mail, between 1m and 24h."`
	URL       string        `yaml:"url" secret:"url" example:"https://watch.example/ping" help:"Address that is sent a POST. An exercise room pings loopback only."`
}

type limitsConfig struct {
	DiskFree      int64         `yaml:"disk_free_gb" default:"10" help:"Warn below this many GB free; a tenth of it is an alarm."`
	DiskDays      int           `yaml:"disk_days" default:"14" help:"Warn when the disk is full in fewer days at the present growth; a seventh of it is an alarm."`
	Backup        time.Duration `yaml:"backup_age" default:"24h" help:"Warn when the newest backup is older; seven times as old is an alarm."`
	Restore       time.Duration `yaml:"restore_age" default:"2160h" help:"Warn when the last tested restore is older (2160h are 90 days)."`
	Certificate   time.Duration `yaml:"certificate" default:"720h" help:"Warn when a certificate ends sooner (720h are 30 days); a quarter of it is an alarm."`
	OutboxAge     time.Duration `yaml:"outbox_age" default:"15m" help:"Warn when something waits longer for being sent."`
	WitnessAge    time.Duration `yaml:"witness_age" default:"24h" help:"Warn when the newest head that a witness keeps is older."`
	PeoplePerRole int           `yaml:"people_per_role" default:"2" help:"Warn below this many people with a role: nobody can be on duty day and night."`
}

type routeConfig struct {
	Placement string  `yaml:"placement" required:"true" example:"109034270/app/munich" help:"Placement (Kasse/service/site) whose door this is."`
	Host      string  `yaml:"host" required:"true" example:"app.kasse.example" help:"Host name of requests, without port, in lower case."`
	Prefix    string  `yaml:"prefix" default:"/" help:"Prefix of the path of requests, beginning with /."`
	Upstream  string  `yaml:"upstream" example:"https://10.1.2.3:8443" help:"The regular system."`
	Kasse     string  `yaml:"kasse" help:"Name of the Kasse for people."`
	Service   string  `yaml:"service" help:"Name of the service for people."`
	Advice    string  `yaml:"advice" help:"What callers are told to do meanwhile."`
	IK        string  `yaml:"ik" help:"Only requests with this IK in the header X-Kasse-IK, where several Kassen share host and path."`
	Cert      string  `yaml:"cert" help:"Only requests with this client certificate (SHA-256, hexadecimal), where several share host and path."`
	Rate      float64 `yaml:"rate" help:"How many requests a second a limited door lets through; 0: any number."`
}

type testerConfig struct {
	Person string `yaml:"person" required:"true" help:"Id of the person."`
	Token  string `yaml:"token" help:"SHA-256 (hexadecimal) of the token in the header X-Leitstand-Tester."`
	Cert   string `yaml:"cert" help:"SHA-256 (hexadecimal) of the person's client certificate. One of token and cert is enough."`
}

// connections are the room's ways to the outside, nil when the file names none.
// Passwords and tokens are read from their files here.
func (c *config) connections() (*room.Connections, error) {
	if len(c.Mail.Mailboxes) == 0 && len(c.Regular) == 0 {
		return nil, nil //nolint:nilnil // no connections are no error
	}
	out := &room.Connections{LookSeconds: c.Mail.Look.Seconds(), Trust: c.Mail.Trust, Intermediates: c.Mail.Between}
	for i, m := range c.Mail.Mailboxes {
		password, err := c.secret(fmt.Sprintf("mail.mailboxes[%d].password_file", i), m.Password, m.PasswordFile)
		if err != nil {
			return nil, err
		}
		keysPassword, err := c.secret(fmt.Sprintf("mail.mailboxes[%d].keys_password_file", i), m.KeysPassword, m.KeysPassFile)
		if err != nil {
			return nil, err
		}
		tok, err := c.token(i, m)
		if err != nil {
			return nil, err
		}
		out.Mailboxes = append(out.Mailboxes, room.MailboxConfig{
			Token: tok,
			Keys:  m.Keys, KeysPassword: keysPassword, CA: m.CA,
			Kasse: catalogue.KasseID(m.Kasse), Placement: catalogue.PlacementID(m.Placement), Address: m.Address, POP3: m.POP3,
			Security: sicknote.Security(m.Security), User: m.User, Password: password, SMTP: m.SMTP,
		})
	}
	for i, r := range c.Regular {
		one, err := c.regularSystem(i, r)
		if err != nil {
			return nil, err
		}
		out.Regular = append(out.Regular, one)
	}
	return out, nil
}

// regularSystem is the i-th regular system with its channel.
func (c *config) regularSystem(i int, r regularConfig) (out room.RegularConfig, err error) {
	at := fmt.Sprintf("regular[%d].", i)
	out = room.RegularConfig{Placement: catalogue.PlacementID(r.Placement), URL: r.URL, Channel: r.Channel, Recipient: r.Recipient, Stick: r.Stick}
	if out.Token, err = c.secret(at+"token_file", r.Token, r.TokenFile); err != nil {
		return out, err
	}
	key, err := base64.StdEncoding.DecodeString(r.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return out, c.wrong(at+"key", "no public key: %d bytes of Ed25519 in base64 are asked for", ed25519.PublicKeySize)
	}
	out.Key = key
	if s := r.SFTP; r.Channel == room.BySFTP {
		out.SFTP = &room.SFTPConfig{Address: s.Address, User: s.User, KeyFile: s.KeyFile, HostKeys: s.HostKeys, Dir: s.Dir}
	}
	if k := r.KIM; r.Channel == room.ByKIM {
		password, err := c.secret(at+"kim.password_file", k.Password, k.PasswordFile)
		if err != nil {
			return out, err
		}
		out.KIM = &room.KIMConfig{From: k.From, To: k.To, SMTP: k.SMTP, POP3: k.POP3, User: k.User, Password: password, Plain: k.Plain}
	}
	return out, nil
}

// token is the PKCS#11 token of the i-th mailbox, nil without one.
func (c *config) token(i int, m mailboxConfig) (*room.TokenConfig, error) {
	at := fmt.Sprintf("mail.mailboxes[%d].", i)
	if m.TokenModule == "" {
		if m.TokenLabel != "" || m.TokenPIN != "" || m.TokenPINFile != "" || m.TokenHelper != "" {
			return nil, c.wrong(at+"token_module", "is missing: the other keys of the token say nothing without it")
		}
		return nil, nil //nolint:nilnil // no token is no error
	}
	if m.Keys != "" {
		return nil, c.wrong(at+"token_module", "the keys are in a token or in a PKCS#12 file (keys), not in both")
	}
	pin, err := c.secret(at+"token_pin_file", m.TokenPIN, m.TokenPINFile)
	if err != nil {
		return nil, err
	}
	if pin == "" {
		return nil, c.wrong(at+"token_pin_file", "is missing: a token needs its PIN")
	}
	return &room.TokenConfig{Module: m.TokenModule, Label: m.TokenLabel, PIN: pin, Helper: m.TokenHelper}, nil
}

// secret is a value given in the file or, better, in a file of its own.
func (c *config) secret(key, value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", c.wrong(key, "%v", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// doors is what the room's gateway stands before, nil when the file names none.
func (c *config) doors() *room.DoorsConfig {
	if len(c.Gateway.Routes) == 0 {
		return nil
	}
	out := &room.DoorsConfig{Node: c.Gateway.Node, Nodes: c.Gateway.Nodes, Drain: int64(c.Gateway.Drain.Seconds())}
	for _, r := range c.Gateway.Routes {
		out.Routes = append(out.Routes, gateway.Route{
			Placement: catalogue.PlacementID(r.Placement), Host: r.Host, Prefix: r.Prefix, Upstream: r.Upstream,
			Kasse: r.Kasse, Service: r.Service, Advice: r.Advice, IK: r.IK, Cert: r.Cert, Rate: r.Rate,
		})
	}
	for _, t := range c.Gateway.Testers {
		out.Testers = append(out.Testers, gateway.Tester{Person: t.Person, Token: t.Token, Cert: t.Cert})
	}
	for _, p := range c.Gateway.People {
		out.People = append(out.People, gateway.Orderer{Person: p.Person, Key: p.Key})
	}
	for _, p := range c.Gateway.Elsewhere {
		out.Elsewhere = append(out.Elsewhere, catalogue.PlacementID(p))
	}
	return out
}

// limits are when the room warns.
func (c *config) limits() room.Limits {
	l := c.Limits
	return room.Limits{
		DiskFree: l.DiskFree * 1e9, DiskDays: l.DiskDays, Backup: l.Backup, Restore: l.Restore,
		Certificate: l.Certificate, OutboxAge: l.OutboxAge, WitnessAge: l.WitnessAge, PeoplePerRole: l.PeoplePerRole,
	}
}

// certificates are the files whose end the room watches.
func (c *config) certificates() []string {
	files := []string{c.Gateway.Certificate, c.Employers.Certificate}
	for _, s := range c.Warning.Sources {
		files = append(files, s.Cert)
	}
	return slices.DeleteFunc(files, func(f string) bool { return f == "" })
}
