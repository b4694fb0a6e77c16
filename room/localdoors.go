package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/gateway"
	"leitstand/operation"
)

// DoorsLog is the local log of doors that people moved at this gateway without the
// room. It lies beside the table of doors.
const DoorsLog = "doors.log"

// takenFile says how many lines of the log are in the ledger. Without it all of
// them count: a door is held too long rather than opened too soon.
const takenFile = "doors.log.taken"

// LocalMoves reads the log in dir and returns the moves that are not in the ledger
// yet: what the doors must be held at, and the records. A log that does not verify
// is an error, and doors stay as they are; so is an order that is not signed by whom
// it names, where the keys of people are known.
func LocalMoves(dir, public string, people []gateway.Orderer) (map[catalogue.PlacementID]operation.Mode, []containment.LogRecord, error) {
	b, err := os.ReadFile(filepath.Join(dir, DoorsLog))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the local log of doors: %w", err)
	}
	records, err := containment.ReadLog(b, public)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", DoorsLog, err)
	}
	taken, err := takenLines(dir)
	if err != nil {
		return nil, nil, err
	}
	records = records[min(taken, len(records)):]
	signers, err := signersOf(people)
	if err != nil {
		return nil, nil, err
	}
	for _, rec := range records {
		if err := signers.Verify(rec); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", DoorsLog, err)
		}
	}
	hold := map[catalogue.PlacementID]operation.Mode{}
	for _, rec := range records {
		if m, ok := rec.Act.Move(); ok {
			hold[m.Placement] = holdAt(m.To)
		}
	}
	return hold, records, nil
}

// signersOf reads the keys of people.
func signersOf(people []gateway.Orderer) (containment.Signers, error) {
	keys := map[string]string{}
	for _, p := range people {
		if _, twice := keys[p.Person]; twice {
			return nil, fmt.Errorf("%q is named twice", p.Person)
		}
		keys[p.Person] = p.Key
	}
	return containment.ParseSigners(keys)
}

func holdAt(b catalogue.Behaviour) operation.Mode {
	if b == catalogue.Buffer {
		return operation.ModeBuffer
	}
	return operation.ModeNotice
}

func takenLines(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, takenFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", takenFile, err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0, nil //nolint:nilerr // as without the file: all lines count
	}
	return n, nil
}

// Hold makes the gateway obey the local log. It needs no database.
func (d *Doors) Hold() error {
	d.local.Lock()
	defer d.local.Unlock()
	hold, _, err := LocalMoves(d.room.opt.Data, d.room.Public(), d.config.People)
	if err != nil {
		return err
	}
	if len(hold) > 0 || len(d.Gateway.Held()) > 0 {
		d.Gateway.Hold(hold)
	}
	return nil
}

// TakeLocal enters what people did at this gateway without the room into the
// ledger, and the room's state follows: the doors are ordered closed there too.
// Until that is done the doors are held, and nothing of it is forgotten by a crash:
// records that the ledger has already are passed over.
func (d *Doors) TakeLocal(ctx context.Context) error {
	_, records, err := LocalMoves(d.room.opt.Data, d.room.Public(), d.config.People)
	if err != nil || len(records) == 0 {
		return err
	}
	have, err := containment.Acts(ctx, d.room.Store)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, a := range have {
		known[a.ID] = true
	}
	var fresh []containment.LogRecord
	for _, rec := range records {
		if !known[rec.Act.ID] {
			fresh = append(fresh, rec)
		}
	}
	if len(fresh) > 0 {
		got, err := d.room.takeLog(ctx, ledger.System, fresh, "an der Tür ohne Verbindung zum Raum angeordnet")
		if err != nil {
			return fmt.Errorf("taking over what was done at the doors: %w", err)
		}
		d.room.opt.Log.Warn("doors were moved without the room: the ledger has it now", slog.Int("records", got.Records), slog.Int("placements", got.Placements))
	}
	if err := d.Step(ctx); err != nil { // the room's own doors are closed now: obey them before letting go
		return err
	}
	d.local.Lock()
	defer d.local.Unlock()
	last := records[len(records)-1].Seq
	return gateway.WriteDurably(filepath.Join(d.room.opt.Data, takenFile), []byte(strconv.Itoa(last)+"\n"))
}
