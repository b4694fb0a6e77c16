package channel_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"leitstand/emergency/channel"
)

// sshServer is where a folder can be reached by SFTP.
type sshServer struct {
	addr string
	user string
	dir  string
	host ssh.PublicKey
	key  ssh.Signer // logs in
}

func (s *sshServer) carrier(out, in string) *channel.SFTP {
	return &channel.SFTP{Addr: s.addr, User: s.user, Key: s.key, HostKeys: []ssh.PublicKey{s.host}, Dir: s.dir, Out: out, In: in}
}

func newSigner(t *testing.T) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	must(t, err)
	return signer, key
}

// onEachServer runs a test with OpenSSH and with a server in this process.
func onEachServer(t *testing.T, fn func(t *testing.T, s *sshServer)) {
	t.Helper()
	t.Run("OpenSSH", func(t *testing.T) { fn(t, openSSH(t)) })
	t.Run("in process", func(t *testing.T) { fn(t, inProcess(t)) })
}

// openSSH starts Debian's server on loopback, for the user who runs the tests.
func openSSH(t *testing.T) *sshServer {
	t.Helper()
	const sshd = "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		t.Skip("suite left out: no openssh-server")
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skip("suite left out: sshd needs /run/sshd: ", err)
		}
	}
	me, err := user.Current()
	must(t, err)
	dir := t.TempDir()
	s := &sshServer{user: me.Username, dir: filepath.Join(dir, "ablage")}
	var own ed25519.PrivateKey
	s.key, _ = newSigner(t)
	host, own := newSigner(t)
	s.host = host.PublicKey()
	block, err := ssh.MarshalPrivateKey(own, "")
	must(t, err)
	must(t, os.Mkdir(s.dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "host"), pem.EncodeToMemory(block), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "authorized"), ssh.MarshalAuthorizedKey(s.key.PublicKey()), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.addr = l.Addr().String()
	must(t, l.Close())
	_, port, _ := net.SplitHostPort(s.addr)
	config := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"+
		"PasswordAuthentication no\nPidFile none\nSubsystem sftp internal-sftp\n", port, filepath.Join(dir, "host"), filepath.Join(dir, "authorized"))
	must(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	var said strings.Builder
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	cmd.Stderr = &said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for range 100 {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			_ = c.Close()
			return s
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("sshd does not listen")
	return nil
}

// inProcess serves a folder with the server of pkg/sftp.
func inProcess(t *testing.T) *sshServer {
	t.Helper()
	s := &sshServer{user: "leitstand", dir: t.TempDir()}
	s.key, _ = newSigner(t)
	host, _ := newSigner(t)
	s.host = host.PublicKey()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(s.key.PublicKey().Marshal()) {
			return nil, errors.New("unknown key")
		}
		return &ssh.Permissions{}, nil
	}}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serveSFTP(conn, config) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return s
}

func serveSFTP(conn net.Conn, config *ssh.ServerConfig) {
	defer func() { _ = conn.Close() }()
	_, chans, reqs, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for c := range chans {
		ch, requests, err := c.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem", nil)
			}
		}()
		server, err := sftp.NewServer(ch)
		if err != nil {
			return
		}
		if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
			return
		}
		_ = ch.Close()
	}
}

func TestSFTPCarriesAHandoverThereAndBack(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *sshServer) {
		w := newWorld(t, 10)
		ours, theirs := s.carrier(channel.ToRegular, channel.FromRegular), s.carrier(channel.FromRegular, channel.ToRegular)
		defer ours.Close()
		defer theirs.Close()
		w.through(t, ours, theirs)
	})
}

func TestSFTPSendsNothingToAServerWithAnotherKey(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *sshServer) {
		c := s.carrier(channel.ToRegular, channel.FromRegular)
		other, _ := newSigner(t)
		c.HostKeys = []ssh.PublicKey{other.PublicKey()}
		if err := c.Put(t.Context(), "parcel-0123456789abcdef.age", []byte("x")); !errors.Is(err, channel.ErrHostKey) {
			t.Errorf("got %v", err)
		}
		c.HostKeys = nil
		if err := c.Put(t.Context(), "parcel-0123456789abcdef.age", []byte("x")); err == nil {
			t.Error("a server was trusted without any pinned key")
		}
		c.HostKeys = []ssh.PublicKey{s.host}
		c.Key, _ = newSigner(t)
		if err := c.Put(t.Context(), "parcel-0123456789abcdef.age", []byte("x")); err == nil {
			t.Error("logged in with a key that is not authorised")
		}
	})
}

func TestSFTPFilesAreThereOnlyWhenWholeAndSurviveACutConnection(t *testing.T) {
	onEachServer(t, func(t *testing.T, s *sshServer) {
		const name = "parcel-0123456789abcdef.age"
		c, there := s.carrier(channel.ToRegular, channel.FromRegular), s.carrier(channel.FromRegular, channel.ToRegular)
		defer c.Close()
		defer there.Close()
		var open []net.Conn
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			open = append(open, conn)
			return conn, err
		}
		must(t, c.Put(t.Context(), name, []byte("eins")))
		_ = open[0].Close() // the network fails between two files
		if err := c.Put(t.Context(), "list-0123456789abcdef.age", []byte("zwei")); err == nil {
			t.Error("a cut connection went unnoticed")
		}
		must(t, c.Put(t.Context(), "list-0123456789abcdef.age", []byte("zwei")))
		names, err := there.Names(t.Context())
		if err != nil || len(names) != 2 {
			t.Errorf("%q %v", names, err)
		}
		must(t, os.WriteFile(filepath.Join(s.dir, channel.ToRegular, name), []byte("ein"), 0o600)) // torn
		if _, err := there.Get(t.Context(), name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a torn file: %v", err)
		}
		must(t, os.Remove(filepath.Join(s.dir, channel.ToRegular, name+".manifest.json")))
		if names, err = there.Names(t.Context()); err != nil || len(names) != 1 {
			t.Errorf("without manifest: %q %v", names, err)
		}
	})
}
