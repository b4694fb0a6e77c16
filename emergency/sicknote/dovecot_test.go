package sicknote_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/emergency/sicknote"
)

// dovecot starts a real POP3 server on loopback and returns its ports and the
// Maildir of the one user.
func dovecot(t *testing.T, cert, key string) (plain, overTLS, maildir string) {
	t.Helper()
	exe, err := exec.LookPath("dovecot")
	if err != nil {
		exe = "/usr/sbin/dovecot"
	}
	if _, err := os.Stat(exe); err != nil {
		t.Skip("Dovecot is not installed: suite left out")
	}
	if os.Getuid() != 0 {
		t.Skip("Dovecot needs root: suite left out")
	}
	nobody, err := user.Lookup("nobody")
	must(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	must(t, err)
	dir, err := os.MkdirTemp("", "dovecot") //nolint:usetesting // short: its sockets have paths of at most 108 bytes
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	maildir = filepath.Join(dir, "mail")
	for _, sub := range []string{"", "new", "cur", "tmp"} {
		must(t, os.MkdirAll(filepath.Join(maildir, sub), 0o755))
		must(t, os.Chown(filepath.Join(maildir, sub), uid, -1))
	}
	p1, p2 := freePort(t), freePort(t)
	must(t, os.WriteFile(filepath.Join(dir, "users"), []byte(address+":{PLAIN}pw\n"), 0o644))
	conf := filepath.Join(dir, "dovecot.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <%[4]s
ssl_key = <%[5]s
disable_plaintext_auth = no
mail_location = maildir:%[1]s/mail
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
pop3_uidl_format = %%g
passdb {
  driver = passwd-file
  args = %[1]s/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s/mail
}
service pop3-login {
  inet_listener pop3 {
    port = %[2]s
  }
  inet_listener pop3s {
    port = %[3]s
    ssl = yes
  }
}
service stats {
  process_limit = 1
}
`, dir, p1, p2, cert, key), 0o600))
	cmd := exec.Command(exe, "-F", "-c", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for range 200 {
		c, err := net.Dial("tcp", "127.0.0.1:"+p1)
		if err == nil {
			_ = c.Close()
			return "127.0.0.1:" + p1, "127.0.0.1:" + p2, maildir
		}
		time.Sleep(25 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	t.Fatalf("Dovecot does not start:\n%s", log)
	return "", "", ""
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	must(t, l.Close())
	return port
}

// putMaildir delivers a mail as a local delivery agent does.
func putMaildir(t *testing.T, maildir string, n int, mail []byte) {
	t.Helper()
	name := filepath.Join(maildir, "new", fmt.Sprintf("1700000000.M%06dP1.test", n))
	must(t, os.WriteFile(name, mail, 0o644))
	info, err := os.Stat(maildir)
	must(t, err)
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner")
	}
	must(t, os.Chown(name, int(sys.Uid), -1))
}

func maildirCount(t *testing.T, maildir string) (n int) {
	t.Helper()
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(maildir, sub))
		must(t, err)
		n += len(entries)
	}
	return n
}

func TestDovecotAsTheRealServer(t *testing.T) {
	_, pool, certFile, keyFile := certify(t)
	plain, overTLS, maildir := dovecot(t, certFile, keyFile)
	n := 0
	for name, box := range map[string]struct {
		addr     string
		security sicknote.Security
	}{
		"plain on loopback": {plain, sicknote.PlainText}, "STLS": {plain, sicknote.StartTLS}, "POP3S": {overTLS, sicknote.TLS},
	} {
		t.Run(name, func(t *testing.T) {
			stop := false
			r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) {
				m := &c.Mailboxes[0]
				m.Addr, m.Security, m.TLS = box.addr, box.security, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
				c.Hook = func(p string) error {
					if stop && p == "stored" {
						return fmt.Errorf("killed")
					}
					return nil
				}
			})
			for i := range 20 {
				n++
				raw := noteMail(t, i)
				if i%10 == 3 { // dots at the start of lines, bare line feeds as Maildir has them
					raw = append([]byte("X-Dots: yes\r\n"), raw...)
					raw = append(raw, "\r\n.\r\n..\r\n"...)
				}
				putMaildir(t, maildir, n, []byte(strings.ReplaceAll(string(raw), "\r\n", "\n")))
			}
			stop = true // killed between keeping and deleting
			if err := r.intake.PollAll(t.Context(), t0); err == nil {
				t.Fatal("no crash")
			}
			if left := maildirCount(t, maildir); left != 20 {
				t.Errorf("%d mails on the server after the crash", left)
			}
			stop = false
			r.restart(t)
			r.poll(t)
			s := r.status(t)
			if s.Accepted != 20 || s.Stored != 20 || s.Refetched == 0 || maildirCount(t, maildir) != 0 {
				t.Errorf("%+v, left %d", s, maildirCount(t, maildir))
			}
		})
	}
}
