package catalogue_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"leitstand/catalogue"
)

// tables is a good catalogue as a person would keep it in Excel.
func tables() map[string]string {
	return map[string]string{
		"kassen.csv": "ik;name;kassenart;weitere_ik;fruehere_namen;versicherte;versicherte_angenommen\n" +
			"103170002;hkk Krankenkasse;Ersatzkasse;;HKK;586.000;\n" +
			"108433248;SBK;BKK;108033244;;1100000;ja\n",
		"standorte.csv": "standort;name\nmunich;München\nessen;Essen\n",
		"dienste.csv": "dienst;name;kritikalitaet;mtpd_h;verhalten;gewicht\n" +
			"eau;eAU-Annahme;1;72;;\n" +
			"kim;KIM;1;1,5;hinweis;2,5\n" +
			"app;App;3;336;abweisen;\n",
		"komponenten.csv": "komponente;name;standort;haengt_ab_von;art\n" +
			"kimdienst;KIM-Fachdienst;munich;directory;hart\n" +
			"kimdienst@essen;KIM-Fachdienst;;;\n" +
			"directory;AD;munich;dns;\n" +
			"dns;DNS;München;directory;\n",
		"platzierungen.csv": "kasse;standort;dienst;haengt_ab_von;art;mtpd_h;team\n" +
			"103170002;essen;kim;kimdienst@munich;alternativ;;\n" +
			"HKK;Essen;kim;kimdienst@essen;alternativ;;\n" +
			"hkk  krankenkasse;essen;eau;kim;hart;36;Windows\n" +
			"108033244;munich;eAU-Annahme;directory & (kimdienst@munich oder 103170002/kim/essen);hart;;\n" +
			";;;;;;\n" +
			"SBK;munich;app;108033244/eau/munich;weich;;Web\n" +
			"SBK;munich;app;directory;;1:30;\n",
	}
}

func files(m map[string]string) []catalogue.File {
	var out []catalogue.File
	for _, n := range []string{"kassen.csv", "standorte.csv", "dienste.csv", "komponenten.csv", "platzierungen.csv", "catalogue.yaml"} {
		if s, ok := m[n]; ok {
			out = append(out, catalogue.File{Name: n, Data: []byte(s)})
		}
	}
	return out
}

func formula(t *testing.T, s string) catalogue.Formula {
	t.Helper()
	f, err := catalogue.ParseFormula(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTablesBecomeACatalogue(t *testing.T) {
	c, err := catalogue.Import(files(tables())...)
	if err != nil {
		t.Fatal(err)
	}
	hkk, _ := c.Kasse("103170002")
	if hkk.Insured != 586_000 || hkk.InsuredAssumed || hkk.Kind != "Ersatzkasse" {
		t.Errorf("%+v", hkk)
	}
	want := []catalogue.Placement{
		{ID: "103170002/eau/essen", Kasse: "103170002", Service: "eau", Site: "essen", Environment: "103170002@essen", Needs: formula(t, "103170002/kim/essen"), MTPD: 36 * time.Hour, Team: "Windows"},
		{ID: "103170002/kim/essen", Kasse: "103170002", Service: "kim", Site: "essen", Environment: "103170002@essen", Needs: formula(t, "kimdienst@munich | kimdienst@essen")},
		{ID: "108433248/app/munich", Kasse: "108433248", Service: "app", Site: "munich", Environment: "108433248@munich", Needs: formula(t, "directory@munich"), Wants: formula(t, "108433248/eau/munich"), MTPD: 90 * time.Minute, Team: "Web"},
		{ID: "108433248/eau/munich", Kasse: "108433248", Service: "eau", Site: "munich", Environment: "108433248@munich", Needs: formula(t, "directory@munich & (kimdienst@munich | 103170002/kim/essen)")},
	}
	if diff := cmp.Diff(want, c.Placements); diff != "" {
		t.Errorf("placements (-want +got):\n%s", diff)
	}
	kim, _ := c.Service("kim")
	if kim.MTPD != 90*time.Minute || kim.Weight != 2.5 || kim.Behaviour != catalogue.Notice || c.MTPD("108433248", "app") != 90*time.Minute || c.MTPD("103170002", "kim") != 90*time.Minute {
		t.Errorf("%+v", kim)
	}
	if eau, _ := c.Service("eau"); eau.Weight != 8 || eau.Behaviour != catalogue.Buffer {
		t.Errorf("defaults: %+v", eau)
	}
}

func TestYAMLSaysTheSameAsTables(t *testing.T) {
	const y = `# one file
kassen:
  - {ik: 103170002, name: hkk Krankenkasse, kassenart: Ersatzkasse, fruehere_namen: [HKK], versicherte: 586.000}
  - ik: "108433248"
    name: SBK
    kassenart: BKK
    weitere_ik: [108033244]
    versicherte: 1100000
    versicherte_angenommen: ja
standorte:
  - standort: munich
    name: München
  - {standort: essen, name: Essen}
dienste:
  - {dienst: eau, name: eAU-Annahme, kritikalitaet: 1, mtpd_h: 72}
  - {dienst: kim, name: KIM, kritikalitaet: 1, mtpd_h: 1.5, verhalten: hinweis, gewicht: 2.5}
  - {dienst: app, name: App, kritikalitaet: 3, mtpd_h: 336, verhalten: abweisen}
komponenten:
  - {komponente: kimdienst@munich, name: KIM-Fachdienst, haengt_ab_von: directory}
  - {komponente: kimdienst, standort: essen, name: KIM-Fachdienst}
  - {komponente: directory, name: AD, standort: munich, haengt_ab_von: dns}
  - {komponente: dns, name: DNS, standort: munich, haengt_ab_von: [directory]}
platzierungen:
  - {kasse: 103170002, standort: essen, dienst: kim, haengt_ab_von: kimdienst@munich | kimdienst@essen}
  - {kasse: 103170002, standort: essen, dienst: eau, haengt_ab_von: kim, mtpd_h: 36, team: Windows}
  - kasse: 108433248
    standort: munich
    dienst: eau
    haengt_ab_von:
      - directory
      - kimdienst | 103170002/kim/essen
  - {kasse: 108433248, standort: munich, dienst: app, haengt_ab_von: directory, mtpd_h: 1.5, team: Web}
  - {kasse: 108433248, standort: munich, dienst: app, haengt_ab_von: eau, art: weich}
`
	fromYAML, err := catalogue.Import(catalogue.File{Name: "catalogue.yaml", Data: []byte(y)})
	if err != nil {
		t.Fatal(err)
	}
	fromCSV, err := catalogue.Import(files(tables())...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromCSV, fromYAML, equal()); diff != "" {
		t.Errorf("(-csv +yaml):\n%s", diff)
	}
	if fromCSV.Hash() != fromYAML.Hash() {
		t.Error("same content, other hash")
	}
}

// Each mistake is named with file, line and field.
func TestAnImportNamesEveryMistake(t *testing.T) {
	for _, x := range []struct{ file, old, new, want string }{
		{"kassen.csv", "103170002", "103170003", `kassen.csv:2: ik: "103170003" is no IK: the check digit should be 2`},
		{"kassen.csv", "108433248", "103170002", `kassen.csv:3: ik: IK 103170002 is listed already at kassen.csv:2`},
		{"kassen.csv", "108033244", "103170002", `kassen.csv:3: weitere_ik: IK 103170002 is listed already at kassen.csv:2`},
		{"kassen.csv", ";SBK;", ";hkk krankenkasse;", `kassen.csv:3: name: "hkk krankenkasse" is a name of Kasse 103170002 already`},
		{"kassen.csv", ";SBK;", ";;", `kassen.csv:3: name: is empty`},
		{"kassen.csv", "586.000", "58.6000", `kassen.csv:2: versicherte: "58.6000" is no whole number`},
		{"kassen.csv", "1100000;ja", "1100000;vielleicht", `kassen.csv:3: versicherte_angenommen: "vielleicht" is neither`},
		{"kassen.csv", ";versicherte;", ";versichrte;", `kassen.csv:1: versichrte: unknown column in a file of kassen, did you mean "versicherte"?`},
		{"kassen.csv", "versicherte_angenommen", "versicherte", `kassen.csv:1: versicherte: this column is there twice`},
		{"kassen.csv", "ik;name", "ikk;name", `no known kind of file: "ikk", did you mean "ik"?`},
		{"kassen.csv", "ik;name;kassenart;weitere_ik;fruehere_namen;versicherte;versicherte_angenommen", "ik,name", `columns are separated by semicolons`},
		{"kassen.csv", ";SBK;BKK;", ";SBK;", `kassen.csv:3: 6 columns, the header has 7`},
		{"kassen.csv", ";SBK;", `;S"BK;`, `kassen.csv:3: is no CSV`},
		{"kassen.csv", ";SBK;", ";S\x00BK;", `kassen.csv:3: name: contains the control character U+0000`},
		{"kassen.csv", ";SBK;", ";S\u202eBK;", `kassen.csv:3: name: contains the control character U+202E`},
		{"kassen.csv", ";SBK;", ";" + strings.Repeat("S", 20_000) + ";", `kassen.csv:3: name: 20000 bytes, at most 16384`},
		{"standorte.csv", "essen;", "munich;", `standorte.csv:3: standort: "munich" is listed already at standorte.csv:2`},
		{"standorte.csv", "essen;", "es sen;", `standorte.csv:3: standort: "es sen": an id is`},
		{"standorte.csv", "München", "M\xfcnchen", `standorte.csv:2: is not UTF-8 (byte 0xfc, perhaps Windows-1252)`},
		{"standorte.csv", "standort;name\nmunich;München\nessen;Essen\n", " \n", `standorte.csv: is empty`},
		{"dienste.csv", "app;App;3", "app;App;5", `dienste.csv:4: kritikalitaet: "5" is not 1 (vital) to 4`},
		{"dienste.csv", "1,5", "1,234", `dienste.csv:3: mtpd_h: "1,234" is no number of hours to the minute`},
		{"dienste.csv", "abweisen", "verlieren", `dienste.csv:4: verhalten: behaviour "verlieren" is none of`},
		{"dienste.csv", "2,5", "-2", `dienste.csv:3: gewicht: "-2" is no number`},
		{"dienste.csv", "app;App", "eau;App", `dienste.csv:4: dienst: "eau" is listed already at dienste.csv:2`},
		{"komponenten.csv", "directory;AD;munich", "directory;AD;", `komponenten.csv:4: standort: is empty, and "directory" names no site`},
		{"komponenten.csv", "kimdienst@essen;KIM-Fachdienst;;", "kimdienst@essen;KIM-Fachdienst;munich;", `komponenten.csv:3: standort: "munich" is not the site of "kimdienst@essen"`},
		{"komponenten.csv", "directory;AD;munich;dns;", "directory;AD;munich;dms;", `komponenten.csv:4: haengt_ab_von: "dms" is neither a component nor a placed service, did you mean "dns"?`},
		{"komponenten.csv", "dns;DNS;München;directory;", "dns;DNS;München;dns;", `komponenten.csv:5: haengt_ab_von: "dns@munich" rests on itself`},
		{"komponenten.csv", "directory;AD;munich;dns;", "directory;AD;munich;dns &;", `komponenten.csv:4: haengt_ab_von: formula at character 6: a name is missing`},
		{"platzierungen.csv", "SBK;munich;app;108033244", "SBKK;munich;app;108033244", `platzierungen.csv:7: kasse: "SBKK" is no Kasse of the catalogue, did you mean "SBK"?`},
		{"platzierungen.csv", "SBK;munich;app;directory", "SBK;munch;app;directory", `platzierungen.csv:8: standort: "munch" is no site of the catalogue, did you mean "munich"?`},
		{"platzierungen.csv", "SBK;munich;app;directory", "SBK;munich;ap;directory", `platzierungen.csv:8: dienst: "ap" is no service of the catalogue, did you mean "app"?`},
		{"platzierungen.csv", "directory;;1:30", "directory;hard;1:30", `platzierungen.csv:8: art: "hard" is none of hart, weich, alternativ, did you mean "hart"?`},
		{"platzierungen.csv", "weich;;Web", "weich;2;Web", `platzierungen.csv:8: mtpd_h: 1:30 hours, but 2 at platzierungen.csv:7`},
		{"platzierungen.csv", "1:30;", "1:30;Netz", `platzierungen.csv:8: team: "Netz", but "Web" at platzierungen.csv:7`},
	} {
		m := tables()
		broken := strings.Replace(m[x.file], x.old, x.new, 1)
		if broken == m[x.file] {
			t.Fatalf("%s does not contain %q", x.file, x.old)
		}
		m[x.file] = broken
		c, err := catalogue.Import(files(m)...)
		var ps catalogue.Problems
		if c != nil || !errors.As(err, &ps) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("want %s, got\n%v", x.want, err)
		}
	}
}

func TestAShortNameWithTwoMeaningsIsAnError(t *testing.T) {
	m := tables()
	m["komponenten.csv"] = strings.ReplaceAll(m["komponenten.csv"], "kimdienst", "kim")
	m["platzierungen.csv"] = strings.ReplaceAll(m["platzierungen.csv"], "kimdienst", "kim")
	_, err := catalogue.Import(files(m)...)
	want := `platzierungen.csv:4: haengt_ab_von: "kim" may be "kim@essen" or "103170002/kim/essen": give one in full`
	if err == nil || err.Error() != want {
		t.Errorf("want %s, got\n%v", want, err)
	}
}

func TestYAMLMistakesAreNamed(t *testing.T) {
	for in, want := range map[string]string{
		"kassen:\n  - ik: 103170002\n":                               `c.yaml:2: name: is missing`,
		"kassen:\n  - ik: 103170002\n    name: x\n    nam: y\n":      `c.yaml:4: nam: unknown key in kassen, did you mean "name"?`,
		"kasen:\n  - ik: 103170002\n":                                `c.yaml:1: kasen: unknown key, known are [platzierungen kassen komponenten dienste standorte], did you mean "kassen"?`,
		"kassen: 3\n":                                                `c.yaml:1: kassen: here should stand a list, not a plain value`,
		"kassen:\n  - 3\n":                                           `c.yaml:2: kassen: here should stand keys and values, not a plain value`,
		"- 3\n":                                                      `c.yaml:1: here should stand keys and values, not a list`,
		"standorte:\n  - standort: [a]\n":                            `c.yaml:2: standort: a list where one value should stand`,
		"standorte:\n  - standort: {a: b}\n":                         `c.yaml:2: standort: here should stand a value or a list of values, not keys and values`,
		"standorte:\n  - &x {standort: a}\n  - *x\n":                 `c.yaml:2: standorte: here should stand keys and values, not an anchor, alias`,
		"standorte:\n  - standort: !!str a\n":                        `not an anchor, alias, tag`,
		"standorte:\n  - standort: a\n    standort: b\n":             `c.yaml:3: `,
		"standorte:\n\t- standort: a\n":                              `c.yaml:2: is no YAML`,
		"standorte: [\n":                                             `is no YAML`,
		"kassen:\n  - {ik: 103170003, name: x}\n  - {ik: 1, name: }": "c.yaml:2: ik: \"103170003\" is no IK: the check digit should be 2\nc.yaml:3: ik: \"1\" is no IK: it needs nine digits\nc.yaml:3: name: is empty",
	} {
		_, err := catalogue.Import(catalogue.File{Name: "c.yaml", Data: []byte(in)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\nwant %s\ngot  %v", in, want, err)
		}
	}
}

func TestAllProblemsOfAllFilesComeAtOnce(t *testing.T) {
	m := tables()
	m["kassen.csv"] = strings.Replace(m["kassen.csv"], "586.000", "viele", 1)
	m["dienste.csv"] = strings.Replace(m["dienste.csv"], "336", "ewig", 1)
	m["platzierungen.csv"] += "Nord BKK;munich;app;;;;\n;munich;app;;;;\n"
	_, err := catalogue.Import(files(m)...)
	var ps catalogue.Problems
	if !errors.As(err, &ps) {
		t.Fatal(err)
	}
	var at []string
	for _, p := range ps {
		at = append(at, fmt.Sprintf("%s:%d:%s", p.File, p.Line, p.Field))
	}
	want := []string{"dienste.csv:4:mtpd_h", "kassen.csv:2:versicherte", "platzierungen.csv:9:kasse", "platzierungen.csv:10:kasse"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFileThatIsWrongEverywhereStaysReadable(t *testing.T) {
	var b strings.Builder
	b.WriteString("ik;name\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "%d;x%d\n", i, i)
	}
	_, err := catalogue.Import(catalogue.File{Name: "kassen.csv", Data: []byte(b.String())})
	var ps catalogue.Problems
	if !errors.As(err, &ps) || len(ps) != 1001 || !strings.Contains(ps[1000].Text, "4000 more problems") {
		t.Errorf("%d problems", len(ps))
	}
}

func TestEncodingsAndSizesAreChecked(t *testing.T) {
	for want, f := range map[string]catalogue.File{
		"is UTF-16":            {Name: "a.csv", Data: []byte("\xff\xfei\x00k\x00")},
		"at most 16777216":     {Name: "a.csv", Data: make([]byte, catalogue.MaxFile+1)},
		"at most 4194304":      {Name: "a.yaml", Data: make([]byte, catalogue.MaxYAML+1)},
		"neither .csv nor":     {Name: "a.xlsx", Data: []byte("PK")},
		"import: no file to":   {},
		"a.yaml:1: is no YAML": {Name: "a.yaml", Data: bytes.Repeat([]byte("["), 100)},
	} {
		var err error
		if f.Name == "" {
			_, err = catalogue.Import()
		} else {
			_, err = catalogue.Import(f)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	bom := tables()
	bom["kassen.csv"] = "\xef\xbb\xbf" + strings.ReplaceAll(bom["kassen.csv"], "\n", "\r\n")
	if _, err := catalogue.Import(files(bom)...); err != nil {
		t.Errorf("with byte order mark and CRLF: %v", err)
	}
}

func TestAFolderStandsForItsFiles(t *testing.T) {
	fsys := fstest.MapFS{"d/readme.txt": {Data: []byte("no")}, "e/x.txt": {}}
	for n, s := range tables() {
		fsys["d/"+n] = &fstest.MapFile{Data: []byte(s)}
	}
	fs, err := catalogue.ReadFiles(fsys, "d")
	if err != nil || len(fs) != 5 {
		t.Fatalf("%d files, %v", len(fs), err)
	}
	if _, err := catalogue.Import(fs...); err != nil {
		t.Error(err)
	}
	for _, n := range []string{"e", "nowhere", "d/nothing.csv"} {
		if _, err := catalogue.ReadFiles(fsys, n); err == nil {
			t.Errorf("%q was read", n)
		}
	}
}

func ik(n int) string {
	for d := range 10 {
		if s := fmt.Sprintf("10%06d%d", n, d); catalogue.ValidIK(s) {
			return s
		}
	}
	return ""
}

// catalogues draws good catalogues with names that are hard to write in files.
func catalogues() *rapid.Generator[*catalogue.Catalogue] {
	return rapid.Custom(func(t *rapid.T) *catalogue.Catalogue {
		c := &catalogue.Catalogue{}
		word := rapid.StringMatching(`[a-zäöüß&;:#'"\-\[\{!%@, ]{0,12}[a-zéß"']`)
		for i := range rapid.IntRange(1, 4).Draw(t, "kassen") {
			k := catalogue.Kasse{ID: catalogue.KasseID(ik(2 * i)), Name: fmt.Sprint(i, word.Draw(t, "name")), Kind: rapid.SampledFrom([]string{"BKK", "IKK", ""}).Draw(t, "art"), Insured: rapid.IntRange(0, 9_000_000).Draw(t, "n"), InsuredAssumed: rapid.Bool().Draw(t, "a"), Note: strings.TrimSpace(word.Draw(t, "note"))}
			if rapid.Bool().Draw(t, "second") {
				k.OtherIK = []string{ik(2*i + 1)}
				k.Former = []string{fmt.Sprint("f", i), "null", "~", "0123"}
			}
			c.Kassen = append(c.Kassen, k)
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "sites") {
			c.Sites = append(c.Sites, catalogue.Site{ID: catalogue.SiteID(fmt.Sprint("s", i)), Name: fmt.Sprint("S", i, word.Draw(t, "site")), Assumed: rapid.Bool().Draw(t, "a")})
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "services") {
			c.Services = append(c.Services, catalogue.Service{
				ID: catalogue.ServiceID(fmt.Sprint("d", i)), Name: fmt.Sprint("D", i, word.Draw(t, "service")), Criticality: rapid.IntRange(1, 4).Draw(t, "crit"),
				MTPD: time.Duration(rapid.IntRange(0, 50_000).Draw(t, "mtpd")) * time.Minute, Behaviour: catalogue.Behaviour(rapid.IntRange(0, 2).Draw(t, "b")),
				Weight: float64(rapid.IntRange(0, 1000).Draw(t, "w")) / 8, Alternative: strings.TrimSpace(word.Draw(t, "alt")),
			})
		}
		var nodes []string
		for i := range rapid.IntRange(0, 5).Draw(t, "components") {
			s := rapid.SampledFrom(c.Sites).Draw(t, "at").ID
			m := catalogue.Component{ID: catalogue.ComponentID(fmt.Sprint("c", i, "@", s)), Site: s, Name: strings.TrimSpace("C" + word.Draw(t, "component")), Assumed: rapid.Bool().Draw(t, "a")}
			m.Needs, m.Wants = drawFormula(t, nodes), drawFormula(t, nodes)
			nodes = append(nodes, string(m.ID))
			c.Components = append(c.Components, m)
		}
		for _, k := range c.Kassen {
			for _, d := range c.Services {
				for _, s := range c.Sites {
					if rapid.Bool().Draw(t, "placed") {
						place(c, k.ID, d.ID, s.ID, drawFormula(t, nodes))
						p := &c.Placements[len(c.Placements)-1]
						p.Wants = drawFormula(t, nodes)
						p.Team = rapid.SampledFrom([]string{"", "Netz", "no"}).Draw(t, "team")
						p.Assumed = rapid.Bool().Draw(t, "a")
						nodes = append(nodes, string(p.ID))
					}
				}
			}
		}
		return c
	})
}

func drawFormula(t *rapid.T, nodes []string) catalogue.Formula {
	if len(nodes) == 0 || rapid.Bool().Draw(t, "none") {
		return catalogue.Formula{}
	}
	node := func() catalogue.Formula { return catalogue.Node(rapid.SampledFrom(nodes).Draw(t, "node")) }
	f := catalogue.Any(node(), catalogue.All(node(), node()))
	return catalogue.All(f, catalogue.Any(node(), node()))
}

func TestWhatIsExportedIsImportedAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := catalogues().Draw(t, "catalogue")
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		tables, err := c.ExportCSV()
		if err != nil {
			t.Fatal(err)
		}
		y, err := c.ExportYAML()
		if err != nil {
			t.Fatal(err)
		}
		for name, in := range map[string][]catalogue.File{"CSV": tables, "YAML": {y}} {
			back, err := catalogue.Import(in...)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, in[0].Data)
			}
			if diff := cmp.Diff(c.Normal(), back, equal(), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func seedFiles(f *testing.F, ext string) {
	c := small()
	fs, err := c.ExportCSV()
	if err != nil {
		f.Fatal(err)
	}
	y, err := c.ExportYAML()
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range append(fs, y) {
		if strings.HasSuffix(x.Name, ext) {
			f.Add(x.Data)
		}
	}
}

// Whatever comes in: no panic, and what is taken is valid and comes out again.
func checkImport(t *testing.T, f catalogue.File) {
	c, err := catalogue.Import(f)
	if err != nil {
		return
	}
	if err := c.Validate(); err != nil {
		t.Fatalf("took an invalid catalogue: %v", err)
	}
	y, err := c.ExportYAML()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Kassen)+len(c.Sites)+len(c.Services) == 0 {
		return
	}
	back, err := catalogue.Import(y)
	if err != nil || back.Hash() != c.Hash() {
		t.Fatalf("does not come back: %v\n%s", err, y.Data)
	}
}

func FuzzImportCSV(f *testing.F) {
	seedFiles(f, ".csv")
	f.Fuzz(func(t *testing.T, b []byte) { checkImport(t, catalogue.File{Name: "a.csv", Data: b}) })
}

func FuzzImportYAML(f *testing.F) {
	seedFiles(f, ".yaml")
	f.Fuzz(func(t *testing.T, b []byte) { checkImport(t, catalogue.File{Name: "a.yaml", Data: b}) })
}
