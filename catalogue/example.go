package catalogue

// Example is a catalogue for practice: tenants with invented names at invented
// sites. Their IK have a valid check digit and a region (99) that is not given
// to anybody. Everything in it is assumed. The same seed gives the same
// catalogue on every machine.
func Example(seed uint64) *Catalogue {
	c := &Catalogue{
		Sites: []Site{
			{ID: "nord", Name: "Rechenzentrum Nord", Assumed: true},
			{ID: "sued", Name: "Rechenzentrum Süd", Assumed: true},
			{ID: "klein", Name: "Kleiner Standort", Assumed: true},
		},
		Services: servicesForPractice(),
	}
	g := &generator{seed: seed, c: c, a: "nord", b: "sued", placed: map[PlacementID]bool{}}
	kinds := []string{"BKK", "IKK", "Ersatzkasse"}
	for i, tree := range []string{"Ahorn", "Birke", "Eiche", "Erle", "Esche", "Fichte", "Kiefer", "Lärche", "Linde am Übungsplatz", "Pappel", "Tanne", "Ulme"} {
		eight := "109900" + string([]byte{'0' + byte((i+1)/10), '0' + byte((i+1)%10)})
		id := KasseID(eight + string('0'+rune(checkDigit(eight))))
		r := g.rand(id, drawInsured)
		c.Kassen = append(c.Kassen, Kasse{
			ID: id, Name: "Übungskasse " + tree, Kind: kinds[r.IntN(len(kinds))],
			Insured: between(r, 80, 9_000) * 100, InsuredAssumed: true,
			LegalSupervisor: "BAS", DataSupervisor: "BfDI", SupervisorsAssumed: true, Note: "Erfunden, zur Übung.",
		})
	}
	g.components()
	for i, k := range c.Kassen {
		home := []SiteID{"nord", "sued"}[g.rand(k.ID, drawHome).IntN(2)]
		if i == len(c.Kassen)-1 {
			home = "klein"
		}
		g.placements(k.ID, home)
	}
	return c.Normal()
}

// servicesForPractice are the services of the case without what was told about it.
func servicesForPractice() []Service {
	b, err := caseFiles.ReadFile("case2023/dienste.csv")
	if err != nil {
		panic(err) // embedded: cannot be absent in a program that was built
	}
	c, err := Import(File{Name: "dienste.csv", Data: b})
	if err != nil {
		panic(err) // as above; a test reads it
	}
	for i := range c.Services {
		c.Services[i].Note = ""
	}
	return c.Services
}
