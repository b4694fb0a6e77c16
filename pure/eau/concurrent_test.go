package eau_test

import (
	"fmt"
	"sync"
	"testing"

	"leitstand/pure/eau"
)

func TestManyCheckAndReadAtOnce(t *testing.T) {
	var docs [][]byte
	for i := range 8 {
		c := eau.SampleCertificate()
		c.ID, c.Patient.KVNR = eau.NewID("concurrent", fmt.Sprint(i)), fmt.Sprintf("X%09d", i)
		if i%2 == 1 {
			c.Organization.BSNR = fmt.Sprint(i) // too short
		}
		b, err := eau.Write(c)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, b)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for round := range 25 {
				i := round % len(docs)
				d, r := eau.ReadAndCheck(docs[i], eau.Options{})
				if want := fmt.Sprintf("X%09d", i); r.Valid != (i%2 == 0) || d.Certificate.Patient.KVNR != want {
					t.Errorf("document %d: valid %v, %s; want %s", i, r.Valid, d.Certificate.Patient.KVNR, want)
				}
			}
		})
	}
	wg.Wait()
}
