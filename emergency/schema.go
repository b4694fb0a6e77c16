package emergency

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// Schema is the journal's part of a Kasse's store.
//
// journal_item never changes, journal_standing does; journal_body goes when
// retention ends. content and key_hash are hashes under the index key.
var Schema = db.Migrations{Package: "emergency", Steps: []string{`
	create table journal_meta (name text primary key, value bytea not null);
	create table journal_key (
		seq     bigint primary key,
		id      text not null unique,
		public  bytea not null,
		wrapped bytea not null,
		at      bigint not null
	);
	create table journal_book (
		placement text primary key,
		state     text not null,
		epoch     bigint not null
	);
	create table journal_item (
		number     bigint primary key,
		id         text not null unique,
		key_hash   text not null unique,
		content    text not null,
		epoch      bigint not null,
		received   bigint not null,
		source     text not null,
		media      text not null,
		size       bigint not null,
		commitment text not null,
		sealed     text not null
	);
	create table journal_body (number bigint primary key, sealed bytea not null);
	create table journal_standing (
		number    bigint primary key,
		placement text not null,
		kind      text not null,
		state     text not null,
		result    text not null,
		reason    text not null,
		owner     text not null,
		deadline  bigint not null,
		batch     text not null,
		of_number bigint not null,
		position  bigint not null,
		subject   text not null,
		amount    bigint not null
	);
	create index journal_standing_state on journal_standing (placement, state, kind, result);
	create index journal_standing_position on journal_standing (position);
	create index journal_standing_batch on journal_standing (batch);
`, `
	create table journal_batch (
		id        text primary key,
		placement text not null,
		channel   text not null,
		state     text not null,
		items     bigint not null,
		made      bigint not null,
		attempts  bigint not null,
		holder    text not null,
		lease     bigint not null,
		next      bigint not null,
		error     text not null,
		receipt   bytea not null
	);
	create index journal_batch_state on journal_batch (placement, state);
	create table journal_note (
		number bigint not null,
		at     bigint not null,
		sealed bytea not null,
		primary key (number, at)
	);
	create table journal_erased (number bigint primary key, at bigint not null);
`, `
	alter table journal_item add column basis text not null default '';
	create table journal_conflict (
		number     bigint primary key,
		at         bigint not null,
		decision   text not null,
		decided_by text not null,
		decided    bigint not null
	);
	create table journal_theirs (number bigint primary key, sealed bytea not null);
	create table journal_asked (placement text primary key, question bytea not null);
`, `
	create index journal_standing_ready on journal_standing (placement, state, position);
`, `
	alter table journal_standing add column settled bigint not null default 0;
	alter table journal_batch add column took bigint not null default 0;
`, `
	-- journal_standing_ready serves the same questions. From here on bodies may be
	-- sealed together, which an older program cannot open: it refuses this step.
	drop index journal_standing_state;
`}}

// itemRow is journal_item as the ledger keeps it.
type itemRow struct {
	ID         string `json:"id"`
	KeyHash    string `json:"key"`
	Content    string `json:"content"`
	Epoch      int64  `json:"epoch"`
	Received   int64  `json:"received"`
	Source     string `json:"source"`
	Media      string `json:"media"`
	Size       int64  `json:"size"`
	Commitment string `json:"commitment"`
	Sealed     string `json:"sealed"` // SHA-256 of the envelope
	Basis      string `json:"basis,omitempty"`
}

// standingRow is journal_standing as the ledger keeps it; what is empty is left out.
type standingRow struct {
	Placement string `json:"placement"`
	Kind      string `json:"kind"`
	State     string `json:"state"`
	Result    string `json:"result,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Owner     string `json:"owner,omitempty"`
	Deadline  int64  `json:"deadline,omitempty"`
	Batch     string `json:"batch,omitempty"`
	Of        int64  `json:"of,omitempty"`
	Position  int64  `json:"position,omitempty"`
	Amount    int64  `json:"amount,omitempty"`
	Settled   int64  `json:"settled,omitempty"`
}

func (s Standing) row() ledger.Row {
	return ledger.Row{Table: "journal_standing", Key: strconv.FormatInt(int64(s.Number), 10), Value: standingRow{
		Placement: string(s.Placement), Kind: string(s.Kind), State: string(s.State), Result: string(s.Result),
		Reason: s.Reason, Owner: s.Owner, Deadline: db.Micro(s.Deadline), Batch: s.Batch, Of: int64(s.Of),
		Position: s.Position, Amount: s.Amount, Settled: db.Micro(s.Settled),
	}}
}

const standingColumns = `number, placement, kind, state, result, reason, owner, deadline, batch, of_number, position, subject, amount, settled`

func scanStanding(r *sql.Rows) (Standing, error) {
	var s Standing
	var deadline, settled int64
	err := r.Scan(&s.Number, &s.Placement, &s.Kind, &s.State, &s.Result, &s.Reason, &s.Owner, &deadline,
		&s.Batch, &s.Of, &s.Position, &s.Subject, &s.Amount, &settled)
	s.Deadline, s.Settled = db.Time(deadline), db.Time(settled)
	return s, err
}

// putStandings writes standings as they are now.
func putStandings(ctx context.Context, tx *db.Tx, standings []Standing) error {
	rows := make([][]any, 0, len(standings))
	for _, s := range standings {
		rows = append(rows, []any{
			int64(s.Number), string(s.Placement), string(s.Kind), string(s.State), string(s.Result), s.Reason, s.Owner,
			db.Micro(s.Deadline), s.Batch, int64(s.Of), s.Position, s.Subject, s.Amount, db.Micro(s.Settled),
		})
	}
	return insertMany(ctx, tx, `insert into journal_standing (`+standingColumns+`)`, rows,
		`on conflict (number) do update set placement = excluded.placement, kind = excluded.kind, state = excluded.state,
			result = excluded.result, reason = excluded.reason, owner = excluded.owner, deadline = excluded.deadline,
			batch = excluded.batch, of_number = excluded.of_number, position = excluded.position,
			subject = excluded.subject, amount = excluded.amount, settled = excluded.settled`)
}

// insertMany inserts rows with few statements: on PostgreSQL each statement is a
// journey to the server. All rows have the same number of columns.
func insertMany(ctx context.Context, tx *db.Tx, into string, rows [][]any, tail string) error {
	const most = 250 // parameters: SQLite looks each of them up among all others
	for len(rows) > 0 {
		n := min(len(rows), max(1, most/len(rows[0])))
		var b strings.Builder
		b.WriteString(into)
		b.WriteString(" values ")
		args := make([]any, 0, n*len(rows[0]))
		for i, row := range rows[:n] {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteByte('(')
			for k, v := range row {
				if k > 0 {
					b.WriteString(", ")
				}
				args = append(args, v)
				b.WriteByte('$')
				b.WriteString(strconv.Itoa(len(args)))
			}
			b.WriteByte(')')
		}
		b.WriteByte(' ')
		b.WriteString(tail)
		if _, err := tx.Exec(ctx, b.String(), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// inList writes "$from, $from+1, …" for n values.
func inList(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}

// chunks calls fn with at most 500 values at a time, fewer than any engine's
// limit of parameters.
func chunks[T any](values []T, fn func([]T) error) error {
	const most = 500
	for len(values) > 0 {
		n := min(len(values), most)
		if err := fn(values[:n]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// loadStandings reads the standings of items, in order of their numbers.
func loadStandings(ctx context.Context, q db.Querier, numbers []Number) ([]Standing, error) {
	out := make([]Standing, 0, len(numbers))
	err := chunks(numbers, func(part []Number) error {
		where, args := numberIs("number", 1, part)
		got, err := db.Collect(ctx, q, scanStanding,
			`select `+standingColumns+` from journal_standing where `+where+` order by number`, args...)
		out = append(out, got...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading items: %w", err)
	}
	return out, nil
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{
		conflictKeeper(),
		{Table: "journal_item", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
			return db.Collect(ctx, q, func(r *sql.Rows) (ledger.Row, error) {
				var n int64
				var v itemRow
				err := r.Scan(&n, &v.ID, &v.KeyHash, &v.Content, &v.Epoch, &v.Received, &v.Source, &v.Media, &v.Size, &v.Commitment, &v.Sealed, &v.Basis)
				return v.row(n), err
			}, `select number, id, key_hash, content, epoch, received, source, media, size, commitment, sealed, basis from journal_item`)
		}},
		ledger.KeepQuery("journal_standing", Standing.row, scanStanding, `select `+standingColumns+` from journal_standing`),
		ledger.KeepQuery("journal_book", Book.row, scanBook, bookQuery),
		{Table: "journal_erased", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
			return db.Collect(ctx, q, func(r *sql.Rows) (ledger.Row, error) {
				var n, at int64
				err := r.Scan(&n, &at)
				return erasedRow(n, at), err
			}, `select number, at from journal_erased`)
		}},
	}
}

func erasedRow(n, at int64) ledger.Row {
	return ledger.Row{Table: "journal_erased", Key: strconv.FormatInt(n, 10), Value: at}
}

func (v itemRow) row(n int64) ledger.Row {
	return ledger.Row{Table: "journal_item", Key: strconv.FormatInt(n, 10), Value: v}
}

func (b Book) row() ledger.Row {
	return ledger.Row{Table: "journal_book", Key: string(b.Placement), Value: b}
}

// KasseOf reads the Kasse out of a store's name.
func KasseOf(store string) (catalogue.KasseID, bool) {
	ik, ok := strings.CutPrefix(store, storePrefix)
	return catalogue.KasseID(ik), ok && ik != ""
}

const storePrefix = "kasse_"

// StoreOf names the store of a Kasse's journal, which is also the name of its ledger.
func StoreOf(k catalogue.KasseID) string { return storePrefix + string(k) }
