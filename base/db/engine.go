package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// engine is the little in which SQLite and PostgreSQL differ.
type engine interface {
	// lockStore keeps writers of other processes out until the transaction ends.
	lockStore(ctx context.Context, tx *Tx, store string) error
	// snapshot are the options of a transaction that reads one consistent state.
	snapshot() *sql.TxOptions
	// hasTable counts the tables with the name $1: 0 or 1.
	hasTable() string
	// tables lists the store's tables in the order in which they were made; columns
	// those of table $1, and whether each is a boolean.
	tables() string
	columns() string
	// explain adds what to do to errors that a person can do something about.
	explain(err error) error
}

// ErrDiskFull says that the disk holding the store has no room: nothing was
// stored, and it goes on by itself when there is room.
var ErrDiskFull = errors.New("disk is full: make room, then it goes on")

// ErrDisk says that the disk did not take or give what it was asked for.
var ErrDisk = errors.New("the disk is full or failing: make room, check it, then start again")

// ErrCannotOpen says that SQLite could not open or make a file of the store.
var ErrCannotOpen = errors.New("store cannot be opened: check permissions, and whether the disk is full")

// ErrReadOnly says that the store's disk or file cannot be written.
var ErrReadOnly = errors.New("store is read-only: check mount and permissions")

// ErrDamaged says that the store's file is not what was written.
var ErrDamaged = errors.New("store is damaged: stop, keep the file as evidence, restore from backup")

type sqliteEngine struct{}

// lockStore has nothing to do: "begin immediate" has locked the file.
func (sqliteEngine) lockStore(context.Context, *Tx, string) error { return nil }

// snapshot needs no options: a reading transaction in WAL mode sees one state.
func (sqliteEngine) snapshot() *sql.TxOptions { return nil }

func (sqliteEngine) hasTable() string {
	return `select count(*) from sqlite_schema where type = 'table' and name = $1`
}

func (sqliteEngine) tables() string {
	return `select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by rowid`
}

func (sqliteEngine) columns() string {
	return `select name, lower(type) = 'boolean' from pragma_table_info($1) order by cid`
}

func (sqliteEngine) explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() { // SQLite's shared memory lies in a file, too
	case sqlite3.SQLITE_IOERR_SHMSIZE:
		return fmt.Errorf("%w (%w)", ErrDiskFull, err)
	case sqlite3.SQLITE_IOERR_IN_PAGE, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMOPEN:
		return fmt.Errorf("%w (%w)", ErrDisk, err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w (%w)", ErrDiskFull, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w (%w)", ErrCannotOpen, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w (%w)", ErrReadOnly, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return err
}

func sqliteDSN(file, txlock string) string {
	return "file:" + (&url.URL{Path: file}).EscapedPath() +
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
		"&_pragma=busy_timeout(10000)&_txlock=" + txlock
}
