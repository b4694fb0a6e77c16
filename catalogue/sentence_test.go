package catalogue_test

import (
	"testing"

	"leitstand/catalogue"
)

func TestThePreviewInASentence(t *testing.T) {
	c := small()
	for _, x := range []struct {
		act  catalogue.Selection
		want string
	}{
		{
			catalogue.Selection{Components: []catalogue.ComponentID{"dns@munich"}},
			"3 Dienste von Kassen sind betroffen: einer fällt aus, einer ist eingeschränkt, einer läuft über einen Ersatzweg. " +
				"Es trifft eine Kasse mit 1.100 Versicherten (zum Teil angenommene Zahlen). " +
				"Zuerst untragbar: eAU-Annahme der SBK nach 3 Tagen. Danach ist kimdienst@essen der letzte Weg für einen Dienst.",
		},
		{
			catalogue.Selection{Kassen: []catalogue.KasseID{"103170002", "1"}},
			"Ein Dienst einer Kasse ist betroffen: einer fällt aus. Es trifft eine Kasse mit 900 Versicherten. " +
				"Zuerst untragbar: eAU-Annahme der hkk Krankenkasse nach 3 Tagen. Nicht im Katalog und nicht berechnet: 1.",
		},
		{catalogue.Selection{}, "Kein Dienst einer Kasse ist betroffen."},
	} {
		if got := catalogue.Impact(c, x.act).Sentence(c); got != x.want {
			t.Errorf("got  %s\nwant %s", got, x.want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1.000", 25_000_000: "25.000.000", -1234: "-1.234"} {
		if got := catalogue.Thousands(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
