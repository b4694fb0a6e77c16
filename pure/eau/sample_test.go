package eau_test

import "leitstand/pure/eau"

// sample is a complete certificate of a fictitious patient.
func sample() eau.Certificate {
	return eau.Certificate{
		ID:         eau.NewID("sample", "1"),
		Date:       "2026-11-20",
		Type:       eau.Erst,
		LegalBasis: "00",
		Patient: eau.Patient{
			Name:      eau.Name{Given: "Erika", Prefix: "von", Family: "Übungsbeck & Söhne", Title: "Dr."},
			KVNR:      "X123456788",
			BirthDate: "1980-02-29",
			Address:   eau.Address{Street: "Am Prüfstand", House: "12 b", Extra: "Hinterhaus", ZIP: "10115", City: "Berlin", Country: "D"},
		},
		Coverage: eau.Coverage{Type: "GKV", PayorIK: "109500969", PayorName: "Muster-Kasse", Status: "1", Group: "00", DMP: "00", WOP: "72"},
		Author: eau.Practitioner{
			Name: eau.Name{Title: "Dr. med.", Given: "Max", Family: "Mustermann"}, Type: "00",
			Profession: "Hausarzt", LANR: "123456601",
		},
		Organization: eau.Organization{
			Name: "Praxis Mustermann", BSNR: "721111100", Phone: "030 1234567", Fax: "030 1234568", Mail: "praxis@example.org",
			Address: eau.Address{Street: "Hauptstraße", House: "1", ZIP: "10115", City: "Berlin", Country: "D"},
		},
		Since: "2026-11-19", Until: "2026-11-27", Determined: "2026-11-20",
		Causes:        []string{eau.CauseWorkAccident},
		Diagnoses:     []eau.Diagnosis{{Code: "S93.40", Version: "2026", Certainty: "G", Side: "L"}},
		DiagnosisText: "Umgeknickt < gestern",
		Steps:         []eau.Step{{Code: "d_arzt"}, {Code: "sonstige", Text: "Ruhe"}},
	}
}
