package catalogue

import (
	"embed"
	"encoding/csv"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What was public about the case of 2023. docs/catalogue.md names the sources.
//
//go:embed case2023/*.csv
var caseFiles embed.FS

// What nobody published is drawn so that the 47 Kassen named in public make up
// this share of the 25 million insured of about 80 Kassen.
const (
	insuredOfProvider = 25_000_000
	shareOfNamed      = 88 // percent, assumed
	sbk               = KasseID("108433248")
)

// Case2023 is the case of the attack on a shared provider of German statutory
// health insurers in spring 2023: the 36 Kassen of the press list and 11 other
// named customers, with the names that were public then. How many people each
// Kasse insures, where its services stood and what they rested on was not
// published, but for few values; it is generated with the seed and marked
// Assumed. The same seed gives the same catalogue on every machine.
func Case2023(seed uint64) *Catalogue {
	var fs []File
	for _, n := range []string{"kassen.csv", "standorte.csv", "dienste.csv"} {
		b, err := caseFiles.ReadFile("case2023/" + n)
		if err != nil {
			panic(err) // embedded: cannot be absent in a program that was built
		}
		fs = append(fs, File{Name: n, Data: b})
	}
	base, err := Import(fs...)
	if err != nil {
		panic(err) // as above; a test reads them
	}
	c := &Catalogue{Kassen: base.Kassen, Sites: base.Sites, Services: base.Services}
	g := &generator{seed: seed, c: c, a: "munich", b: "essen", placed: map[PlacementID]bool{}}
	facts := caseFacts()
	g.insured(facts)
	g.components()
	for _, k := range c.Kassen {
		g.placements(k.ID, g.home(k.ID, facts[k.ID]))
	}
	return c.Normal()
}

// caseFact is what is known about a Kasse beyond the catalogue's own fields.
type caseFact struct {
	listed []string // names in the press list, as printed
	size   int      // class 1 to 5, assumed
	home   SiteID   // known site, or ""
}

func caseFacts() map[KasseID]caseFact {
	out := map[KasseID]caseFact{}
	for _, row := range caseTable("fall.csv") {
		f := out[KasseID(row["ik"])]
		if row["auf_der_liste"] == "ja" {
			f.listed = append(f.listed, row["name_in_der_liste"])
		}
		if n, err := strconv.Atoi(row["groesse_angenommen"]); err == nil { // empty on the second line of a Kasse
			f.size = n
		}
		if s := row["standort"]; s != "" {
			f.home = SiteID(s)
		}
		out[KasseID(row["ik"])] = f
	}
	return out
}

// home is the main site of a Kasse. Those on the press list are assumed to
// stand in Munich in 8 of 10 cases: it was Munich that stayed dark for weeks.
func (g *generator) home(k KasseID, f caseFact) SiteID {
	if f.home != "" {
		return f.home
	}
	r := g.rand(k, drawHome)
	munich := 15
	if len(f.listed) > 0 {
		munich = 80
	}
	switch n := r.IntN(100); {
	case n < munich:
		return "munich"
	case n < 90:
		return "essen"
	}
	return "other"
}

// insured draws what was not published, in the range of the size class, and
// scales it to the share of the total.
func (g *generator) insured(facts map[KasseID]caseFact) {
	ranges := [][2]int{1: {8_000, 60_000}, 2: {60_000, 300_000}, 3: {300_000, 900_000}, 4: {1_300_000, 3_000_000}, 5: {4_600_000, 6_000_000}}
	drawn, left := map[KasseID]int{}, insuredOfProvider*shareOfNamed/100
	sum := 0
	for i := range g.c.Kassen {
		k := &g.c.Kassen[i]
		switch {
		case k.Insured > 0: // published
			left -= k.Insured
		case k.ID == sbk: // published: more than a million
			k.Insured = between(g.rand(k.ID, drawInsured), 10_000, 11_500) * 100
			k.InsuredAssumed = true
			left -= k.Insured
		default:
			in := ranges[facts[k.ID].size]
			drawn[k.ID] = between(g.rand(k.ID, drawInsured), in[0], in[1])
			sum += drawn[k.ID]
		}
	}
	for i := range g.c.Kassen {
		k := &g.c.Kassen[i]
		if n, ok := drawn[k.ID]; ok {
			k.Insured = n * (left / 1000) / (sum / 1000) / 100 * 100
			k.InsuredAssumed = true
		}
	}
}

// Fact is one dated event of the case, as a source told it.
type Fact struct {
	Nr        int         `json:"nr"`
	At        time.Time   `json:"at"`        // instant for replay: assumed where only a day is known
	Told      string      `json:"told"`      // the time as the source has it
	Precision string      `json:"precision"` // how hard the time is: Stunde, Tag, Woche, …
	Actor     string      `json:"actor,omitempty"`
	Scope     string      `json:"scope,omitempty"`
	Service   string      `json:"service,omitempty"`  // in words
	Services  []ServiceID `json:"services,omitempty"` // of the catalogue
	Kassen    []KasseID   `json:"kassen,omitempty"`   // named one by one
	Text      string      `json:"text"`
	Status    string      `json:"status"`
	Source    string      `json:"source"`
}

// Timeline2023 lists the dated events of the case in the order of replay. The
// sources contradict each other in places; that is kept.
func Timeline2023() []Fact {
	var out []Fact
	for _, row := range caseTable("zeitstrahl.csv") {
		nr, err := strconv.Atoi(row["nr"])
		if err != nil {
			panic(err) // embedded; a test reads it
		}
		when, err := time.Parse("2006-01-02T15:04Z07:00", row["annahme"])
		if err != nil {
			panic(err)
		}
		out = append(out, Fact{
			Nr: nr, At: when.UTC(), Told: row["zeit"], Precision: row["genauigkeit"], Actor: row["akteur"],
			Scope: row["geltung"], Service: row["dienst"], Services: ids[ServiceID](row["dienste_id"]),
			Kassen: ids[KasseID](row["kassen_ik"]), Text: row["ereignis"], Status: row["status"], Source: row["quelle"],
		})
	}
	return out
}

// Duty is a duty to report or to tell, as data: law changes.
type Duty struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Law        string        `json:"law"`
	Who        string        `json:"who"`
	Starts     string        `json:"starts"`    // what starts the clock
	Deadline   string        `json:"deadline"`  // in words
	Within     time.Duration `json:"within_ns"` // the first fixed deadline; 0 when it is not a number of hours
	EachKasse  bool          `json:"each_kasse"`
	Recipients string        `json:"recipients"`
	Content    string        `json:"content"`
	Note       string        `json:"note,omitempty"`
}

// Duties lists the duties to report, as of November 2026.
func Duties() []Duty {
	var out []Duty
	for _, row := range caseTable("pflichten.csv") {
		within, ok := parseHours("0" + row["frist_h"])
		if !ok {
			panic("catalogue: deadline " + row["frist_h"]) // embedded; a test reads it
		}
		out = append(out, Duty{
			ID: row["id"], Name: row["pflicht"], Law: row["rechtsgrundlage"], Who: row["wer"], Starts: row["uhr_startet"],
			Deadline: row["frist"], Within: within, EachKasse: row["je_kasse"] == "ja",
			Recipients: row["empfaenger"], Content: row["pflichtinhalt"], Note: row["hinweis"],
		})
	}
	return out
}

// ForeignList is a public list of affected Kassen that somebody else published.
type ForeignList struct {
	Version string    `json:"version"`
	Sender  string    `json:"sender"`
	At      time.Time `json:"at"` // assumed where only a day is known
	Names   []string  `json:"names"`
}

// Lists2023 gives the three public lists of the case, names as printed. They
// contradict each other; the third one has one Kasse twice. Names that are no
// Kasse of the catalogue are kept too.
func Lists2023() []ForeignList {
	at := map[int]Fact{}
	for _, f := range Timeline2023() {
		at[f.Nr] = f
	}
	var printed []string
	for _, row := range caseTable("fall.csv") {
		if row["auf_der_liste"] == "ja" {
			printed = append(printed, row["name_in_der_liste"])
		}
	}
	return []ForeignList{
		{Version: "v1", Sender: "gematik", At: at[10].At, Names: strings.Split(at[10].Scope, ", ")},
		{Version: "v2", Sender: "Scanacs", At: at[16].At, Names: strings.Split(at[16].Scope, ", ")},
		{Version: "v3", Sender: "heise online", At: at[22].At, Names: printed},
	}
}

func ids[T ~string](s string) []T {
	var out []T
	for p := range strings.SplitSeq(s, "|") {
		if p != "" {
			out = append(out, T(p))
		}
	}
	return out
}

// caseTable reads an embedded table, a map by column for each row.
func caseTable(name string) []map[string]string {
	f, err := caseFiles.Open(path.Join("case2023", name))
	if err != nil {
		panic(err) // embedded: cannot be absent in a program that was built
	}
	r := csv.NewReader(f)
	r.Comma = ';'
	rows, err := r.ReadAll()
	if err != nil {
		panic(fmt.Errorf("embedded table %s: %w", name, err))
	}
	var out []map[string]string
	for row := range slices.Values(rows[1:]) {
		m := map[string]string{}
		for i, v := range row {
			m[rows[0][i]] = v
		}
		out = append(out, m)
	}
	return out
}
