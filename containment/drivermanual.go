package containment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"leitstand/pure/paper"
)

// ManualConfig is a driver for what only people can do, such as pulling a
// cable: a printed order with a field for the signature. The act stays open until
// somebody confirms it with leitstand driver confirm.
type ManualConfig struct {
	Directory string   `yaml:"directory"` // of the orders; default orders, beside this file
	Who       string   `yaml:"who"`       // who carries it out, such as "Netzbetrieb, Raum 2.14"
	Steps     []string `yaml:"steps"`     // in words, with placeholders
	UndoSteps []string `yaml:"undo_steps"`
}

type manualDriver struct {
	name     string
	c        ManualConfig
	exercise bool
}

func newManualDriver(name string, c ManualConfig, path func(string) string, w Wiring) *manualDriver {
	if c.Directory == "" {
		c.Directory = "orders"
	}
	c.Directory = path(c.Directory)
	if len(c.Steps) == 0 {
		c.Steps = []string{"Netzverbindung von {environment} trennen: {addresses}", "Nichts ausschalten. Verwaltungs- und Beweissicherungswege angeschlossen lassen."}
	}
	if len(c.UndoSteps) == 0 {
		c.UndoSteps = []string{"Netzverbindung von {environment} wieder herstellen: {addresses}"}
	}
	return &manualDriver{name, c, w.Exercise}
}

// Name is the driver's name.
func (d *manualDriver) Name() string { return d.name }

// DryRun shows the order.
func (d *manualDriver) DryRun(_ context.Context, t Target) (DryRun, error) {
	f := d.form(t, false)
	return DryRun{Driver: d.name, Target: t.ID, Words: fmt.Sprintf("Ein gedruckter Auftrag: %s trennt %s von Hand ab.", d.who(), t.ID), Exact: f.Text()}, nil
}

// Execute writes the order as text and PDF. A person does the rest.
func (d *manualDriver) Execute(_ context.Context, t Target) error { return d.print(t, false) }

// Undo writes the order to take it back.
func (d *manualDriver) Undo(_ context.Context, t Target) error { return d.print(t, true) }

// Probe knows nothing: only people and probes from outside do.
func (d *manualDriver) Probe(context.Context, Target) (Seen, error) {
	return Seen{Held: true, Detail: "carried out by hand, as confirmed"}, nil
}

func (d *manualDriver) who() string {
	if d.c.Who == "" {
		return "der Betrieb vor Ort"
	}
	return d.c.Who
}

func (d *manualDriver) form(t Target, back bool) paper.Form {
	what := "Umgebung"
	if t.Component != "" {
		what = "Komponente"
	}
	title, steps := "Auftrag: Netz trennen", d.c.Steps
	if back {
		title, steps = "Auftrag: Netz wieder verbinden", d.c.UndoSteps
	}
	f := paper.Form{
		Title: title, Exercise: d.exercise,
		Facts: [][2]string{
			{"Auftrag", t.Act},
			{"Maßnahme", t.Measure},
			{what, t.owner()},
			{"Ziel", t.ID},
			{"Ausführung", d.who()},
			{"Adressen", t.addressList(", ")},
		},
		Steps:  t.expandAll(steps),
		Fields: []string{"Ausgeführt am, um", "Name", "Unterschrift", "Abweichungen"},
		Foot:   "Rückmeldung im Leitstand: leitstand driver confirm " + t.Act + " --as PERSON",
	}
	for _, a := range t.Always {
		f.Notes = append(f.Notes, "Bleibt erreichbar (Verwaltung, Beweissicherung): "+addressText(a))
	}
	return f
}

func (d *manualDriver) print(t Target, back bool) error {
	if err := os.MkdirAll(d.c.Directory, 0o700); err != nil {
		return fmt.Errorf("making the directory of orders: %w", err)
	}
	f := d.form(t, back)
	var pdf bytes.Buffer
	if err := f.PDF(&pdf); err != nil {
		return fmt.Errorf("printing order %q: %w", t.Act, err)
	}
	base := filepath.Join(d.c.Directory, t.Act)
	err := errors.Join(
		writeDurable(base+".txt", []byte(strings.Join(f.Text(), "\n")+"\n")),
		writeDurable(base+".pdf", pdf.Bytes()),
	)
	if err != nil {
		return err
	}
	return fmt.Errorf("order %s: %w", base+".pdf", ErrWaiting)
}

// writeDurable writes a new file whole or not at all.
func writeDurable(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}
