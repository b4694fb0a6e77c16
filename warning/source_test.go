package warning

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

const stopped = "systemd[1]: Stopped auditd"

func testIntake(t *testing.T) *Intake {
	t.Helper()
	r, err := CompileRules(RuleFiles{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := NewIntake(IntakeOptions{
		Rules: r, Duty: Duty{Owner: "anna"}, Now: time.Now, Place: func(string) catalogue.EnvironmentID { return "" },
	})
	t.Cleanup(func() { _ = in.Close() })
	return in
}

func testStore(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.InDir(t.TempDir()).Open(t.Context(), "room", ledger.Schema, Schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func stepAll(t *testing.T, in *Intake, d *db.DB) []Signal {
	t.Helper()
	var out []Signal
	for more := true; more; {
		raised, again, err := in.Step(t.Context(), d, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, more = append(out, raised...), again
	}
	return out
}

func readAll(t *testing.T, s Source, from Position) ([]string, Progress) {
	t.Helper()
	var out []string
	p, err := s.Read(t.Context(), from, 1000, func(e RawEvent) { out = append(out, string(e.Line)) })
	if err != nil {
		t.Fatal(err)
	}
	return out, p
}

func TestAQueueKeepsOrderOverARestartAndIsBounded(t *testing.T) {
	dir := t.TempDir()
	s, err := openSpool(dir, 4000, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		if err = s.Append(fmt.Appendf(nil, "event %03d %s", n, strings.Repeat("x", 80))); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) || n < 30 {
		t.Fatalf("after %d events: %v, want a full queue", n, err)
	}
	if w, err := s.Waiting(nil); err != nil || w < 3800 || w > 4000 {
		t.Errorf("%d bytes wait (%v)", w, err)
	}
	got, p := readAll(t, s, nil)
	if len(got) != n || !strings.HasPrefix(got[n-1], fmt.Sprintf("event %03d", n-1)) || p.Cut != 0 {
		t.Fatalf("%d of %d events, cut %d", len(got), n, p.Cut)
	}
	if err := s.Forget(p.To); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]byte("after room was made")); err != nil {
		t.Errorf("what was read still fills the queue: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The process ends within a record.
	f, err := os.OpenFile(s.name(s.last), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("torn"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if s, err = openSpool(dir, 4000, time.Now); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]byte("after the restart")); err != nil {
		t.Fatal(err)
	}
	got, p = readAll(t, s, p.To)
	if len(got) != 2 || got[0] != "after room was made" || got[1] != "after the restart" || p.Cut != 1 {
		t.Errorf("got %q, cut %d, want both whole events and the torn one counted", got, p.Cut)
	}
}

func TestADamagedQueueLosesWhatIsDamagedAndSaysSo(t *testing.T) {
	s, err := openSpool(t.TempDir(), 1<<20, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.name(s.last))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(s.name(s.last), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, p := readAll(t, s, nil); len(got) != 1 || p.Cut != 1 {
		t.Errorf("got %q, cut %d", got, p.Cut)
	}
}

func listen(t *testing.T, l Listener) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Listen(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// until steps the intake until a source has so many events.
func until(t *testing.T, in *Intake, d *db.DB, n int64) []Signal {
	t.Helper()
	var out []Signal
	for range 500 {
		out = append(out, stepAll(t, in, d)...)
		if f := in.Figures(); f[0].Events >= n {
			return out
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("figures %+v, want %d events", in.Figures(), n)
	return nil
}

func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, data := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

func TestSyslogComesInOverUDPTCPAndTLSInBothForms(t *testing.T) {
	in, d := testIntake(t), testStore(t)
	cert, key, pool := certificate(t)
	cfg := SourceConfig{Name: "net", Kind: "syslog", UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", TLS: "127.0.0.1:0", Cert: cert, Key: key}
	if err := in.Open(cfg, t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	s, ok := in.feeds[0].src.(*syslogSource)
	if !ok {
		t.Fatal("no syslog source")
	}
	listen(t, s)
	<-s.bound
	rfc5424 := "<86>1 2026-05-04T09:00:00Z udp-host systemd 1 - - Stopped auditd"
	rfc3164 := "<86>May  4 09:00:00 tcp-host " + stopped
	send := func(c net.Conn, err error, text string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	c, err := net.Dial("udp", s.addrs["udp"].String())
	send(c, err, rfc5424)
	c, err = net.Dial("tcp", s.addrs["tcp"].String())
	send(c, err, rfc3164+"\n"+strings.Replace(rfc3164, "tcp-host", "tcp-host2", 1)+"\n")
	framed := strings.Replace(rfc5424, "udp-host", "tls-host", 1)
	tc, err := tls.Dial("tcp", s.addrs["tls"].String(), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	send(tc, err, fmt.Sprintf("%d %s", len(framed), framed))
	hosts := map[string]bool{}
	for _, sig := range until(t, in, d, 4) {
		hosts[sig.Host] = true
	}
	for _, h := range []string{"udp-host", "tcp-host", "tcp-host2", "tls-host"} {
		if !hosts[h] {
			t.Errorf("no signal about %s; have %v", h, hosts)
		}
	}
	if f := in.Figures()[0]; f.Events != 4 || f.Dropped != 0 || f.Waiting != 0 {
		t.Errorf("figures %+v", f)
	}
}

func TestAFullQueueDropsNothingUncounted(t *testing.T) {
	in, d := testIntake(t), testStore(t)
	q, err := openSpool(t.TempDir(), 200_000, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSyslogSource(SourceConfig{Name: "net", UDP: "127.0.0.1:0", TCP: "127.0.0.1:0"}, q, in.opt.Log)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Add("net", "syslog", q.limit, s); err != nil {
		t.Fatal(err)
	}
	listen(t, s)
	<-s.bound
	c, err := net.Dial("tcp", s.addrs["tcp"].String())
	if err != nil {
		t.Fatal(err)
	}
	const lines = 6000
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(c)
		for i := range lines {
			if _, err := fmt.Fprintf(w, "<13>1 2026-05-04T09:00:00Z h app - - - line %d\n", i); err != nil {
				sent <- err
				return
			}
		}
		sent <- errors.Join(w.Flush(), c.Close())
	}()
	for { // the queue fills up; the connection waits
		if w, err := q.Waiting(nil); err != nil || w > 160_000 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	u, err := net.Dial("udp", s.addrs["udp"].String())
	if err != nil {
		t.Fatal(err)
	}
	for range 500 { // datagrams cannot wait
		if _, err := u.Write([]byte("<13>1 - h app - - - " + strings.Repeat("x", 5000))); err != nil {
			t.Fatal(err)
		}
		if s.Dropped() > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if f := in.Figures()[0]; f.Pressure < 70 || f.Dropped == 0 {
		t.Errorf("figures %+v, want pressure and counted drops", f)
	}
	before := s.Dropped()
	until(t, in, d, lines)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	stepAll(t, in, d)
	if f := in.Figures()[0]; f.Events < lines || f.Dropped < int64(before) || f.Waiting != 0 {
		t.Errorf("figures %+v, want all %d lines of the connection", f, lines)
	}
}

func TestKernelDropsAreReadFromItsTable(t *testing.T) {
	table := "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n" +
		" 1: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 17\n" +
		" 2: 0100007F:0203 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 99\n"
	if n := kernelDrops(table, 0x202); n != 17 {
		t.Errorf("%d drops, want 17", n)
	}
}

func otlpRequest(host string) []byte {
	text := func(s string) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
	}
	b, err := proto.Marshal(&logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{{Key: "host.name", Value: text(host)}}},
		ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{
			TimeUnixNano: uint64(time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC).UnixNano()), Body: text("Stopped auditd"),
			Attributes: []*commonpb.KeyValue{{Key: "appname", Value: text("systemd")}},
		}}}},
	}}})
	if err != nil {
		panic(err)
	}
	return b
}

func TestOTLPTakesProtobufAndJSONAndRefusesWhatItCannotKeep(t *testing.T) {
	in, d := testIntake(t), testStore(t)
	if err := in.Open(SourceConfig{Name: "otlp", Kind: "otlp", Listen: "127.0.0.1:0", Token: "secret"}, t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	s, ok := in.feeds[0].src.(*otlpSource)
	if !ok {
		t.Fatal("no OTLP source")
	}
	post := func(kind, encoding, token string, body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Content-Encoding", encoding)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(otlpRequest("packed")); err != nil {
		t.Fatal(err)
	}
	_ = z.Close()
	asJSON := `{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"json"}}]},"scopeLogs":[{"logRecords":[
		{"timeUnixNano":"1777885200000000000","severityNumber":9,"traceId":"5b8efff798038103d269b633813fc60c","body":{"stringValue":"Stopped auditd"},"attributes":[{"key":"appname","value":{"stringValue":"systemd"}}]},
		{"body":{"stringValue":"2026-05-04T09:00:00Z line ` + stopped + `"},"unknown":1},
		{"body":{"kvlistValue":{"values":[{"key":"channel","value":{"stringValue":"Microsoft-Windows-Windows Defender/Operational"}},
			{"key":"event_id","value":{"kvlistValue":{"values":[{"key":"id","value":{"intValue":"5001"}}]}}},{"key":"computer","value":{"stringValue":"win"}}]}}}]}]}]}`
	for _, w := range []*httptest.ResponseRecorder{
		post("application/x-protobuf", "", "secret", otlpRequest("plain")),
		post("application/x-protobuf", "gzip", "secret", packed.Bytes()),
		post("application/json; charset=utf-8", "", "secret", []byte(asJSON)),
	} {
		if w.Code != http.StatusOK {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	}
	hosts := map[string]bool{}
	for _, sig := range stepAll(t, in, d) {
		hosts[sig.Host] = true
	}
	for _, h := range []string{"plain", "packed", "json", "line", "win"} {
		if !hosts[h] {
			t.Errorf("no signal about %q; have %v", h, hosts)
		}
	}
	s.limit = s.total
	for want, w := range map[int]*httptest.ResponseRecorder{
		http.StatusUnauthorized:       post("application/json", "", "guess", []byte(asJSON)),
		http.StatusBadRequest:         post("application/x-protobuf", "", "secret", []byte("no protobuf at all")),
		http.StatusServiceUnavailable: post("application/json", "", "secret", []byte(asJSON)),
	} {
		if w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
	if f := in.Figures()[0]; f.Refused != 3 || f.Events != 5 || f.Dropped != 0 {
		t.Errorf("figures %+v", f)
	}
	for _, bad := range []SourceConfig{
		{Name: "o", Kind: "otlp", Listen: "0.0.0.0:4318"},
		{Name: "UPPER", Kind: "file", Path: "x"},
		{Name: "s", Kind: "syslog"},
		{Name: "s", Kind: "syslog", UDP: "127.0.0.1:0", From: []string{"10.0.0.1"}},
		{Name: "x", Kind: "pigeon"},
		{Name: "otlp", Kind: "file", Path: "twice"},
	} {
		if err := in.Open(bad, t.TempDir(), nil); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestStandardInputIsASource(t *testing.T) {
	in, d := testIntake(t), testStore(t)
	text := "2026-05-04T09:00:00Z h " + stopped + "\n" + `{"Channel":"Microsoft-Windows-Windows Defender/Operational","EventID":5001,"Computer":"w"}`
	if err := in.Open(SourceConfig{Name: "in", Kind: "stdin"}, t.TempDir(), strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	in.Listen(t.Context())
	if got := stepAll(t, in, d); len(got) != 2 {
		t.Errorf("%d signals, want one of the text line and one of the JSON line without an end", len(got))
	}
}

func TestEventLogsOfADirectoryAreReadOnceAlsoNewOnes(t *testing.T) {
	root := "../../shared/data/detect/evtx-to-mitre"
	sample, err := filepath.Glob(root + "/TA000*/*/*.evtx")
	if err != nil || len(sample) < 2 {
		t.Skip("no shared data: EVTX suite left out")
	}
	in, d := testIntake(t), testStore(t)
	dir := t.TempDir()
	put := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(sample[0], "a.evtx")
	open := func() {
		t.Helper()
		if err := in.Open(SourceConfig{Name: "win", Kind: "evtx", Path: dir}, dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	open()
	stepAll(t, in, d)
	first := in.Figures()[0]
	if first.Events == 0 || first.Waiting != 0 {
		t.Fatalf("figures %+v", first)
	}
	in = testIntake(t) // a restart
	open()
	put(sample[1], "b.evtx")
	stepAll(t, in, d)
	if second := in.Figures()[0]; second.Events <= first.Events || second.Waiting != 0 {
		t.Errorf("figures %+v after %+v, want only the new file's events more", second, first)
	}
	before := in.Figures()[0].Events
	stepAll(t, in, d)
	if in.Figures()[0].Events != before {
		t.Error("files were read twice")
	}
}

// TestARestartRestoresTheMemoryOfCorrelations: also when it was written last
// some events ago.
func TestARestartRestoresTheMemoryOfCorrelations(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		file := filepath.Join(t.TempDir(), "auth.log")
		fail := func(from, to int) {
			t.Helper()
			f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			for i := from; i < to; i++ {
				fmt.Fprintf(f, "2026-05-04T09:00:%02dZ h%d sshd[1]: Failed password for user%d from 203.0.113.9 port 1 ssh2\n", i, i, i)
			}
			_ = f.Close()
		}
		follow := func(large bool) []Signal {
			t.Helper()
			in := testIntake(t)
			if err := in.Follow(file); err != nil {
				t.Fatal(err)
			}
			if large { // the memory is large and was written just now
				if err := in.load(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				in.size, in.saved = smallMemory, time.Now()
			}
			return stepAll(t, in, d)
		}
		fail(0, 3)
		if got := follow(false); len(got) != 0 {
			t.Fatalf("%+v after three failures", got)
		}
		fail(3, 6)
		if got := follow(true); len(got) != 0 {
			t.Fatalf("%+v after six failures", got)
		}
		fail(6, 8)
		got := follow(false)
		if len(got) != 1 || got[0].Level != "high" || len(got[0].Events) != 8 {
			t.Fatalf("%+v, want password spraying with its eight events", got)
		}
		if again := follow(false); len(again) != 0 {
			t.Errorf("raised again: %+v", again)
		}
	})
}

func FuzzSyslogFrames(f *testing.F) {
	for _, s := range []string{"5 hello3 abc", "<13>line\n<14>line\n", "99999999 x", "0 x\n", "7 \x00\x00\x00", "1", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), maxLine)
		for range len(data) + 1 {
			msg, err := readFrame(r)
			if len(msg) > maxLine+len("…") {
				t.Fatalf("%d bytes", len(msg))
			}
			if err != nil {
				return
			}
		}
		t.Fatal("more messages than bytes")
	})
}

func FuzzOTLP(f *testing.F) {
	f.Add(otlpRequest("h"), false)
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"arrayValue":{"values":[{"doubleValue":"NaN"}]}}}]}]}]}`), true)
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool) {
		lines, err := otlpLines(data, asJSON)
		if err != nil {
			return
		}
		for _, l := range lines {
			if len(l) == 0 {
				t.Error("an empty line")
			}
		}
	})
}
