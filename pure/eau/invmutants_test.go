package eau

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// invMutant breaks one invariant of a profile. also names the other findings
// that no document can avoid, and why says why.
type invMutant struct {
	profile, key string
	base         string // fixture
	cuts         func(m *mutator) []cut
	also         []string
	why          string
}

const (
	adxp     = hl7SD + "iso21090-ADXP-"
	sameRule = "the warning and the error ask the same"
	excluded = "the profile excludes the element that the invariant is about"
)

func extString(url, value string) string {
	return `<extension url="` + url + `"><valueString value="` + value + `"/></extension>`
}

func extDate(name, value string) string {
	return `<extension url="` + kbvSD + name + `"><valueDateTime value="` + value + `"/></extension>`
}

func identifierXML(code, value string) string {
	var w bundle
	w.identifier(code, value)
	return string(w.b)
}

// set is a mutant that changes values: path, value, path, value …
func set(pairs ...string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		var out []cut
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, m.set(m.find(pairs[i]), pairs[i+1]))
		}
		return out
	}
}

// gone is a mutant without some elements.
func gone(paths ...string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		var out []cut
		for _, p := range paths {
			out = append(out, m.remove(m.find(p)))
		}
		return out
	}
}

// before puts text in front of an element, after behind it, into in front of its children.
func before(path, text string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		pos := int(m.tree.nodes[m.find(path)].pos)
		return []cut{{pos, pos, text}}
	}
}

func after(path, text string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		end := int(m.tree.nodes[m.find(path)].end)
		return []cut{{end, end, text}}
	}
}

func into(path, text string) func(*mutator) []cut {
	return func(m *mutator) []cut { return []cut{m.first(m.find(path), text)} }
}

func valueless(path string) func(*mutator) []cut {
	return func(m *mutator) []cut { return []cut{m.dropValue(m.find(path))} }
}

func all(parts ...func(*mutator) []cut) func(*mutator) []cut {
	return func(m *mutator) []cut {
		var out []cut
		for _, p := range parts {
			out = append(out, p(m)...)
		}
		return out
	}
}

// refTo makes a reference lead to another resource of the document.
func refTo(path, to string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		res := m.find(to)
		return []cut{m.set(m.find(path), m.tree.nodes[res].name+"/"+m.tree.nodes[m.tree.child(res, "id")].value)}
	}
}

// entryOf removes the entry around a resource.
func entryOf(path string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		return []cut{m.remove(m.tree.nodes[m.tree.nodes[m.find(path)].up].up)}
	}
}

func invMutants() []invMutant {
	return slices.Concat(bundleMutants(), coreMutants(), conditionMutants(), patientMutants(), addressMutants(), partyMutants())
}

func bundleMutants() []invMutant {
	const p = "KBV_PR_EAU_Bundle"
	second := `<profile value="` + kbvSD + `KBV_PR_EAU_Bundle|1.2"/>`
	kvk := func(payer string) func(*mutator) []cut {
		return set("Coverage.type.coding.system", deCS+"versicherungsart-de-basis", "Coverage.type.coding.code", payer)
	}
	return []invMutant{
		{p, "-eau-angabePruefnummerPflicht", "gkv", set("Composition.author[1].identifier.system", kbvNS+"Anderes"), []string{"fixed"}, "the Composition itself asks for the number"},
		{p, "-eau-angabePatientPLZPflicht", "gkv", gone("Patient.address.postalCode"), nil, ""},
		{p, "-eau-angabeRechtsgrundlagePflicht", "gkv", gone("Composition.extension"), nil, ""},
		{p, "-eau-uniqueServiceRequest", "gkv", set("ServiceRequest[1].code.coding.code", "d_arzt"), nil, ""},
		{p, "-eau-versionComposition", "gkv", after("Composition.meta.profile", second), nil, ""},
		{p, "-eau-angabeIdentifikatorAusstellendePersonPflicht", "gkv", gone("Practitioner.identifier", "Practitioner.identifier[1]"), nil, ""},
		{p, "-eau-angabeVerantwortlichePersonVerbot-1", "vertreter", set("Practitioner.qualification.code.coding.code", "00"), nil, ""},
		{p, "-eau-angabeVerantwortlichePersonVerbot-2", "vertreter", set("Practitioner[1].qualification.code.coding.code", "03"), nil, ""},
		{p, "-eau-angabeIdentifikatorVerantwortlichePersonPflicht", "weiterbildung", gone("Practitioner[1].identifier"), nil, ""},
		{p, "-eau-angabeFachgruppennummerAsvAusstellendePersonVerbot", "asv", before("Practitioner.name", identifierXML("LANR", "123456601")), nil, ""},
		{p, "-eau-angabeFachgruppennummerAsvVerantwortlichePersonVerbot", "asv-vertreter", before("Practitioner[1].name", identifierXML("LANR", "123456601")), nil, ""},
		{p, "-eau-referenzAufAusstellendePerson-1", "weiterbildung", refTo("Condition:ICD.asserter.reference", "Practitioner[1]"), nil, ""},
		{p, "-eau-angabeIdentifikatorEinrichtungPflicht", "gkv", gone("Organization.identifier", "Organization.identifier[1]"), nil, ""},
		{p, "-eau-angabeAUseitErstbescheinigung", "gkv", gone("Condition:AU.onsetPeriod.start"), nil, ""},
		{p, "-eau-angabeAUseitFolgebescheinigung", "folge", before("Condition:AU.onsetPeriod.end", `<start value="2026-11-19"/>`), nil, ""},
		{p, "-eau-angabeVersichertenIDbeiGKV", "skt", kvk("GKV"), nil, ""},
		{p, "-eau-angabeVersichertenIDbeiPKV", "skt", kvk("PKV"), nil, ""},
		{p, "-eau-angabeVersichertennummerBeiSKT", "skt", set("Patient.identifier.type.coding.code", "XX"), []string{"slice"}, "the profile knows these two kinds of number only"},
		{p, "-eau-angabeTeilweiseArbeitsfaehigPKV", "gkv", after("Condition:AU.extension", extDate("KBV_EX_EAU_partially_employable", "2026-11-24")), nil, ""},
		{p, "-eau-angabeBerufsunfaehigPKV", "gkv", after("Condition:AU.extension", `<extension url="`+kbvSD+`KBV_EX_EAU_unemployability"><valueBoolean value="true"/></extension>`), nil, ""},
		{p, "-eau-angabeAufnahmedatumNurPKV", "gkv", before("ServiceRequest[1].status", extDate("KBV_EX_EAU_admission_date", "2026-12-01")), nil, ""},
		{p, "-eau-angabeEntlassdatumNurPKV", "gkv", before("ServiceRequest[1].status", extDate("KBV_EX_EAU_discharge_date", "2026-12-01")), nil, ""},
		{p, "-eau-angabeStationaereHeilbehandlungPKV", "gkv", set("ServiceRequest[1].code.coding.code", "stationaere_heilbehandlung"), nil, ""},
		{p, "-eau-angabeWiedereingliederungabPKV", "gkv", before("ServiceRequest[2].status", extDate("KBV_EX_EAU_reintegration_date", "2026-12-01")), nil, ""},
		{p, "-eau-geburtsdatumPatient", "gkv", set("Patient.birthDate", "2026-11-21"), nil, ""},
		{p, "-eau-angabeAsvTeamnummerPflicht", "gkv", set("Composition.extension.value.code", "01"), nil, ""},
		{p, "-eau-angabeAsvTeamnummerVerbot", "asv", all(set("Composition.extension.value.code", "00"), gone("Practitioner.qualification[2]"),
			before("Practitioner.name", identifierXML("LANR", "123456601"))), nil, ""},
		{p, "-eau-angabePatientenAdressePflicht", "gkv", gone("Patient.address"), nil, ""},
		{p, "-eau-referenzAufAusstellendePerson-2", "asv-vertreter", refTo("PractitionerRole.practitioner.reference", "Practitioner[1]"), nil, ""},
		{p, "-eau-angabeVerantwortlichePersonPflicht", "weiterbildung", all(gone("Composition.attester"), entryOf("Practitioner[1]")), nil, ""},
		{"KBV_PR_EAU_Storno_Bundle", "-eau-versionComposition", "storno", after("Composition.meta.profile", second), nil, ""},
		{"KBV_PR_EAU_Composition", "-eau-begrenzungDate", "gkv", set("Composition.date", "2026-11-20T10:00:00+01:00"), nil, ""},
	}
}

func conditionMutants() []invMutant {
	const au, icd, step = "KBV_PR_EAU_Condition_AU", "KBV_PR_EAU_Condition_ICD", "KBV_PR_EAU_ServiceRequest_steps"
	return []invMutant{
		{au, "-eau-begrenzungDateFestgestelltAm", "gkv", set("Condition:AU.extension(assertedDate).value", "2026-11"), nil, ""},
		{au, "-eau-begrenzungDateStart", "gkv", set("Condition:AU.onsetPeriod.start", "2026-10"), nil, ""},
		{au, "-eau-begrenzungDateEnd", "gkv", set("Condition:AU.onsetPeriod.end", "2026-12"), nil, ""},
		{au, "-eau-begrenzungDateteilweise-arbeitsfaehig-ab", "pkv", set("Condition:AU.extension(partially_employable).value", "2026-11"), nil, ""},
		{au, "-eau-anzahlUrsache", "gkv", set("Condition:AU.extension[3].value.coding.code", CauseWorkAccident), nil, ""},
		{icd, "Rec1", "gkv", before("Condition:ICD.asserter", `<recordedDate value="2026"/>`), []string{"excluded"}, excluded},
		{icd, "icd-4", "gkv", set("Condition:ICD[3].verificationStatus.coding.code", "confirmed"), nil, ""},
		{icd, "icd-5", "gkv", set("Condition:ICD.clinicalStatus.coding.code", "resolved"), nil, ""},
		{icd, "icd-6", "gkv", set("Condition:ICD[1].verificationStatus.coding.code", "confirmed"), nil, ""},
		{icd, "icd-7", "gkv", set("Condition:ICD[2].clinicalStatus.coding.code", "active"), nil, ""},
		{icd, "icd-regex", "gkv", set("Condition:ICD.code.coding.code", "S93.40+"), nil, ""},
		{step, "-eau-begrenzungDateWiedereingliederung-ab", "pkv", set("ServiceRequest[2].extension(reintegration_date).value", "2026-12"), nil, ""},
		{step, "-eau-begrenzungDateEntlassungsdatum", "pkv", set("ServiceRequest.extension(discharge_date).value", "2026-12"), nil, ""},
		{step, "-eau-begrenzungDateAufnahmedatum", "pkv", set("ServiceRequest.extension(admission_date).value", "2026-12"), nil, ""},
		{step, "-eau-EntlassungdatumNurRehaHeilbehandlung", "pkv", before("ServiceRequest[2].status", extDate("KBV_EX_EAU_discharge_date", "2026-12-01")), nil, ""},
		{step, "-eau-AufnahmedatumNurRehaHeilbehandlung", "pkv", before("ServiceRequest[2].status", extDate("KBV_EX_EAU_admission_date", "2026-12-01")), nil, ""},
		{step, "-eau-WiedereingliederungAbNurWiedereingliederung", "pkv", before("ServiceRequest.status", extDate("KBV_EX_EAU_reintegration_date", "2026-12-01")), nil, ""},
		{step, "-eau-keinTextBeiAnderen", "gkv", after("ServiceRequest.code.coding", `<text value="Arzt"/>`), nil, ""},
	}
}

func patientMutants() []invMutant {
	const p = "KBV_PR_FOR_Patient"
	locator := extString(adxp+"additionalLocator", "Schloss")
	return []invMutant{
		{p, "pat-de-1", "gkv", before("Patient.birthDate", `<gender value="other"/>`), []string{"excluded"}, excluded},
		{p, "-for-adresszeilenAufbauPatientRessource-1", "gkv", set("Patient.address.line", "Am Prüfstand, 12 b"), nil, ""},
		{p, "-for-adresszeilenAufbauPatientRessource-2", "hausnummer", set("Patient.address.line", "8"), nil, ""},
		{p, "-for-adresszeilenAufbauPatientRessource-3", "strasse", set("Patient.address.line", "Dorfstraße"), nil, ""},
		{p, "-for-adresszeilenAufbauPatientRessource-4", "gkv", set("Patient.address.line[1]", "Vorderhaus"), nil, ""},
		{p, "-for-adresszeilenAufbauPatientRessource-5", "postfach", set("Patient.address.line", "99"), nil, ""},
		{p, "-for-adresszeilenAufbauPatientRessource-6", "strasse", into("Patient.address.line", extString(adxp+"additionalLocator", "Dorf")), nil, ""},
		{p, "-for-adresszeilenAufbauPatientRessource-7", "gkv", into("Patient.address.line[1]", extString(adxp+"houseNumber", "3")), nil, ""},
		{p, "-for-adresszeilenAufbauPatientRessource-8", "zusatz", after("Patient.address.line", `<line value="Schloss">`+locator+`</line>`), nil, ""},
		{p, "kvid-2", "gkv", after("Patient.identifier.type.coding", `<coding><system value="`+deCS+`identifier-type-de-basis"/><code value="GKV"/></coding>`), []string{"max"}, "the profile asks for the one code that is not retired"},
		{p, "kvid-1", "gkv", set("Patient.identifier.value", "x123456788"), []string{"-for-laengeVersichertenId"}, sameRule},
		{p, "-for-laengeVersichertenId", "gkv", set("Patient.identifier.value", "X12345678"), []string{"kvid-1"}, sameRule},
		{p, "kvk-1", "skt", set("Patient.identifier.value", "12345"), nil, ""},
		{p, "-for-laengeWohnsitzlaendercode", "gkv", set("Patient.address.country", "d"), []string{"binding"}, "the table of countries has capitals only"},
	}
}

// namesOf breaks the rules about names, which patients and practitioners share.
func namesOf(profile, kind string) []invMutant {
	needsName := "every name has the part that hum-2 is about"
	return []invMutant{
		{profile, "hum-1", "gkv", all(valueless(kind+".name.family"), gone(kind+".name.family.extension(humanname-own-prefix)"), withAddition(kind+".name.family")), []string{"hum-2"}, needsName},
		{profile, "hum-2", "gkv", all(valueless(kind+".name.family"), gone(kind+".name.family.extension(humanname-own-prefix)"),
			goneIfThere(kind+".name.family", "humanname-namenszusatz")), nil, ""},
		{profile, "hum-3", "gkv", all(valueless(kind+".name.family"), goneIfThere(kind+".name.family", "humanname-namenszusatz")), []string{"hum-2"}, needsName},
		{profile, "hum-4", "gkv", valueless(kind + ".name.prefix"), nil, ""},
	}
}

// withAddition gives a name a Namenszusatz unless it has one.
func withAddition(path string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		if m.step(m.find(path), "extension(humanname-namenszusatz)") != 0 {
			return nil
		}
		return into(path, extString(deSD+"humanname-namenszusatz", "Graf"))(m)
	}
}

func goneIfThere(path, ext string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		if e := m.step(m.find(path), "extension("+ext+")"); e != 0 {
			return []cut{m.remove(e)}
		}
		return nil
	}
}

func addressMutants() []invMutant {
	const pat, org = "KBV_PR_FOR_Patient", "KBV_PR_FOR_Organization"
	const line = "the structure of the line asks for its value too"
	const noBox = "a street address has no post box, a post box no street"
	box := extString(adxp+"postBox", "12")
	quarter := extString(adxp+"precinct", "Mitte")
	patient := func(n string) string { return "-for-adresszeilenAufbauPatientRessource-" + n }
	practice := func(n string) string { return "-for-adresszeilenAufbauOrganizationRessource-" + n }
	boxLine := `<line>` + box + `</line>`
	return []invMutant{
		{pat, "add-1", "hausnummer", valueless("Patient.address.line"), []string{patient("2")}, line},
		{pat, "add-2", "strasse", valueless("Patient.address.line"), []string{patient("3")}, line},
		{pat, "add-3", "postfach", valueless("Patient.address.line"), []string{patient("5")}, line},
		{
			pat, "add-4", "gkv", all(gone("Patient.address.line", "Patient.address.line[1]"), before("Patient.address.city", boxLine)),
			[]string{"add-3", "slice", patient("5")},
			noBox,
		},
		{pat, "add-5", "zusatz", valueless("Patient.address.line"), []string{patient("4")}, line},
		{pat, "add-6", "strasse", into("Patient.address.line", extString(adxp+"postBox", "Dorf")), []string{"slice"}, noBox},
		{pat, "add-7", "gkv", into("Patient.address", quarter), []string{"excluded"}, excluded},
		{pat, "postBox-de-1", "postfach", gone("Patient.address.line"), nil, ""},
		{org, practice("1"), "gkv", set("Organization.address.line", "Hauptstraße, 1"), nil, ""},
		{org, practice("2"), "gkv", set("Organization.address.line[1]", "Aufgang 3"), nil, ""},
		{org, practice("3"), "gkv", gone("Organization.address.line.extension(houseNumber)", "Organization.address.line[1]"), nil, ""},
		{org, practice("4"), "gkv", gone("Organization.address.line.extension(streetName)", "Organization.address.line[1]"), []string{practice("3")}, "rule 3 asks for the street anyway"},
		{org, practice("5"), "gkv", all(into("Organization.address.line", extString(adxp+"additionalLocator", "x")), gone("Organization.address.line[1]")), nil, ""},
		{org, practice("6"), "gkv", into("Organization.address.line[1]", extString(adxp+"houseNumber", "3")), nil, ""},
		{org, practice("7"), "gkv", into("Organization.address.line", extString(adxp+"additionalLocator", "x")), []string{practice("5")}, "what rule 7 adds to rule 3 is rule 5"},
		{org, practice("8"), "krankenhaus", set("Organization.address.line", "Hauptstraße 5"), nil, ""},
		{
			org, "add-1", "gkv", all(valueless("Organization.address.line"), gone("Organization.address.line[1]", "Organization.address.line.extension(streetName)")),
			[]string{practice("3"), practice("4")},
			line,
		},
		{
			org, "add-2", "gkv", all(valueless("Organization.address.line"), gone("Organization.address.line[1]", "Organization.address.line.extension(houseNumber)")),
			[]string{practice("3")},
			line,
		},
		{org, "add-3", "gkv", after("Organization.address.line[1]", boxLine), []string{"slice", "max", "add-4"}, noBox},
		{org, "add-4", "gkv", after("Organization.address.line[1]", boxLine), []string{"slice", "max", "add-3"}, noBox},
		{org, "add-5", "gkv", valueless("Organization.address.line[1]"), []string{practice("2")}, line},
		{org, "add-6", "gkv", into("Organization.address.line", box), []string{"slice"}, noBox},
		{org, "add-7", "gkv", into("Organization.address", quarter), []string{"excluded"}, excluded},
	}
}

// twins are numbers of nine digits that a warning and an error check alike.
func twins(profile, warning, err, base, path string) []invMutant {
	return []invMutant{
		{profile, warning, base, set(path, "12345678"), []string{err}, sameRule},
		{profile, err, base, set(path, "12345678X"), []string{warning}, sameRule},
	}
}

func partyMutants() []invMutant {
	const cov, doc, role, org = "KBV_PR_FOR_Coverage", "KBV_PR_FOR_Practitioner", "KBV_PR_FOR_PractitionerRole", "KBV_PR_FOR_Organization"
	return slices.Concat([]invMutant{
		{cov, "-for-angabeIKzustaendigeKrankenkasseEGKPflicht", "gkv", gone("Coverage.payor.identifier"), nil, ""},
		{cov, "-for-angabeVersichertenartPflicht", "gkv", gone("Coverage.extension(versichertenart)"), nil, ""},
		{cov, "-for-angabeBesonderePersonengruppePflicht", "gkv", gone("Coverage.extension(besondere-personengruppe)"), nil, ""},
		{cov, "-for-angabeIKKostentraegerVerbot", "bg", set("Coverage.type.coding.code", "GKV"), nil, ""},
		{cov, "-for-angabeDMPPflicht", "gkv", gone("Coverage.extension(dmp-kennzeichen)"), nil, ""},
		{cov, "-for-begrenzungDate", "gkv", set("Coverage.period.end", "2030-12"), nil, ""},
		{doc, "pract-de-1", "gkv", before("Practitioner.qualification", `<gender value="other"/>`), []string{"excluded"}, excluded},
		{doc, "-for-angabeArztnummerPflicht", "gkv", all(gone("Practitioner.identifier"), before("Practitioner.name", identifierXML("ZANR", "123456791"))), nil, ""},
		{doc, "-for-angabeZahnarztnummerPflicht", "gkv", set("Practitioner.qualification.code.coding.code", "01"), nil, ""},
		{doc, "-for-angabeIdentifikatorAusstellende-VerantwortlichePersonVerbot", "gkv", set("Practitioner.qualification.code.coding.code", "02"), nil, ""},
		{doc, "-for-anzahlIdentifikatorAusstellende-VerantwortlichePerson", "gkv", all(gone("Practitioner.identifier[1]"), before("Practitioner.name", identifierXML("ZANR", "123456791"))), nil, ""},
		{role, "-for-laengeASVnummer", "asv", set("PractitionerRole.organization.identifier.value", "12345678"), nil, ""},
		{org, "-for-anzahlIdentifikatorOrganizationRessource", "gkv", all(gone("Organization.identifier[1]"), before("Organization.name", identifierXML("XX", "260530103"))), nil, ""},
		{org, "-for-laengeStandortnummer", "krankenhaus", set("Organization.identifier.value", "77123456"), nil, ""},
	},
		namesOf("KBV_PR_FOR_Patient", "Patient"), namesOf(doc, "Practitioner"),
		twins(cov, "ik-1", "-for-laengeIK", "gkv", "Coverage.payor.identifier.value"),
		twins(cov, "ik-1", "-for-laengeIK", "bg", "Coverage.payor.identifier.extension(Alternative_IK).value.value"),
		twins(doc, "lanr-1", "-for-laengeLANR", "gkv", "Practitioner.identifier.value"),
		twins(doc, "zanr-1", "-for-laengeZANR", "zahnarzt", "Practitioner.identifier.value"),
		twins(org, "ik-1", "-for-laengeIK", "ik", "Organization.identifier.value"),
		twins(org, "bsnr-1", "-for-laengeBSNR", "gkv", "Organization.identifier.value"),
		twins(org, "kzva-1", "-for-laengeKZVA", "zahnarzt", "Organization.identifier.value"),
	)
}

// coreMutants break the invariants of FHIR itself.
func coreMutants() []invMutant {
	return []invMutant{
		{"KBV_PR_EAU_Condition_AU", "per-1", "gkv", set("Condition:AU.onsetPeriod.start", "2026-11-28"), nil, ""},
		{"KBV_PR_EAU_Condition_ICD", "con-5", "gkv", set("Condition:ICD[1].verificationStatus.coding.code", "entered-in-error"), []string{"icd-6"}, "no certainty goes with an entry made in error"},
		{"KBV_PR_FOR_Organization", "org-1", "sel", gone("Organization.name", "Organization.identifier", "Organization.identifier[1]"), nil, ""},
	}
}

// isCore reports whether an invariant is one of FHIR itself.
func isCore(key string) bool {
	return slices.ContainsFunc(coreMutants(), func(im invMutant) bool { return im.key == key })
}

func TestEveryInvariantFailsOnTheMutantThatBreaksIt(t *testing.T) {
	docs := documents(t)
	for _, im := range invMutants() {
		m := newMutator(t, docs[im.base])
		r := Check(m.apply(im.cuts(m)...), Options{})
		var keys []string
		for _, f := range r.Findings {
			keys = append(keys, f.Key)
		}
		want := append([]string{im.key}, im.also...)
		slices.Sort(want)
		slices.Sort(keys)
		if !slices.Equal(want, slices.Compact(keys)) {
			t.Errorf("%s %s (%s): got %q, want %q", im.profile, im.key, im.base, keysOf(&r), want)
		}
		if (im.also == nil) != (im.why == "") {
			t.Errorf("%s %s: other findings need a reason", im.profile, im.key)
		}
	}
}

func TestEveryInvariantHasAMutant(t *testing.T) {
	have := map[string]bool{}
	for _, im := range invMutants() {
		have[im.profile+" "+im.key] = true
	}
	want := map[string]bool{}
	for name, p := range rules121().profiles {
		eachInvariant(p.root, func(inv *invariant) {
			if !isCore(inv.key) || have[name+" "+inv.key] {
				want[name+" "+inv.key] = true
			}
		})
	}
	for w := range want {
		if !have[w] {
			t.Errorf("no mutant breaks %s", w)
		}
	}
	for h := range have {
		if !want[h] {
			t.Errorf("a mutant breaks %s, which the tables do not have", h)
		}
	}
}

// eachInvariant walks a profile; data types that contain themselves end it.
func eachInvariant(r *rule, f func(*invariant)) {
	seen := map[*rule]bool{}
	var walk func(*rule)
	walk = func(r *rule) {
		if seen[r] {
			return
		}
		seen[r] = true
		for _, inv := range r.inv {
			f(inv)
		}
		for _, k := range r.kids {
			walk(k)
			for _, s := range k.slices {
				walk(s.rule)
			}
		}
	}
	walk(r)
}

// TestTheTablesHaveThePublishedInvariants compares with the list extracted from the packages.
func TestTheTablesHaveThePublishedInvariants(t *testing.T) {
	b, err := os.ReadFile("../../../shared/data/eau/invariants_1.2.1.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("suite left out: no list of published invariants")
	}
	if err != nil {
		t.Fatal(err)
	}
	var list [][]any
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	published := map[string]string{}
	for _, row := range list {
		profile, key, severity := fmt.Sprint(row[0]), fmt.Sprint(row[1]), fmt.Sprint(row[2])
		if strings.HasPrefix(profile, "KBV_EX_") {
			profile = "KBV_PR_FOR_Coverage" // the extension is used there alone
		}
		published[profile+" "+key] = severity
	}
	ours := map[string]string{}
	for name, p := range rules121().profiles {
		eachInvariant(p.root, func(inv *invariant) { ours[name+" "+inv.key] = inv.severity.String() })
	}
	for k, sev := range published {
		if ours[k] != sev {
			t.Errorf("%s: published as %s, ours %q", k, sev, ours[k])
		}
	}
	for k := range ours {
		_, key, _ := strings.Cut(k, " ")
		if published[k] == "" && !isCore(key) {
			t.Errorf("%s is not published", k)
		}
	}
	if len(list) != 122 {
		t.Errorf("%d invariants are published, 122 were expected", len(list))
	}
}
