package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SFTP is a folder on a server that both sides reach (SSH file transfer). Only
// host keys that are pinned are accepted, and only keys log in.
type SFTP struct {
	Addr     string // host:port
	User     string
	Key      ssh.Signer
	HostKeys []ssh.PublicKey
	Dir      string // on the server
	Out, In  string
	// Dial connects; nil is the network. An exercise room dials loopback only.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex
	client *sftp.Client // guarded by mu; nil until needed and after a failure
	conn   *ssh.Client
}

// sftpTimeout bounds one file, log-in included.
const sftpTimeout = 2 * time.Minute

// Name names the channel and its target.
func (s *SFTP) Name() string { return "sftp " + s.User + "@" + s.Addr }

// ErrHostKey says that a server showed a key that is not pinned.
var ErrHostKey = errors.New("the server's host key is not one of those pinned: nothing was sent")

// with runs fn on the connection, which is made when there is none and dropped
// after any failure.
func (s *SFTP) with(ctx context.Context, fn func(c *sftp.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, sftpTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		if err := s.connect(ctx); err != nil {
			return err
		}
	}
	conn := s.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // unblocks what waits for the server
	err := fn(s.client)
	stop()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.drop()
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// drop is called with the lock held.
func (s *SFTP) drop() {
	if s.client != nil {
		_ = s.client.Close() // it failed already
		_ = s.conn.Close()
	}
	s.client, s.conn = nil, nil
}

// Close ends the connection.
func (s *SFTP) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// connect is called with the lock held.
func (s *SFTP) connect(ctx context.Context) error {
	dial := s.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	conn, err := dial(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", s.Name(), err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // of the handshake; a connection without deadlines is closed by ctx
	}
	c, chans, reqs, err := ssh.NewClientConn(conn, s.Addr, s.config())
	if err != nil {
		return errors.Join(fmt.Errorf("logging in to %s: %w", s.Name(), err), ignoreClosed(conn.Close()))
	}
	_ = conn.SetDeadline(time.Time{})
	s.conn = ssh.NewClient(c, chans, reqs)
	if s.client, err = sftp.NewClient(s.conn); err != nil {
		err = errors.Join(fmt.Errorf("opening %s: %w", s.Name(), err), s.conn.Close())
		s.conn = nil
		return err
	}
	for _, folder := range []string{s.Out, s.In} {
		if err := s.client.MkdirAll(path.Join(s.Dir, folder)); err != nil {
			s.drop()
			return fmt.Errorf("making %q on %s: %w", folder, s.Name(), err)
		}
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *SFTP) config() *ssh.ClientConfig {
	var algorithms []string
	for _, k := range s.HostKeys { // ask the server for the key that is pinned, not for another
		switch k.Type() {
		case ssh.KeyAlgoRSA:
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			algorithms = append(algorithms, k.Type())
		}
	}
	return &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.Key)}, HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if slices.ContainsFunc(s.HostKeys, func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), key.Marshal()) }) {
				return nil
			}
			return fmt.Errorf("%s: %w", ssh.FingerprintSHA256(key), ErrHostKey)
		},
	}
}

func (s *SFTP) path(folder, name string) string { return path.Join(s.Dir, folder, name) }

// Put writes a file under another name, renames it, then writes its manifest.
func (s *SFTP) Put(ctx context.Context, name string, content []byte) error {
	m, err := manifestOf(name, content)
	if err != nil {
		return err
	}
	return s.with(ctx, func(c *sftp.Client) error {
		if _, err := c.Stat(s.path(s.Out, name+manifestSuffix)); err == nil {
			return nil
		}
		if err := s.write(c, name, content); err != nil {
			return err
		}
		return s.write(c, name+manifestSuffix, m)
	})
}

func (s *SFTP) write(c *sftp.Client, name string, content []byte) error {
	tmp := s.path(s.Out, name+".tmp")
	f, err := c.Create(tmp)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.ReadFrom(bytes.NewReader(content))
	if err == nil {
		if _, can := c.HasExtension("fsync@openssh.com"); can {
			err = f.Sync()
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = c.PosixRename(tmp, s.path(s.Out, name))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// Get reads a file that came.
func (s *SFTP) Get(ctx context.Context, name string) (content []byte, err error) {
	err = s.with(ctx, func(c *sftp.Client) error {
		m, err := s.read(c, name+manifestSuffix)
		if err != nil {
			return err
		}
		if content, err = s.read(c, name); err != nil {
			return err
		}
		return checkManifest(m, name, content)
	})
	return content, err
}

func (s *SFTP) read(c *sftp.Client, name string) ([]byte, error) {
	f, err := c.Open(s.path(s.In, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	b, err := readBounded(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b, nil
}

// Names lists what came.
func (s *SFTP) Names(ctx context.Context) (names []string, err error) {
	err = s.with(ctx, func(c *sftp.Client) error {
		entries, err := c.ReadDir(path.Join(s.Dir, s.In))
		if err != nil {
			return fmt.Errorf("listing %s: %w", s.Name(), err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return nil
	})
	return wholeNames(names), err
}

// Forget removes a file that came and one that was put.
func (s *SFTP) Forget(ctx context.Context, came, put string) error {
	return s.with(ctx, func(c *sftp.Client) error {
		for folder, name := range map[string]string{s.In: came, s.Out: put} {
			if name == "" {
				continue
			}
			for _, n := range []string{name + manifestSuffix, name} {
				if err := c.Remove(s.path(folder, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("removing %s: %w", n, err)
				}
			}
		}
		return nil
	})
}
