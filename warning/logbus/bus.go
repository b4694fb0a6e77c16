package logbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says where the bus is and who we are there.
type Config struct {
	URL    string // nats://host:4222 or tls://…, several with commas
	Prefix string // of streams and subjects; default leitstand
	Creds  string // file with credentials
	Token  string // instead of credentials
	CA     string // PEM file: the bus must show a certificate of it, or be it
	Cert   string // PEM files of a client certificate
	Key    string
}

// Setup are the settings of a bus that all its workers share.
type Setup struct {
	Partitions int           `json:"partitions"` // of logs and of groups; never changed later
	Replicas   int           `json:"replicas"`   // copies of every stream
	Keep       time.Duration `json:"keep"`       // logs; observations are kept as long
	MaxBytes   int64         `json:"max_bytes"`  // of logs waiting; 0: no limit. When it is full senders are refused
	Late       time.Duration `json:"late"`       // how much events of one partition may be out of order
}

const (
	defaultPrefix = "leitstand"
	maxPartitions = 256
	keepHits      = 30 * 24 * time.Hour
	sameHit       = 10 * time.Minute // within it the bus itself drops a hit that comes again
)

// Errors that a person decides on.
var (
	ErrNotSetUp = errors.New("the bus is not set up: leitstand bus setup makes its streams")
	ErrSetUp    = errors.New("the bus is set up otherwise; the number of partitions cannot be changed")
)

// Bus is a connection.
type Bus struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	prefix string
}

var prefixForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}$`)

// Connect reaches the bus. patient: it is tried again for as long as it takes, now and after a loss.
func Connect(c Config, patient bool) (*Bus, error) {
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	where, err := c.check()
	if err != nil {
		return nil, err
	}
	opts := []nats.Option{nats.Name("leitstand"), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second), nats.RetryOnFailedConnect(patient)}
	if c.Creds != "" {
		opts = append(opts, nats.UserCredentials(c.Creds))
	}
	if c.Token != "" {
		opts = append(opts, nats.Token(c.Token))
	}
	if c.CA != "" {
		opts = append(opts, nats.RootCAs(c.CA))
	}
	if c.Cert != "" {
		opts = append(opts, nats.ClientCert(c.Cert, c.Key))
	}
	nc, err := nats.Connect(c.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("reaching the log bus %s: %w", where, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("reaching the log bus %s: %w", where, err)
	}
	return &Bus{nc: nc, js: js, prefix: c.Prefix}, nil
}

// ErrInClear says that a secret would cross a network where others can read it.
var ErrInClear = errors.New("the secret for the log bus would go over the network in clear: use tls://, or name the bus's ca")

// check says what is wrong before anything is sent, and returns where the bus is
// without secrets, which an address may hold.
func (c Config) check() (where string, err error) {
	if !prefixForm.MatchString(c.Prefix) {
		return "", fmt.Errorf("prefix %q of the bus: small letters, digits, - and _", c.Prefix)
	}
	if (c.Cert == "") != (c.Key == "") {
		return "", errors.New("a certificate for the log bus needs cert and key")
	}
	var places []string
	for i, address := range strings.Split(c.URL, ",") {
		if address = strings.TrimSpace(address); !strings.Contains(address, "://") {
			address = "nats://" + address
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return "", fmt.Errorf("address %d of the log bus is not readable: want nats://host:4222 or tls://host:4222", i+1) // what it says may be secret
		}
		secret := c.Token != "" || c.Creds != "" || u.User != nil
		hidden := u.Scheme == "tls" || u.Scheme == "wss" || c.CA != "" || c.Cert != ""
		if ip := net.ParseIP(u.Hostname()); secret && !hidden && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "", fmt.Errorf("%s: %w", u.Host, ErrInClear)
		}
		places = append(places, u.Scheme+"://"+u.Host)
	}
	return strings.Join(places, ","), nil
}

// Close gives the connection up.
func (b *Bus) Close() { b.nc.Close() }

// stream names a stream: LOG, OBS, HIT, STATE.
func (b *Bus) stream(kind string) string { return strings.ToUpper(b.prefix) + "_" + kind }

func (b *Bus) bucket() string { return b.prefix + "-work" }

// subject is where something of a kind and partition is sent.
func (b *Bus) subject(kind string, partition int) string {
	return b.prefix + "." + kind + "." + strconv.Itoa(partition)
}

func (b *Bus) hits() string { return b.prefix + ".hit" }

const setupKey = "setup"

// Make makes streams and notes the settings. Made again with the same ones it changes nothing.
func (b *Bus) Make(ctx context.Context, s Setup) error {
	if err := s.check(); err != nil {
		return err
	}
	// No AllowDirect: a copy that lags behind would answer that a hit or a memory is
	// not there, and it would be taken for lost.
	file := jetstream.FileStorage
	for _, c := range []jetstream.StreamConfig{
		{Name: b.stream("LOG"), Subjects: []string{b.prefix + ".log.*"}, MaxAge: s.Keep, MaxBytes: max(s.MaxBytes, 0), Discard: jetstream.DiscardNew, Description: "log events, by partition"},
		{Name: b.stream("OBS"), Subjects: []string{b.prefix + ".obs.*"}, MaxAge: s.Keep, Description: "what events mean for correlations, by partition"},
		{Name: b.stream("HIT"), Subjects: []string{b.hits()}, MaxAge: keepHits, Duplicates: sameHit, Description: "what rules and correlations found"},
		{Name: b.stream("STATE"), Subjects: []string{b.prefix + ".state.*"}, Description: "memory of correlations"},
	} {
		c.Storage, c.Replicas = file, s.Replicas
		if c.MaxBytes == 0 {
			c.MaxBytes = -1
		}
		if _, err := b.js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("making stream %s: %w", c.Name, err)
		}
	}
	kv, err := b.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: b.bucket(), Replicas: s.Replicas, History: 1, Storage: file, Description: "who works on what"})
	if err != nil {
		return fmt.Errorf("making bucket %s: %w", b.bucket(), err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the settings of the bus: %w", err)
	}
	_, err = kv.Create(ctx, setupKey, text)
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return err
	}
	have, _, err := b.load(ctx)
	switch {
	case err != nil:
		return err
	case have.Partitions != s.Partitions:
		return fmt.Errorf("%w: it has %d, not %d", ErrSetUp, have.Partitions, s.Partitions)
	case have != s:
		if _, err := kv.Put(ctx, setupKey, text); err != nil {
			return fmt.Errorf("noting the settings of the bus: %w", err)
		}
	}
	return nil
}

func (s Setup) check() error {
	switch {
	case s.Partitions < 1 || s.Partitions > maxPartitions:
		return fmt.Errorf("%d partitions: from 1 to %d", s.Partitions, maxPartitions)
	case s.Replicas < 1 || s.Replicas > 5:
		return fmt.Errorf("%d replicas: from 1 to 5", s.Replicas)
	case s.Keep < time.Hour:
		return fmt.Errorf("keep %s: an hour or more, and longer than any timespan of correlations", s.Keep)
	case s.Late < 0 || s.Late > time.Hour:
		return fmt.Errorf("late %s: from 0 to an hour", s.Late)
	}
	return nil
}

// load reads the settings.
func (b *Bus) load(ctx context.Context) (Setup, jetstream.KeyValue, error) {
	kv, err := b.js.KeyValue(ctx, b.bucket())
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return Setup{}, nil, ErrNotSetUp
	}
	if err != nil {
		return Setup{}, nil, fmt.Errorf("reading the settings of the bus: %w", err)
	}
	entry, err := kv.Get(ctx, setupKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Setup{}, nil, ErrNotSetUp
	}
	if err != nil {
		return Setup{}, nil, fmt.Errorf("reading the settings of the bus: %w", err)
	}
	var s Setup
	if err := json.Unmarshal(entry.Value(), &s); err != nil {
		return Setup{}, nil, fmt.Errorf("reading the settings of the bus: %w", err)
	}
	return s, kv, s.check()
}
