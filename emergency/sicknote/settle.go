package sicknote

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// stored is a mail in the journal, with its bytes still at hand.
type stored struct {
	number emergency.Number
	raw    []byte
}

// readStored opens mails and records what they are, all in one transaction. Mails
// that somebody else has read meanwhile are left alone.
func (in *Intake) readStored(ctx context.Context, j *emergency.Journal, mb *Mailbox, at time.Time, mails []stored) error {
	if len(mails) == 0 {
		return nil
	}
	batch := make([]hashed, len(mails))
	began := time.Now()
	in.parallel(len(mails), true, func(i int) {
		r := in.reader.read(mails[i].raw, mb.Keys, at)
		batch[i] = in.hash(j, mails[i], &r)
	})
	since(&in.stages.read, began)
	defer since(&in.stages.settle, time.Now())
	err := j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return in.settleTx(ctx, tx, j, mb, at, batch)
	})
	if err != nil {
		return fmt.Errorf("recording what %d stored mails are, they stay unread until then: %w", len(mails), err)
	}
	return nil
}

func (in *Intake) hash(j *emergency.Journal, s stored, r *reading) hashed {
	h := hashed{number: s.number, reading: r}
	bytes := r.document
	if bytes == nil {
		bytes = s.raw
	}
	sum := sha256.Sum256(bytes)
	h.content = j.Index("document", string(sum[:]))
	for _, f := range []struct {
		to             *string
		purpose, value string
	}{
		{&h.message, "message", r.messageID},
		{&h.doc, "bundle", strings.ToLower(r.id)},
		{&h.cancels, "bundle", strings.ToLower(r.cancels)},
		{&h.person, "person", r.person},
	} {
		if f.value != "" {
			*f.to = j.Index(f.purpose, f.value)
		}
	}
	return h
}

// keysAwayFor is how long a mail stays unread because its keys are out of reach; then
// it is held, so that somebody looks after it.
const keysAwayFor = time.Hour

// settlement collects what one transaction changes.
type settlement struct {
	in      *Intake
	mb      *Mailbox
	at      time.Time
	known   *known
	changes []emergency.Change
	mails   map[emergency.Number]*mailRow
	leaves  map[emergency.Number]*leaveRow
	counts  map[Class]int
	order   []emergency.Number
}

func (in *Intake) settleTx(ctx context.Context, tx *db.Tx, j *emergency.Journal, mb *Mailbox, at time.Time, batch []hashed) error {
	k, err := loadKnown(ctx, tx, batch)
	if err != nil {
		return err
	}
	s := &settlement{
		in: in, mb: mb, at: at, known: k, mails: map[emergency.Number]*mailRow{},
		leaves: map[emergency.Number]*leaveRow{}, counts: map[Class]int{},
	}
	p := in.policy()
	var refused, sure []prepared
	for _, h := range batch {
		row, err := unreadRow(ctx, tx, h.number)
		if errors.Is(err, sql.ErrNoRows) {
			continue // read by somebody else
		}
		if err != nil {
			return err
		}
		if h.reading.keysAway && p.refusal == nil && at.Before(db.Time(row.Fetched).Add(keysAwayFor)) {
			continue // stays unread; the next look tries again
		}
		v := p.judge(h, k)
		if err := s.take(ctx, tx, row, h, v); err != nil {
			return err
		}
		switch one := (prepared{number: h.number, reading: h.reading}); {
		case v.class == ClassRefused:
			refused = append(refused, one)
		case v.class == ClassHeld && v.code != "":
			sure = append(sure, one)
		}
	}
	if len(s.order) == 0 {
		return nil
	}
	rows, err := s.write(ctx, tx)
	if err != nil {
		return err
	}
	if p.refusal != nil {
		if err := in.queueRefusals(ctx, tx, j, mb, at, *p.refusal, refused); err != nil {
			return err
		}
	}
	answers, err := in.prepare(ctx, tx, j, mb, at, sure)
	if err != nil {
		return err
	}
	rows = append(rows, answers...)
	return j.ApplyTx(ctx, tx, emergency.Entry{
		At: at, Actor: ledger.System, Kind: "mail.read", Data: map[string]any{"mailbox": mb.Address, "classes": s.counts}, Rows: rows,
	}, s.changes...)
}

func unreadRow(ctx context.Context, tx *db.Tx, n emergency.Number) (*mailRow, error) {
	rows, err := db.Collect(ctx, tx, scanMail, `select `+mailColumns+` from sicknote_mail where number = $1 and class = ''`, int64(n))
	if err != nil {
		return nil, fmt.Errorf("reading mail %d: %w", n, err)
	}
	if len(rows) == 0 {
		return nil, sql.ErrNoRows
	}
	return rows[0], nil
}

// take records one verdict.
func (s *settlement) take(ctx context.Context, tx *db.Tx, m *mailRow, h hashed, v verdict) error {
	r := h.reading
	m.Class, m.Kind, m.Test, m.Of = v.class, r.kind, r.marked && r.test, v.of
	m.Message, m.Document, m.Content, m.Cancels = h.message, h.doc, h.content, h.cancels
	if r.payer != "" && !slices.Contains(s.mb.iks(), r.payer) {
		m.Payer = r.payer
		v.flags = addFlag(v.flags, FlagForeign)
	}
	m.Flags = strings.Join(v.flags, " ")
	s.counts[v.class]++
	s.touch(m)
	s.known.add(m)
	s.leave(h, v)
	for _, n := range v.cancels {
		if err := s.cancel(ctx, tx, n); err != nil {
			return err
		}
	}
	person := h.person
	if len(v.cancels) > 0 { // a Storno follows the person of its eAU
		if l := s.leaves[v.cancels[0]]; l != nil {
			person = l.Person
		}
	}
	s.changes = append(s.changes, s.change(h, v, person))
	for _, n := range v.releases {
		s.release(n, h)
	}
	delete(s.known.waiting, h.doc)
	return nil
}

func (s *settlement) touch(m *mailRow) {
	if _, have := s.mails[m.Number]; !have {
		s.order = append(s.order, m.Number)
	}
	s.mails[m.Number] = m
}

// leave keeps what employers may know of a sick note.
func (s *settlement) leave(h hashed, v verdict) {
	if h.reading.kind != DocNote && h.reading.kind != DocPaper || h.person == "" || !isDate(h.reading.leave.until) {
		return
	}
	state := leaveValid
	switch v.class {
	case ClassAccepted:
		if len(v.releases) > 0 {
			state = leaveCancelled
		}
	case ClassHeld:
		state = leaveDoubt
	case ClassUnread, ClassDuplicate, ClassRefused, ClassTest:
		return
	}
	s.leaves[h.number] = newLeave(h.number, h.person, h.reading.leave, state)
}

// cancel takes a sick note back.
func (s *settlement) cancel(ctx context.Context, tx *db.Tx, n emergency.Number) error {
	m := s.known.mails[n]
	m.setFlag(FlagCancelled, true)
	s.touch(m)
	if s.leaves[n] == nil {
		found, err := db.Collect(ctx, tx, scanLeave, `select `+leaveColumns+` from sicknote_leave where number = $1`, int64(n))
		if err != nil {
			return fmt.Errorf("reading leave %d: %w", n, err)
		}
		if len(found) == 0 {
			return nil // a note without a number of the insured
		}
		s.leaves[n] = found[0]
	}
	s.leaves[n].State = leaveCancelled
	return nil
}

// release lets a Storno go that waited for the eAU h; it leaves after it.
func (s *settlement) release(n emergency.Number, h hashed) {
	m := s.known.mails[n]
	m.Class = ClassAccepted
	m.setFlag(FlagWaiting, false)
	s.touch(m)
	s.counts[ClassAccepted]++
	note := s.known.mails[h.number]
	note.setFlag(FlagCancelled, true)
	s.changes = append(s.changes, emergency.Change{Number: n, Apply: func(st emergency.Standing) (emergency.Standing, error) {
		if st.State != emergency.Held { // a person decided about it meanwhile
			return st, nil
		}
		return st.Ready(emergency.KindStorno, h.person)
	}})
}

func (s *settlement) change(h hashed, v verdict, person string) emergency.Change {
	kind := emergency.KindMail
	switch h.reading.kind {
	case DocNote:
		kind = emergency.KindSickNote
	case DocStorno:
		kind = emergency.KindStorno
	case DocPaper:
		kind = emergency.KindPaper
	case DocOther:
	}
	owner := s.in.config.Owner(s.mb.Kasse)
	return emergency.Change{Number: h.number, Apply: func(st emergency.Standing) (emergency.Standing, error) {
		switch v.class {
		case ClassAccepted:
			return st.Ready(kind, person)
		case ClassDuplicate:
			return st.Merge(kind, v.of)
		case ClassHeld:
			return st.Hold(kind, person, v.reason, owner, endOfNextWorkingDay(s.at.In(s.in.config.Location)))
		case ClassRefused, ClassTest:
			return st.Refuse(v.reason, owner)
		case ClassUnread:
		}
		return st, fmt.Errorf("mail %d got no class", h.number)
	}}
}

func (s *settlement) write(ctx context.Context, tx *db.Tx) ([]ledger.Row, error) {
	var rows []ledger.Row
	for _, n := range s.order {
		if err := putMail(ctx, tx, s.mails[n]); err != nil {
			return nil, err
		}
		rows = append(rows, s.mails[n].row())
	}
	numbers := make([]emergency.Number, 0, len(s.leaves))
	for n := range s.leaves {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		if err := putLeave(ctx, tx, s.leaves[n]); err != nil {
			return nil, err
		}
		rows = append(rows, s.leaves[n].row())
	}
	return rows, nil
}
