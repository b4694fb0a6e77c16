package sicknote

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/eau"
)

// Request is an employer's question whether somebody was certified unfit for work
// (Anforderung_eAU_AG, § 109 SGB IV), reduced to what the answer needs.
type Request struct {
	ID       string            `json:"datensatz_id"`
	Employer string            `json:"betriebsnummer"` // eight digits
	Kasse    catalogue.KasseID `json:"kasse"`
	Insured  string            `json:"versichertennummer"`
	From     string            `json:"abwesenheit_ab"` // YYYY-MM-DD

	// Right is that of the door at which the request came; nil where there was none.
	Right *emergency.Right `json:"-"`
}

// Code is the Kennzeichen of an answer, as of 1.1.2025.
type Code int

// The codes. Emergency operation gives 2, 4 and 7 only: it knows sick notes and
// nothing of hospitals or of who is insured where, so it never says "unknown".
const (
	CodeUnknown      Code = iota + 1 // unzuständig oder unbekannt
	CodeUnfit                        // Arbeitsunfähigkeit
	CodeHospital                     // Krankenhaus
	CodeNotYet                       // Nachweis liegt nicht vor; the Kasse reports for 14 days
	CodeReha                         // Reha, Vorsorge
	CodePartHospital                 // teilstationär
	CodeInDoubt                      // in Prüfung; the Kasse reports for 28 days
	CodeOther                        // anderer Nachweis liegt vor
	CodeForwarded                    // Weiterleitungsverfahren
)

// follow is how long the Kasse reports by itself after an interim answer.
func (c Code) follow() time.Duration {
	const day = 24 * time.Hour
	switch c {
	case CodeNotYet:
		return 14 * day
	case CodeInDoubt:
		return 28 * day
	case CodeUnknown, CodeUnfit, CodeHospital, CodeReha, CodePartHospital, CodeOther, CodeForwarded:
	}
	return 0
}

// Answer is what an employer gets. There is no field for diagnosis or doctor.
type Answer struct {
	ID        string    `json:"datensatz_id"`
	Reference string    `json:"referenz_id"` // Datensatz_ID of the request
	At        time.Time `json:"erstellt"`
	Code      Code      `json:"kennzeichen"`
	Proofs    []Proof   `json:"nachweise,omitempty"`
	FollowsUp bool      `json:"folgemeldung,omitempty"` // sent by itself after an interim answer
	Cancels   string    `json:"storno_von,omitempty"`   // takes back the answer with this datensatz_id; what holds now follows in another
}

// Proof is one certified period.
type Proof struct {
	Since          string `json:"au_seit,omitempty"`
	Until          string `json:"au_bis"`
	Determined     string `json:"festgestellt_am,omitempty"`
	FollowUp       bool   `json:"folgebescheinigung"`
	WorkAccident   bool   `json:"arbeitsunfall"`
	OtherAccident  bool   `json:"sonstiger_unfall"`
	AccidentDoctor bool   `json:"d_arzt"`
}

// ErrRequest says that a request lacks something or contradicts itself.
var ErrRequest = errors.New("request is not valid")

func (r *Request) check() error {
	switch {
	case r.ID == "" || len(r.ID) > 64:
		return fmt.Errorf("datensatz_id is missing or too long: %w", ErrRequest)
	case r.Insured == "" || len(r.Insured) > 32:
		return fmt.Errorf("versichertennummer is missing or too long: %w", ErrRequest)
	case strings.Contains(r.Employer, "/"):
		return fmt.Errorf("betriebsnummer is none: %w", ErrRequest)
	case !isDate(r.From):
		return fmt.Errorf("abwesenheit_ab is no date: %w", ErrRequest)
	}
	return nil
}

// Answer answers a request from the index of sick notes and puts request and code
// on record. The same request again gets the answer of today. A request from a door
// is answered only while the emergency path has the right to write
// (emergency.ErrNotOpen, emergency.ErrEpoch).
func (in *Intake) Answer(ctx context.Context, r Request, now time.Time) (Answer, error) {
	if err := r.check(); err != nil {
		return Answer{}, err
	}
	j, err := in.config.Journals.Open(ctx, r.Kasse)
	if err != nil {
		return Answer{}, err
	}
	row := &requestRow{ID: r.Employer + "/" + r.ID, Employer: r.Employer, Person: j.Index("person", r.Insured), From: r.From, Asked: db.Micro(now)}
	leaves, err := leavesOf(ctx, j.Store(), row.Person)
	if err != nil {
		return Answer{}, err
	}
	doubt, err := in.doubt(ctx, j, r.From)
	if err != nil {
		return Answer{}, err
	}
	a, used := answer(row, leaves, doubt, now)
	err = j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := fence(ctx, j, tx, r.Right); err != nil {
			return err
		}
		return row.put(ctx, tx, "employer.answered", a, used, now)
	})
	if err != nil {
		return Answer{}, fmt.Errorf("recording the answer to request %q: %w", r.ID, err)
	}
	return a, nil
}

// fence refuses a write that came through a door which does not stand for the
// present right to write any more.
func fence(ctx context.Context, j *emergency.Journal, tx *db.Tx, r *emergency.Right) error {
	if r == nil {
		return nil
	}
	return j.Fence(ctx, tx, *r)
}

func leavesOf(ctx context.Context, q db.Querier, person string) ([]*leaveRow, error) {
	leaves, err := db.Collect(ctx, q, scanLeave, `select `+leaveColumns+` from sicknote_leave where person = $1 order by number`, person)
	if err != nil {
		return nil, fmt.Errorf("reading leaves: %w", err)
	}
	return leaves, nil
}

// doubt reports whether a proof that is not found may be there all the same: among
// mails that nobody has opened yet, or with the regular system, which got what came
// until emergency operation began. Then "in Prüfung" is true and "liegt nicht vor" is not.
func (in *Intake) doubt(ctx context.Context, j *emergency.Journal, from string) (bool, error) {
	unread, err := db.Collect(ctx, j.Store(), func(r *sql.Rows) (n int64, err error) { return n, r.Scan(&n) },
		`select number from sicknote_mail where class = '' limit 1`)
	if err != nil {
		return false, fmt.Errorf("looking for unread mails of Kasse %s: %w", j.Kasse(), err)
	}
	if len(unread) > 0 {
		return true, nil
	}
	for _, b := range in.boxes {
		if b.Kasse != j.Kasse() {
			continue
		}
		about, err := ledger.About(ctx, j.Store(), string(b.Placement), 1)
		if err != nil {
			return false, err
		}
		if len(about) == 0 || from <= about[0].At.In(in.config.Location).Format(time.DateOnly) {
			return true, nil
		}
	}
	return false, nil
}

// answer decides, and says what it rests on. It is pure but for the new id.
func answer(r *requestRow, leaves []*leaveRow, doubt bool, now time.Time) (a Answer, used []emergency.Number) {
	_, reference, _ := strings.Cut(r.ID, "/")
	a = Answer{ID: newUUID(), Reference: reference, At: now.UTC().Truncate(time.Second), Code: CodeNotYet}
	valid := matching(leaves, r.From, leaveValid)
	for _, l := range valid {
		a.Proofs, used = append(a.Proofs, l.proof()), append(used, l.Number)
	}
	switch {
	case len(valid) > 0:
		a.Code = CodeUnfit
	case len(matching(leaves, r.From, leaveDoubt)) > 0:
		a.Code = CodeInDoubt
	case doubt && len(matching(leaves, r.From, leaveCancelled)) == 0:
		a.Code = CodeInDoubt
	}
	return a, used
}

// matching finds the leaves that answer for an absence: those that start that day,
// else those that run on that day, else those that start up to five days later.
func matching(leaves []*leaveRow, from, state string) []*leaveRow {
	day, err := time.Parse(time.DateOnly, from)
	if err != nil {
		return nil
	}
	latest := day.AddDate(0, 0, 5).Format(time.DateOnly)
	for _, fits := range []func(start, until string) bool{
		func(start, _ string) bool { return start == from },
		func(start, until string) bool { return start < from && from <= until },
		func(start, _ string) bool { return from < start && start <= latest },
	} {
		var hits []*leaveRow
		for _, l := range leaves {
			if l.State == state && fits(l.start(), l.Until) {
				hits = append(hits, l)
			}
		}
		if len(hits) > 0 {
			return hits
		}
	}
	return nil
}

// start is the first day; a follow-up without one begins when it was determined.
func (l *leaveRow) start() string {
	if l.Since != "" {
		return l.Since
	}
	return l.Determined
}

func (l *leaveRow) proof() Proof {
	marks := strings.Fields(l.Marks)
	work := slices.Contains(marks, markWorkAccident)
	return Proof{
		Since: l.Since, Until: l.Until, Determined: l.Determined, FollowUp: l.Type == eau.Folge || l.Type == eau.FolgeEnd,
		WorkAccident: work, OtherAccident: slices.Contains(marks, markAccident) && !work, AccidentDoctor: slices.Contains(marks, markAccidentDoctor),
	}
}

// requestSchema is added to [Schema].
const requestSchema = `
	create table sicknote_request (
		id       text primary key,
		employer text not null,
		person   text not null,
		since    text not null,
		asked    bigint not null,
		code     bigint not null,
		expires  bigint not null
	);
	create index sicknote_request_expires on sicknote_request (expires);
`

// requestRow is sicknote_request, also as the ledger keeps it: without the person.
type requestRow struct {
	ID       string `json:"-"` // employer, a slash, Datensatz_ID
	Employer string `json:"employer"`
	Person   string `json:"-"`
	From     string `json:"from"`
	Asked    int64  `json:"asked"`
	Code     Code   `json:"code"`
	Expires  int64  `json:"expires"`          // of the duty to report, 0 when there is none
	Answer   string `json:"answer,omitempty"` // id of the last answer
}

func (r *requestRow) row() ledger.Row {
	return ledger.Row{Table: "sicknote_request", Key: r.ID, Value: *r}
}

const requestQuery = `select id, employer, person, since, asked, code, expires, answer from sicknote_request `

func scanRequest(rows *sql.Rows) (*requestRow, error) {
	r := &requestRow{}
	err := rows.Scan(&r.ID, &r.Employer, &r.Person, &r.From, &r.Asked, &r.Code, &r.Expires, &r.Answer)
	return r, err
}

// put writes the request with its last answer, and what that rests on.
func (r *requestRow) put(ctx context.Context, tx *db.Tx, kind string, a Answer, used []emergency.Number, now time.Time, also ...ledger.Row) error {
	r.Code, r.Expires, r.Answer = a.Code, 0, a.ID
	if d := a.Code.follow(); d > 0 {
		r.Expires = db.Micro(time.UnixMicro(r.Asked).Add(d))
	}
	if _, err := tx.Exec(ctx, `insert into sicknote_request (id, employer, person, since, asked, code, expires, answer) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (id) do update set employer = excluded.employer, person = excluded.person, since = excluded.since,
			asked = excluded.asked, code = excluded.code, expires = excluded.expires, answer = excluded.answer`,
		r.ID, r.Employer, r.Person, r.From, r.Asked, int64(r.Code), r.Expires, r.Answer); err != nil {
		return err
	}
	if err := r.restsOn(ctx, tx, used); err != nil {
		return err
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: ledger.System, Kind: kind, Subject: r.ID, Data: map[string]Code{"code": a.Code}, Rows: append(also, r.row()),
	})
	return err
}

// restsOn keeps which sick notes an answer was made from: when one is cancelled,
// the answer is taken back.
func (r *requestRow) restsOn(ctx context.Context, tx *db.Tx, used []emergency.Number) error {
	if _, err := tx.Exec(ctx, `delete from sicknote_told where request = $1`, r.ID); err != nil {
		return err
	}
	for _, n := range used {
		if _, err := tx.Exec(ctx, `insert into sicknote_told (request, number) values ($1, $2)`, r.ID, int64(n)); err != nil {
			return err
		}
	}
	return nil
}
