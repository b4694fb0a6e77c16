package warning

import (
	"compress/gzip"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"leitstand/pure/sigma"
)

// otlpSource takes in OpenTelemetry logs over HTTP (OTLP 1.x, POST /v1/logs,
// protobuf and JSON). A request is answered with 200 when its events are durable;
// with 503 when the queue is full, so that the sender keeps and repeats it.
type otlpSource struct {
	*spool
	cfg     SourceConfig
	refused atomic.Uint64 // requests that were turned away; the sender was told
	bound   chan struct{}
	addr    net.Addr
}

const (
	maxOTLP     = 16 << 20 // bytes of a request, unpacked
	maxOTLPNest = 16
)

func newOTLPSource(cfg SourceConfig, q *spool) (*otlpSource, error) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("source %q: listen %q is no address such as 127.0.0.1:4318", cfg.Name, cfg.Listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && (cfg.Token == "" || cfg.Cert == "") {
		return nil, fmt.Errorf("source %q: OTLP on %s is reached from outside: it needs token, cert and key", cfg.Name, cfg.Listen)
	}
	return &otlpSource{spool: q, cfg: cfg, bound: make(chan struct{})}, nil
}

// Dropped is always 0: what cannot be kept is refused.
func (s *otlpSource) Dropped() uint64 { return 0 }

// Refused counts requests turned away; their senders repeat them.
func (s *otlpSource) Refused() uint64 { return s.refused.Load() }

// Listen takes requests in until ctx ends.
func (s *otlpSource) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening for OTLP: %w", err)
	}
	s.addr = l.Addr()
	if s.cfg.Cert != "" {
		cert, err := tls.LoadX509KeyPair(s.cfg.Cert, s.cfg.Key)
		if err != nil {
			return errors.Join(fmt.Errorf("reading cert and key for OTLP: %w", err), l.Close())
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	select {
	case <-s.bound:
	default:
		close(s.bound)
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving OTLP: %w", err)
	}
	return nil
}

// ServeHTTP answers one request.
func (s *otlpSource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, text := s.take(r)
	if status != http.StatusOK {
		s.refused.Add(1)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		http.Error(w, text, status)
		return
	}
	if isJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}") // the sender is gone: it repeats
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty response message has no bytes
}

func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

func (s *otlpSource) take(r *http.Request) (status int, text string) {
	want := "Bearer " + s.cfg.Token
	switch {
	case r.URL.Path != "/v1/logs":
		return http.StatusNotFound, "only /v1/logs is taken in here"
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "POST is expected"
	case s.cfg.Token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1:
		return http.StatusUnauthorized, "Authorization: Bearer with the token of this source is expected"
	}
	body, err := otlpBody(r)
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	lines, err := otlpLines(body, isJSON(r))
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	err = s.Append(lines...)
	if err == nil {
		err = s.Sync()
	}
	switch {
	case errors.Is(err, ErrFull):
		return http.StatusServiceUnavailable, "the queue is full: send it again later"
	case err != nil:
		return http.StatusServiceUnavailable, "the events could not be stored: send them again later"
	}
	return http.StatusOK, ""
}

func otlpBody(r *http.Request) ([]byte, error) {
	var src io.Reader = http.MaxBytesReader(nil, r.Body, maxOTLP)
	switch e := r.Header.Get("Content-Encoding"); e {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, fmt.Errorf("unpacking the request: %w", err)
		}
		src = z
	default:
		return nil, fmt.Errorf("encoding %q: gzip or none is expected", e)
	}
	body, err := io.ReadAll(io.LimitReader(src, maxOTLP+1))
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if len(body) > maxOTLP {
		return nil, fmt.Errorf("a request of more than %d bytes is not taken in: send smaller batches", maxOTLP)
	}
	return body, nil
}

// otlpLines makes a line of every log record. LogsData has the wire form of
// ExportLogsServiceRequest.
func otlpLines(body []byte, isJSON bool) ([][]byte, error) {
	var data logspb.LogsData
	var err error
	if isJSON {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, &data)
	} else {
		err = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, &data)
	}
	if err != nil {
		return nil, fmt.Errorf("not an OTLP logs request: %w", err)
	}
	var lines [][]byte
	for _, rl := range data.GetResourceLogs() {
		for _, sl := range rl.GetScopeLogs() {
			for _, rec := range sl.GetLogRecords() {
				line, err := otlpLine(rl.GetResource().GetAttributes(), rec)
				if err != nil {
					return nil, err
				}
				lines = append(lines, line)
			}
		}
	}
	return lines, nil
}

// otlpLine writes a record as the line it was, when its body is one, else as
// JSON with its attributes at the top.
func otlpLine(resource []*commonpb.KeyValue, rec *logspb.LogRecord) ([]byte, error) {
	text := rec.GetBody().GetStringValue()
	out := map[string]any{}
	for _, list := range [][]*commonpb.KeyValue{resource, rec.GetAttributes()} {
		for _, kv := range list {
			out[kv.GetKey()] = otlpValue(kv.GetValue(), 0)
		}
	}
	app := textOf(out, "appname", "syslog.appname", "SYSLOG_IDENTIFIER")
	switch {
	case rec.GetBody().GetKvlistValue() != nil:
		for _, kv := range rec.GetBody().GetKvlistValue().GetValues() {
			out[kv.GetKey()] = otlpValue(kv.GetValue(), 0)
		}
		windowsBody(out)
	case app == "" && isLogLine(text):
		return []byte(cut(text, maxLine)), nil
	case app != "":
		out["SYSLOG_IDENTIFIER"], out["MESSAGE"] = app, text
		if m := textOf(out, "message", "syslog.message"); m != "" {
			out["MESSAGE"] = m
		}
		if h := textOf(out, "hostname", "syslog.hostname", "host.name"); h != "" {
			out["host"] = h
		}
	case text != "":
		out["message"] = text
	default:
		out["body"] = otlpValue(rec.GetBody(), 0)
	}
	ns := rec.GetTimeUnixNano()
	if ns == 0 {
		ns = rec.GetObservedTimeUnixNano()
	}
	if _, there := out["@timestamp"]; !there && ns != 0 {
		out["@timestamp"] = time.Unix(0, int64(ns)).UTC().Format(time.RFC3339Nano)
	}
	if s := rec.GetSeverityText(); s != "" {
		out["log.level"] = s
	}
	line, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("a log record cannot be written as JSON: %w", err)
	}
	return line, nil
}

// isLogLine: a whole line of a log is its own best form.
func isLogLine(text string) bool {
	t := strings.TrimLeft(text, " \t")
	if strings.HasPrefix(t, "{") || strings.HasPrefix(t, "<") {
		return true
	}
	ev := sigma.NewEvent()
	ev.DecodeText(text, 0)
	_, ok := ev.Get("program")
	return ok
}

func textOf(m map[string]any, names ...string) string {
	for _, n := range names {
		if s, ok := m[n].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// windowsBody gives the fields of the Windows event log receiver the names of Windows.
func windowsBody(m map[string]any) {
	channel, ok := m["channel"].(string)
	if !ok {
		return
	}
	m["Channel"] = channel
	if id, ok := m["event_id"].(map[string]any); ok {
		m["EventID"] = id["id"]
	}
	if p, ok := m["provider"].(map[string]any); ok {
		m["Provider_Name"] = p["name"]
	}
	if c, ok := m["computer"]; ok {
		m["Computer"] = c
	}
	if t, ok := m["system_time"]; ok {
		m["@timestamp"] = t
	}
	data, ok := m["event_data"].(map[string]any)
	if !ok {
		return
	}
	delete(m, "event_data")
	for k, v := range data {
		if _, taken := m[k]; !taken {
			m[k] = v
		}
	}
}

func otlpValue(v *commonpb.AnyValue, depth int) any {
	if depth > maxOTLPNest {
		return nil
	}
	switch x := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return x.StringValue
	case *commonpb.AnyValue_BoolValue:
		return x.BoolValue
	case *commonpb.AnyValue_IntValue:
		return x.IntValue
	case *commonpb.AnyValue_DoubleValue:
		return strconv.FormatFloat(x.DoubleValue, 'g', -1, 64) // NaN has no JSON
	case *commonpb.AnyValue_BytesValue:
		return fmt.Sprintf("%x", x.BytesValue)
	case *commonpb.AnyValue_ArrayValue:
		out := []any{}
		for _, e := range x.ArrayValue.GetValues() {
			out = append(out, otlpValue(e, depth+1))
		}
		return out
	case *commonpb.AnyValue_KvlistValue:
		out := map[string]any{}
		for _, kv := range x.KvlistValue.GetValues() {
			out[kv.GetKey()] = otlpValue(kv.GetValue(), depth+1)
		}
		return out
	}
	return nil
}
