package containment

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"leitstand/catalogue"
)

// RecoveryConfig says which driver carries out which steps of the way back, such
// as changing the credentials of a component. Only programs, commands and
// webhooks do: the other kinds know nothing but taking off. What no entry names
// people do by hand. Placeholders are those of a cut; {target} is what the step is
// about, {measure} the step's id.
type RecoveryConfig struct {
	Kind    string            `yaml:"kind"`    // of the step: secure, rotate, build …
	Subject string            `yaml:"subject"` // pattern as of a file name: "*@munich", "109900019/*"; * is not /
	Driver  string            `yaml:"driver"`
	Params  map[string]string `yaml:"params"`
}

// stepping are the kinds of drivers that can do something else than taking off.
var stepping = [...]string{"exec", "ssh", "webhook"}

func (c RecoveryConfig) check(kinds map[string]string) error {
	kind, ok := kinds[c.Driver]
	switch {
	case !ok:
		return fmt.Errorf("driver %q is not defined", c.Driver)
	case !slices.Contains(stepping[:], kind):
		return fmt.Errorf("driver %q is of kind %s: steps are carried out by %v; what people do needs no entry", c.Driver, kind, stepping)
	case c.Kind == "" || c.Subject == "":
		return errors.New("kind and subject are needed")
	}
	if _, err := path.Match(c.Subject, ""); err != nil {
		return fmt.Errorf("subject %q: %w", c.Subject, err)
	}
	return nil
}

// Steps lists which driver carries out which steps.
func (d *Drivers) Steps() []RecoveryConfig { return d.config.Recovery }

// ForStep finds the driver of a step: the first entry that fits. The target holds
// the addresses of the step's environment, where the configuration knows it.
func (d *Drivers) ForStep(kind, subject, step string, env catalogue.EnvironmentID) (Driver, Target, bool) {
	for _, c := range d.config.Recovery {
		if ok, err := path.Match(c.Subject, subject); c.Kind != kind || err != nil || !ok {
			continue
		}
		t := Target{ID: subject, Environment: env, Params: c.Params, Measure: step, Always: d.config.always}
		if p, err := d.target(string(env)); err == nil {
			t.Addresses = p.Addresses
		}
		return d.byName[c.Driver], t, true
	}
	return nil, Target{}, false
}
