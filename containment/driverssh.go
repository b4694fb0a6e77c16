package containment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSHConfig is a driver that runs commands on another machine. Every argument of
// a template is quoted as a whole, so that no value can become a command. Host
// keys are pinned; there is no learning at first sight.
type SSHConfig struct {
	Address  string   `yaml:"address"`   // host:port; an address works without DNS
	User     string   `yaml:"user"`      // on that machine
	HostKeys []string `yaml:"host_keys"` // as in authorized_keys; any other key is refused
	KeyFile  string   `yaml:"key_file"`  // private key, without passphrase
	// CertificateFile is the certificate of that key (…-cert.pub), when logins are by certificate.
	CertificateFile string        `yaml:"certificate_file"`
	Execute         []string      `yaml:"execute"` // arguments with placeholders
	Undo            []string      `yaml:"undo"`
	Probe           []string      `yaml:"probe"`      // ends with 0 when the cut is in place
	Timeout         time.Duration `yaml:"timeout"`    // of login and command together; default 30s
	MaxOutput       int64         `yaml:"max_output"` // bytes; default 64 KiB
}

type sshDriver struct {
	name   string
	c      SSHConfig
	client *ssh.ClientConfig
}

func newSSHDriver(name string, c SSHConfig, path func(string) string) (*sshDriver, error) {
	if c.Address == "" || c.User == "" || len(c.HostKeys) == 0 || c.KeyFile == "" || len(c.Execute) == 0 || len(c.Undo) == 0 || len(c.Probe) == 0 {
		return nil, errors.New("address, user, host_keys, key_file, execute, undo and probe are needed")
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.MaxOutput <= 0 {
		c.MaxOutput = 64 << 10
	}
	signer, err := readSigner(path(c.KeyFile), path(c.CertificateFile))
	if err != nil {
		return nil, err
	}
	pinned, algorithms, err := parseHostKeys(c.HostKeys)
	if err != nil {
		return nil, err
	}
	return &sshDriver{name: name, c: c, client: &ssh.ClientConfig{
		User: c.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyAlgorithms: algorithms, Timeout: c.Timeout,
		HostKeyCallback: func(host string, _ net.Addr, key ssh.PublicKey) error {
			if slices.Contains(pinned, string(key.Marshal())) {
				return nil
			}
			return fmt.Errorf("%s shows the host key %s, which is not pinned", host, ssh.FingerprintSHA256(key))
		},
	}}, nil
}

func readSigner(keyFile, certFile string) (ssh.Signer, error) {
	b, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("reading the SSH key %q: %w", keyFile, err)
	}
	if certFile == "" {
		return signer, nil
	}
	if b, err = os.ReadFile(certFile); err != nil {
		return nil, fmt.Errorf("reading the SSH certificate: %w", err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil, fmt.Errorf("reading the SSH certificate %q: %w", certFile, err)
	}
	cert, ok := public.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("%q holds a key, not a certificate", certFile)
	}
	return ssh.NewCertSigner(cert, signer)
}

func parseHostKeys(lines []string) (pinned, algorithms []string, err error) {
	for _, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, nil, fmt.Errorf("host key %q: %w", line, err)
		}
		pinned = append(pinned, string(key.Marshal()))
		if key.Type() == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			algorithms = append(algorithms, key.Type())
		}
	}
	slices.Sort(algorithms)
	return pinned, slices.Compact(algorithms), nil
}

// Name is the driver's name.
func (d *sshDriver) Name() string { return d.name }

// DryRun shows the command as the other machine's shell reads it.
func (d *sshDriver) DryRun(_ context.Context, t Target) (DryRun, error) {
	return DryRun{
		Driver: d.name, Target: t.ID,
		Words: fmt.Sprintf("Auf %s trennt ein Befehl %s ab.", d.c.Address, t.ID),
		Exact: []string{fmt.Sprintf("ssh %s@%s %s", d.c.User, d.c.Address, quoteAll(t.expandAll(d.c.Execute)))},
	}, nil
}

// Execute runs the command.
func (d *sshDriver) Execute(ctx context.Context, t Target) error { return d.run(ctx, t, d.c.Execute) }

// Undo runs the command that takes it back.
func (d *sshDriver) Undo(ctx context.Context, t Target) error { return d.run(ctx, t, d.c.Undo) }

// Probe runs the command that looks.
func (d *sshDriver) Probe(ctx context.Context, t Target) (Seen, error) {
	err := d.run(ctx, t, d.c.Probe)
	if _, ended := errors.AsType[*ssh.ExitError](err); ended {
		return Seen{Detail: err.Error()}, nil
	}
	return Seen{Held: err == nil}, err
}

func (d *sshDriver) run(ctx context.Context, t Target, template []string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, d.c.Timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", d.c.Address)
	if err != nil {
		return fmt.Errorf("reaching %s: %w", d.c.Address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends login and command alike
	defer stop()
	c, chans, reqs, err := ssh.NewClientConn(conn, d.c.Address, d.client)
	if err != nil {
		_ = conn.Close() // the login failed
		return fmt.Errorf("logging in at %s: %w", d.c.Address, err)
	}
	client := ssh.NewClient(c, chans, reqs)
	defer func() { _ = client.Close() }() // the command has ended
	session, err := client.NewSession()
	if err != nil {
		return fmt.Errorf("opening a session at %s: %w", d.c.Address, err)
	}
	out := &limited{left: d.c.MaxOutput}
	session.Stdout = out
	err = session.Run(quoteAll(t.expandAll(template)))
	if ctx.Err() != nil {
		return fmt.Errorf("the command at %s did not end within %v: %w", d.c.Address, d.c.Timeout, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("the command at %s: %w: %s", d.c.Address, err, strings.TrimSpace(out.String()))
	}
	return nil
}
