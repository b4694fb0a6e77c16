package warning

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// syslogSource takes in syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS
// (RFC 5425). What a message says (RFC 5424, RFC 3164) is read when it is matched.
type syslogSource struct {
	*spool
	cfg  SourceConfig
	from []netip.Prefix
	tls  *tls.Config
	log  *slog.Logger

	dropped atomic.Uint64 // datagrams that found the queue full, or that the kernel dropped
	refused atomic.Uint64 // connections turned away
	kernel  uint64        // of the dropped, by the kernel
	open    atomic.Int64  // connections
	bound   chan struct{} // closed when all addresses are bound
	addrs   map[string]net.Addr
}

const (
	maxSyslogConns = 512
	udpBuffer      = 8 << 20
	fullPause      = 50 * time.Millisecond
	maxBatch       = 200
	maxBatchBytes  = 32 << 10
)

func newSyslogSource(cfg SourceConfig, q *spool, log *slog.Logger) (*syslogSource, error) {
	s := &syslogSource{spool: q, cfg: cfg, log: log, bound: make(chan struct{}), addrs: map[string]net.Addr{}}
	if cfg.UDP == "" && cfg.TCP == "" && cfg.TLS == "" {
		return nil, fmt.Errorf("source %q: syslog needs udp, tcp or tls with an address to listen on", cfg.Name)
	}
	for _, text := range cfg.From {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("source %q: from %q is no network such as 10.0.0.0/8", cfg.Name, text)
		}
		s.from = append(s.from, p)
	}
	if cfg.TLS == "" {
		return s, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("source %q: reading cert and key for syslog over TLS: %w", cfg.Name, err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if cfg.ClientCA != "" {
		pem, err := os.ReadFile(cfg.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("source %q: reading client_ca: %w", cfg.Name, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("source %q: client_ca %q holds no certificate", cfg.Name, cfg.ClientCA)
		}
		s.tls.ClientCAs, s.tls.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return s, nil
}

// Dropped counts datagrams that could not be kept. Senders over TCP wait instead.
func (s *syslogSource) Dropped() uint64 { return s.dropped.Load() }

// Refused counts connections turned away.
func (s *syslogSource) Refused() uint64 { return s.refused.Load() }

// Listen takes messages in until ctx ends.
func (s *syslogSource) Listen(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	var lc net.ListenConfig
	var stop []io.Closer
	closeAll := func() {
		for _, c := range stop {
			_ = c.Close() // it ends what waits on it
		}
	}
	if s.cfg.UDP != "" {
		c, err := lc.ListenPacket(ctx, "udp", s.cfg.UDP)
		if err != nil {
			return fmt.Errorf("listening for syslog: %w", err)
		}
		stop = append(stop, c)
		s.addrs["udp"] = c.LocalAddr()
		g.Go(func() error { return s.datagrams(ctx, c) })
	}
	for kind, addr := range map[string]string{"tcp": s.cfg.TCP, "tls": s.cfg.TLS} {
		if addr == "" {
			continue
		}
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			closeAll()
			return errors.Join(fmt.Errorf("listening for syslog: %w", err), g.Wait())
		}
		s.addrs[kind] = l.Addr()
		if kind == "tls" {
			l = tls.NewListener(l, s.tls)
		}
		stop = append(stop, l)
		g.Go(func() error { return s.accept(ctx, l) })
	}
	select {
	case <-s.bound:
	default:
		close(s.bound)
	}
	defer context.AfterFunc(ctx, closeAll)()
	return g.Wait()
}

func (s *syslogSource) allowed(a net.Addr) bool {
	if len(s.from) == 0 {
		return true
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return false
	}
	for _, n := range s.from {
		if n.Contains(p.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// datagrams takes in UDP. A full queue loses datagrams: they are counted.
func (s *syslogSource) datagrams(ctx context.Context, c net.PacketConn) error {
	if u, ok := c.(*net.UDPConn); ok {
		if err := u.SetReadBuffer(udpBuffer); err != nil {
			s.log.Warn("a larger buffer for syslog was refused", slog.Any("error", err))
		}
	}
	buf := make([]byte, maxLine)
	looked := time.Time{}
	for {
		n, from, err := c.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // closed because the source ends
		}
		if err != nil {
			return fmt.Errorf("reading syslog: %w", err)
		}
		if now := s.now(); now.Sub(looked) >= time.Second || now.Before(looked) {
			looked = now
			s.lookKernel(c.LocalAddr())
		}
		if !s.allowed(from) {
			s.refused.Add(1)
			continue
		}
		if msg := bytes.TrimRight(buf[:n], "\r\n\x00"); len(msg) > 0 {
			if err := s.Append(msg); err != nil {
				s.dropped.Add(1)
				if !errors.Is(err, ErrFull) {
					s.log.Error("syslog could not be kept", slog.Any("error", err))
				}
			}
		}
	}
}

// lookKernel adds what the kernel dropped of the socket, where it tells.
func (s *syslogSource) lookKernel(a net.Addr) {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return
	}
	var sum uint64
	for _, name := range [...]string{"/proc/net/udp", "/proc/net/udp6"} {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // not Linux
		}
		sum += kernelDrops(string(data), u.Port)
	}
	if sum > s.kernel {
		s.dropped.Add(sum - s.kernel)
		s.kernel = sum
	}
}

// kernelDrops reads the last column of /proc/net/udp for a local port.
func kernelDrops(table string, port int) uint64 {
	var sum uint64
	for line := range strings.SplitSeq(table, "\n") {
		f := strings.Fields(line)
		if len(f) < 13 {
			continue
		}
		_, hex, ok := strings.Cut(f[1], ":")
		p, err := strconv.ParseUint(hex, 16, 16)
		n, err2 := strconv.ParseUint(f[len(f)-1], 10, 64)
		if ok && err == nil && err2 == nil && p == uint64(port) {
			sum += n
		}
	}
	return sum
}

func (s *syslogSource) accept(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil // closed because the source ends
		}
		if err != nil {
			return fmt.Errorf("accepting syslog: %w", err)
		}
		if !s.allowed(c.RemoteAddr()) || s.open.Load() >= maxSyslogConns {
			s.refused.Add(1)
			_ = c.Close() // turned away
			continue
		}
		s.open.Add(1)
		wg.Go(func() {
			defer s.open.Add(-1)
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			defer func() { _ = c.Close() }() // everything taken in is kept
			if err := s.stream(ctx, c); err != nil && ctx.Err() == nil {
				s.log.Warn("a syslog connection ended", slog.String("from", c.RemoteAddr().String()), slog.Any("error", err))
			}
		})
	}
}

// stream takes in one connection. While the queue is full nothing is read, and
// the sender waits.
func (s *syslogSource) stream(ctx context.Context, c io.Reader) error {
	r := bufio.NewReaderSize(c, maxLine)
	var batch [][]byte
	size := 0
	for {
		msg, err := readFrame(r)
		if len(msg) > 0 {
			batch, size = append(batch, msg), size+len(msg)
		}
		if len(batch) > 0 && (err != nil || len(batch) >= maxBatch || size >= maxBatchBytes || r.Buffered() == 0) {
			if err := appendWaiting(ctx, s.spool, batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// appendWaiting waits while the queue is full.
func appendWaiting(ctx context.Context, q *spool, batch [][]byte) error {
	for {
		err := q.Append(batch...)
		if !errors.Is(err, ErrFull) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fullPause):
		}
	}
}

// errFrame says that the sender's framing cannot be followed.
var errFrame = errors.New("syslog framing is broken: neither a length (RFC 6587 §3.4.1) nor lines")

// readFrame reads one message: with its length before it (octet counting), or
// up to the end of the line (RFC 6587 §3.4). A message longer than maxLine is
// cut, and marked by a last character "…".
func readFrame(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	if head[0] < '1' || head[0] > '9' {
		return readLineFrame(r)
	}
	n := 0
	for i := 0; ; i++ {
		c, err := r.ReadByte()
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		if c == ' ' && i > 0 {
			break
		}
		if c < '0' || c > '9' || i >= 7 {
			return nil, errFrame
		}
		n = 10*n + int(c-'0')
	}
	msg := make([]byte, min(n, maxLine))
	if _, err := io.ReadFull(r, msg); err != nil {
		return bytes.TrimRight(msg[:0], "\x00"), io.ErrUnexpectedEOF
	}
	if n > len(msg) {
		if _, err := r.Discard(n - len(msg)); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		msg = append(msg, "…"...)
	}
	return bytes.TrimRight(msg, "\r\n\x00"), nil
}

func readLineFrame(r *bufio.Reader) ([]byte, error) {
	text, err := r.ReadSlice('\n')
	msg := bytes.TrimRight(bytes.Clone(text), "\r\n\x00")
	if !errors.Is(err, bufio.ErrBufferFull) {
		return msg, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return append(msg, "…"...), err
}
