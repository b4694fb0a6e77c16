package exercise

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// pop3Idle is how long a silent session may hold its maildrop (RFC 1939 §3: at least ten minutes).
const pop3Idle = 10 * time.Minute

// pop3MaxLine is the longest command taken (RFC 2449 §4 asks for 255 octets).
const pop3MaxLine = 512

// errHangUp ends a session without a word more.
var errHangUp = errors.New("hang up")

func (s *mailServer) servePOP3() {
	for {
		c, err := s.pop3.Accept()
		if err != nil {
			return // stopped
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			(&popSession{server: s, conn: c, r: bufio.NewReaderSize(c, pop3MaxLine), w: bufio.NewWriterSize(c, 64<<10)}).serve()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// popSession is one POP3 session (RFC 1939, CAPA and response codes of RFC 2449).
// It is in the AUTHORIZATION state while drop is nil, then in TRANSACTION.
// Message numbers and sizes are those of the moment of log-in; mails that
// arrive later are seen by the next session.
type popSession struct {
	server *mailServer
	conn   net.Conn
	r      *bufio.Reader
	w      *bufio.Writer

	user    string
	drop    *maildrop
	mails   []mail
	deleted []bool
}

func (p *popSession) serve() {
	defer func() {
		if p.drop != nil { // no QUIT: no UPDATE state, nothing is deleted (§6)
			p.drop.unlock()
		}
		_ = p.conn.Close() // the session is over either way
	}()
	p.answer("+OK Leitstand UEBUNG")
	for {
		// Answers to pipelined commands leave together (RFC 2449 §6.6).
		if p.r.Buffered() == 0 && p.w.Flush() != nil {
			return
		}
		if p.conn.SetReadDeadline(time.Now().Add(pop3Idle)) != nil {
			return
		}
		line, err := p.r.ReadSlice('\n')
		if err != nil { // also a line that is too long
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		verb = strings.ToUpper(verb)
		if p.suffer(verb) || p.do(verb, arg) != nil {
			return
		}
	}
}

// suffer applies the faults of the maildrop to a command; true cuts the connection.
func (p *popSession) suffer(verb string) bool {
	f := p.server.fault(p.user)
	linger(p.server.stopped, time.Duration(f.DelayMS)*time.Millisecond)
	if f.CutAt == "" || !strings.EqualFold(f.CutAt, verb) {
		return false
	}
	p.server.struck(p.user)
	_ = p.w.Flush() // what was answered before may still arrive
	return true
}

func (p *popSession) answer(line string) { _, _ = p.w.WriteString(line + "\r\n") } // Flush reports the error

// do answers one command; an error ends the session.
func (p *popSession) do(verb, arg string) error {
	switch verb {
	case "CAPA":
		p.answer("+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\nIMPLEMENTATION Leitstand-UEBUNG\r\n.")
		return nil
	case "QUIT":
		return p.quit()
	}
	if p.drop == nil {
		return p.authorize(verb, arg)
	}
	return p.transact(verb, arg)
}

func (p *popSession) authorize(verb, arg string) error {
	switch verb {
	case "USER":
		p.user = strings.ToLower(arg)
		p.answer("+OK") // says nothing about who exists
	case "PASS":
		p.pass(arg)
	default:
		p.answer("-ERR USER and PASS come first")
	}
	return nil
}

// pass opens the maildrop. The password is the whole rest of the line (§7).
func (p *popSession) pass(password string) {
	d := p.server.drops[p.user]
	if d == nil || subtle.ConstantTimeCompare([]byte(password), []byte(p.server.config.Password)) != 1 {
		p.answer("-ERR [AUTH] wrong user or password")
		return
	}
	mails, err := d.lock()
	if err != nil {
		p.answer("-ERR [IN-USE] another session holds this maildrop")
		return
	}
	p.drop, p.mails, p.deleted = d, mails, make([]bool, len(mails))
	p.answer("+OK maildrop locked")
}

func (p *popSession) transact(verb, arg string) error {
	switch verb {
	case "STAT":
		n, octets := p.total()
		p.answer(fmt.Sprintf("+OK %d %d", n, octets))
	case "LIST":
		p.list(arg, func(m *mail) string { return strconv.FormatInt(p.told(m), 10) })
	case "UIDL":
		p.list(arg, func(m *mail) string { return m.uid })
	case "RETR":
		return p.retr(arg, -1)
	case "TOP":
		return p.top(arg)
	case "DELE":
		if i, ok := p.number(arg); ok {
			p.deleted[i] = true
			p.answer("+OK deleted")
		}
	case "RSET":
		clear(p.deleted)
		p.answer("+OK")
	case "NOOP":
		p.answer("+OK")
	default:
		p.answer("-ERR unknown command")
	}
	return nil
}

// told is the size that the client hears: true unless a fault lies.
func (p *popSession) told(m *mail) int64 { return max(0, m.size+p.server.fault(p.user).LieBy) }

func (p *popSession) total() (n int, octets int64) {
	for i := range p.mails {
		if !p.deleted[i] {
			n++
			octets += p.told(&p.mails[i])
		}
	}
	return n, octets
}

// number reads a message number; when it is none it has answered already.
func (p *popSession) number(arg string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(arg))
	if err != nil || n < 1 || n > len(p.mails) || p.deleted[n-1] {
		p.answer("-ERR no such message")
		return 0, false
	}
	return n - 1, true
}

func (p *popSession) list(arg string, value func(*mail) string) {
	if arg != "" {
		if i, ok := p.number(arg); ok {
			p.answer(fmt.Sprintf("+OK %d %s", i+1, value(&p.mails[i])))
		}
		return
	}
	p.answer("+OK")
	for i := range p.mails {
		if !p.deleted[i] {
			p.answer(strconv.Itoa(i+1) + " " + value(&p.mails[i]))
		}
	}
	p.answer(".")
}

func (p *popSession) top(arg string) error {
	number, count, _ := strings.Cut(arg, " ")
	lines, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || lines < 0 {
		p.answer("-ERR TOP needs a message and a number of lines")
		return nil //nolint:nilerr // the client has it, the session goes on
	}
	return p.retr(number, lines)
}

// retr sends a mail, or its header and so many lines of its body.
func (p *popSession) retr(arg string, lines int) error {
	i, ok := p.number(arg)
	if !ok {
		return nil
	}
	content, err := p.drop.read(&p.mails[i])
	if err != nil {
		p.answer("-ERR [SYS/TEMP] the mail cannot be read")
		return nil //nolint:nilerr // the client has it, the session goes on
	}
	if lines >= 0 {
		content = firstLines(content, lines)
	}
	p.answer(fmt.Sprintf("+OK %d octets", p.told(&p.mails[i])))
	if cut := p.server.fault(p.user).CutAfter; cut > 0 && cut < len(content) {
		p.server.struck(p.user)
		p.stuff(content[:cut])
		_ = p.w.Flush() // the client shall get the torn mail
		return errHangUp
	}
	p.stuff(content)
	p.answer(".")
	if lines < 0 {
		p.server.retrieved.Add(1)
	}
	return nil
}

// stuff writes content with a dot before every dot that begins a line (§3).
func (p *popSession) stuff(content []byte) {
	if bytes.HasPrefix(content, []byte(".")) {
		_ = p.w.WriteByte('.') // Flush reports the error
	}
	for {
		at := bytes.Index(content, []byte("\n."))
		if at < 0 {
			_, _ = p.w.Write(content)
			return
		}
		_, _ = p.w.Write(content[:at+1])
		_ = p.w.WriteByte('.')
		content = content[at+1:]
	}
}

// firstLines is the header with its blank line and n lines of the body.
func firstLines(content []byte, n int) []byte {
	end := len(content)
	if at := bytes.Index(content, []byte("\r\n\r\n")); at >= 0 {
		end = at + 4
	}
	for ; n > 0 && end < len(content); n-- {
		at := bytes.IndexByte(content[end:], '\n')
		if at < 0 {
			return content
		}
		end += at + 1
	}
	return content[:end]
}

// quit enters the UPDATE state: now the mails marked are deleted (§6).
func (p *popSession) quit() error {
	if p.drop == nil {
		p.answer("+OK")
		_ = p.w.Flush() // the session ends either way
		return errHangUp
	}
	var gone []mail
	for i := range p.mails {
		if p.deleted[i] {
			gone = append(gone, p.mails[i])
		}
	}
	err := p.drop.remove(gone)
	p.drop.unlock()
	p.drop = nil
	if err != nil {
		p.answer("-ERR [SYS/TEMP] some deleted messages not removed")
	} else {
		p.server.deleted.Add(int64(len(gone)))
		p.answer("+OK")
	}
	_ = p.w.Flush() // likewise
	return errHangUp
}
