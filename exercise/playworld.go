package exercise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
	"leitstand/room"
)

// surroundings are the outside world of one play: the child processes, and the room's
// ways to them.
type surroundings struct {
	dir       string
	mail      *Part
	practices *Part
	regular   *Part
	employers *Part
	desk      *employerDesk
	gate      *gate // nil under the policy of 2023
	token     string
	boxes     map[catalogue.PlacementID]catalogue.KasseID // placements whose door a mailbox obeys
	refuse    map[catalogue.KasseID]bool                  // front ends that answer "faulty" while cut (policy of 2023)
	client    *http.Client
	sent      Counts
}

// eauService is the service whose mail the exercise plays.
const eauService catalogue.ServiceID = "eau"

// startWorld starts everybody and connects the room to them.
func startWorld(ctx context.Context, p *player) (*surroundings, error) {
	w := &surroundings{
		dir: filepath.Join(p.opt.Data, "world"), token: "uebung-" + fmt.Sprint(p.opt.Seed),
		boxes: map[catalogue.PlacementID]catalogue.KasseID{}, refuse: map[catalogue.KasseID]bool{},
		client: loopbackClient(30 * time.Second),
	}
	for _, sub := range []string{"mail", "practices", "regular", "employers"} {
		if err := os.MkdirAll(filepath.Join(w.dir, sub), 0o700); err != nil {
			return w, fmt.Errorf("making the outside world: %w", err)
		}
	}
	specs, boxes := w.kassen(p.room.Catalogue)
	const password = "uebung"
	var err error
	drops := []string{PracticeDomain}
	for _, k := range specs {
		drops = append(drops, KasseAddress(k.IK))
	}
	if w.mail, err = StartPart(ctx, p.opt.Exe, PartMail, MailConfig{Dir: filepath.Join(w.dir, "mail"), Maildrops: drops, Password: password}); err != nil {
		return w, err
	}
	regular := RegularConfig{
		Dir: filepath.Join(w.dir, "regular"), POP3: w.mail.Addr("pop3"), SMTP: w.mail.Addr("smtp"), Password: password,
		Token: w.token, Seed: p.opt.Seed, Fault: RegularFault{LoseAnswers: 0.05, Duplicate: 0.02},
	}
	if p.opt.EAUDir == "" { // nobody knows what is in given files
		regular.Calls = &CallsConfig{From: p.sc.Mail.From, Until: p.sc.Mail.To, Notes: p.notes()}
	}
	for _, k := range specs {
		regular.Kassen = append(regular.Kassen, RegularKasse{KasseSpec: k, Pages: pages(p.room.Catalogue, catalogue.KasseID(k.IK))})
	}
	if w.regular, err = StartPart(ctx, p.opt.Exe, PartRegular, regular); err != nil {
		return w, err
	}
	if err := w.startSenders(ctx, p, specs, password); err != nil {
		return w, err
	}
	conn, err := w.connections(ctx, p.room.Catalogue, boxes, password)
	if err != nil {
		return w, err
	}
	if err := p.room.Connect(conn, w); err != nil {
		return w, err
	}
	if p.policy == WithLeitstand {
		if w.gate, err = startGate(ctx, p, w); err != nil {
			return w, err
		}
	}
	w.desk, err = startEmployerDesk(ctx, p, w.token)
	return w, err
}

// notes is how many sick notes practices make.
func (p *player) notes() int {
	if p.opt.Notes != 0 {
		return p.opt.Notes
	}
	return p.sc.Mail.Count
}

func (w *surroundings) startSenders(ctx context.Context, p *player, specs []KasseSpec, password string) (err error) {
	notes := p.notes()
	cfg := PracticesConfig{
		Seed: p.opt.Seed, Dir: filepath.Join(w.dir, "practices"), SMTP: w.mail.Addr("smtp"), POP3: w.mail.Addr("pop3"), Password: password,
		Kassen: specs, From: p.sc.Mail.From, Until: p.sc.Mail.To, Notes: notes, ResendFrom: p.sc.Mail.ResendFrom,
	}
	if p.opt.EAUDir != "" {
		// While the test Kasse is in emergency operation, so that all of it passes through the journal.
		cfg.EAUDir, cfg.EAUKasse = p.opt.EAUDir, specs[0].IK
		cfg.From, cfg.Until = p.sc.Mail.EmergencyFrom, p.sc.Mail.EmergencyTo
	}
	if w.practices, err = StartPart(ctx, p.opt.Exe, PartPractices, cfg); err != nil {
		return err
	}
	if p.opt.EAUDir != "" {
		return nil // nobody knows who the files are about
	}
	w.employers, err = StartPart(ctx, p.opt.Exe, PartEmployers, EmployersConfig{
		Seed: p.opt.Seed, Kassen: specs, From: p.sc.Mail.From, Until: p.sc.Mail.To, Notes: notes,
		Dir: filepath.Join(w.dir, "employers"), Token: w.token, Share: 0.2,
	})
	return err
}

// kassen are the Kassen with a sick-note intake, and the placement that each
// mailbox belongs to.
func (w *surroundings) kassen(c *catalogue.Catalogue) (specs []KasseSpec, boxes []catalogue.Placement) {
	for _, k := range c.Kassen {
		places := c.PlacementsOf(k.ID, eauService)
		if len(places) == 0 {
			continue
		}
		specs = append(specs, KasseSpec{IK: string(k.ID), Name: k.Name, Insured: k.Insured})
		boxes = append(boxes, places[0])
		w.boxes[places[0].ID] = k.ID
	}
	return specs, boxes
}

// pages are the placements of a Kasse that have a page behind the gateway.
func pages(c *catalogue.Catalogue, k catalogue.KasseID) map[string]string {
	out := map[string]string{}
	for _, p := range c.Placements {
		if p.Kasse == k {
			svc, _ := c.Service(p.Service)
			out[string(p.ID)] = svc.Name
		}
	}
	return out
}

func (w *surroundings) connections(ctx context.Context, c *catalogue.Catalogue, boxes []catalogue.Placement, password string) (room.Connections, error) {
	var out room.Connections
	for _, b := range boxes {
		addr := KasseAddress(string(b.Kasse))
		out.Mailboxes = append(out.Mailboxes, room.MailboxConfig{
			Kasse: b.Kasse, Placement: b.ID, Address: addr, POP3: w.mail.Addr("pop3"), Security: sicknote.PlainText,
			User: addr, Password: password, SMTP: w.mail.Addr("smtp"),
		})
		key, err := ReceiptKey(ctx, w.regular.Addr("http"), string(b.Kasse))
		if err != nil {
			return out, err
		}
		for _, p := range c.PlacementsOf(b.Kasse, eauService) {
			out.Regular = append(out.Regular, room.RegularConfig{
				Placement: p.ID, URL: "http://" + w.regular.Addr("http") + "/" + string(p.ID) + "/handover", Token: w.token, Key: key,
			})
		}
	}
	return out, nil
}

// advance lets time pass outside: practices send, regular systems and the
// emergency intake fetch, employers ask.
func (w *surroundings) advance(ctx context.Context, p *player, now time.Time) error {
	if err := w.gate.visit(ctx, p, now); err != nil {
		return err
	}
	if !now.Before(p.sc.Mail.From) {
		counts, err := w.practices.Advance(ctx, now)
		if err != nil {
			return err
		}
		w.sent = counts
		p.mailing = counts["pending"] > 0 || now.Before(p.sc.Mail.To)
	}
	if err := p.room.Isolate(ctx); err != nil {
		return err
	}
	counts, err := w.regular.Advance(ctx, now)
	if err != nil {
		return err
	}
	if err := p.reportRefusals(ctx, counts["refusals"]); err != nil {
		return err
	}
	if err := p.room.Intake.PollAll(ctx, now); err != nil {
		return err
	}
	if w.employers != nil && !now.Before(p.sc.Mail.From) {
		_, err = w.employers.Advance(ctx, now)
	}
	return err
}

// reportRefusals enters in the room's ledger how many mails front ends have
// answered as faulty since the last look: what the comparison counts.
func (p *player) reportRefusals(ctx context.Context, total int64) error {
	if total <= p.refusals {
		return nil
	}
	n := total - p.refusals
	p.refusals = total
	return p.room.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: p.now(), Actor: ledger.System, Kind: "refusals.reported", Subject: string(eauService),
			Reason: "Zahl der als fehlerhaft beantworteten eAU, gemeldet von den Annahmestellen", Data: map[string]int64{"count": n},
		})
		return err
	})
}

// Isolate takes the regular side of placements off the network. The components of a played
// case have no hosts of their own.
func (w *surroundings) Isolate(ctx context.Context, placements []catalogue.PlacementID, _ []catalogue.ComponentID) error {
	if err := w.gate.obey(ctx); err != nil { // doors open their buffers before anything is taken off
		return err
	}
	for _, p := range placements {
		if err := w.switchTo(ctx, p, false); err != nil {
			return err
		}
	}
	return nil
}

// Connect brings it back.
func (w *surroundings) Connect(ctx context.Context, placements []catalogue.PlacementID) error {
	for _, p := range placements {
		if err := w.control(ctx, "reach", ReachCommand{Target: string(p), Up: true}); err != nil {
			return err
		}
	}
	return nil
}

// fetch lets the regular fetchers of mailboxes run again, after acceptance.
func (w *surroundings) fetch(ctx context.Context, placements []catalogue.PlacementID) error {
	for _, p := range placements {
		if kasse, ok := w.boxes[p]; ok {
			if err := w.control(ctx, "fetcher", FetcherCommand{Kasse: string(kasse), Mode: FetchOn}); err != nil {
				return err
			}
			delete(w.refuse, kasse)
		}
	}
	return nil
}

func (w *surroundings) switchTo(ctx context.Context, p catalogue.PlacementID, up bool) error {
	if kasse, ok := w.boxes[p]; ok {
		mode := FetchOff
		if w.refuse[kasse] {
			mode = FetchRefuse
		}
		if err := w.control(ctx, "fetcher", FetcherCommand{Kasse: string(kasse), Mode: mode}); err != nil {
			return err
		}
	}
	return w.control(ctx, "reach", ReachCommand{Target: string(p), Up: up})
}

func (w *surroundings) control(ctx context.Context, do string, details any) error {
	raw, err := json.Marshal(details)
	if err != nil {
		return err
	}
	body, err := json.Marshal(Command{Do: do, Config: raw})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.regular.Addr("http")+"/control", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("switching a regular system: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("switching a regular system: %s %s: %w", resp.Status, text, errors.Join(err, errors.New("it did not obey")))
	}
	return nil
}

// Closed probes from outside: the page must not answer, and where a mailbox
// belongs to the placement, the Kasse's own fetcher must not fetch.
func (w *surroundings) Closed(ctx context.Context, p catalogue.PlacementID) (bool, string, error) {
	ref := "probe of page and fetcher"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.regular.Addr("http")+"/"+string(p)+"/", http.NoBody)
	if err != nil {
		return false, ref, err
	}
	if resp, err := w.client.Do(req); err == nil {
		return false, ref, resp.Body.Close() // it answered: it is not closed
	}
	kasse, ok := w.boxes[p]
	if !ok {
		return true, ref, nil
	}
	var state FetcherState
	if req, err = http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.regular.Addr("http")+"/"+string(kasse)+"/fetcher", http.NoBody); err != nil {
		return false, ref, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return false, ref, fmt.Errorf("asking for the fetcher of Kasse %s: %w", kasse, err)
	}
	defer func() { _ = resp.Body.Close() }() // read as JSON
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&state); err != nil {
		return false, ref, fmt.Errorf("asking for the fetcher of Kasse %s: %w", kasse, err)
	}
	return state.Mode != FetchOn, ref, nil
}

func (w *surroundings) stop() error {
	errs := []error{w.gate.stop()}
	for _, part := range []*Part{w.employers, w.practices, w.regular, w.mail} {
		if part != nil {
			errs = append(errs, part.Stop())
		}
	}
	if w.desk != nil {
		errs = append(errs, w.desk.stop())
	}
	w.client.CloseIdleConnections()
	return errors.Join(errs...)
}

// down lists the placements of a selection that are not in regular operation.
func (p *player) down(sel []catalogue.Placement) []catalogue.PlacementID {
	state := p.room.Operation.Current()
	var out []catalogue.PlacementID
	for _, pl := range sel {
		if row, ok := state.Placement(pl.ID); ok && !slices.Contains([]operation.Regular{operation.Running, operation.Limited}, row.Regular) {
			out = append(out, pl.ID)
		}
	}
	return out
}
