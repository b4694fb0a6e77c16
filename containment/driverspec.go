package containment

import (
	"errors"
	"fmt"
	"path/filepath"
)

// check says of which kind the driver is, or what is wrong with it.
func (s DriverSpec) check() (kind string, err error) {
	if !plainName.MatchString(s.Name) {
		return "", fmt.Errorf("driver %q: a plain name is needed", s.Name)
	}
	kinds := []string{}
	for name, set := range map[string]bool{
		"nftables": s.NFTables != nil, "exec": s.Exec != nil, "ssh": s.SSH != nil, "webhook": s.Webhook != nil,
		"kubernetes": s.Kubernetes != nil, "manual": s.Manual != nil, "gateway": s.Gateway != nil,
	} {
		if set {
			kinds = append(kinds, name)
		}
	}
	if len(kinds) != 1 {
		return "", fmt.Errorf("driver %q: want one block of nftables, exec, ssh, webhook, kubernetes, manual, gateway (an empty one is written {})", s.Name)
	}
	return kinds[0], nil
}

// build makes the driver.
func (s DriverSpec) build(c *DriverConfig, w Wiring) (Driver, error) {
	switch {
	case s.NFTables != nil:
		return newNFTDriver(s.Name, *s.NFTables)
	case s.Exec != nil:
		return newExecDriver(s.Name, *s.Exec)
	case s.SSH != nil:
		return newSSHDriver(s.Name, *s.SSH, c.path)
	case s.Webhook != nil:
		return newWebhookDriver(s.Name, *s.Webhook, c.path)
	case s.Kubernetes != nil:
		return newKubernetesDriver(s.Name, *s.Kubernetes, c.path)
	case s.Manual != nil:
		return newManualDriver(s.Name, *s.Manual, c.path, w), nil
	case s.Gateway != nil:
		return newGatewayDriver(s.Name, w, c.Probing.Settle), nil
	}
	return nil, errors.New("no kind")
}

// path is a file named in the configuration, seen from where that lies.
func (c *DriverConfig) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}
