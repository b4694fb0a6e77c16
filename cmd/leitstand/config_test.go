package main

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the pages that are made from the program")

func TestTheConfigurationReferenceIsTheProgramsOwn(t *testing.T) {
	const page = "../../docs/configuration.md"
	if *update {
		check(t, os.WriteFile(page, []byte(configReference()), 0o644))
	}
	b, err := os.ReadFile(page)
	check(t, err)
	if diff := cmp.Diff(string(b), configReference()); diff != "" {
		t.Errorf("docs/configuration.md is not what the program says; go test ./cmd/leitstand -run Reference -update\n%s", diff)
	}
}

func TestEveryKeyIsExplained(t *testing.T) {
	var look func(typ reflect.Type, path string)
	look = func(typ reflect.Type, path string) {
		for f := range typ.Fields() {
			if !f.IsExported() {
				continue
			}
			if keyOf(f) == "" || len(f.Tag.Get("help")) < 10 {
				t.Errorf("%s%s: key %q, help %q", path, f.Name, keyOf(f), f.Tag.Get("help"))
			}
			if e := f.Type; e.Kind() == reflect.Struct {
				look(e, path+f.Name+".")
			} else if e.Kind() == reflect.Slice && e.Elem().Kind() == reflect.Struct {
				look(e.Elem(), path+f.Name+"[].")
			}
		}
	}
	look(reflect.TypeFor[config](), "")
}

func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), configFile)
	check(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// TestEveryMistakeHasItsLine has one configuration for each mistake: what must
// be said, with the line.
func TestEveryMistakeHasItsLine(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"misspelt key":         {"listen: 127.0.0.1:1\nlisen: x\n", `:2: unknown key "lisen" in the file: did you mean listen?`},
		"misspelt in section":  {"gateway:\n  listen: 127.0.0.1:1\n  certifcate: x\n", `:3: unknown key "certifcate" in gateway: did you mean gateway.certificate?`},
		"key of another place": {"pop3: x\n", `:1: unknown key "pop3" in the file: did you mean mail.mailboxes[].pop3?`},
		"nothing like it":      {"zebra: 1\n", `:1: unknown key "zebra" in the file: known are listen, database`},
		"in an item":           {"mail:\n  mailboxes:\n    - kasse: x\n      passwort: geheim\n", `:4: unknown key "passwort" in mail.mailboxes[0]: did you mean mail.mailboxes[0].password?`},
		"list expected":        {"logs: x\n", ":1: logs: a list is expected here"},
		"section expected":     {"admin: 127.0.0.1:1\n", ":1: admin: keys are expected here: listen, beyond_loopback"},
		"value expected":       {"listen:\n  - x\n", ":2: listen: one value is expected here"},
		"wrong kind":           {"limits:\n  disk_days: viele\n", ":2: the value is of the wrong kind"},
		"no duration":          {"heartbeat:\n  every: bald\n", ":2: heartbeat.every: a duration is expected here"},
		"twice":                {"listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", ":2: "},
		"no YAML":              {"listen: [\n", ":1: "},
		"two documents":        {"listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", "one document is enough"},
		"beyond loopback":      {"listen: 0.0.0.0:8460\n", ":1: listen: loopback only"},
		"admin beyond":         {"admin:\n  listen: 10.0.0.1:9460\n", ":2: admin.listen: loopback only, unless beyond_loopback"},
		"half a certificate":   {"gateway:\n  key: k.pem\n", ":1: gateway.certificate: certificate and key belong together"},
		"no such certificate":  {"gateway:\n  certificate: c.pem\n  key: k.pem\n", ":2: gateway.certificate: "},
		"look":                 {"mail:\n  look: 11m\n", ":2: mail.look: between 0 and 10m"},
		"lacks a key":          {"mail:\n  mailboxes:\n    - kasse: \"1\"\n", ":3: mail.mailboxes[0].pop3: is missing"},
		"plain far away":       {"mail:\n  mailboxes:\n    - {kasse: \"1\", pop3: \"pop.example:110\", security: plain}\n", ":3: mail.mailboxes[0].pop3: security plain reaches loopback only"},
		"token without module": {"mail:\n  mailboxes:\n    - kasse: x\n      token_pin: \"1\"\n", "mail.mailboxes[0].token_module: is missing"},
		"token and file":       {"mail:\n  mailboxes:\n    - kasse: x\n      keys: k.p12\n      token_module: m.so\n", "mail.mailboxes[0].token_module: the keys are in a token or"},
		"token without PIN":    {"mail:\n  mailboxes:\n    - kasse: x\n      token_module: m.so\n", "mail.mailboxes[0].token_pin_file: is missing"},
		"security":             {"mail:\n  mailboxes:\n    - security: ssl\n", ":3: mail.mailboxes[0].security: one of tls,stls,plain is expected"},
		"two passwords":        {"mail:\n  mailboxes:\n    - password: a\n      password_file: b\n", ":3: mail.mailboxes[0].password: password and password_file: keep one"},
		"no password file":     {"mail:\n  mailboxes:\n    - kasse: x\n      password_file: nirgends\n", ":4: mail.mailboxes[0].password_file: "},
		"receipt key":          {"regular:\n  - placement: x\n    key: kurz\n", ":3: regular[0].key: no public key"},
		"no such channel":      {"regular:\n  - channel: fax\n", ":2: regular[0].channel: one of https,sftp,stick,kim is expected"},
		"no folder":            {"regular:\n  - channel: stick\n    recipient: age1x\n", ":2: regular[0].stick: is missing: channel stick needs it"},
		"no host keys":         {"regular:\n  - channel: sftp\n    recipient: age1x\n    sftp: {address: \"a:22\", user: u, key_file: k}\n", "regular[0].sftp.host_keys: is missing"},
		"no KIM address":       {"regular:\n  - channel: kim\n    recipient: age1x\n", "regular[0].kim.from: is missing"},
		"zone":                 {"warning:\n  zone: Mond\n", ":1: warning: zone \"Mond\" is not known"},
		"kind of a source":     {"warning:\n  sources:\n    - {name: a, kind: brief}\n", ":3: warning.sources[0].kind: one of file,evtx,"},
		"name of a source":     {"warning:\n  sources:\n    - {name: Ä, kind: stdin}\n", ":3: warning.sources[0]: source \"Ä\": a name has small letters"},
		"source without path":  {"warning:\n  sources:\n    - {name: a, kind: file}\n", ":3: warning.sources[0]: source \"a\": path is missing"},
		"two of one name":      {"warning:\n  sources:\n    - {name: a, kind: stdin}\n    - {name: a, kind: journal}\n", ":4: warning.sources[1].name: there is another source of this name"},
		"typing in a source":   {"warning:\n  sorces: []\n", ":2: unknown key \"sorces\" in warning: did you mean warning.sources?"},
		"no way to a person":   {"warning:\n  contacts:\n    - person: anna\n", ":1: warning: contact \"anna\": mail, webhook or command is missing"},
		"mail without server":  {"warning:\n  contacts:\n    - {person: anna, mail: a@b}\n", ":1: warning: contact \"anna\" is to be told by mail, and no server"},
		"unsigned webhook":     {"warning:\n  contacts:\n    - {person: anna, webhook: \"https://x/\"}\n", ":1: warning: contact \"anna\" is to be told by webhook, and webhook_secret"},
		"no secret file":       {"warning:\n  webhook_secret_file: nirgends\n", ":2: warning.webhook_secret_file: "},
		"sender":               {"smtp:\n  server: \"m.example:465\"\n", ":2: smtp.server: mail: from \"\" is no address"},
		"mail in clear":        {"smtp: {server: \"m.example:25\", security: plain, from: a@b}\n", ":1: smtp.server: mail: plain to"},
		"nobody sends it":      {"heartbeat:\n  mail_to: a@b\n", ":2: heartbeat.mail_to: smtp.server is missing"},
		"too rare":             {"heartbeat:\n  mail_every: 25h\n", ":2: heartbeat.mail_every: between 1m and 24h"},
		"employer":             {"employers:\n  known:\n    - {betriebsnummer: \"1\", token_sha256: x}\n", ":2: employers.known: employer 1: betriebsnummer (eight digits)"},
		"employers' CA":        {"employers:\n  client_ca: nirgends\n", ":2: employers.client_ca: "},
		"employers outside":    {"employers:\n  listen: 0.0.0.0:8480\n", ":2: employers.listen: loopback only, unless there are certificate and key"},
		"half a server":        {"employers:\n  certificate: c.pem\n", ":2: employers.certificate: certificate and key belong together"},
		"people at the gate":   {"gateway:\n  people:\n    - person: anna\n", ":3: gateway.people[0].key: is missing"},
		"no address":           {"regular:\n  - url: dort\n", ":2: regular[0].url: an address"},
		"heartbeat":            {"heartbeat:\n  every: 10ms\n", ":2: heartbeat.every: between 1s and 2m"},
		"heartbeat address":    {"heartbeat:\n  url: ftp://x/\n", ":2: heartbeat.url: an address"},
		"heartbeat directory":  {"heartbeat:\n  file: nirgends/beat\n", ":2: heartbeat.file: its directory is not there"},
		"limit":                {"limits:\n  disk_free_gb: 0\n", ":2: limits.disk_free_gb: more than 0 is expected"},
		"database":             {"database: mysql://x\n", ":1: database: an address that begins with postgres://"},
		"log":                  {"logs:\n  - nirgends.log\n", ":2: logs[0]: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := written(t, tt.text)
			cmd := configCheckCmd{roomFlags{Data: filepath.Dir(file)}}
			var all []string
			for _, err := range cmd.mistakes() {
				all = append(all, strings.TrimPrefix(err.Error(), file))
			}
			got := strings.Join(all, "\n")
			if !strings.Contains("\n"+got, "\n"+tt.want) && !strings.Contains(got, ": "+tt.want) {
				t.Errorf("said:\n%s\nwant: %s", got, tt.want)
			}
		})
	}
}

func TestAWrongConfigurationTellsNoSecrets(t *testing.T) {
	for _, text := range []string{
		"mail:\n  mailboxes:\n    - password: [hunter2]\n",
		"mail:\n  mailboxes:\n    - password: hunter2\n      passwort: hunter2\n",
		"mail:\n  look: hunter2\n",
		"mail:\n  mailboxes:\n    - password: 'hunter2\n",
		"regular:\n  - token: hunter2\n    key: hunter2\n",
	} {
		cmd := configCheckCmd{roomFlags{Data: filepath.Dir(written(t, text))}}
		found := cmd.mistakes()
		if len(found) == 0 {
			t.Errorf("%q: no mistake", text)
		}
		for _, err := range found {
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

func TestTheConfigurationIsReadWithDefaultsAndPaths(t *testing.T) {
	file := written(t, `
listen: 127.0.0.1:9999
gateway:
mail:
  mailboxes:
    - kasse: "109034270"
      password_file: secret
logs: [a.log, /b.log]
limits:
  backup_age: 2h
`)
	dir := filepath.Dir(file)
	check(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("hunter2\n"), 0o600))
	c, err := readConfig(file)
	check(t, err)
	if c.Listen != "127.0.0.1:9999" || c.Gateway.Node != "gateway" || c.Mail.Look != time.Minute || c.Limits.Backup != 2*time.Hour || c.Limits.DiskDays != 14 {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "a.log"), "/b.log"}, c.Logs); diff != "" {
		t.Error(diff)
	}
	conn, err := c.connections()
	check(t, err)
	if b := conn.Mailboxes[0]; b.Password != "hunter2" || b.Security != "tls" {
		t.Errorf("%+v", b)
	}
	if out := c.effective(); !strings.Contains(out, `listen: "127.0.0.1:9999"  # line 2`) || !strings.Contains(out, "disk_days: 14  # default") {
		t.Error(out)
	}
}

func TestWhatIsShownHoldsNoSecrets(t *testing.T) {
	file := written(t, "database: postgres://u:hunter2@db/x\nheartbeat: {url: 'https://u:hunter2@w/?key=hunter2'}\nmail:\n  mailboxes:\n    - password: hunter2\nregular:\n  - token: hunter2\n")
	c, err := readConfig(file)
	check(t, err)
	cmd := configShowCmd{roomFlags{Data: filepath.Dir(file), JSON: true}}
	var out strings.Builder
	check(t, cmd.Run(&app{ctx: t.Context(), stdout: &out, stderr: &out}))
	if out.WriteString(c.effective()); strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "(secret)") {
		t.Error(out.String())
	}
	check(t, os.Chmod(file, 0o644))
	if got := c.exposed(); len(got) != 1 || !strings.Contains(got[0].Error(), "chmod go=") {
		t.Errorf("a file with secrets that everybody reads: %v", got)
	}
}

// TestTheExampleIsAConfiguration takes the comment signs away: every key must be known.
func TestTheExampleIsAConfiguration(t *testing.T) {
	text := configExample()
	c, err := readConfig(written(t, text))
	check(t, err)
	if fresh, _ := readConfig(filepath.Join(t.TempDir(), "none")); !reflect.DeepEqual(c.values(), fresh.values()) {
		t.Error("the example as it is changes something")
	}
	plain := regexp.MustCompile(`(?m)^# `).ReplaceAllString(regexp.MustCompile(`(?m)^##.*$`).ReplaceAllString(text, ""), "")
	if _, err := readConfig(written(t, plain)); err != nil {
		t.Errorf("%v\n%s", err, plain)
	}
	for _, k := range allKeys(reflect.TypeFor[config](), "") {
		if name := k[strings.LastIndexByte(k, '.')+1:]; !strings.Contains(text, name+":") {
			t.Errorf("the example lacks %s", k)
		}
	}
}
