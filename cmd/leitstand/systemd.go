package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"
)

//go:embed leitstand.service.tmpl
var unitTemplate string

type systemdCmd struct {
	Data       string   `help:"Data directory of the room on that machine." default:"/var/lib/leitstand/room"`
	User       string   `help:"User that the room runs as; make it with: useradd --system --home /var/lib/leitstand leitstand." default:"leitstand"`
	Program    string   `help:"Where the program lies." default:"/usr/local/bin/leitstand"`
	Passphrase string   `help:"File with the passphrase, readable by root alone: systemd hands it over (LoadCredential). Without it the room starts locked." placeholder:"FILE"`
	Drivers    bool     `help:"Allow measures to change the packet filter of this machine (nftables driver): CAP_NET_ADMIN and netlink, nothing else."`
	Also       []string `help:"Further directory that the room writes to, such as the second place or that of the heartbeat (several times)." placeholder:"DIR"`
	Output     string   `short:"o" help:"File to write, such as /etc/systemd/system/leitstand.service. Default: standard output." type:"path" placeholder:"FILE"`
}

// Run prints the unit.
func (c *systemdCmd) Run(a *app) error {
	for name, v := range map[string]string{"--data": c.Data, "--user": c.User, "--program": c.Program, "--passphrase": c.Passphrase} {
		if strings.ContainsAny(v, " \t\n%\"'\\$") {
			return fmt.Errorf("%s %q: a unit takes no spaces, quotes, percent or dollar signs here", name, v)
		}
	}
	for _, dir := range c.Also {
		if !strings.HasPrefix(dir, "/") || strings.ContainsAny(dir, " \t\n%\"'\\$") {
			return fmt.Errorf("--also %q: named from the root, without spaces, quotes, percent or dollar signs", dir)
		}
	}
	if !strings.HasPrefix(c.Data, "/") || !strings.HasPrefix(c.Program, "/") {
		return errors.New("--data and --program are named from the root: systemd knows no working directory")
	}
	t, err := template.New("unit").Parse(unitTemplate)
	if err != nil {
		return fmt.Errorf("reading the unit's template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, c); err != nil {
		return fmt.Errorf("making the unit: %w", err)
	}
	if c.Output == "" {
		_, err := b.WriteTo(a.stdout)
		return err
	}
	if err := os.WriteFile(c.Output, b.Bytes(), 0o644); err != nil { //nolint:gosec // units are read by all
		return fmt.Errorf("writing the unit: %w", err)
	}
	fmt.Fprintf(a.stdout, "%s\nThen: systemctl daemon-reload && systemctl enable --now leitstand\n", c.Output)
	return nil
}
