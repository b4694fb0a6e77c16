package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"leitstand/room"
)

// roomFlags say which room a command is about.
type roomFlags struct {
	Data           string   `help:"Data directory of the room." default:"room" env:"LEITSTAND_DATA" type:"path"`
	DB             string   `name:"db" help:"PostgreSQL address (postgres://…) when the room is not in SQLite files." env:"LEITSTAND_DB" placeholder:"URL"`
	Config         string   `help:"Configuration file. Default: leitstand.yaml in the data directory." env:"LEITSTAND_CONFIG" type:"path" placeholder:"FILE"`
	PassphraseFile string   `help:"File with the passphrase that unlocks the room, for acts that open bodies." env:"LEITSTAND_PASSPHRASE_FILE" type:"path" placeholder:"FILE"`
	Holder         []string `help:"File with the passphrase of one person who holds the room's shared key (several times)." sep:"none" placeholder:"PERSON=FILE"`
	JSON           bool     `name:"json" help:"Print JSON for machines."`
}

// asFlag says who acts. Reading needs nobody.
type asFlag struct {
	As string `help:"Person who acts (id)." required:"" env:"LEITSTAND_AS"`
}

// configFile is the room's configuration file.
func (f roomFlags) configFile() string {
	if f.Config != "" {
		return f.Config
	}
	return filepath.Join(f.Data, configFile)
}

// config reads the room's configuration file. A file that was named must be there.
func (f roomFlags) config() (*config, error) {
	if f.Config != "" {
		if _, err := os.Stat(f.Config); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	return readConfig(f.configFile())
}

func (f roomFlags) options(a *app) (room.Options, error) {
	conf, err := f.config()
	if err != nil {
		return room.Options{}, err
	}
	return f.optionsOf(a, conf)
}

// optionsOf is how a room is opened by a configuration; flags win.
func (f roomFlags) optionsOf(a *app, conf *config) (opt room.Options, err error) {
	opt = room.Options{
		Data: f.Data, Database: cmp.Or(f.DB, conf.Database), Doors: conf.doors(), Limits: conf.limits(), Certificates: conf.certificates(),
		Log: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if opt.Connections, err = conf.connections(); err != nil {
		return opt, err
	}
	if opt.Heartbeat, err = conf.heartbeat(); err != nil {
		return opt, err
	}
	if opt.Warning, err = conf.warning(); err != nil {
		return opt, err
	}
	if opt.Employers, err = conf.employers(); err != nil {
		return opt, err
	}
	if opt.Desks, err = conf.desks(); err != nil {
		return opt, err
	}
	if file := cmp.Or(f.PassphraseFile, conf.PassphraseFile); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return opt, fmt.Errorf("reading the passphrase: %w", err)
		}
		opt.Passphrase = bytes.TrimRight(b, "\r\n")
	}
	opt.Holders, err = readHolders(f.Holder)
	return opt, err
}

// exitRefused is the exit code of an act that a rule refused.
const exitRefused = 3

// act carries an act out in the room and prints what it gave: JSON, or what
// show makes of it (nil: a short JSON, indented).
func (f roomFlags) act(a *app, as, name string, args any, show func(raw json.RawMessage) error) error {
	raw, err := f.call(a, as, name, args)
	if err != nil {
		return err
	}
	if show != nil && !f.JSON {
		return show(raw)
	}
	return printRaw(a, raw, !f.JSON)
}

// call is act without printing.
func (f roomFlags) call(a *app, as, name string, args any) (json.RawMessage, error) {
	opt, err := f.options(a)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("encoding arguments: %w", err)
	}
	raw, err := room.Call(a.ctx, opt, room.Act{Name: name, As: as, Args: body})
	if refused, ok := errors.AsType[*room.Failure](err); ok {
		if err := json.NewEncoder(a.stdout).Encode(map[string]any{"error": refused}); err != nil {
			return nil, err
		}
		return nil, &exitError{code: exitRefused}
	}
	return raw, err
}

func printRaw(a *app, raw json.RawMessage, indent bool) error {
	var buf bytes.Buffer
	if indent {
		if err := json.Indent(&buf, raw, "", "  "); err != nil {
			return err
		}
	} else {
		buf.Write(raw)
	}
	buf.WriteByte('\n')
	_, err := buf.WriteTo(a.stdout)
	return err
}

// table prints rows of cells below a heading, aligned.
func table[T any](a *app, raw json.RawMessage, empty string, heading string, row func(T) []string) error {
	var list []T
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.stdout, empty)
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(heading, " ", "\t"))
	for _, v := range list {
		fmt.Fprintln(w, strings.Join(row(v), "\t"))
	}
	return w.Flush()
}
