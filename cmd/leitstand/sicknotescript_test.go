package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// noteMail is a sick note of a practice as a mail, for the Kasse with that IK.
func noteMail(kasse, n string) (string, error) {
	number, err := strconv.Atoi(n)
	if err != nil {
		return "", err
	}
	at := time.Now()
	day := at.Format(time.DateOnly)
	place := eau.Address{Street: "Hauptstraße", House: "1", ZIP: "80331", City: "München", Country: "D"}
	c := eau.Certificate{
		ID: eau.NewID("script", n), Test: true, Date: day, Type: eau.Erst, LegalBasis: "00",
		Patient: eau.Patient{
			Name: eau.Name{Given: "Erika", Family: "Mustermann"}, KVNR: fmt.Sprintf("A%09d", number), BirthDate: "1970-01-01", Address: place,
		},
		Coverage: eau.Coverage{Type: "GKV", PayorIK: kasse, PayorName: "Testkasse", Status: "1", Group: "00", DMP: "00"},
		Author: eau.Practitioner{
			Name: eau.Name{Given: "Hildegard", Family: "Quacksalber"}, Type: "00", Profession: "Hausärztin", LANR: "123456601",
		},
		Organization: eau.Organization{Name: "Praxis Quacksalber", BSNR: "721111100", Phone: "0301234567", Address: place},
		Since:        day, Until: day, Determined: day, Diagnoses: []eau.Diagnosis{{Code: "J06.9", Version: "2026", Certainty: "G"}},
	}
	xml, err := eau.Write(c)
	if err != nil {
		return "", err
	}
	raw, err := kimmail.Compose(kimmail.Draft{
		Kind: kimmail.KindDelivery, Test: true, ID: c.ID, MessageID: "<" + n + "@praxis.kim.example>", Date: at,
		From: kimmail.Address{Addr: "praxis@praxis.kim.example"}, To: []kimmail.Address{{Addr: "eau@" + kasse + ".kim.example"}},
		ReplyTo: kimmail.Address{Addr: "praxis@praxis.kim.example"}, Body: "Guten Tag", XML: xml, Delivered: true,
	})
	return string(raw), err
}

// sickNote (sicknote FILE KASSE NUMBER) writes a mail with a sick note.
func sickNote(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: sicknote FILE KASSE NUMBER")
	}
	raw, err := noteMail(args[1], args[2])
	ts.Check(err)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(raw), 0o600))
}

// mailServer (mailserver VAR KASSE N) starts a POP3 server with N sick notes that
// ends with the script, and keeps its address. It refuses to delete.
func mailServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: mailserver VAR KASSE N")
	}
	var mails []string
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	for i := range n {
		raw, err := noteMail(args[1], strconv.Itoa(1000+i))
		ts.Check(err)
		mails = append(mails, raw)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { servePOP(c, mails) })
		}
	})
	ts.Defer(func() { _ = l.Close(); wg.Wait() })
	ts.Setenv(args[0], l.Addr().String())
}

func servePOP(c net.Conn, mails []string) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	say := func(lines ...string) { _, _ = c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")) }
	say("+OK ready")
	in := bufio.NewScanner(c)
	for in.Scan() {
		verb, arg, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(in.Text())), " ")
		n, _ := strconv.Atoi(arg)
		switch {
		case verb == "LIST" || verb == "UIDL":
			out := []string{"+OK"}
			for i, m := range mails {
				what := strconv.Itoa(len(m))
				if verb == "UIDL" {
					what = "uid-" + strconv.Itoa(i)
				}
				out = append(out, strconv.Itoa(i+1)+" "+what)
			}
			say(append(out, ".")...)
		case verb == "RETR" && n >= 1 && n <= len(mails):
			say("+OK", strings.TrimSuffix(mails[n-1], "\r\n"), ".")
		case verb == "USER" || verb == "PASS" || verb == "STAT" || verb == "NOOP":
			say("+OK 0 0")
		case verb == "QUIT":
			say("+OK")
			return
		default:
			say("-ERR no")
		}
	}
}

// photograph (photograph FILE) writes an image of a certificate's barcode, four
// pixels a module, as a scanner would.
func photograph(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: photograph FILE")
	}
	f, err := os.Open("../../pure/barcode/testdata/form-level5.png")
	ts.Check(err)
	one, err := png.Decode(f)
	ts.Check(errors.Join(err, f.Close()))
	const scale, margin = 4, 50
	g := image.NewGray(image.Rect(0, 0, one.Bounds().Dx()*scale+2*margin, one.Bounds().Dy()*scale+2*margin))
	for i := range g.Pix {
		g.Pix[i] = 255
		x, y := i%g.Stride-margin, i/g.Stride-margin
		if x >= 0 && y >= 0 && image.Pt(x/scale, y/scale).In(one.Bounds()) {
			r, _, _, _ := one.At(x/scale, y/scale).RGBA()
			g.Pix[i] = byte(r >> 8)
		}
	}
	out, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(jpeg.Encode(out, g, nil), out.Close()))
}

// askFiles (askfiles DIR) writes employers' requests of today about the sick notes 1
// and 7.
func askFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: askfiles DIR")
	}
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o700))
	for name, n := range map[string]int{"one": 1, "two": 7} {
		text := fmt.Sprintf(`{"datensatz_id":%q,"betriebsnummer":"12345678","versichertennummer":"A%09d","abwesenheit_ab":%q}`, name, n, time.Now().Format(time.DateOnly))
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name+".json"), []byte(text), 0o600))
	}
}
