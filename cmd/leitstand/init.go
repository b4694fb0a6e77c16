package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/room"
)

type initCmd struct {
	roomFlags
	Name      string `help:"Name of the room." default:"Leitstand"`
	Example   bool   `help:"A practice room with fictitious tenants and people, marked ÜBUNG for life."`
	Case      string `help:"A practice room of a public case." enum:",2023" default:""`
	Catalogue string `help:"Catalogue to import (file or directory), for a real room." type:"path"`
	People    string `help:"People as JSON list {id,name,roles,kasse}, for a real room. In a room that exists they are added or changed." type:"existingfile"`
	Mailboxes string `help:"Mailboxes to add to the configuration: CSV with the heading kasse,placement,address,pop3,security,user,password_file,smtp." type:"existingfile" placeholder:"FILE"`
	TestAlarm bool   `help:"Raise a test alarm at the end."`
	Guided    bool   `help:"Ask for everything that no flag answers, line by line on standard input. In a terminal without flags this goes without saying."`
	As        string `help:"Who changes a room that exists. Default: the first person of the crisis lead." env:"LEITSTAND_AS"`
	Seed      uint64 `help:"Seed of generated values of practice rooms." default:"2023"`
}

// Run makes a room, or continues and changes one. It never removes anything.
func (c *initCmd) Run(a *app) error {
	if c.guided(a) {
		return c.guide(a)
	}
	exists := room.Exists(c.Data)
	switch {
	case exists && (c.Example || c.Case != "" || c.Catalogue != ""):
		return fmt.Errorf("%q: %w", c.Data, room.ErrExists)
	case exists && c.People == "" && c.Mailboxes == "" && !c.TestAlarm:
		return fmt.Errorf("%q: %w: say what to change (--people, --mailboxes, --test-alarm, or --guided)", c.Data, room.ErrExists)
	case !exists:
		opt, err := c.options(a)
		if err != nil {
			return err
		}
		s, err := c.setup(opt)
		if err != nil {
			return err
		}
		if err := c.make(a, opt, s); err != nil {
			return err
		}
	}
	if err := c.change(a, exists); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Weiter mit:\n  leitstand serve --data %s\n", c.Data)
	return nil
}

// guided says whether a person is to be asked.
func (c *initCmd) guided(a *app) bool {
	if c.Guided {
		return true
	}
	f, ok := a.stdin.(*os.File)
	flags := c.Example || c.Case != "" || c.Catalogue != "" || c.People != "" || c.Mailboxes != "" || c.TestAlarm
	return ok && !flags && term.IsTerminal(int(f.Fd()))
}

// make makes the room.
func (c *initCmd) make(a *app, opt room.Options, s room.Setup) error {
	r, err := room.Init(a.ctx, opt, s)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // everything is durable
	fmt.Fprintf(a.stdout, "Raum „%s“ in %s: %d Kassen, %d Dienste, %d Stellen, %d Personen.\n",
		s.Name, c.Data, len(s.Catalogue.Kassen), len(s.Catalogue.Services), len(s.Catalogue.Placements), len(s.People))
	fmt.Fprintf(a.stdout, "Öffentlicher Schlüssel des Buchs (aufschreiben oder bei Zeugen hinterlegen):\n  %s\n", r.Public())
	return nil
}

// change does what the flags ask of a room that is there.
func (c *initCmd) change(a *app, existed bool) error {
	if existed && c.People != "" {
		people, err := readPeople(c.People)
		if err != nil {
			return err
		}
		for _, p := range people {
			if err := c.put(a, p); err != nil {
				return err
			}
		}
		fmt.Fprintf(a.stdout, "%d Personen eingetragen oder geändert.\n", len(people))
	}
	if c.Mailboxes != "" {
		boxes, err := readMailboxes(c.Mailboxes)
		if err != nil {
			return err
		}
		if err := c.addMailboxes(a, boxes); err != nil {
			return err
		}
	}
	if c.TestAlarm {
		return c.alarm(a)
	}
	return nil
}

// put stores a person in a room that is there, through the process that serves it if there is one.
func (c *initCmd) put(a *app, p access.Person) error {
	as, err := c.actor(a)
	if err != nil {
		return err
	}
	_, err = c.call(a, as, "person.put", p)
	return err
}

// actor is who changes the room.
func (c *initCmd) actor(a *app) (string, error) {
	if c.As != "" {
		return c.As, nil
	}
	people, err := c.people(a)
	if err != nil {
		return "", err
	}
	for _, p := range people {
		if p.Active && p.Has(access.CrisisLead) {
			c.As = p.ID
			return p.ID, nil
		}
	}
	return "", errors.New("nobody in this room has the role crisis_lead: only such a person may change it")
}

func (c *initCmd) people(a *app) ([]access.Person, error) {
	raw, err := c.call(a, "", "person.list", nil)
	if err != nil {
		return nil, err
	}
	var people []access.Person
	return people, json.Unmarshal(raw, &people)
}

// alarm raises the test alarm.
func (c *initCmd) alarm(a *app) error {
	as, err := c.actor(a)
	if err != nil {
		return err
	}
	raw, err := c.call(a, as, "alarm.test", map[string]string{"note": "Einrichtung"})
	if err != nil {
		return err
	}
	return sayAlarm(a, raw)
}

func (c *initCmd) setup(opt room.Options) (room.Setup, error) {
	s := room.Setup{Name: c.Name, Passphrase: opt.Passphrase}
	switch {
	case c.Example || c.Case != "":
		s.Exercise, s.Owner = true, "operator"
		s.Catalogue = catalogue.Example(c.Seed)
		if c.Case != "" {
			s.Catalogue = catalogue.Case2023(c.Seed)
		}
		var ids []catalogue.KasseID
		for _, k := range s.Catalogue.Kassen {
			ids = append(ids, k.ID)
		}
		s.People = room.PracticePeople(ids...)
		return s, nil
	case c.Catalogue == "" || c.People == "":
		return s, errors.New("a real room needs --catalogue and --people (or answer questions with --guided, or try --example)")
	}
	var err error
	if s.Catalogue, err = importCatalogue(c.Catalogue); err != nil {
		return s, err
	}
	if s.People, err = readPeople(c.People); err != nil {
		return s, err
	}
	if len(s.People) > 0 {
		s.Owner = s.People[0].ID
	}
	return s, nil
}

func importCatalogue(path string) (*catalogue.Catalogue, error) {
	files, err := catalogueFiles([]string{path})
	if err != nil {
		return nil, err
	}
	return catalogue.Import(files...)
}

func readPeople(file string) ([]access.Person, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading people: %w", err)
	}
	return room.ParsePeople(b)
}

// writeConfig replaces the configuration file in one step; nobody else may read it.
func writeConfig(file string, content []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, content) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".leitstand-*.yaml")
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the old file is as it was
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}
