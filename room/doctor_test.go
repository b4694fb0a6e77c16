package room_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
)

// turnedElsewhere are findings that another test sees turn, with its name.
var turnedElsewhere = map[string]string{
	"Festplatte":                 "TestTheRoomWarnsBeforeItsLimits",
	"Zertifikat ":                "TestTheRoomWarnsBeforeItsLimits",
	"Wachstum":                   "TestTheDoctorForetellsWhenTheDiskIsFull",
	"Uhr":                        "TestAClockThatJumpsIsSeenBeforeTheNextActAndOrderStaysTheLedgers",
	"Uhrensprünge":               "TestAClockThatJumpsIsSeenBeforeTheNextActAndOrderStaysTheLedgers",
	"Probealarm":                 "TestTheDoctorAsksForWitnessAlarmDriversAndMailboxes",
	"Zeuge":                      "TestTheDoctorAsksForWitnessAlarmDriversAndMailboxes",
	"Postfächer erprobt":         "TestTheDoctorAsksForWitnessAlarmDriversAndMailboxes",
	"Laufende Kopie":             "TestARoomInPostgreSQLIsCopiedAllTheTimeAndTakenOverByALaptop",
	"Rolle ":                     "TestTheDoctorAsksForWitnessAlarmDriversAndMailboxes",
	"Konfiguration":              "TestTheDoctorLooksAtFiles",
	"Datei ":                     "TestTheDoctorLooksAtFiles",
	"Datenverzeichnis":           "TestTheDoctorLooksAtFiles",
	"Prüfung %d":                 "TestWhatCannotBeLookedAtIsBad",
	"Vertretung ":                "TestTheDoctorLooksAtPeople",
	"Alarmierung":                "TestTheDoctorLooksAtPeople",
	"Lebenszeichen":              "TestTheDoctorLooksForASignOfLife",
	"Zurückgelegtes":             "TestTheDoctorLooksAtMail",
	"Ausgang":                    "TestTheDoctorLooksAtMail",
	"Postfächer":                 "TestTheDoctorLooksAtMail",
	"Sieben Regeln":              "TestTheDoctorSeesABrokenRule",
	"Zertifikate der Mailserver": "TestTheDoctorSeesWhenAMailServersCertificateEnds",
}

// TestEveryFindingOfTheDoctorTurns looks at a room that gets worse and better,
// and holds that no finding is left out here and in the tests named above.
func TestEveryFindingOfTheDoctorTurns(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	r := nightRoom(t, &now, room.Options{Limits: room.Limits{Restore: 48 * time.Hour}})
	seen := map[string]bool{}
	is := func(name string, want room.Health, text string) {
		t.Helper()
		f, ok := findings(t, r, false)[name]
		if !ok || f.Health != want || !strings.Contains(f.Text, text) {
			t.Errorf("%s: %+v, want %s with %q", name, f, want, text)
		}
		seen[name] = true
	}
	r.KeptBy(true, 20*time.Millisecond, nil)
	is("Zeitquelle", room.Good, "wird nachgeführt")
	r.KeptBy(false, 0, nil)
	is("Zeitquelle", room.Warn, "läuft frei")
	r.KeptBy(true, 2*time.Second, nil)
	is("Zeitquelle", room.Warn, "2s")
	r.KeptBy(false, 0, errors.New("weiß nicht"))
	is("Zeitquelle", room.Warn, "weiß nicht")

	is("Vertretungen der Kassen", room.Warn, "1 von 1")
	do[access.Person](t, r, "lead", "person.put", access.Person{ID: "kasse", Name: "K", Roles: []access.Role{access.KasseDelegate}, Kasse: "109900019", Active: true})
	is("Vertretungen der Kassen", room.Good, "0 von 1")

	is("Signale", room.Good, "0 offen")
	s := do[warning.Signal](t, r, "operator", "alarm.test", nil)
	is("Signale", room.Warn, "1 offen")
	now = s.Deadline.Add(time.Minute)
	if _, err := r.Due(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	is("Signale", room.Bad, "davon 1 über der Frist")

	is("Schlüssel", room.Good, "entsperrt")
	is("Hinterlegung", room.Warn, "keine")
	do[room.Escrow](t, r, "operator", "keys.escrow", map[string]any{"second": "lead", "need": 2, "shares": 3})
	is("Hinterlegung", room.Good, "zuletzt 2026-05-04")
	do[room.KeyStatus](t, r, "operator", "keys.lock", nil)
	is("Schlüssel", room.Warn, "gesperrt")

	is("Sicherung", room.Bad, "noch keine")
	is("Rückspielprobe", room.Bad, "noch keine")
	stick := filepath.Join(t.TempDir(), "stick")
	do[room.Manifest](t, r, "operator", "backup", map[string]string{"to": stick})
	do[room.BackupTest](t, r, "operator", "backup.test", map[string]string{"from": stick})
	is("Sicherung", room.Good, "zuletzt 04.05.2026 06:")
	is("Rückspielprobe", room.Good, "0 Auffälligkeiten")
	is("Bestätigte Zustände", room.Good, "0 Zellen")
	now = now.Add(25 * time.Hour)
	is("Sicherung", room.Warn, "zuletzt")
	is("Bestätigte Zustände", room.Warn, "unbekannt")
	now = now.Add(24 * time.Hour)
	is("Rückspielprobe", room.Warn, "zuletzt")
	now = now.Add(6 * 24 * time.Hour)
	is("Sicherung", room.Bad, "zuletzt")
	is("Rückspielprobe", room.Bad, "zuletzt")

	is("Treiber", room.Warn, "keine")
	if err := os.WriteFile(filepath.Join(r.Data(), "drivers.yml"), []byte("drivers: [{name: x, kind: zauberei}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	is("Treiber", room.Bad, "drivers.yml")

	way := filepath.Join(r.Data(), "before-upgrade-1")
	old := now.Add(-15 * 24 * time.Hour)
	if err := errors.Join(os.Mkdir(way, 0o700), os.Chtimes(way, now, now)); err != nil {
		t.Fatal(err)
	}
	is("Sicherung vor Umstellung", room.Good, "1, zuletzt")
	if err := os.Chtimes(way, old, old); err != nil {
		t.Fatal(err)
	}
	is("Sicherung vor Umstellung", room.Warn, "before-upgrade-1")

	noneIsLeftOut(t, seen)
}

// noneIsLeftOut compares the findings that the sources add with those that tests see turn.
func noneIsLeftOut(t *testing.T, seen map[string]bool) {
	t.Helper()
	read := func(pattern, re string, skip string) (found []string) {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if skip != "" && strings.HasSuffix(file, skip) {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(string(b), -1) {
				found = append(found, m[1])
			}
		}
		return found
	}
	names := append(read("*.go", `\bc\.add\((?:fmt\.Sprintf\()?"([^"]+)"`, "_test.go"), "Datei ", "Datenverzeichnis")
	tests := read("*_test.go", `\nfunc (Test\w+)\(`, "")
	if len(names) < 30 {
		t.Errorf("only %d findings were found in the sources: %q", len(names), names)
	}
	known := slices.Collect(maps.Keys(seen))
	for name, test := range turnedElsewhere {
		known = append(known, name)
		if !slices.Contains(tests, test) {
			t.Errorf("%s is to turn in %s, which is not there", name, test)
		}
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			t.Errorf("no test sees the finding %q turn", n)
		}
	}
}

func TestTheDoctorLooksAtFiles(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	r := nightRoom(t, &now, room.Options{})
	before := findings(t, r, false)
	for _, name := range []string{"Datenverzeichnis", "Datei ledger.key", "Datei room.json"} {
		if before[name].Health != room.Good || !strings.HasPrefix(before[name].Text, "nur der Eigentümer") {
			t.Errorf("%s: %+v", name, before[name])
		}
	}
	if _, ok := before["Konfiguration"]; ok {
		t.Error("a room without older files is asked to move them")
	}
	err := errors.Join(
		os.Chmod(r.Data(), 0o755), os.Chmod(filepath.Join(r.Data(), "ledger.key"), 0o640), os.Remove(filepath.Join(r.Data(), "index.key")),
		os.WriteFile(filepath.Join(r.Data(), room.GatewayFile), []byte("{}"), 0o644), os.WriteFile(filepath.Join(r.Data(), room.ConfigFile), nil, 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	after := findings(t, r, false)
	for name, want := range map[string]room.Health{
		"Datenverzeichnis": room.Bad, "Datei ledger.key": room.Bad, "Datei index.key": room.Bad, "Datei room.json": room.Good,
		"Datei leitstand.yaml": room.Bad, "Datei gateway.json": room.Bad, "Konfiguration": room.Warn,
	} {
		if after[name].Health != want {
			t.Errorf("%s: %+v, want %s", name, after[name], want)
		}
	}
	if todo := after["Datei ledger.key"].Todo; !strings.Contains(todo, "chmod go= "+filepath.Join(r.Data(), "ledger.key")) {
		t.Error(todo)
	}
}

// TestWhatCannotBeLookedAtIsBad takes a table away: the doctor says so and looks
// at the rest.
func TestWhatCannotBeLookedAtIsBad(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	r := nightRoom(t, &now, room.Options{})
	if err := r.Store.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `drop table deputy`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	f := findings(t, r, false)
	broken := 0
	for name, one := range f {
		if strings.HasPrefix(name, "Prüfung ") && one.Health == room.Bad {
			broken++
		}
	}
	if broken != 1 || f["Sicherung"].Health != room.Bad || f["Sieben Regeln"].Health != room.Good {
		t.Errorf("%d looks failed: %+v", broken, f)
	}
}

func TestTheDoctorLooksAtPeople(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	tell := room.WarningConfig{Zone: "Europe/Berlin", Duty: warning.Duty{Owner: "operator"}, Contacts: map[string]warning.Contact{}}
	r := nightRoom(t, &now, room.Options{Warning: &tell})
	f := findings(t, r, false)
	if v := f["Vertretung Leitung des Stabs"]; v.Health != room.Warn || !strings.HasPrefix(v.Text, "für 0 von 2") {
		t.Errorf("%+v", v)
	}
	if a := f["Alarmierung"]; a.Health != room.Warn || !strings.Contains(a.Text, "nicht zu erreichen: operator") {
		t.Errorf("%+v", a)
	}
	for _, d := range []access.Deputy{{Person: "operator", Deputy: "lead"}, {Person: "lead", Deputy: "operator"}} {
		d.Roles, d.Reason = []access.Role{access.CrisisLead}, "Urlaub"
		do[access.Deputy](t, r, d.Person, "deputy.name", d)
	}
	if v := findings(t, r, false)["Vertretung Leitung des Stabs"]; v.Health != room.Good || !strings.HasPrefix(v.Text, "für 2 von 2") {
		t.Errorf("%+v", v)
	}
	for _, tt := range []struct {
		deputies []string
		contacts []string
		want     room.Health
		text     string
	}{
		{nil, []string{"operator"}, room.Warn, "operator hat keine Vertretung"},
		{[]string{"lead"}, []string{"operator"}, room.Warn, "nicht zu erreichen: lead"},
		{[]string{"lead"}, []string{"operator", "lead"}, room.Good, "2 Personen"},
		{[]string{"weg"}, []string{"operator", "weg"}, room.Bad, "gehen an weg"},
	} {
		c := room.WarningConfig{Zone: "Europe/Berlin", Duty: warning.Duty{Owner: "operator", Deputies: tt.deputies}, Contacts: map[string]warning.Contact{}}
		for _, p := range tt.contacts {
			c.Contacts[p] = warning.Contact{Command: []string{"true"}}
		}
		one := nightRoom(t, &now, room.Options{Warning: &c})
		if a := findings(t, one, false)["Alarmierung"]; a.Health != tt.want || !strings.Contains(a.Text, tt.text) {
			t.Errorf("%v %v: %+v, want %s with %q", tt.deputies, tt.contacts, a, tt.want, tt.text)
		}
	}
}

func TestTheDoctorLooksForASignOfLife(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	if l := findings(t, nightRoom(t, &now, room.Options{}), false)["Lebenszeichen"]; l.Health != room.Warn || !strings.Contains(l.Todo, "watchman") {
		t.Errorf("none: %+v", l)
	}
	answer := http.StatusOK
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) }))
	defer up.Close()
	for status, want := range map[int]room.Health{http.StatusOK: room.Good, http.StatusForbidden: room.Bad} {
		answer = status
		r := nightRoom(t, &now, room.Options{Heartbeat: room.Heartbeat{Every: time.Minute, URL: up.URL}})
		if l := findings(t, r, false)["Lebenszeichen"]; l.Health != room.Warn || !strings.Contains(l.Text, "läuft aber nicht") {
			t.Errorf("before the room is served: %+v", l)
		}
		ctx, stop := context.WithCancel(t.Context())
		beaten, done := make(chan bool, 10), make(chan error, 1)
		go func() { done <- r.RunHeartbeat(ctx, func(room.Vitals) { beaten <- true }) }()
		<-beaten
		if l := findings(t, r, false)["Lebenszeichen"]; l.Health != want {
			t.Errorf("answer %d: %+v, want %s", status, l, want)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestTheDoctorLooksAtMail(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	if p := findings(t, nightRoom(t, &now, room.Options{}), false)["Postfächer"]; p.Health != room.Warn || p.Text != "keine eingerichtet" {
		t.Errorf("%+v", p)
	}
	r, k, clock := heldRoom(t)
	f := findings(t, r, false)
	if f["Zurückgelegtes"].Health != room.Good || f["Postfächer"].Health != room.Warn || f["Ausgang"].Health != room.Good {
		t.Errorf("%+v %+v %+v", f["Zurückgelegtes"], f["Postfächer"], f["Ausgang"])
	}
	clock.Add((48 * time.Hour).Microseconds())
	if err := r.Intake.PollAll(t.Context(), r.Now()); err == nil {
		t.Error("a mailbox at a closed port was read")
	}
	if f := findings(t, r, false); f["Zurückgelegtes"].Health != room.Bad || f["Postfächer"].Health != room.Bad || !strings.Contains(f["Postfächer"].Text, "1 gestört") {
		t.Errorf("%+v %+v", f["Zurückgelegtes"], f["Postfächer"])
	}
	j, err := r.Journals.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(id string, state sicknote.AnswerState) {
		t.Helper()
		if err := j.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `insert into sicknote_answer (id, number, mailbox, code, state, made, attempts, next, error, sealed) values ($1, 1, 'x', 'y', $2, $3, 0, 0, '', $4)`,
				id, state, db.Micro(r.Now().Add(-time.Hour)), []byte{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	answer("a", sicknote.AnswerReleased)
	if a := findings(t, r, false)["Ausgang"]; a.Health != room.Warn || !strings.HasPrefix(a.Text, "1 Antworten unterwegs") {
		t.Errorf("%+v", a)
	}
	answer("b", sicknote.AnswerFailed)
	if a := findings(t, r, false)["Ausgang"]; a.Health != room.Bad {
		t.Errorf("%+v", a)
	}
}

// TestTheDoctorSeesABrokenRule gives one placement two writers, as only somebody
// who owns the disk could.
func TestTheDoctorSeesABrokenRule(t *testing.T) {
	t.Parallel()
	data, r := initialised(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	d := file(t, data)
	if _, err := d.ExecContext(t.Context(), `update placement set regular = 'trial' where id = (select min(id) from placement where regular = 'running')`); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := room.Open(t.Context(), room.Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // it is thrown away
	if len(operation.CheckInvariants(r.Operation.Current(), r.Now())) == 0 {
		t.Fatal("the control: no rule is broken")
	}
	if f := findings(t, r, false)["Sieben Regeln"]; f.Health != room.Bad || strings.HasPrefix(f.Text, "0 ") {
		t.Errorf("%+v", f)
	}
}

// TestTheDoctorSeesWhenAMailServersCertificateEnds logs in over TLS to a server
// whose certificate ends soon.
func TestTheDoctorSeesWhenAMailServersCertificateEnds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for days, want := range map[time.Duration]room.Health{60: room.Good, 20: room.Warn, 3: room.Bad} {
		file := certificate(t, now.Add(days*24*time.Hour))
		addr := popOverTLS(t, file)
		r := nightRoom(t, &now, room.Options{Connections: &room.Connections{Mailboxes: []room.MailboxConfig{{
			Kasse: catalogue.KasseID("109900019"), Placement: "109900019/eau/sued", Address: "a@x.example", POP3: addr, Security: sicknote.TLS, User: "u", Password: "p", CA: file,
		}}}})
		f := findings(t, r, true)
		if got := f["Zertifikate der Mailserver"]; got.Health != want || f["Postfächer erprobt"].Health != room.Good {
			t.Errorf("%d days: %+v, want %s; %+v", days, got, want, f["Postfächer erprobt"])
		}
	}
}

// popOverTLS is an empty mailbox behind a certificate whose key lies beside it.
func popOverTLS(t *testing.T, file string) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(file, strings.TrimSuffix(file, ".pem")+".key")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends when the listener closes
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go emptyBox(c)
		}
	}()
	return l.Addr().String()
}

func emptyBox(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	say := func(s string) { _, _ = c.Write([]byte(s + "\r\n")) }
	say("+OK")
	for in := bufio.NewScanner(c); in.Scan(); {
		switch verb, _, _ := strings.Cut(in.Text(), " "); verb {
		case "CAPA":
			say("-ERR")
		case "LIST", "UIDL":
			say("+OK\r\n.")
		case "QUIT":
			say("+OK")
			return
		default:
			say("+OK 0 0")
		}
	}
}
