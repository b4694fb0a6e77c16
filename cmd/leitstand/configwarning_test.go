package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
	"leitstand/gateway"
	"leitstand/room"
	"leitstand/warning"
)

// TestOneFileSaysEverything reads what four files said before.
func TestOneFileSaysEverything(t *testing.T) {
	file := written(t, `
smtp: {server: "127.0.0.1:465", from: raum@example.org, user: raum, password_file: secret}
warning:
  hosts: [{pattern: "kasse1-*", environment: 109900019@nord}]
  sources:
    - {name: auth, kind: file, path: auth.log}
    - {name: otel, kind: otlp, listen: "127.0.0.1:1", token_file: secret}
    - {name: network, kind: syslog, tls: "127.0.0.1:2", cert: syslog.pem, key: k.pem, from: [10.0.0.0/8], queue_mb: 64}
  owner: anna
  owners: [{of: 109900019@nord, person: bert}, {of: "109900020", person: cora}]
  deputies: [lead]
  contacts: [{person: anna, mail: anna@example.org, command: [sms, "1"]}]
  webhook_secret_file: secret
employers:
  listen: 127.0.0.1:0
  certificate: employers.pem
  known: [{betriebsnummer: "12345678", token_sha256: ab}]
gateway:
  routes: [{placement: a/b/c, host: x.example}]
  people: [{person: anna, key: ssh-ed25519 AAAA}]
  nodes: [tor-1]
regular:
  - placement: a/b/c
    channel: sftp
    key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    recipient: age1x
    sftp: {address: "f:22", user: u, key_file: k, host_keys: [ssh-ed25519 B], dir: d}
  - placement: a/b/d
    channel: kim
    key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    recipient: age1x
    kim: {from: a@x, to: b@x, smtp: "127.0.0.1:25", pop3: "127.0.0.1:110", user: u, password_file: secret, plain: true}
`)
	dir := filepath.Dir(file)
	check(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("hunter2\n"), 0o600))
	c, err := readConfig(file)
	check(t, err)
	w, err := c.warning()
	check(t, err)
	want := &room.WarningConfig{
		Zone: "Europe/Berlin", Hosts: []room.HostPattern{{Pattern: "kasse1-*", Environment: "109900019@nord"}},
		Duty: warning.Duty{
			Owner: "anna", Deputies: []string{"lead"},
			Environments: map[catalogue.EnvironmentID]string{"109900019@nord": "bert"}, Kassen: map[catalogue.KasseID]string{"109900020": "cora"},
		},
		Sources: []warning.SourceConfig{
			{Name: "auth", Kind: "file", Path: filepath.Join(dir, "auth.log")},
			{Name: "otel", Kind: "otlp", Listen: "127.0.0.1:1", Token: "hunter2"},
			{Name: "network", Kind: "syslog", TLS: "127.0.0.1:2", Cert: filepath.Join(dir, "syslog.pem"), Key: filepath.Join(dir, "k.pem"), From: []string{"10.0.0.0/8"}, QueueMB: 64},
		},
		Contacts:      map[string]warning.Contact{"anna": {Mail: "anna@example.org", Command: []string{"sms", "1"}}},
		Mail:          &warning.MailWay{Addr: "127.0.0.1:465", Security: "tls", From: "raum@example.org", User: "raum", Password: "hunter2"},
		WebhookSecret: "hunter2",
	}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Error(diff)
	}
	e, err := c.employers()
	check(t, err)
	if diff := cmp.Diff(&room.EmployersConfig{
		Listen: "127.0.0.1:0", Certificate: filepath.Join(dir, "employers.pem"),
		Employers: json.RawMessage(`[{"betriebsnummer":"12345678","token_sha256":"ab"}]`),
	}, e); diff != "" {
		t.Error(diff)
	}
	if d := c.doors(); len(d.People) != 1 || d.People[0] != (gateway.Orderer{Person: "anna", Key: "ssh-ed25519 AAAA"}) || d.Nodes[0] != "tor-1" {
		t.Errorf("%+v", d)
	}
	conn, err := c.connections()
	check(t, err)
	sftp, kim := conn.Regular[0], conn.Regular[1]
	if diff := cmp.Diff(&room.SFTPConfig{Address: "f:22", User: "u", KeyFile: filepath.Join(dir, "k"), HostKeys: []string{"ssh-ed25519 B"}, Dir: "d"}, sftp.SFTP); diff != "" || sftp.Channel != room.BySFTP || sftp.KIM != nil {
		t.Errorf("%s %+v", diff, sftp)
	}
	if diff := cmp.Diff(&room.KIMConfig{From: "a@x", To: "b@x", SMTP: "127.0.0.1:25", POP3: "127.0.0.1:110", User: "u", Password: "hunter2", Plain: true}, kim.KIM); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "employers.pem"), filepath.Join(dir, "syslog.pem")}, c.certificates()); diff != "" {
		t.Errorf("certificates that the doctor watches: %s", diff)
	}
	if strings.Contains(c.effective(), "hunter2") {
		t.Error("a secret is shown")
	}
}

// TestASilentFileLeavesOlderOnesInForce says nothing about early warning and employers.
func TestASilentFileLeavesOlderOnesInForce(t *testing.T) {
	c, err := readConfig(written(t, "listen: 127.0.0.1:0\n"))
	check(t, err)
	w, err := c.warning()
	check(t, err)
	e, err := c.employers()
	check(t, err)
	if w != nil || e != nil {
		t.Errorf("%+v %+v", w, e)
	}
}
