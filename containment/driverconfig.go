package containment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"

	"github.com/goccy/go-yaml"
)

// DriversFile is the name of the configuration in a data directory.
const DriversFile = "drivers.yml"

// DriverConfig says how environments are taken off the network. It is read
// strictly: an unknown key is an error that names its line.
type DriverConfig struct {
	// Always are management and evidence networks. No driver cuts them off.
	Always []string `yaml:"always"`
	// Parallel is how many targets are worked on at the same time; default 16.
	Parallel int           `yaml:"parallel"`
	Probing  ProbingConfig `yaml:"probing"`
	// Evidence is secured of every environment before a step that powers off.
	Evidence     *EvidenceConfig     `yaml:"evidence"`
	Drivers      []DriverSpec        `yaml:"drivers"`
	Environments []EnvironmentConfig `yaml:"environments"`
	// Components are what several Kassen share: a directory, a backup server, a cluster.
	Components []ComponentConfig `yaml:"components"`
	// Recovery says which drivers carry out steps of the way back.
	Recovery []RecoveryConfig `yaml:"recovery"`

	dir    string
	always []netip.Prefix
}

// ProbingConfig says how effects are probed from outside.
type ProbingConfig struct {
	Timeout  time.Duration `yaml:"timeout"`  // of one attempt; default 1s
	Attempts int           `yaml:"attempts"` // until silence is believed; default 2
	Settle   time.Duration `yaml:"settle"`   // how long a cut may take to show; default 5s
	// RefusedIsDown: the firewall rejects, so that a refusal counts as unreachable.
	// Otherwise it is a host that answers, which contradicts the cut.
	RefusedIsDown bool   `yaml:"refused_is_down"`
	NetNS         string `yaml:"netns"` // network namespace to probe from; default ours
}

// EvidenceConfig is the command that takes a memory image or snapshot. What it
// writes to standard output is kept and hashed.
type EvidenceConfig struct {
	Command   []string      `yaml:"command"`   // arguments with placeholders; no shell
	Timeout   time.Duration `yaml:"timeout"`   // default 30m
	Directory string        `yaml:"directory"` // default evidence, beside this file
}

// DriverSpec is one driver: a name, and the one block that says its kind.
type DriverSpec struct {
	Name       string            `yaml:"name"`
	NFTables   *NFTablesConfig   `yaml:"nftables"`
	Exec       *ExecConfig       `yaml:"exec"`
	SSH        *SSHConfig        `yaml:"ssh"`
	Webhook    *WebhookConfig    `yaml:"webhook"`
	Kubernetes *KubernetesConfig `yaml:"kubernetes"`
	Manual     *ManualConfig     `yaml:"manual"`
	Gateway    *GatewayConfig    `yaml:"gateway"`
}

// EnvironmentConfig is one environment.
type EnvironmentConfig struct {
	ID        catalogue.EnvironmentID `yaml:"id"`
	Addresses []string                `yaml:"addresses"` // of all its systems: addresses or networks
	Steps     []StepConfig            `yaml:"steps"`
	// Last is communication or evidence for environments that go last, in that order.
	Last  string       `yaml:"last"`
	Probe ProbeTargets `yaml:"probe"`
	// Systems are the placements that can be taken off alone (stage 1).
	Systems []SystemConfig `yaml:"systems"`
}

// SystemConfig is what of an environment serves one placement.
type SystemConfig struct {
	Placement catalogue.PlacementID `yaml:"placement"`
	Addresses []string              `yaml:"addresses"`
	Probe     ProbeTargets          `yaml:"probe"`
	Last      string                `yaml:"last"` // communication or evidence; default that of the environment
}

// ProbeTargets are what must be unreachable after a cut and what must stay reachable.
type ProbeTargets struct {
	Down []string `yaml:"down"` // tcp://ADDRESS:PORT, http://…, https://…
	Up   []string `yaml:"up"`
}

// StepConfig is one driver in the order of a cut.
type StepConfig struct {
	Driver string `yaml:"driver"`
	// PowersOff: the step switches something off. It comes after a step that
	// isolates and after the evidence was secured.
	PowersOff bool              `yaml:"powers_off"`
	Params    map[string]string `yaml:"params"` // of the driver for this environment, such as namespace
}

// The classes of targets: what people talk over and what evidence rests on goes last.
const (
	lastCommunication = "communication"
	lastEvidence      = "evidence"
)

// LoadDrivers reads and checks a configuration; os.ErrNotExist when there is none.
func LoadDrivers(file string) (*DriverConfig, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the drivers: %w", err)
	}
	c, err := ParseDrivers(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	c.dir = filepath.Dir(file)
	return c, nil
}

// ParseDrivers reads and checks a configuration.
func ParseDrivers(text []byte) (*DriverConfig, error) {
	var c DriverConfig
	dec := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	c.defaults()
	return &c, c.check()
}

func (c *DriverConfig) defaults() {
	c.dir = "."
	if c.Parallel <= 0 {
		c.Parallel = 16
	}
	p := &c.Probing
	if p.Timeout <= 0 {
		p.Timeout = time.Second
	}
	if p.Attempts <= 0 {
		p.Attempts = 2
	}
	if p.Settle <= 0 {
		p.Settle = 5 * time.Second
	}
	if c.Evidence != nil && c.Evidence.Timeout <= 0 {
		c.Evidence.Timeout = 30 * time.Minute
	}
	if c.Evidence != nil && c.Evidence.Directory == "" {
		c.Evidence.Directory = "evidence"
	}
}

// plainName is what names may be made of, so that no argument can look like an option.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@/-]*$`)

func (c *DriverConfig) check() error {
	var err error
	if c.always, err = prefixes(c.Always); err != nil {
		return fmt.Errorf("always: %w", err)
	}
	if c.Evidence != nil && len(c.Evidence.Command) == 0 {
		return errors.New("evidence: a command is needed")
	}
	kinds := map[string]string{}
	for _, d := range c.Drivers {
		kind, err := d.check()
		if err != nil {
			return err
		}
		if kinds[d.Name] != "" {
			return fmt.Errorf("driver %q is there twice", d.Name)
		}
		kinds[d.Name] = kind
	}
	seen := map[string]bool{}
	for _, e := range c.Environments {
		if err := c.checkEnvironment(e, kinds, seen); err != nil {
			return fmt.Errorf("environment %q: %w", e.ID, err)
		}
	}
	if err := c.checkComponents(kinds, seen); err != nil {
		return err
	}
	for _, r := range c.Recovery {
		if err := r.check(kinds); err != nil {
			return fmt.Errorf("recovery %q of %q: %w", r.Kind, r.Subject, err)
		}
	}
	return nil
}

func (c *DriverConfig) checkEnvironment(e EnvironmentConfig, kinds map[string]string, seen map[string]bool) error {
	own, probed, err := c.checkWhole(e.whole(), kinds, seen)
	if err != nil {
		return err
	}
	for _, s := range e.Systems {
		if !plainName.MatchString(string(s.Placement)) || seen[string(s.Placement)] {
			return fmt.Errorf("system %q: a placement is needed, once", s.Placement)
		}
		seen[string(s.Placement)] = true
		part, err := prefixes(s.Addresses)
		if err != nil {
			return fmt.Errorf("system %q: %w", s.Placement, err)
		}
		for _, p := range part {
			if !slices.ContainsFunc(own, func(o netip.Prefix) bool { return o.Overlaps(p) && o.Bits() <= p.Bits() }) {
				return fmt.Errorf("system %q: %s is not among the addresses of the environment", s.Placement, p)
			}
		}
		if err := errors.Join(s.Probe.check(probed), checkLast(s.Last)); err != nil {
			return fmt.Errorf("system %q: %w", s.Placement, err)
		}
	}
	return nil
}

// wholeConfig is what environments and components have in common: something that is
// taken off as one.
type wholeConfig struct {
	id        string
	addresses []string
	steps     []StepConfig
	last      string
	probe     ProbeTargets
}

func (e EnvironmentConfig) whole() wholeConfig {
	return wholeConfig{string(e.ID), e.Addresses, e.Steps, e.Last, e.Probe}
}

// checkWhole also says which addresses it has, and whether it needs probes from outside.
func (c *DriverConfig) checkWhole(w wholeConfig, kinds map[string]string, seen map[string]bool) (own []netip.Prefix, probed bool, err error) {
	if !plainName.MatchString(w.id) || seen[w.id] || w.id == alwaysOwner {
		return nil, false, errors.New("an id of letters, digits and . _ @ / - is needed, once")
	}
	seen[w.id] = true
	if own, err = prefixes(w.addresses); err != nil {
		return nil, false, err
	}
	if err := c.clearOf(own); err != nil {
		return nil, false, err
	}
	if probed, err = w.checkSteps(c, kinds); err != nil {
		return nil, false, err
	}
	return own, probed, errors.Join(w.probe.check(probed), checkLast(w.last))
}

// clearOf refuses what holds addresses which must always stay reachable.
func (c *DriverConfig) clearOf(own []netip.Prefix) error {
	for _, p := range own {
		for _, a := range c.always {
			if a.Overlaps(p) {
				return fmt.Errorf("%s overlaps %s, which is always accepted: the cut would have a hole", p, a)
			}
		}
	}
	return nil
}

// checkSteps also says whether probes from outside are needed.
func (w wholeConfig) checkSteps(c *DriverConfig, kinds map[string]string) (probed bool, err error) {
	isolated := false
	for _, s := range w.steps {
		kind, ok := kinds[s.Driver]
		if !ok {
			return false, fmt.Errorf("driver %q is not defined", s.Driver)
		}
		for k := range s.Params {
			if k == "" || strings.ContainsAny(k, "{} ") {
				return false, fmt.Errorf("parameter %q: a plain word is needed", k)
			}
		}
		if s.PowersOff && !isolated {
			return false, fmt.Errorf("driver %q powers off before anything isolates: isolate first", s.Driver)
		}
		if s.PowersOff && c.Evidence == nil {
			return false, fmt.Errorf("driver %q powers off, but no evidence command is set: memory is lost with the power", s.Driver)
		}
		if kind == "kubernetes" && s.Params["namespace"] == "" {
			return false, fmt.Errorf("driver %q needs the parameter namespace", s.Driver)
		}
		if kind == "nftables" && len(w.addresses) == 0 {
			return false, fmt.Errorf("driver %q needs addresses", s.Driver)
		}
		isolated = isolated || !s.PowersOff
		probed = probed || kind != "gateway" && kind != "manual"
	}
	if len(w.steps) == 0 {
		return false, errors.New("no steps: name at least one driver")
	}
	return probed, nil
}

func (p ProbeTargets) check(needed bool) error {
	for _, what := range slices.Concat(p.Down, p.Up) {
		if err := checkProbe(what); err != nil {
			return err
		}
	}
	if needed && (len(p.Down) == 0 || len(p.Up) == 0) {
		return errors.New("probe: at least one address that must be unreachable (down) and one that must stay reachable (up) are needed")
	}
	return nil
}

func checkLast(word string) error {
	switch word {
	case "", lastCommunication, lastEvidence:
		return nil
	}
	return fmt.Errorf("last %q: want communication or evidence", word)
}

func prefixes(texts []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(texts))
	for _, s := range texts {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", s, err)
		}
		if p.Masked() != p || p.Addr().Is4In6() {
			return nil, fmt.Errorf("address %q: want the network's first address, such as %s", s, p.Masked())
		}
		out = append(out, p)
	}
	return out, nil
}
