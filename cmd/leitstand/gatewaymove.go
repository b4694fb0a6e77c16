package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/crypto/ssh"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/gateway"
	"leitstand/operation"
	"leitstand/room"
)

type gatewayMoveCmd struct {
	Table     string   `help:"Table of doors of this gateway (DIR/doors.table). The log doors.log is written beside it." required:"" type:"existingfile" placeholder:"FILE"`
	Placement []string `help:"Placements (IK/service/site) whose doors move." required:""`
	To        string   `help:"Safer position: buffer or notice." enum:"buffer,notice" default:"buffer"`
	As        string   `help:"Person who orders it (id)." required:""`
	Second    string   `help:"Second person (id)."`
	Immediate bool     `help:"Immediate danger: without a second person, who confirms later."`
	Reason    string   `help:"Why." required:""`
	Key       string   `help:"OpenSSH key (Ed25519) of --as. Needed where the room's configuration names people (gateway.people) with their keys. A passphrase is asked for." type:"existingfile" placeholder:"FILE"`
	SecondKey string   `help:"OpenSSH key of --second." type:"existingfile" placeholder:"FILE"`
	Keys      string   `help:"Directory with ledger.key, which signs the log; one is made when there is none. Default beside the table." type:"path"`
}

// Help says what the command is for.
func (gatewayMoveCmd) Help() string {
	return `For when the room or its database cannot be reached: moves doors of this gateway from
the regular system to buffer (kept, delivered later) or notice, never the other way.
The order is signed into doors.log beside the table, on disk before the command
returns; the gateway obeys within 50 ms and holds the doors. On return the room takes
the log into its ledger first and orders the same doors closed: opening them again is
then a decision of two people, as always. Where the table names people, each signs with
the own key; an order that is not signed moves no door.`
}

// Run writes the order.
func (c *gatewayMoveCmd) Run(a *app) error {
	if c.Second == c.As || c.Second == "" && !c.Immediate {
		return errors.New("two different people are needed (--as, --second), or --immediate in immediate danger")
	}
	t, err := gateway.Load(c.Table)
	if err != nil {
		return err
	}
	to, err := catalogue.ParseBehaviour(c.To)
	if err != nil {
		return err
	}
	var moves []containment.DoorMove
	for _, p := range c.Placement {
		if err := movable(t, catalogue.PlacementID(p)); err != nil {
			return err
		}
		moves = append(moves, containment.DoorMove{Placement: catalogue.PlacementID(p), To: to})
	}
	dir := filepath.Dir(c.Table)
	if c.Keys == "" {
		c.Keys = dir
	}
	sign, err := c.signing(a, t.People)
	if err != nil {
		return err
	}
	key, err := ledger.LoadKey(c.Keys)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, room.DoorsLog)
	log, err := containment.OpenLocalLog(file, key, func() time.Time { return time.Now().UTC() })
	if err != nil {
		return err
	}
	by := []string{c.As}
	if c.Second != "" {
		by = append(by, c.Second)
	}
	acts, err := log.MoveDoors(a.ctx, containment.Order{Measure: containment.NewID(), By: by, Reason: c.Reason, Sign: sign}, moves...)
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	for _, act := range acts {
		fmt.Fprintf(a.stdout, "%s: %s\n", act.Target, act.Detail)
	}
	fmt.Fprintf(a.stdout, "Protokoll: %s\nBei der Rückkehr des Raums kommt es zuerst in sein Buch (oder: leitstand driver import-log %s).\n", file, file)
	return nil
}

// signing is how the people who order it sign; nil where the table names nobody.
// Keys are looked at before anything is written.
func (c *gatewayMoveCmd) signing(a *app, people []gateway.Orderer) (func(person string, text []byte) (string, error), error) {
	if len(people) == 0 {
		return nil, nil //nolint:nilnil // no signature is asked for
	}
	signers, q := map[string]ssh.Signer{}, newAsker(a)
	for _, who := range [...][2]string{{c.As, c.Key}, {c.Second, c.SecondKey}} {
		person, file := who[0], who[1]
		if person == "" {
			continue
		}
		i := slices.IndexFunc(people, func(o gateway.Orderer) bool { return o.Person == person })
		switch {
		case i < 0:
			return nil, fmt.Errorf("%q may not move doors here: the table names no key of that person", person)
		case file == "":
			return nil, fmt.Errorf("%q signs with the own key: name it with --key and --second-key", person)
		}
		key, err := personKey(q, person, file)
		if err != nil {
			return nil, err
		}
		known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(people[i].Key)) //nolint:dogsled // that is its form
		if err != nil || !bytes.Equal(known.Marshal(), key.PublicKey().Marshal()) {
			return nil, fmt.Errorf("%q is not the key of %q that the table names", file, person)
		}
		signers[person] = key
	}
	return func(person string, text []byte) (string, error) { return containment.SignWith(signers[person], text) }, nil
}

// personKey reads somebody's private key; its passphrase is asked for.
func personKey(q *asker, person, file string) (ssh.Signer, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the key of %q: %w", person, err)
	}
	key, err := ssh.ParsePrivateKey(b)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		var pass string
		if pass, err = q.secret("Passphrase von " + person + " für " + file); err == nil {
			key, err = ssh.ParsePrivateKeyWithPassphrase(b, []byte(pass))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of %q from %q: %w", person, file, err)
	}
	return key, nil
}

// movable refuses doors that this gateway does not stand at, and those that serve nobody's regular system now.
func movable(t *gateway.Table, p catalogue.PlacementID) error {
	for _, d := range t.Doors {
		if d.Placement != p {
			continue
		}
		if !d.Row.Testers && !d.Row.Marked && !gateway.Safer(d.Row.Mode, operation.ModeBuffer) {
			return fmt.Errorf("the door of %s is at %s: nothing of the regular system passes it", p, d.Row.Answer)
		}
		return nil
	}
	return fmt.Errorf("this gateway stands at no door of %q", p)
}

type gatewayHeldCmd struct {
	Table string `arg:"" help:"Table of doors of this gateway." type:"existingfile"`
	Keys  string `help:"Directory with ledger.key. Default beside the table." type:"path"`
}

// Run lists what is held and not in the ledger yet.
func (c *gatewayHeldCmd) Run(a *app) error {
	dir := filepath.Dir(c.Table)
	public, err := publicOf(c.Keys, dir)
	if err != nil {
		return err
	}
	t, err := gateway.Load(c.Table)
	if err != nil {
		return err
	}
	_, records, err := room.LocalMoves(dir, public, t.People)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		fmt.Fprintln(a.stdout, "Keine Tür ist ohne den Raum bewegt worden.")
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "Wann\tStelle\tTür\tvon\tzweite\tGrund")
	for _, r := range records {
		second := "-"
		if len(r.Act.By) > 1 {
			second = r.Act.By[1]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", local(r.At), r.Act.Target, r.Act.Detail, r.Act.By[0], second, r.Reason)
	}
	return w.Flush()
}

func publicOf(keys, dir string) (string, error) {
	if keys == "" {
		keys = dir
	}
	key, err := ledger.LoadKey(keys)
	return key.Public, err
}

// publicOfLog is the key that signs the log; empty while there is no log.
func publicOfLog(keys, dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, room.DoorsLog)); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return publicOf(keys, dir)
}

// holdMoves makes a gateway without a room hold what people ordered in the log
// beside its table.
func holdMoves(g *gateway.Gateway, dir, keys string) error {
	public, err := publicOfLog(keys, dir)
	if err != nil || public == "" {
		if err == nil {
			g.Hold(nil)
		}
		return err
	}
	moves, _, err := room.LocalMoves(dir, public, g.People())
	if err == nil {
		g.Hold(moves)
	}
	return err
}

// followMoves calls holdMoves every 50 ms until ctx ends. When the log cannot be
// read, doors stay as they are.
func followMoves(ctx context.Context, g *gateway.Gateway, dir, keys string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		if err := holdMoves(g, dir, keys); err != nil && g.Log != nil {
			g.Log.Error("the local log of doors cannot be read; doors stay as they are", slog.Any("error", err))
		}
	}
}
