package catalogue_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"leitstand/catalogue"
)

func TestThePictureShowsEveryNodeAndItsReason(t *testing.T) {
	c := catalogue.Case2023(1)
	r := catalogue.Impact(c, catalogue.Selection{Sites: []catalogue.SiteID{"munich"}})
	d := r.Diagram(c)
	sum := 0
	for _, b := range d.Boxes {
		sum += b.Count
	}
	if sum != len(r.Nodes) {
		t.Errorf("%d nodes in the boxes, want %d", sum, len(r.Nodes))
	}
	if len(d.Boxes) > 150 {
		t.Errorf("%d boxes do not fit on a page", len(d.Boxes))
	}
	d = catalogue.Impact(c, catalogue.Selection{Components: []catalogue.ComponentID{"dns@munich"}}).Diagram(c)
	if len(d.Arrows) == 0 {
		t.Fatal("no arrows: nothing says why")
	}
	for _, a := range d.Arrows {
		if d.Boxes[a.From].Column >= d.Boxes[a.To].Column {
			t.Errorf("an arrow from %+v back to %+v", d.Boxes[a.From], d.Boxes[a.To])
		}
	}
}

func TestThePictureIsWellFormedWhateverTheNames(t *testing.T) {
	d := catalogue.Diagram{
		Boxes: []catalogue.Box{
			{Name: `a"b\<script>&#`, Outcome: catalogue.Stopped, Direct: true, Count: 1},
			{Name: "Übung", Outcome: catalogue.Uncertain, Count: 1200, Column: 1},
		},
		Arrows: []catalogue.Arrow{{From: 0, To: 1}},
	}
	svg := d.SVG()
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"Übung ×1.200", "ungewiss", "abgetrennt"} {
		if !strings.Contains(svg, want) || !strings.Contains(d.DOT(), want) || !strings.Contains(d.Mermaid(), want) {
			t.Errorf("%q is missing in a picture", want)
		}
	}
	if strings.Contains(svg, "<script") || strings.Contains(d.Mermaid(), "<script") {
		t.Error("a name became markup")
	}
	if want := `n0 [label="a\"b\\<script>&#\nabgetrennt"`; !strings.Contains(d.DOT(), want) || !strings.Contains(d.DOT(), "n0 -> n1") {
		t.Errorf("DOT:\n%s", d.DOT())
	}
}
