package room_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/room"
	"leitstand/warning"
)

// nightRoom is a room that is no exercise, on a clock of the test.
func nightRoom(t *testing.T, now *time.Time, opt room.Options) *room.Room {
	t.Helper()
	opt.Data, opt.Passphrase = filepath.Join(t.TempDir(), "room"), []byte("nur für diesen Test gedacht")
	opt.Clock = func() time.Time { return *now }
	r, err := room.Init(t.Context(), opt, room.Setup{Name: "Probe", Catalogue: small(), Owner: "operator", Passphrase: opt.Passphrase, People: []access.Person{
		{ID: "operator", Name: "O", Roles: []access.Role{access.Operator, access.CrisisLead}, Active: true},
		{ID: "lead", Name: "L", Roles: []access.Role{access.CrisisLead}, Active: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func findings(t *testing.T, r *room.Room, probe bool) map[string]room.Finding {
	t.Helper()
	up, err := room.Do[room.Checkup](t.Context(), r, "", "doctor", map[string]bool{"probe": probe})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]room.Finding{}
	for _, f := range up.Findings {
		out[f.Name] = f
		if f.Health != room.Good && f.Todo == "" {
			t.Errorf("%s is %s and nobody is told what to do", f.Name, f.Health)
		}
	}
	return out
}

func TestARoomThatWorksIsReadyAndBeats(t *testing.T) {
	pings := make(chan room.Beat, 10)
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		var beat room.Beat
		if err == nil {
			err = json.Unmarshal(b, &beat)
		}
		if err != nil || req.Method != http.MethodPost {
			t.Errorf("%s %v: %s", req.Method, err, b)
		}
		pings <- beat
	}))
	defer up.Close()
	file := filepath.Join(t.TempDir(), "beat")
	r, _ := practiceRoomOf(t, catalogue.Example(1), room.Options{Heartbeat: room.Heartbeat{Every: time.Second, File: file, URL: up.URL}})
	v := r.Vitals(t.Context())
	if !v.Ready || v.DiskFree == 0 || v.DataSize == 0 || v.LedgerSize == 0 || v.WriteTook == 0 || v.Cells["running"] == 0 {
		t.Errorf("%+v", v)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.RunHeartbeat(ctx, nil) }()
	first, second := <-pings, <-pings
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if first.Room == "" || first.Entries != v.LedgerSize || !second.At.After(first.At) {
		t.Errorf("%+v, then %+v", first, second)
	}
	b, err := os.ReadFile(file)
	var kept room.Beat
	if err != nil || json.Unmarshal(b, &kept) != nil || kept.Room != first.Room {
		t.Errorf("%v: %s", err, b)
	}
}

func TestAnExerciseRoomPingsNobodyOutside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "again")
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "beat")
	r, err := room.Init(t.Context(), room.Options{
		Data: dir, Log: slog.New(slog.NewTextHandler(&log, nil)), Heartbeat: room.Heartbeat{Every: time.Minute, File: file, URL: "http://192.0.2.1/secret"},
	}, room.Setup{
		Name: "Ü", Exercise: true, Catalogue: small(), People: room.PracticePeople(), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	if err := r.RunHeartbeat(ctx, nil); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), room.ErrFarPing.Error()) || strings.Contains(log.String(), "secret") {
		t.Error(log.String())
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("one place that cannot be reached keeps the signal from the other")
	}
}

func TestARoomWhoseTimedWorkIsSilentIsNotReady(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "beat")
	r := nightRoom(t, &now, room.Options{Heartbeat: room.Heartbeat{Every: time.Minute, File: file}})
	if v := r.Vitals(t.Context()); !v.Ready {
		t.Fatalf("%v", v.Problems)
	}
	now = now.Add(10 * time.Minute)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if err := r.RunHeartbeat(ctx, nil); err != nil {
		t.Error(err)
	}
	if v := r.Vitals(t.Context()); v.Ready || !strings.Contains(strings.Join(v.Problems, " "), "timed work has not gone well for 10m0s") {
		t.Errorf("%+v", v)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a room that is not ready beats")
	}
}

// certificate writes one for loopback that ends then, with its key beside it.
func certificate(t *testing.T, end time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: end.Add(-100 * 24 * time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "c.pem")
	for name, block := range map[string]*pem.Block{file: {Type: "CERTIFICATE", Bytes: der}, strings.TrimSuffix(file, ".pem") + ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestTheRoomWarnsBeforeItsLimits(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	file := certificate(t, now.Add(20*24*time.Hour))
	r := nightRoom(t, &now, room.Options{Certificates: []string{file}, Limits: room.Limits{DiskFree: 1 << 62}})
	raised := func() (names []string) {
		t.Helper()
		if _, err := r.Due(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		all, err := warning.List(t.Context(), r.Store)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Owner == "" || s.Deadline.IsZero() {
				t.Errorf("nobody owns %+v", s)
			}
			names = append(names, s.Host+" "+s.Level)
		}
		return names
	}
	got := strings.Join(raised(), ",")
	if !strings.Contains(got, "Zertifikat c.pem medium") || !strings.Contains(got, "Festplatte critical") {
		t.Errorf("raised: %s", got)
	}
	before := len(raised())
	now = now.Add(3 * time.Hour)
	if n := len(raised()); n != before {
		t.Errorf("%d signals, then %d: nagged although nobody decided yet", before, n)
	}
	f := findings(t, r, false)
	if f["Zertifikat c.pem"].Health != room.Warn || f["Festplatte"].Health != room.Bad {
		t.Errorf("%+v", f)
	}
	now = now.Add(16 * 24 * time.Hour)
	if f := findings(t, r, false); f["Zertifikat c.pem"].Health != room.Bad {
		t.Errorf("four days before its end: %+v", f["Zertifikat c.pem"])
	}
}

func TestTheDoctorForetellsWhenTheDiskIsFull(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	r := nightRoom(t, &now, room.Options{Limits: room.Limits{DiskDays: 1 << 40}})
	step := func() {
		t.Helper()
		if _, err := r.Due(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if f := findings(t, r, false)["Wachstum"]; f.Health != room.Good || !strings.Contains(f.Text, "zu kurz") {
		t.Errorf("%+v", f)
	}
	now = now.Add(24 * time.Hour)
	if err := os.WriteFile(filepath.Join(r.Data(), "more"), make([]byte, 50_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if f := findings(t, r, false)["Wachstum"]; f.Health == room.Good || !strings.Contains(f.Text, "+50,") {
		t.Errorf("%+v", f)
	}
}

func TestTheDoctorAsksForWitnessAlarmDriversAndMailboxes(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	opt := room.Options{Connections: &room.Connections{Mailboxes: []room.MailboxConfig{{
		Kasse: catalogue.KasseID("109900019"), Placement: "109900019/eau/sued", Address: "a@x.example", POP3: "127.0.0.1:1", Security: "plain", User: "u",
	}}}}
	r := nightRoom(t, &now, opt)
	f := findings(t, r, true)
	for name, want := range map[string]room.Health{
		"Zeuge": room.Warn, "Probealarm": room.Warn, "Treiber": room.Warn, "Sicherung": room.Bad, "Postfächer erprobt": room.Bad, "Ausgang": room.Good,
		"Rolle Forensik": room.Bad, "Rolle Betrieb": room.Warn, "Rolle Leitung des Stabs": room.Good,
	} {
		if f[name].Health != want {
			t.Errorf("%s: %+v, want %s", name, f[name], want)
		}
	}
	if _, err := room.Do[room.Witnessed](t.Context(), r, "lead", "witness.note", map[string]string{"who": "Notar"}); err != nil {
		t.Fatal(err)
	}
	s, err := room.Do[warning.Signal](t.Context(), r, "operator", "alarm.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := findings(t, r, false); f["Zeuge"].Health != room.Good || f["Probealarm"].Health != room.Warn {
		t.Errorf("%+v %+v", f["Zeuge"], f["Probealarm"])
	}
	if _, err := room.Do[warning.Signal](t.Context(), r, "operator", "signal.decide", map[string]any{"id": s.ID, "to": "acknowledged"}); err != nil {
		t.Fatal(err)
	}
	if f := findings(t, r, false); f["Probealarm"].Health != room.Good {
		t.Errorf("%+v", f["Probealarm"])
	}
	now = now.Add(48 * time.Hour)
	if f := findings(t, r, false); f["Zeuge"].Health != room.Warn {
		t.Errorf("%+v", f["Zeuge"])
	}
}
