package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/room"
)

// scriptRegular is a regular system beside a script, with books of its own.
type scriptRegular struct {
	mu   sync.Mutex
	have map[string]emergency.ListEntry
}

func (b *scriptRegular) Receive(_ context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rec emergency.Receipt
	for _, it := range p.Items {
		e, ok := b.have[it.ID]
		if !ok {
			e = emergency.ListEntry{ID: it.ID, Kind: it.Kind, Result: emergency.Applied, SHA256: it.SHA256, Amount: it.Amount}
			b.have[it.ID] = e
		}
		rec.Items = append(rec.Items, emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: e.Result})
	}
	return rec, nil
}

func (b *scriptRegular) List(_ context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []emergency.ListEntry
	for id, e := range b.have {
		if strings.HasPrefix(id, q.Bucket) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (b *scriptRegular) Compare(ctx context.Context, _ emergency.Comparison) ([]emergency.Line, error) {
	all, err := b.List(ctx, emergency.ListQuery{})
	return emergency.Sum(all), err
}

// regularSystem (regular PLACEMENT…) starts regular systems and names them in
// the room's configuration, which they replace. They end with the script.
func regularSystem(ts *testscript.TestScript, _ bool, args []string) {
	_, key, err := ed25519.GenerateKey(nil)
	ts.Check(err)
	public, _ := key.Public().(ed25519.PublicKey)
	var c struct {
		Regular []room.RegularConfig `json:"regular"`
	}
	for _, place := range args {
		receiver := emergency.Receiver{Name: "Regelsystem", Key: key, Token: "geheim", Receiving: &scriptRegular{have: map[string]emergency.ListEntry{}}}
		server := httptest.NewServer(receiver.Handler())
		ts.Defer(server.Close)
		c.Regular = append(c.Regular, room.RegularConfig{Placement: catalogue.PlacementID(place), URL: server.URL, Token: "geheim", Key: public})
	}
	b, err := json.Marshal(c) // which is YAML as well
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("LEITSTAND_DATA"), configFile), b, 0o600))
}

// takeItems (items PLACEMENT N) takes items in, as an emergency service does.
func takeItems(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: items PLACEMENT N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ctx := context.Background()
	r, err := room.Open(ctx, room.Options{Data: ts.Getenv("LEITSTAND_DATA")})
	ts.Check(err)
	defer func() { ts.Check(r.Close()) }()
	place := catalogue.PlacementID(args[0])
	row, ok := r.Operation.Current().Placement(place)
	if !ok {
		ts.Fatalf("no placement %s", place)
	}
	j, err := r.Journals.Open(ctx, row.Kasse)
	ts.Check(err)
	for i := range n {
		_, err := j.Accept(ctx, place, row.Writing.Epoch, time.Now(), "test", emergency.Draft{
			Key: fmt.Sprint(place, i), Kind: emergency.KindMessage, Source: "test", Received: time.Now(), Media: "text/plain", Body: []byte("Guten Tag"),
			Person: fmt.Sprint("person", i%3),
		})
		ts.Check(err)
	}
}
