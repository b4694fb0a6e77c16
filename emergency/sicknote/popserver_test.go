package sicknote_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// popServer is a mail server of the tests: one maildrop per user, password "pw",
// with every fault that a test needs. It forgets nothing but what was deleted.
type popServer struct {
	addr string

	mu    sync.Mutex
	drops map[string]*maildrop

	noUIDL, noPipelining, noCAPA bool
	stls                         *tls.Config
	lie                          func(size int) int
	// cut ends the connection before the n-th line or body of the server is sent (from 1); 0 never.
	cut      atomic.Int64
	said     atomic.Int64 // how many lines and bodies the server has sent
	silent   atomic.Bool  // accepts connections and says nothing
	retrs    atomic.Int64
	sessions atomic.Int64
}

type maildrop struct {
	mails  []*popMail
	next   int
	locked bool
	gone   []string // bodies of deleted mails
}

type popMail struct {
	uid  string
	body []byte
	made func() []byte // makes the body when it is fetched
	size int
}

func (m *popMail) content() []byte {
	if m.made != nil {
		return m.made()
	}
	return m.body
}

func newPopServer(t testing.TB, wrap func(net.Listener) net.Listener) *popServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &popServer{addr: l.Addr().String(), drops: map[string]*maildrop{}, lie: func(n int) int { return n }}
	if wrap != nil {
		l = wrap(l)
	}
	var wg sync.WaitGroup
	conns := map[net.Conn]bool{}
	var mu sync.Mutex
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				s.serve(c)
				_ = c.Close()
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

func (s *popServer) put(user string, mails ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drops[user]
	if d == nil {
		d = &maildrop{}
		s.drops[user] = d
	}
	for _, m := range mails {
		d.next++
		d.mails = append(d.mails, &popMail{uid: fmt.Sprintf("uid-%d", d.next), body: m, size: len(m)})
	}
}

// putMade adds a mail that is made when it is fetched.
func (s *popServer) putMade(user string, made func() []byte, size int) {
	s.put(user, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drops[user]
	d.mails[len(d.mails)-1].made, d.mails[len(d.mails)-1].size = made, size
}

// left is what still lies on the server.
func (s *popServer) left(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.drops[user].mails)
}

type popSession struct {
	*popServer
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	user string
	drop *maildrop
	box  []*popMail
	dele map[int]bool
}

func (s *popServer) serve(c net.Conn) {
	s.sessions.Add(1)
	if s.silent.Load() {
		_, _ = bufio.NewReader(c).ReadByte() // until the client or the test gives up
		return
	}
	p := &popSession{popServer: s, conn: c, r: bufio.NewReader(c), w: bufio.NewWriter(c), dele: map[int]bool{}}
	defer func() {
		if p.drop != nil {
			s.mu.Lock()
			p.drop.locked = false
			s.mu.Unlock()
		}
	}()
	if !p.say("+OK ready") {
		return
	}
	for {
		if p.r.Buffered() == 0 && p.w.Flush() != nil {
			return
		}
		line, err := p.r.ReadString('\n')
		if err != nil || !p.do(strings.TrimRight(line, "\r\n")) {
			_ = p.w.Flush()
			return
		}
	}
}

// say sends a line or body; false when the connection is cut instead.
func (p *popSession) say(text string) bool {
	n := p.said.Add(1)
	if c := p.cut.Load(); c > 0 && n == c {
		_, _ = p.w.WriteString(text[:len(text)/2]) // torn in the middle
		_ = p.w.Flush()
		return false
	}
	_, err := p.w.WriteString(text + "\r\n")
	return err == nil
}

func (p *popSession) do(line string) bool {
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "CAPA":
		if p.noCAPA {
			return p.say("-ERR what?")
		}
		caps := "+OK\r\nUSER\r\nUIDL\r\nTOP\r\n"
		if p.stls != nil {
			caps += "STLS\r\n"
		}
		if !p.noPipelining {
			caps += "PIPELINING\r\n"
		}
		return p.say(caps + ".")
	case "STLS":
		if p.stls == nil {
			return p.say("-ERR no")
		}
		if !p.say("+OK") || p.w.Flush() != nil {
			return false
		}
		c := tls.Server(p.conn, p.stls)
		p.r, p.w = bufio.NewReader(c), bufio.NewWriter(c)
		return true
	case "USER":
		p.user = arg
		return p.say("+OK")
	case "PASS":
		return p.pass(arg)
	case "QUIT":
		return p.quit()
	}
	if p.drop == nil {
		return p.say("-ERR log in")
	}
	switch strings.ToUpper(verb) {
	case "LIST":
		return p.list(func(m *popMail) string { return strconv.Itoa(p.lie(m.size)) })
	case "UIDL":
		if p.noUIDL {
			return p.say("-ERR unknown")
		}
		return p.list(func(m *popMail) string { return m.uid })
	case "RETR":
		p.retrs.Add(1)
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 || n > len(p.box) || p.dele[n] {
			return p.say("-ERR no such message")
		}
		return p.say("+OK follows") && p.say(string(stuff(p.box[n-1].content()))+".")
	case "DELE":
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 || n > len(p.box) {
			return p.say("-ERR no such message")
		}
		p.dele[n] = true
		return p.say("+OK")
	}
	return p.say("-ERR unknown")
}

func (p *popSession) pass(password string) bool {
	if password != "pw" {
		return p.say("-ERR [AUTH] no")
	}
	p.mu.Lock()
	d := p.drops[p.user]
	if d == nil {
		d = &maildrop{}
		p.drops[p.user] = d
	}
	for range 100 { // a session that was cut off lets go in a moment
		if !d.locked {
			break
		}
		p.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		p.mu.Lock()
	}
	if d.locked {
		p.mu.Unlock()
		return p.say("-ERR [IN-USE] busy")
	}
	d.locked = true
	p.drop, p.box = d, append([]*popMail(nil), d.mails...)
	p.mu.Unlock()
	return p.say("+OK")
}

func (p *popSession) list(value func(*popMail) string) bool {
	var b strings.Builder
	b.WriteString("+OK\r\n")
	for i, m := range p.box {
		if !p.dele[i+1] {
			fmt.Fprintf(&b, "%d %s\r\n", i+1, value(m))
		}
	}
	return p.say(b.String() + ".")
}

// quit deletes, then answers: the answer may get lost.
func (p *popSession) quit() bool {
	if p.drop != nil {
		p.mu.Lock()
		var kept []*popMail
		for _, m := range p.drop.mails {
			doomed := false
			for n := range p.dele {
				doomed = doomed || p.box[n-1] == m
			}
			if doomed {
				p.drop.gone = append(p.drop.gone, string(m.body))
			} else {
				kept = append(kept, m)
			}
		}
		p.drop.mails, p.drop.locked = kept, false
		p.drop = nil
		p.mu.Unlock()
	}
	p.say("+OK bye")
	return false
}

func stuff(body []byte) []byte {
	if !bytes.HasSuffix(body, []byte("\r\n")) {
		body = append(append([]byte(nil), body...), "\r\n"...)
	}
	out := bytes.ReplaceAll(body, []byte("\n."), []byte("\n.."))
	if bytes.HasPrefix(out, []byte(".")) {
		out = append([]byte("."), out...)
	}
	return out
}
