package sicknote

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"leitstand/base/db"
	"leitstand/emergency"
)

// hashed is a reading with everything that names something already hashed.
type hashed struct {
	number  emergency.Number
	reading *reading
	message string // of the Message-ID
	content string // of the document as a file, or of the mail when there is none
	doc     string // of the bundle identifier
	cancels string
	person  string
}

// known is what is already here of the documents of one batch, and grows with it.
type known struct {
	mails      map[emergency.Number]*mailRow
	byContent  map[string]emergency.Number   // the first that counts
	byDocument map[string][]emergency.Number // all that count, by bundle identifier
	byMessage  map[string]bool
	waiting    map[string][]emergency.Number // Stornos by what they cancel
}

// counts tells whether a mail stands for its document: later ones with the same
// content are duplicates of it. What was refused or filed apart does not count;
// the practice sends it again.
func (m *mailRow) counts() bool { return m.Class == ClassAccepted || m.Class == ClassHeld }

func (k *known) add(m *mailRow) {
	k.mails[m.Number] = m
	if !m.counts() {
		return
	}
	if first, ok := k.byContent[m.Content]; !ok || m.Number < first {
		k.byContent[m.Content] = m.Number
	}
	if m.Document != "" {
		k.byDocument[m.Document] = append(k.byDocument[m.Document], m.Number)
	}
	if m.Message != "" {
		k.byMessage[m.Message] = true
	}
	if m.has(FlagWaiting) {
		k.waiting[m.Cancels] = append(k.waiting[m.Cancels], m.Number)
	}
}

// loadKnown reads what the judgement of a batch depends on.
func loadKnown(ctx context.Context, tx *db.Tx, batch []hashed) (*known, error) {
	k := &known{
		mails: map[emergency.Number]*mailRow{}, byContent: map[string]emergency.Number{},
		byDocument: map[string][]emergency.Number{}, byMessage: map[string]bool{}, waiting: map[string][]emergency.Number{},
	}
	var contents, documents, messages []string
	for _, h := range batch {
		contents = append(contents, h.content)
		documents = appendSome(documents, h.doc, h.cancels)
		messages = appendSome(messages, h.message)
	}
	for _, look := range []struct {
		column string
		values []string
	}{{"content", contents}, {"document", documents}, {"message", messages}, {"cancels", documents}} {
		if err := k.load(ctx, tx, look.column, look.values); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func appendSome(list []string, values ...string) []string {
	for _, v := range values {
		if v != "" {
			list = append(list, v)
		}
	}
	return list
}

func (k *known) load(ctx context.Context, tx *db.Tx, column string, values []string) error {
	const most = 400
	for len(values) > 0 {
		n := min(len(values), most)
		args := make([]any, n)
		marks := make([]string, n)
		for i, v := range values[:n] {
			args[i], marks[i] = v, fmt.Sprintf("$%d", i+1)
		}
		found, err := db.Collect(ctx, tx, func(r *sql.Rows) (*mailRow, error) { return scanMail(r) },
			`select `+mailColumns+` from sicknote_mail where `+column+` in (`+strings.Join(marks, ", ")+`) order by number`, args...)
		if err != nil {
			return fmt.Errorf("looking for known mails: %w", err)
		}
		for _, m := range found {
			if _, have := k.mails[m.Number]; !have {
				k.add(m)
			}
		}
		values = values[n:]
	}
	return nil
}

// verdict is the judgement on one mail.
type verdict struct {
	class    Class
	of       emergency.Number // of a duplicate
	reason   string           // why held, refused or filed apart
	code     string           // of the error message that a sure fault deserves
	flags    []string
	cancels  []emergency.Number // the eAU mails that this Storno cancels
	releases []emergency.Number // Stornos that waited for this eAU
}

// policy is how the room treats mail as such.
type policy struct {
	exercise bool
	refusal  *Refusal
}

// judge decides about one mail. It is pure: the same reading and the same known
// mails give the same verdict.
func (p policy) judge(h hashed, k *known) verdict {
	r := h.reading
	v := verdict{flags: append([]string(nil), r.flags...)}
	if p.refusal != nil {
		v.class, v.reason = ClassRefused, p.refusal.Reason
		return v
	}
	if r.marked && r.test && !p.exercise {
		v.class, v.reason = ClassTest, "Testnachricht im Echtbetrieb: abgelegt, wird nicht übergeben"
		return v
	}
	if first, ok := k.byContent[h.content]; ok {
		v.class, v.of = ClassDuplicate, first
		return v
	}
	if len(k.byDocument[h.doc]) > 0 || h.message != "" && k.byMessage[h.message] {
		v.flags = addFlag(v.flags, FlagReused)
	}
	switch {
	case p.exercise && r.marked && !r.test:
		v.class, v.reason = ClassHeld, "als Echtdaten gekennzeichnet, aber dies ist eine Übung"
	case r.problem != "":
		v.class, v.reason, v.code = ClassHeld, r.problem, r.code
	case r.kind == DocStorno:
		p.storno(h, k, &v)
	case r.kind == DocPaper:
		v.class = ClassAccepted
	case r.kind == DocNote:
		v.class, v.releases = ClassAccepted, k.waiting[h.doc]
	default:
		v.class, v.reason = ClassHeld, "Dokument unbekannter Art"
	}
	return v
}

// storno finds the eAU that is cancelled. A Storno whose eAU is not here is held:
// it may come yet, or lie with the regular system since before the outage.
func (p policy) storno(h hashed, k *known, v *verdict) {
	for _, n := range k.byDocument[h.cancels] {
		if m := k.mails[n]; m.Kind == DocNote && m.Class == ClassAccepted {
			v.cancels = append(v.cancels, n)
		}
	}
	if len(v.cancels) == 0 {
		v.class, v.reason = ClassHeld, "Storno wartet auf seine eAU"
		v.flags = addFlag(v.flags, FlagWaiting)
		return
	}
	v.class = ClassAccepted
}
