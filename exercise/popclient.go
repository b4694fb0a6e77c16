package exercise

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// popClient fetches mail as the mail software of practices and Kassen does. It
// is written apart from the room's own poller, so that the two cannot share a
// mistake.
type popClient struct {
	conn net.Conn
	text *textproto.Reader
	raw  *bufio.Reader
}

// popStepTimeout bounds each answer of the server.
const popStepTimeout = 30 * time.Second

// errMaildropBusy says that somebody else holds the maildrop.
var errMaildropBusy = errors.New("maildrop is in use by another session")

// dialPOP3 connects and logs in.
func dialPOP3(ctx context.Context, addr, user, password string) (*popClient, error) {
	conn, err := dialLoopback(ctx, addr)
	if err != nil {
		return nil, err
	}
	raw := bufio.NewReaderSize(conn, 64<<10)
	c := &popClient{conn: conn, raw: raw, text: textproto.NewReader(raw)}
	if _, err = c.answer(); err == nil { // greeting
		_, err = c.do("USER " + user)
	}
	if err == nil {
		_, err = c.do("PASS " + password)
	}
	if err != nil {
		return nil, fmt.Errorf("logging in to maildrop %q: %w", user, errors.Join(err, conn.Close()))
	}
	return c, nil
}

func (c *popClient) do(command string) (string, error) {
	if err := c.send(command + "\r\n"); err != nil {
		return "", err
	}
	return c.answer()
}

func (c *popClient) send(commands string) error {
	if err := c.conn.SetDeadline(time.Now().Add(popStepTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, commands)
	return err
}

func (c *popClient) answer() (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(popStepTimeout)); err != nil {
		return "", err
	}
	line, err := c.text.ReadLine()
	if err != nil {
		return "", err
	}
	status, rest, _ := strings.Cut(line, " ")
	switch {
	case status == "+OK":
		return rest, nil
	case strings.HasPrefix(rest, "[IN-USE]"):
		return "", errMaildropBusy
	}
	return "", fmt.Errorf("server says %q", line)
}

// uidl lists the mails: message number to unique id.
func (c *popClient) uidl() (numbers []int, uids []string, err error) {
	if _, err := c.do("UIDL"); err != nil {
		return nil, nil, err
	}
	lines, err := c.text.ReadDotLines()
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lines {
		number, uid, _ := strings.Cut(l, " ")
		n, err := strconv.Atoi(number)
		if err != nil || uid == "" {
			return nil, nil, fmt.Errorf("server lists %q", l)
		}
		numbers, uids = append(numbers, n), append(uids, uid)
	}
	return numbers, uids, nil
}

// stat is the number of mails.
func (c *popClient) stat() (int, error) {
	line, err := c.do("STAT")
	if err != nil {
		return 0, err
	}
	count, _, _ := strings.Cut(line, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return 0, fmt.Errorf("server counts %q", line)
	}
	return n, nil
}

// retrieve gets mails 1 to n with pipelined commands (RFC 2449 §6.6) and hands
// each to take, in order. An error of take ends it.
func (c *popClient) retrieve(n int, take func(number int, content []byte) error) error {
	const window = 16
	asked := 0
	for got := 1; got <= n; got++ {
		if asked < got {
			var ask strings.Builder
			for range min(window, n-asked) {
				asked++
				fmt.Fprintf(&ask, "RETR %d\r\n", asked)
			}
			if err := c.send(ask.String()); err != nil {
				return err
			}
		}
		if _, err := c.answer(); err != nil {
			return err
		}
		content, err := c.dotted()
		if err != nil {
			return err
		}
		if err := take(got, content); err != nil {
			return err
		}
	}
	return nil
}

// dotted reads a multi-line answer and keeps its line ends as they were sent.
func (c *popClient) dotted() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(48 << 10)
	for {
		line, err := c.raw.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		if line[0] == '.' && (b.Len() == 0 || b.Bytes()[b.Len()-1] == '\n') {
			if string(line) == ".\r\n" || string(line) == ".\n" {
				return b.Bytes(), nil
			}
			line = line[1:]
		}
		b.Write(line)
	}
}

// deleteAll marks mails 1 to n as deleted, pipelined. It takes effect with quit.
func (c *popClient) deleteAll(n int) error {
	const window = 200 // both directions fit into socket buffers: nobody waits for the other for ever
	for done := 0; done < n; {
		var ask strings.Builder
		upTo := min(n, done+window)
		for i := done; i < upTo; i++ {
			fmt.Fprintf(&ask, "DELE %d\r\n", i+1)
		}
		if err := c.send(ask.String()); err != nil {
			return err
		}
		for ; done < upTo; done++ {
			if _, err := c.answer(); err != nil {
				return err
			}
		}
	}
	return nil
}

// quit ends the session; only after it deletions hold.
func (c *popClient) quit() error {
	_, err := c.do("QUIT")
	return errors.Join(err, c.conn.Close())
}

// abandon ends the session without deleting anything.
func (c *popClient) abandon() { _ = c.conn.Close() } // nothing is lost: the server keeps all mails
