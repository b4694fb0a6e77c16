package eau

import (
	"maps"
	"testing"
)

// The certificates that the tests are built on: fictitious people, one for each
// kind of case that the profiles know. Together they use every element that
// the profiles allow and the writer writes.

// SampleCertificate is a first certificate of a statutory insured person with
// everything that can be said of one.
func SampleCertificate() Certificate {
	return Certificate{
		ID: NewID("fixture", "gkv"), Date: "2026-11-20", Type: Erst, LegalBasis: "00",
		Patient: Patient{
			Name:      Name{Title: "Dr.", Given: "Erika", Addition: "Freifrau", Prefix: "von", Family: "Übungsbeck & Söhne"},
			KVNR:      "X123456788",
			BirthDate: "1980-02-29",
			Address:   Address{Street: "Am Prüfstand", House: "12 b", Extra: "Hinterhaus", ZIP: "10115", City: "Berlin", Country: "D"},
		},
		Coverage: Coverage{Type: "GKV", PayorIK: "109500969", PayorName: "Muster-Kasse", Status: "1", Group: "00", DMP: "00", WOP: "72", End: "2030-12-31"},
		Author: Practitioner{
			Name: Name{Title: "Dr. med.", Given: "Max", Prefix: "zu", Family: "Mustermann"}, Type: "00",
			Profession: "Hausarzt", LANR: "123456601", TelematikID: "1-1.58.12345678",
		},
		Organization: Organization{
			Name: "Praxis Mustermann", BSNR: "721111100", TelematikID: "1-20012345678",
			Phone: "030 1234567", Fax: "030 1234568", Mail: "praxis@example.org",
			Address: Address{Street: "Hauptstraße", House: "1", Extra: "Aufgang 2", ZIP: "10115", City: "Berlin", Country: "D"},
		},
		Since: "2026-11-19", Until: "2026-11-27", Determined: "2026-11-20", SevenWeeks: true,
		Causes: []string{CauseWorkAccident, CauseCompensation},
		Diagnoses: []Diagnosis{
			{Code: "S93.40", Version: "2026", Certainty: "G", Side: "L"},
			{Code: "R51", Version: "2026", Certainty: "V"},
			{Code: "Z98.8", Version: "2026", Certainty: "Z"},
			{Code: "I21.0", Version: "2026", Certainty: "A"},
		},
		DiagnosisText: "Umgeknickt < gestern",
		Steps:         []Step{{Code: "d_arzt"}, {Code: "reha"}, {Code: "wiedereingliederung"}, {Code: "sonstige", Text: "Ruhe"}},
	}
}

// fixture is a certificate that the tests know by name.
type fixture struct {
	name string
	make func() Certificate
}

// variant changes the sample.
func variant(name string, change func(*Certificate)) fixture {
	return fixture{name, func() Certificate {
		c := SampleCertificate()
		c.ID = NewID("fixture", name)
		change(&c)
		return c
	}}
}

// fixtures are all certificates, all of them valid.
func fixtures() []fixture {
	return []fixture{
		{"gkv", SampleCertificate},
		variant("folge", func(c *Certificate) { c.Type, c.Since, c.Causes = Folge, "", []string{CauseAccident} }),
		variant("pkv", func(c *Certificate) {
			c.Coverage.Type, c.PartlyFitFrom, c.Unemployable = "PKV", "2026-11-24", true
			c.Steps = []Step{
				{Code: "reha", Admission: "2026-12-01", Discharge: "2026-12-20"},
				{Code: "stationaere_heilbehandlung", Admission: "2026-12-01", Discharge: "2026-12-20"},
				{Code: "wiedereingliederung", Reintegrate: "2026-12-21"},
			}
		}),
		variant("bg", func(c *Certificate) { c.Coverage.Type, c.Coverage.AlternativeIK = "BG", "120590013" }),
		variant("skt", func(c *Certificate) {
			c.Coverage.Type, c.Patient.KVNR, c.Patient.KVK = "SKT", "", "123456789"
			c.Type = ErstEnd
		}),
		variant("sel", func(c *Certificate) {
			c.Coverage = Coverage{Type: "SEL", PayorName: "Selbstzahler"}
			c.Patient.KVNR = ""
		}),
		variant("weiterbildung", func(c *Certificate) {
			c.Author.Type, c.Author.LANR, c.Author.TelematikID = "03", "", ""
			c.Responsible = &Practitioner{Name: Name{Given: "Petra", Family: "Leitend"}, Type: "00", Profession: "Fachärztin", LANR: "223456602"}
		}),
		variant("vertreter", func(c *Certificate) {
			c.Author.Type = "04"
			c.Responsible = &Practitioner{Name: Name{Given: "Petra", Family: "Leitend"}, Type: "04", Profession: "Fachärztin", LANR: "223456602"}
		}),
		variant("asv", func(c *Certificate) {
			c.LegalBasis, c.ASVTeam = "01", "001234567"
			c.Author.LANR, c.Author.TelematikID, c.Author.ASVGroup = "", "", "555555472"
		}),
		variant("asv-vertreter", func(c *Certificate) {
			c.LegalBasis, c.ASVTeam = "11", "001234567"
			c.Author.Type, c.Author.LANR, c.Author.TelematikID, c.Author.ASVGroup = "04", "", "", "555555472"
			c.Responsible = &Practitioner{Name: Name{Given: "Petra", Family: "Leitend"}, Type: "00", Profession: "Fachärztin", ASVGroup: "555555472"}
		}),
		variant("zahnarzt", func(c *Certificate) {
			c.Author.Type, c.Author.LANR, c.Author.ZANR = "01", "", "123456791"
			c.Organization.BSNR, c.Organization.KZVA = "", "123456789"
		}),
		variant("krankenhaus", func(c *Certificate) {
			c.Organization.BSNR, c.Organization.Site = "", "771234567"
			c.Organization.Address.House = noHouse
		}),
		variant("ik", func(c *Certificate) { c.Organization.BSNR, c.Organization.IK = "", "260530103" }),
		variant("postfach", func(c *Certificate) {
			c.Patient.Address = Address{PostBox: "1234", ZIP: "10115", City: "Berlin", Country: "D"}
		}),
		variant("strasse", func(c *Certificate) {
			c.Patient.Address = Address{Street: "Dorf", ZIP: "10115", City: "Berlin", Country: "D"}
		}),
		variant("hausnummer", func(c *Certificate) {
			c.Patient.Address = Address{House: "7", ZIP: "10115", City: "Berlin", Country: "D"}
		}),
		variant("zusatz", func(c *Certificate) {
			c.Patient.Address = Address{Extra: "Schloss", ZIP: "10115", City: "Berlin", Country: "D"}
		}),
		variant("jahr", func(c *Certificate) { c.Patient.BirthDate = "1980" }),
		variant("saeugling", func(c *Certificate) { c.Patient.BirthDate = "2026-11" }),
	}
}

// SampleStorno cancels the sample.
func SampleStorno() Storno {
	c := SampleCertificate()
	return Storno{ID: NewID("fixture", "storno"), Date: "2026-11-21", Author: c.Author, Organization: c.Organization, Cancels: "urn:uuid:" + c.ID}
}

// documents are all fixtures as bytes, by name.
func documents(tb testing.TB) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	keep := func(name string, b []byte, err error) {
		if err != nil {
			tb.Fatalf("fixture %s: %v", name, err)
		}
		out[name] = b
	}
	for _, f := range fixtures() {
		b, err := Write(f.make())
		keep(f.name, b, err)
	}
	b, err := WriteStorno(SampleStorno())
	keep("storno", b, err)
	b, err = WriteError(ErrorNotice{ID: NewID("fixture", "fehler"), Code: "101", BundleIdentifier: "urn:uuid:" + SampleCertificate().ID})
	keep("fehler", b, err)
	b, err = WriteError(ErrorNotice{ID: NewID("fixture", "fehler2"), Code: "301", MessageID: "abc@kim.telematik"})
	keep("fehler-mail", b, err)
	maps.Copy(out, enriched(tb, out))
	return out
}

// enriched are documents of the writer with what the profiles allow beside,
// though hardly anybody writes it.
func enriched(tb testing.TB, from map[string][]byte) map[string][]byte {
	tb.Helper()
	const official = `<use value="official"/>`
	out := map[string][]byte{}
	m := newMutator(tb, from["bg"])
	comp := m.find("Composition.meta")
	const typed = `<type><coding><system value="` + hl7CS + `v2-0203"/><code value="XX"/></coding></type>`
	out["bg+"] = m.apply(
		cut{int(m.tree.nodes[comp].end), int(m.tree.nodes[comp].end), `<text><status value="additional"/><div xmlns="` + nsXHTML + `"><p>Hinweis</p></div></text>`},
		m.first(m.find("Patient.identifier"), official),
		m.first(m.find("Practitioner.identifier"), official), m.first(m.find("Practitioner.identifier[1]"), official),
		m.first(m.find("Organization.identifier"), official), m.first(m.find("Organization.identifier[1]"), official),
		cut{int(m.tree.nodes[m.find("Coverage.payor.identifier.system")].pos), int(m.tree.nodes[m.find("Coverage.payor.identifier.system")].pos), official + typed},
		m.first(m.find("Coverage.payor.identifier.extension(Alternative_IK).value"), official+typed),
		m.first(m.find("Practitioner.name.family"), `<extension url="`+deSD+`humanname-namenszusatz"><valueString value="Graf"/></extension>`),
		m.replace(m.find("Patient.birthDate"),
			`<birthDate value="1980"><extension url="`+hl7SD+`data-absent-reason"><valueCode value="unknown"/></extension></birthDate>`),
	)
	for name, path := range map[string]string{"skt": "Patient.identifier", "zahnarzt": "Organization.identifier", "krankenhaus": "Organization.identifier", "ik": "Organization.identifier"} {
		m := newMutator(tb, from[name])
		cuts := []cut{m.first(m.find(path), official)}
		if name == "zahnarzt" {
			cuts = append(cuts, m.first(m.find("Practitioner.identifier"), official))
		}
		out[name+"+"] = m.apply(cuts...)
	}
	m = newMutator(tb, from["storno"])
	stamp := m.find("Bundle.timestamp")
	out["storno+"] = m.apply(cut{int(m.tree.nodes[stamp].end), int(m.tree.nodes[stamp].end), `<link><relation value="self"/><url value="urn:x"/></link>`})
	return out
}

func TestEveryFixtureIsValidWithoutAnyFinding(t *testing.T) {
	for name, b := range documents(t) {
		if r := Check(b, Options{}); !r.Valid || len(r.Findings) > 0 || r.Version != V121 {
			t.Errorf("%s: valid %v, version %s, findings %+v", name, r.Valid, r.Version, r.Findings)
		}
	}
}

// documentNames lists documents in a fixed order.
func documentNames() []string {
	var names []string
	for _, f := range fixtures() {
		names = append(names, f.name)
	}
	return append(names, "storno", "fehler", "fehler-mail", "bg+", "skt+", "zahnarzt+", "krankenhaus+", "ik+", "storno+")
}
