package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Note is a text that every node of a place in PostgreSQL reads, such as who may write;
// it lies beside who leads. "" when there is none, and always in files.
func (p Place) Note(ctx context.Context, name string) (text string, err error) {
	if p.url == "" {
		return "", nil
	}
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return "", fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var there bool
	if err := conn.QueryRow(ctx, `select exists(select 1 from pg_tables where schemaname = $1 and tablename = 'note')`, p.dir+"lead").Scan(&there); err != nil || !there {
		return "", err
	}
	err = conn.QueryRow(ctx, `select text from `+p.notes()+` where name = $1`, name).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return text, err
}

// PutNote replaces a note; in files it does nothing.
func (p Place) PutNote(ctx context.Context, name, text string) (err error) {
	if p.url == "" {
		return nil
	}
	cfg, err := pgx.ParseConfig(p.url)
	if err != nil {
		return fmt.Errorf("reading the address of the database: %w", err)
	}
	if err := createSchema(ctx, cfg, p.dir+"lead"); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, `create table if not exists `+p.notes()+` (name text primary key, text text not null)`); err != nil {
		return fmt.Errorf("noting %q for all nodes: %w", name, err)
	}
	if _, err := conn.Exec(ctx, `insert into `+p.notes()+` (name, text) values ($1, $2) on conflict (name) do update set text = excluded.text`, name, text); err != nil {
		return fmt.Errorf("noting %q for all nodes: %w", name, err)
	}
	return nil
}

func (p Place) notes() string { return pgx.Identifier{p.dir + "lead", "note"}.Sanitize() }
