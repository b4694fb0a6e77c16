package exercise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// PracticesConfig configures the practices.
type PracticesConfig struct {
	// Seed decides everything that is invented.
	Seed uint64 `json:"seed"`
	// Dir is where the books sent.csv and refused.csv are kept. They must not exist yet.
	Dir string `json:"dir"`
	// SMTP and POP3 are the addresses of the mail server, Password that of its maildrops.
	SMTP     string `json:"smtp"`
	POP3     string `json:"pop3"`
	Password string `json:"password"`
	// Kassen are those whose insured fall ill, by their size.
	Kassen []KasseSpec `json:"kassen"`
	// From and Until are simulated time; the offset of From is the zone of office hours.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Holidays (YYYY-MM-DD) are worked like Sundays.
	Holidays []string `json:"holidays,omitempty"`
	// Notes is how many sick notes are made; 0 means 10,000. Duplicates,
	// corrections and cancellations come on top.
	Notes int `json:"notes,omitempty"`
	// Connections is how many SMTP connections stay open; 0 means 8.
	Connections int `json:"connections,omitempty"`
	// ResendAfterMinutes is how long a practice needs to send again what a Kasse
	// answered with an error message, 0 means 60; ResendFrom keeps all of them
	// back until then, as in 2023 the word to resend came late.
	ResendAfterMinutes int       `json:"resend_after_minutes,omitempty"`
	ResendFrom         time.Time `json:"resend_from,omitzero"`
	// EAUDir sends the files of a directory unchanged, instead of invented sick
	// notes, all to the mailbox of EAUKasse (an IK), spread evenly over the span.
	EAUDir   string `json:"eau_dir,omitempty"`
	EAUKasse string `json:"eau_kasse,omitempty"`
}

// practiceWorld is all practices together.
type practiceWorld struct {
	config PracticesConfig
	plan   *plan
	files  []eauFile
	queue  []event // what is still to be sent, by time

	post    *postOffice
	sent    *book
	refused *book

	known map[string]sentRef // by document id
	tally Counts
}

// sentRef is what a practice remembers of a document, to understand an error message.
type sentRef struct {
	ev     event
	sha256 [sha256.Size]byte
	kasse  string
}

func startPractices(_ context.Context, c PracticesConfig) (*practiceWorld, error) {
	if c.Notes == 0 {
		c.Notes = defaultNotes
	}
	if c.Connections == 0 {
		c.Connections = 8
	}
	if c.ResendAfterMinutes == 0 {
		c.ResendAfterMinutes = 60
	}
	for _, addr := range [...]string{c.SMTP, c.POP3} {
		if err := checkLoopback(addr); err != nil {
			return nil, err
		}
	}
	w := &practiceWorld{config: c, known: make(map[string]sentRef), tally: make(Counts)}
	for _, name := range [...]string{"sent", "notes", "twice", "same_id", "faulty", "storno", "files", "resent", "refused", "strange", "unsure", "pending"} {
		w.tally[name] = 0
	}
	if err := w.makePlan(); err != nil {
		return nil, err
	}
	w.post = newPostOffice(c.SMTP, c.Connections)
	return w, w.openBooks()
}

func (w *practiceWorld) makePlan() (err error) {
	c := &w.config
	people, err := NewPopulation(c.Seed, c.Kassen)
	if err != nil {
		return err
	}
	if c.EAUDir == "" {
		w.plan, err = makePlan(people, c.Seed, c.Notes, c.From, c.Until, c.Holidays)
	} else {
		w.plan = &plan{people: people}
		w.files, err = w.plan.planFiles(c.EAUDir, c.From, c.Until)
		if err == nil && !slices.ContainsFunc(c.Kassen, func(k KasseSpec) bool { return k.IK == c.EAUKasse }) {
			err = fmt.Errorf("the test Kasse %q for the files is none of the Kassen", c.EAUKasse)
		}
	}
	if err == nil {
		w.queue, w.plan.queue = w.plan.queue, nil
	}
	return err
}

func (w *practiceWorld) openBooks() (err error) {
	open := func(name string, columns []string) (*book, error) {
		b, lines, err := openBook(w.config.Dir, name, columns)
		if err == nil && len(lines) > 0 {
			err = errors.Join(fmt.Errorf("the book %q in %q is written already: an exercise is played once", name, w.config.Dir), b.close())
		}
		return b, err
	}
	if w.sent, err = open(SentBook, sentColumns); err != nil {
		return err
	}
	if w.refused, err = open(RefusedBook, refusedColumns); err != nil {
		return errors.Join(err, w.sent.close())
	}
	return nil
}

// advance reads the error messages that have come, then sends all that is due.
func (w *practiceWorld) advance(ctx context.Context, now time.Time) error {
	if err := w.readAnswers(ctx, now); err != nil {
		return err
	}
	n, _ := slices.BinarySearchFunc(w.queue, now, func(e event, t time.Time) int {
		if e.at.After(t) {
			return 1
		}
		return -1
	})
	due := w.queue[:n]
	results, err := w.post.send(ctx, w.shards(due))
	var left []event
	for i := range due {
		switch r := &results[i]; {
		case r.sent != nil:
			w.enter(due[i], r)
		default:
			left = append(left, due[i])
		}
		w.tally["unsure"] += int64(results[i].unsure)
	}
	w.queue = append(left, w.queue[n:]...)
	w.tally["pending"] = int64(len(left))
	return errors.Join(err, w.sent.sync())
}

// shards spreads the mails over the connections. All about one note goes over one
// connection, so that its order does not depend on chance.
func (w *practiceWorld) shards(due []event) [][]job {
	shards := make([][]job, w.config.Connections)
	for i := range due {
		s := due[i].note % len(shards)
		shards[s] = append(shards[s], job{index: i, make: func() (*outgoing, error) { return w.compose(due[i]) }})
	}
	return shards
}

// enter books a mail that the mail server took.
func (w *practiceWorld) enter(e event, r *sendResult) {
	o := r.sent
	w.sent.add((&Sent{
		ID: o.id, SHA256: hex.EncodeToString(o.sha256[:]), Kasse: o.kasse, Time: e.at, MessageID: o.messageID, Note: o.note,
	}).fields()...)
	w.tally["sent"]++
	for _, word := range o.counted {
		w.tally[word]++
	}
	w.known[o.id] = sentRef{ev: e, sha256: o.sha256, kasse: o.kasse}
}

// outgoing is a mail ready to go.
type outgoing struct {
	id, kasse, messageID, note string
	sha256                     [sha256.Size]byte
	counted                    []string // names in the counts, beside "sent"
	from, to                   string
	mail                       []byte
}

// compose makes the mail of an event. The same event always gives the same bytes.
func (w *practiceWorld) compose(e event) (*outgoing, error) {
	if e.what == postFile {
		return w.composeFile(e)
	}
	n := &w.plan.notes[e.note]
	o := &outgoing{kasse: w.config.Kassen[n.kasse].IK, from: practiceAddress(n.practice), note: e.what.String()}
	kind, again := kimmail.KindDelivery, n.renewed
	var xml []byte
	var err error
	switch e.what {
	case postNote, postTwice, postSameID:
		o.id = w.plan.noteID(e.note)
		o.counted = []string{countName(e.what)}
		xml, err = eau.Write(w.plan.certificate(e.note, e.what == postSameID))
		if err == nil && n.fault != faultNone && n.renewed == 0 {
			xml, err = n.fault.spoil(xml)
			o.note += " faulty:" + n.fault.String()
			o.counted = append(o.counted, "faulty")
		}
	case postStorno:
		kind, again = kimmail.KindCancellation, n.stornoRenewed
		o.id = w.plan.stornoID(e.note)
		o.counted = []string{countName(e.what)}
		xml, err = eau.WriteStorno(w.plan.storno(e.note, e.at))
	case postFile:
	}
	if err != nil {
		return nil, err
	}
	if again > 0 {
		o.note += " resent"
		o.counted = append(o.counted, "resent")
	}
	return o, o.wrap(kind, e, xml)
}

func countName(p posting) string {
	switch p {
	case postNote:
		return "notes"
	case postTwice:
		return "twice"
	case postSameID:
		return "same_id"
	case postStorno:
		return "storno"
	case postFile:
		return "files"
	}
	return "sent"
}

// mailText is what a person reads who opens a mail of an exercise.
const mailText = "ÜBUNG – ÜBUNG – ÜBUNG\r\nDiese Mail gehört zu einer Übung. Sie enthält Testdaten und keine echte Bescheinigung.\r\n"

// wrap puts the document into its mail. The message id tells sendings of one document apart.
func (o *outgoing) wrap(kind kimmail.Kind, e event, document []byte) (err error) {
	o.sha256 = sha256.Sum256(document)
	o.to = KasseAddress(o.kasse)
	o.messageID = fmt.Sprintf("<%s.%d@%s>", o.id, e.order, PracticeDomain)
	o.mail, err = kimmail.Compose(kimmail.Draft{
		Kind: kind, Test: true, ID: o.id, MessageID: o.messageID, Date: e.at,
		From:    kimmail.Address{Name: "ÜBUNG Praxis", Addr: o.from},
		ReplyTo: kimmail.Address{Addr: o.from},
		To:      []kimmail.Address{{Addr: o.to}},
		Body:    mailText, XML: document, Delivered: true,
	})
	if err != nil {
		return fmt.Errorf("composing the mail for document %q: %w", o.id, err)
	}
	return nil
}

func (w *practiceWorld) command(context.Context, string, json.RawMessage) error {
	return errUnknownCommand
}

func (w *practiceWorld) counts() Counts {
	c := make(Counts, len(w.tally)+1)
	maps.Copy(c, w.tally)
	c["to_send"] = int64(len(w.queue))
	return c
}

func (w *practiceWorld) addresses() map[string]string { return nil }

func (w *practiceWorld) stop() error {
	return errors.Join(w.post.close(), w.sent.close(), w.refused.close())
}
