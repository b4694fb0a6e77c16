package room

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"leitstand/base/db"
)

// ErrPassword keeps passwords out of what is put on record.
var ErrPassword = errors.New("the address of the first machine's database holds a password, and is put on record: leave it out, and give it to the room's process in PGPASSWORD or a .pgpass file")

// ownFirst makes sure that nobody works in the data directory of a first machine, nor
// any node in its schemas, until release is called.
func (r *Room) ownFirst(ctx context.Context, a compareArgs) (p db.Place, release func() error, err error) {
	settings, err := readSettings(a.From)
	if err != nil {
		return p, nil, err
	}
	if db.HasPassword(a.Database) {
		return p, nil, ErrPassword
	}
	opt := Options{Data: a.From}
	if a.Database != "" || settings.Engine == db.InPostgres("x", "").Engine() {
		if opt.Database = cmp.Or(a.Database, r.opt.Database); opt.Database == "" {
			return p, nil, fmt.Errorf("the rows of the room in %q lie in PostgreSQL: say where with --first-db postgres://…", a.From)
		}
	}
	if err := settings.fits(opt); err != nil {
		return p, nil, err
	}
	unlock, err := db.LockDir(a.From)
	if err != nil {
		return p, nil, err
	}
	p = place(opt, settings)
	alone, err := p.Alone(ctx)
	if errors.Is(err, db.ErrNotLeading) {
		err = fmt.Errorf("a node still serves the first machine's room: stop it first: %w", err)
	}
	if err == nil {
		if err = mustHold(ctx, p); err != nil {
			err = errors.Join(err, alone())
		}
	}
	if err != nil {
		return p, nil, errors.Join(err, unlock())
	}
	return p, func() error { return errors.Join(alone(), unlock()) }, nil
}
