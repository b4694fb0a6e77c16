package room

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/channel"
)

// The ways to hand over to a regular system.
const (
	ByHTTPS = "https"
	BySFTP  = "sftp"
	ByStick = "stick"
	ByKIM   = "kim"
)

// SFTPConfig is a folder on a server that both sides reach.
type SFTPConfig struct {
	Address  string   `json:"address"` // host:port
	User     string   `json:"user"`
	KeyFile  string   `json:"key_file"`  // private key, OpenSSH format, without passphrase
	HostKeys []string `json:"host_keys"` // as in authorized_keys: type and base64
	Dir      string   `json:"dir"`
}

// KIMConfig is a mailbox that sends and receives KIM mails, behind a Clientmodul.
type KIMConfig struct {
	From     string `json:"from"`
	To       string `json:"to"`
	SMTP     string `json:"smtp"` // host:port
	POP3     string `json:"pop3"`
	User     string `json:"user"`
	Password string `json:"password"`
	Plain    bool   `json:"plain,omitempty"` // without TLS; loopback only
}

// channelSet are the channels that were used, so that a connection is kept
// from one batch to the next.
type channelSet struct {
	mu   sync.Mutex
	open map[catalogue.PlacementID]emergency.Channel
}

// closeAll ends all connections. They come back when they are needed.
func (c *channelSet) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.open {
		if f, ok := ch.(*channel.Files); ok {
			if s, ok := f.Carrier.(*channel.SFTP); ok {
				s.Close()
			}
		}
	}
	c.open = nil
}

// channelOf is the way to a regular system.
func (r *Room) channelOf(t RegularConfig) (emergency.Channel, error) {
	r.channels.mu.Lock()
	defer r.channels.mu.Unlock()
	if ch, ok := r.channels.open[t.Placement]; ok {
		return ch, nil
	}
	ch, err := r.newChannel(t)
	if err != nil {
		return nil, err
	}
	if r.channels.open == nil {
		r.channels.open = map[catalogue.PlacementID]emergency.Channel{}
	}
	r.channels.open[t.Placement] = ch
	return ch, nil
}

func (r *Room) newChannel(t RegularConfig) (emergency.Channel, error) {
	switch t.Channel {
	case "", ByHTTPS:
		return &emergency.HTTPS{URL: t.URL, Token: t.Token, Client: r.client()}, nil
	case BySFTP, ByStick, ByKIM:
	default:
		return nil, fmt.Errorf("regular system of %q: channel %q is none of https, sftp, stick, kim", t.Placement, t.Channel)
	}
	keys, err := r.fileKeys(t)
	if err != nil {
		return nil, err
	}
	carrier, err := r.carrierOf(t)
	if err != nil {
		return nil, fmt.Errorf("regular system of %q: %w", t.Placement, err)
	}
	return &channel.Files{Carrier: carrier, Keys: keys}, nil
}

func (r *Room) carrierOf(t RegularConfig) (channel.Carrier, error) {
	switch t.Channel {
	case BySFTP:
		return r.sftpOf(t)
	case ByKIM:
		if t.KIM == nil {
			return nil, errors.New("channel kim needs its mailbox")
		}
		sum := sha256.Sum256([]byte(t.KIM.From + "\x00" + t.KIM.To))
		return &channel.KIM{
			From: t.KIM.From, To: t.KIM.To, Now: r.Now, Spool: filepath.Join(r.opt.Data, "kim-"+hex.EncodeToString(sum[:8])),
			Post: &channel.Mailbox{SMTP: t.KIM.SMTP, POP3: t.KIM.POP3, User: t.KIM.User, Password: t.KIM.Password, Plain: t.KIM.Plain, Dial: r.dial},
		}, nil
	}
	if t.Stick == "" {
		return nil, errors.New("channel stick needs the folder where it is mounted")
	}
	return &channel.Stick{Dir: t.Stick, Out: channel.ToRegular, In: channel.FromRegular}, nil
}

func (r *Room) sftpOf(t RegularConfig) (*channel.SFTP, error) {
	if t.SFTP == nil || len(t.SFTP.HostKeys) == 0 {
		return nil, errors.New("channel sftp needs its server, with the host keys that are pinned")
	}
	pem, err := os.ReadFile(t.SFTP.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the key for %s: %w", t.SFTP.Address, err)
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("reading the key %q: %w", t.SFTP.KeyFile, err)
	}
	c := &channel.SFTP{
		Addr: t.SFTP.Address, User: t.SFTP.User, Key: key, Dir: t.SFTP.Dir, Out: channel.ToRegular, In: channel.FromRegular, Dial: r.dial,
	}
	for _, line := range t.SFTP.HostKeys {
		k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)) //nolint:dogsled // that is its form
		if err != nil {
			return nil, fmt.Errorf("host key %.40q: %w", line, err)
		}
		c.HostKeys = append(c.HostKeys, k)
	}
	return c, nil
}

// HandoverKeys are the public halves of the keys with which this room signs and
// reads files of a handover; the regular system's side needs them.
type HandoverKeys struct {
	Recipient string `json:"recipient"` // age
	Signer    string `json:"signer"`    // Ed25519, base64
}

const handoverKeyFile = "handover.keys"

// handoverKeys reads the keys, or makes them.
func (r *Room) handoverKeys() (*age.X25519Identity, ed25519.PrivateKey, error) {
	name := filepath.Join(r.opt.Data, handoverKeyFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if b, err = newHandoverKeys(name); err != nil {
			return nil, nil, err
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the keys of handing over: %w", err)
	}
	identity, seed, ok := strings.Cut(strings.TrimSpace(string(b)), "\n")
	id, err := age.ParseX25519Identity(identity)
	raw, derr := base64.StdEncoding.DecodeString(seed)
	if err != nil || derr != nil || !ok || len(raw) != ed25519.SeedSize {
		return nil, nil, fmt.Errorf("%q does not hold the keys of handing over: restore it from backup", name)
	}
	return id, ed25519.NewKeyFromSeed(raw), nil
}

// newHandoverKeys writes the file so that two processes never use different keys.
func newHandoverKeys(name string) ([]byte, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("making the keys of handing over: %w", err)
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails, see crypto/rand
	b := []byte(id.String() + "\n" + base64.StdEncoding.EncodeToString(seed) + "\n")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing the keys of handing over: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("writing the keys of handing over: %w", err)
	}
	return b, nil
}

func handoverPublic(_ context.Context, r *Room, _ none) (HandoverKeys, error) {
	id, key, err := r.handoverKeys()
	if err != nil {
		return HandoverKeys{}, err
	}
	public, _ := key.Public().(ed25519.PublicKey)
	return HandoverKeys{Recipient: id.Recipient().String(), Signer: base64.StdEncoding.EncodeToString(public)}, nil
}

// fileKeys are the keys for files to and from one regular system.
func (r *Room) fileKeys(t RegularConfig) (channel.Keys, error) {
	other, err := age.ParseX25519Recipient(t.Recipient)
	if err != nil {
		return channel.Keys{}, fmt.Errorf("regular system of %q: recipient: %w", t.Placement, err)
	}
	id, key, err := r.handoverKeys()
	return channel.Keys{Own: id, Other: other, Sign: key, Peer: t.Key}, err
}

// client is for calls to regular systems. That of an exercise room cannot leave
// this machine, not even by a redirect or a proxy from the environment.
func (r *Room) client() *http.Client {
	c := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if r.Settings.Exercise {
		c.Transport = &http.Transport{DialContext: r.dial}
	}
	return c
}

// dial connects to a regular system; an exercise room connects to an IP of the
// loopback network only. Names are refused: their meaning is decided elsewhere.
func (r *Room) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if r.Settings.Exercise {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil || !ap.Addr().IsLoopback() {
			return nil, fmt.Errorf("address %q is not an IP of the loopback network: %w", addr, ErrExercise)
		}
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	return d.DialContext(ctx, network, addr)
}
