package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
)

// upgradePrefix begins the names of the copies that are made before a migration.
const upgradePrefix = "before-upgrade-"

// ErrUpgradeWaits says that a room cannot be upgraded now because another node leads it.
var ErrUpgradeWaits = errors.New("the room is older than this program, and another node leads it: it is upgraded by the node that leads it next (leitstand serve); until then use the program of that node")

// journalMigrations are those of every Kasse's store.
func journalMigrations() []db.Migrations {
	return append([]db.Migrations{ledger.Schema, emergency.Schema}, journalServices()...)
}

// journalServices are the emergency services that keep rows in a Kasse's store.
func journalServices() []db.Migrations { return []db.Migrations{sicknote.Schema} }

func migrationsOf(store string) []db.Migrations {
	if store == "room" {
		return migrations()
	}
	return journalMigrations()
}

// Upgraded is what opening a room with a newer program changed.
type Upgraded struct {
	Backup string               `json:"backup"` // directory made before it, beside the room
	Stores map[string][]db.Step `json:"stores"`
}

// upgrade compares all stores with this program before any of them is opened.
// When one is newer, nothing is touched. When one is older, the whole room is
// copied first, as it is, into a directory of its own in the data directory: a
// backup like every other, which the older program restores. nil when nothing is
// to be done. A store that cannot be read keeps a room from being upgraded; else it
// is left to whoever opens it.
func (r *Room) upgrade(ctx context.Context, place db.Place) (*Upgraded, error) {
	all, broken, err := place.Versions(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("looking at the versions of the stores: %w", err)
	}
	if err := broken["room"]; err != nil {
		return nil, fmt.Errorf("nothing was changed: %w", err)
	}
	out := &Upgraded{Stores: map[string][]db.Step{}}
	maps.DeleteFunc(all, func(name string, _ db.Versions) bool { // what belongs to no package, such as who leads
		return name != "room" && !strings.HasPrefix(name, emergency.StoreOf(""))
	})
	for name, have := range all {
		ms := migrationsOf(name)
		if err := have.Newer(ms...); err != nil {
			return nil, fmt.Errorf("store %q: %w", name, err)
		}
		if missing := have.Missing(ms...); len(missing) > 0 && len(have) > 0 {
			out.Stores[name] = missing
		}
	}
	if len(out.Stores) == 0 || r.opt.restored {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(broken)) {
		if strings.HasPrefix(name, emergency.StoreOf("")) {
			return nil, fmt.Errorf("the room is older than this program and cannot be upgraded: nothing was changed, the older program can go on; restore this store first: %w", broken[name])
		}
	}
	return out, r.copyBefore(ctx, place, slices.Sorted(maps.Keys(all)), out)
}

// copyBefore makes the backup. On PostgreSQL nobody else may lead the room meanwhile.
func (r *Room) copyBefore(ctx context.Context, place db.Place, stores []string, out *Upgraded) error {
	if r.opt.Guard == nil && r.opt.Database != "" {
		release, err := place.Alone(ctx)
		if errors.Is(err, db.ErrNotLeading) {
			return ErrUpgradeWaits
		}
		if err != nil {
			return err
		}
		r.alone = release
	}
	if done, err := r.copiedBefore(ctx, place, stores); err != nil || done != "" {
		out.Backup = done
		return err
	}
	out.Backup = upgradePrefix + r.Now().Format("20060102T150405.000")
	final := filepath.Join(r.opt.Data, out.Backup)
	half := final + partialSuffix
	if err := newDir(half); err != nil {
		return err
	}
	r.opt.Log.Warn("the room is older than this program: a backup is made first", slog.String("backup", final))
	if err := r.copyUnopened(ctx, place, half, stores); err != nil {
		return errors.Join(fmt.Errorf("making the backup before the upgrade: nothing was changed, the older program can go on: %w", err), os.RemoveAll(half))
	}
	return moveDir(half, final)
}

// copiedBefore names the backup of an upgrade that was interrupted, when it holds every
// entry that there is: on a disk that is full, or a service that starts again and again,
// each try would take as much room as the room itself otherwise. "" when there is none.
func (r *Room) copiedBefore(ctx context.Context, place db.Place, stores []string) (string, error) {
	found, err := UpgradeBackups(r.opt.Data)
	if err != nil || len(found) == 0 {
		return "", err
	}
	newest := found[len(found)-1]
	m, err := ReadBackup(newest)
	if err != nil {
		return "", nil //nolint:nilerr // it is not whole, which is no reason not to make another one
	}
	heads := map[string]SignedHead{}
	for _, h := range m.Heads {
		heads[h.Ledger] = h
	}
	for _, name := range stores {
		d, err := place.Look(ctx, name, migrationsOf(name)...)
		if err != nil {
			return "", err
		}
		h, ok, err := ledger.Newest(ctx, d, r.key.Public)
		if err = errors.Join(err, d.Close()); err != nil {
			return "", err
		}
		if had, copied := heads[name]; !ok || !copied || had.Size != h.Size || had.Root != h.Root.String() {
			return "", nil
		}
	}
	r.opt.Log.Warn("the backup of the upgrade that was interrupted holds everything", slog.String("backup", newest))
	return filepath.Base(newest), nil
}

// copyUnopened is copyRoom for a room that is not open: stores as they are, the
// room's last, and all key files. It lies beside the stores and is as open as they are.
func (r *Room) copyUnopened(ctx context.Context, place db.Place, dir string, stores []string) error {
	m := Manifest{Room: r.Settings.Name, Made: r.Now(), Public: r.key.Public}
	// The room's store is the newest: what it believes of a journal is in the copy of the journal.
	stores = append(slices.DeleteFunc(slices.Clone(stores), func(s string) bool { return s == "room" }), "room")
	for _, name := range stores {
		d, err := place.Look(ctx, name, migrationsOf(name)...)
		if err == nil {
			err = errors.Join(copyStore(ctx, &m, dir, d, r.key.Public, r.opt.Data, nil), d.Close())
		}
		if err != nil {
			return err
		}
	}
	if err := r.copyKeys(&m, dir, Recipients{}); err != nil {
		return err
	}
	return m.write(dir)
}

// upgraded migrates the journals, which are opened one by one otherwise, and enters
// in the ledger what was done. A machine that may not write upgrades its own copy only.
func (r *Room) upgraded(ctx context.Context, u *Upgraded) error {
	if u == nil {
		return nil
	}
	if r.alone != nil {
		defer func() { _ = r.alone() }() // the server gives the lead to the next, whatever this says
	}
	for _, name := range slices.Sorted(maps.Keys(u.Stores)) {
		if k, ok := emergency.KasseOf(name); ok {
			if _, err := r.Journals.Open(ctx, k); err != nil {
				return r.interrupted(u, err)
			}
		}
	}
	err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{At: r.Now(), Actor: ledger.System, Kind: "room.upgraded", Subject: "room", Data: u})
		return err
	})
	if errors.Is(err, ErrFenced) {
		return nil
	}
	return err
}

// interrupted says what to do when an upgrade came to an end half-way.
func (r *Room) interrupted(u *Upgraded, err error) error {
	if u == nil {
		return err
	}
	return fmt.Errorf("the upgrade was interrupted: start again when the cause is gone, then it goes on; nothing is lost, and the backup made before is %s: %w", filepath.Join(r.opt.Data, u.Backup), err)
}

// UpgradeBackups names the backups that were made before migrations, oldest first.
func UpgradeBackups(data string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(data, upgradePrefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("looking for backups from before upgrades: %w", err)
	}
	found = slices.DeleteFunc(found, func(f string) bool { return strings.HasSuffix(f, partialSuffix) })
	slices.Sort(found)
	return found, nil
}

// write finishes a backup: without its manifest a directory is none.
func (m Manifest) write(dir string) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	if _, err := writeDurable(filepath.Join(dir, manifestFile), append(b, '\n'), nil); err != nil {
		return fmt.Errorf("finishing the backup: %w", err)
	}
	return nil
}

// lookUpgrade warns for a while that the way back of an upgrade takes room.
func (r *Room) lookUpgrade(_ context.Context, c *Checkup) error {
	found, err := UpgradeBackups(r.opt.Data)
	if err != nil || len(found) == 0 {
		return err
	}
	newest := found[len(found)-1]
	st, err := os.Stat(newest)
	if err != nil {
		return fmt.Errorf("looking at %q: %w", newest, err)
	}
	const keep = 14 * 24 * time.Hour
	c.add("Sicherung vor Umstellung", grade(false, c.At.Sub(st.ModTime()) > keep), "Wird der Rückweg nicht mehr gebraucht: auf ein anderes Medium verschieben oder löschen, sie ist nicht versiegelt.",
		"%d, zuletzt %s", len(found), filepath.Base(newest))
	return nil
}
