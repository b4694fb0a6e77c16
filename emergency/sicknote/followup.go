package sicknote

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// followSchema is added to [Schema]. sicknote_told says which sick notes an answer
// rests on; sicknote_report keeps what the Kasse reports by itself until the
// employer has fetched it.
const followSchema = `
	alter table sicknote_request add column answer text not null default '';
	create table sicknote_told (
		request text not null,
		number  bigint not null,
		primary key (request, number)
	);
	create index sicknote_told_number on sicknote_told (number);
	create table sicknote_report (
		id       text primary key,
		employer text not null,
		request  text not null,
		made     bigint not null,
		code     bigint not null,
		cancels  text not null,
		fetched  bigint not null,
		position bigint not null,
		body     text not null
	);
	create index sicknote_report_employer on sicknote_report (employer, fetched, position);
`

// reportRow is sicknote_report, also as the ledger keeps it: without the answer.
type reportRow struct {
	ID       string `json:"-"` // Datensatz_ID of the answer
	Employer string `json:"employer"`
	Request  string `json:"request"`
	Made     int64  `json:"made"`
	Code     Code   `json:"code"`
	Cancels  string `json:"cancels,omitempty"`
	Fetched  int64  `json:"fetched"` // 0 while it waits

	body string
}

func (r *reportRow) row() ledger.Row {
	return ledger.Row{Table: "sicknote_report", Key: r.ID, Value: *r}
}

const reportQuery = `select id, employer, request, made, code, cancels, fetched, body from sicknote_report `

func scanReport(rows *sql.Rows) (*reportRow, error) {
	r := &reportRow{}
	err := rows.Scan(&r.ID, &r.Employer, &r.Request, &r.Made, &r.Code, &r.Cancels, &r.Fetched, &r.body)
	return r, err
}

// deposit puts an answer where its employer fetches it.
func deposit(ctx context.Context, tx *db.Tx, employer, request string, a Answer, now time.Time) (ledger.Row, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return ledger.Row{}, fmt.Errorf("encoding the answer %q: %w", a.ID, err)
	}
	r := &reportRow{ID: a.ID, Employer: employer, Request: request, Made: db.Micro(now), Code: a.Code, Cancels: a.Cancels, body: string(body)}
	_, err = tx.Exec(ctx, `insert into sicknote_report (id, employer, request, made, code, cancels, fetched, position, body)
		select $1, $2, $3, $4, $5, $6, 0, coalesce(max(position), 0) + 1, $7 from sicknote_report`,
		r.ID, r.Employer, r.Request, r.Made, int64(r.Code), r.Cancels, r.body)
	return r.row(), err
}

// FollowUps reports to employers what they were not told or told wrongly: after
// code 4 for 14 days and after code 7 for 28 days the sick note that has come
// meanwhile; and when a sick note was cancelled, that the answer which rests on it
// is taken back, and what holds instead. Each is made once and waits in
// [Intake.Reports].
func (in *Intake) FollowUps(ctx context.Context, k catalogue.KasseID, now time.Time) ([]Answer, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	waiting, err := db.Collect(ctx, j.Store(), scanRequest, requestQuery+`where expires > $1
			and exists (select 1 from sicknote_leave l where l.person = sicknote_request.person and l.state = 'valid')
		or code = 2 and id in (select t.request from sicknote_told t join sicknote_leave l on l.number = t.number where l.state = 'cancelled')
		order by asked, id`, db.Micro(now))
	if err != nil {
		return nil, fmt.Errorf("reading what employers of Kasse %s wait for: %w", k, err)
	}
	var out []Answer
	for _, r := range waiting {
		made, err := followUp(ctx, j, r, now)
		if err != nil {
			return out, err
		}
		out = append(out, made...)
	}
	return out, nil
}

func followUp(ctx context.Context, j *emergency.Journal, r *requestRow, now time.Time) (made []Answer, err error) {
	leaves, err := leavesOf(ctx, j.Store(), r.Person)
	if err != nil {
		return nil, err
	}
	a, used := answer(r, leaves, false, now)
	a.FollowsUp = true
	wrong := r.Code == CodeUnfit // it is here because what it rests on was cancelled
	if a.Code != CodeUnfit && !wrong {
		return nil, nil
	}
	if wrong {
		taken := a
		taken.ID, taken.Proofs, taken.Cancels, taken.Code = newUUID(), nil, r.Answer, r.Code
		made = append(made, taken)
	}
	made = append(made, a)
	err = j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var last string
		if err := tx.QueryRow(ctx, `select answer from sicknote_request where id = $1`, r.ID).Scan(&last); err != nil {
			return err
		}
		if last != r.Answer { // somebody else was faster
			made = nil
			return nil
		}
		var rows []ledger.Row
		for _, m := range made {
			row, err := deposit(ctx, tx, r.Employer, r.ID, m, now)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return r.put(ctx, tx, "employer.followed_up", a, used, now, rows...)
	})
	if err != nil {
		return nil, fmt.Errorf("recording the follow-up to request %q: %w", r.ID, err)
	}
	return made, nil
}

// Report is an answer that the Kasse gave by itself.
type Report struct {
	Employer string `json:"betriebsnummer"`
	Answer   Answer `json:"rueckmeldung"`
}

// Reports are those that their employer has not fetched yet, oldest first; an empty
// employer means all.
func (in *Intake) Reports(ctx context.Context, k catalogue.KasseID, employer string, limit int) ([]Report, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	rows, err := db.Collect(ctx, j.Store(), scanReport, reportQuery+`where fetched = 0 and ($1 = '' or employer = $1) order by position limit $2`, employer, limit)
	if err != nil {
		return nil, fmt.Errorf("reading reports to employers of Kasse %s: %w", k, err)
	}
	out := make([]Report, len(rows))
	for i, r := range rows {
		out[i].Employer = r.Employer
		if err := json.Unmarshal([]byte(r.body), &out[i].Answer); err != nil {
			return nil, fmt.Errorf("reading report %q: %w", r.ID, err)
		}
	}
	return out, nil
}

// ErrNoReport says that no report with that id waits for that employer.
var ErrNoReport = errors.New("no such report")

// Fetched takes reports off that their employer has; an empty employer means that
// somebody delivers them by other means.
func (in *Intake) Fetched(ctx context.Context, k catalogue.KasseID, employer string, ids []string, act Act) error {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return err
	}
	return j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := fence(ctx, j, tx, act.Right); err != nil {
			return err
		}
		var rows []ledger.Row
		for _, id := range ids {
			found, err := db.Collect(ctx, tx, scanReport, reportQuery+`where id = $1 and fetched = 0 and ($2 = '' or employer = $2)`, id, employer)
			if err != nil {
				return fmt.Errorf("reading report %q: %w", id, err)
			}
			if len(found) == 0 {
				return fmt.Errorf("report %q: %w", id, ErrNoReport)
			}
			r := found[0]
			r.Fetched = db.Micro(act.At)
			if _, err := tx.Exec(ctx, `update sicknote_report set fetched = $2, body = '' where id = $1`, id, r.Fetched); err != nil {
				return fmt.Errorf("taking report %q off: %w", id, err)
			}
			rows = append(rows, r.row())
		}
		if len(rows) == 0 {
			return nil
		}
		_, err := ledger.Append(ctx, tx, ledger.Entry{At: act.At, Actor: act.Actor, Kind: "employer.fetched", Subject: employer, Reason: act.Reason, Rows: rows})
		return err
	})
}
