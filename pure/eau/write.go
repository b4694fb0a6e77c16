package eau

import (
	"fmt"
	"strconv"
	"strings"
)

// Bases of Bundle.entry.fullUrl: practice software writes its own server.
const (
	baseURL     = "http://praxis.invalid/fhir/"
	testBaseURL = "http://uebung.invalid/fhir/"
	testComment = "ÜBUNG: Testdaten, keine echte Bescheinigung"
)

// noTestNumber stands for the Prüfnummer of a practice software where none is given.
const noTestNumber = "X/000/0000/00/000"

// bundle writes one document: the ids of its resources are derived from its
// own, so that the same certificate always gives the same bytes.
type bundle struct {
	xmlWriter
	id      string
	base    string
	version string // behind the "|" of each profile
}

func (w *bundle) start(id string, test bool, profile, timestamp string) {
	w.id, w.base, w.version = id, baseURL, "1.2"
	w.raw(`<?xml version="1.0" encoding="UTF-8"?>`)
	w.indent()
	w.raw(`<Bundle xmlns="`, nsFHIR, `">`)
	w.depth++
	if test {
		w.base = testBaseURL
		w.indent()
		w.raw("<!-- ", testComment, " -->")
	}
	w.val("id", w.resID("Bundle"))
	w.open("meta")
	w.val("lastUpdated", timestamp)
	w.val("profile", kbvSD+profile+"|"+w.version)
	w.shut("meta")
	w.open("identifier")
	w.val("system", "urn:ietf:rfc:3986")
	w.val("value", "urn:uuid:"+id)
	w.shut("identifier")
	w.val("type", "document")
	w.val("timestamp", timestamp)
}

// resID is the id of a resource in this bundle; name tells the resources apart.
func (w *bundle) resID(name string) string { return NewID(w.id, name) }

// target is the relative reference to a resource: "Patient/…".
func (w *bundle) target(kind, name string) string { return kind + "/" + w.resID(name) }

// entry opens Bundle.entry with a resource; done closes it.
func (w *bundle) entry(kind, name, profile string) {
	id := w.resID(name)
	w.open("entry")
	w.val("fullUrl", w.base+kind+"/"+id)
	w.open("resource", kind)
	w.val("id", id)
	w.open("meta")
	w.val("profile", kbvSD+profile+"|"+w.version)
	w.shut("meta")
}

func (w *bundle) done(kind string) { w.shut("entry", "resource", kind) }

func (w *bundle) end() ([]byte, error) {
	w.shut("Bundle")
	b, err := w.finish()
	if err != nil {
		return nil, fmt.Errorf("writing bundle %q: %w", w.id, err)
	}
	return b, nil
}

// Write makes the bundle of a certificate in version 1.2.1. The same value
// always gives the same bytes. It refuses a certificate without the fields that
// every bundle needs, and text that XML cannot carry; Check judges the rest.
func Write(c Certificate) ([]byte, error) {
	if err := writable(&c); err != nil {
		return nil, fmt.Errorf("writing eAU %q: %w", c.ID, err)
	}
	w := &bundle{xmlWriter: xmlWriter{b: make([]byte, 0, 24<<10)}}
	w.start(c.ID, c.Test, "KBV_PR_EAU_Bundle", stamp(c.Timestamp, c.Date))
	w.composition(&c)
	w.patient(&c.Patient)
	w.practitioner("Practitioner", &c.Author)
	if c.Responsible != nil {
		w.practitioner("Responsible", c.Responsible)
	}
	w.organization(&c.Organization)
	w.incapacity(&c)
	w.coverage(&c.Coverage)
	for i := range c.Diagnoses {
		w.diagnosis(i, &c.Diagnoses[i])
	}
	if c.DiagnosisText != "" {
		w.diagnosisText(c.DiagnosisText)
	}
	for i := range c.Steps {
		w.step(i, &c.Steps[i])
	}
	if c.ASVTeam != "" {
		w.role(c.ASVTeam)
	}
	return w.end()
}

func stamp(timestamp, date string) string {
	if timestamp != "" {
		return timestamp
	}
	return date + "T12:00:00Z"
}

// writable names the first field without which there is no bundle at all.
func writable(c *Certificate) error {
	switch {
	case !isUUID(c.ID):
		return fmt.Errorf("the id %q is no lower-case UUID", c.ID)
	case c.Date == "":
		return fmt.Errorf("the date of issue is missing")
	case c.Type == "":
		return fmt.Errorf("the type of certificate is missing")
	case c.Until == "" || c.Determined == "":
		return fmt.Errorf("the days of incapacity are missing")
	case len(c.Diagnoses) == 0:
		return fmt.Errorf("there is no diagnosis")
	}
	return nil
}

func (w *bundle) composition(c *Certificate) {
	w.entry("Composition", "Composition", "KBV_PR_EAU_Composition")
	w.extCode(kbvSD+"KBV_EX_FOR_Legal_basis", kbvCS+"KBV_CS_SFHIR_KBV_STATUSKENNZEICHEN", c.LegalBasis)
	w.val("status", "final")
	w.open("type")
	w.coding(kbvCS+"KBV_CS_EAU_AU_Type", string(c.Type))
	w.coding(kbvCS+"KBV_CS_SFHIR_KBV_FORMULAR_ART", "e010")
	w.shut("type")
	w.ref("subject", w.target("Patient", "Patient"))
	w.val("date", c.Date)
	w.open("author")
	w.val("reference", w.target("Practitioner", "Practitioner"))
	w.val("type", "Practitioner")
	w.shut("author")
	w.open("author")
	w.val("type", "Device")
	w.open("identifier")
	w.val("system", kbvNS+"KBV_NS_FOR_Pruefnummer")
	if c.TestNumber == "" {
		w.val("value", noTestNumber)
	} else {
		w.val("value", c.TestNumber)
	}
	w.shut("identifier")
	w.shut("author")
	w.val("title", "Arbeitsunfähigkeit")
	if c.Responsible != nil {
		w.open("attester")
		w.val("mode", "legal")
		w.ref("party", w.target("Practitioner", "Responsible"))
		w.shut("attester")
	}
	w.ref("custodian", w.target("Organization", "Organization"))
	w.sections(c)
	w.done("Composition")
}

func (w *bundle) sections(c *Certificate) {
	for i := range c.Diagnoses {
		w.section("ICD", "Condition", "ICD"+strconv.Itoa(i))
	}
	if c.DiagnosisText != "" {
		w.section("ICD_Text", "Condition", "Text")
	}
	w.section("AU_Condition", "Condition", "AU")
	w.section("Coverage", "Coverage", "Coverage")
	for i := range c.Steps {
		w.section("AU_weiter", "ServiceRequest", "Step"+strconv.Itoa(i))
	}
	if c.ASVTeam != "" {
		w.section("FOR_PractitionerRole", "PractitionerRole", "Role")
	}
}

func (w *bundle) section(code, kind, name string) {
	w.open("section")
	w.coding(kbvCS+"KBV_CS_FOR_Section_Type", code, "code")
	w.ref("entry", w.target(kind, name))
	w.shut("section")
}

func (w *bundle) incapacity(c *Certificate) {
	w.entry("Condition", "AU", "KBV_PR_EAU_Condition_AU")
	w.extVal(hl7SD+"condition-assertedDate", "valueDateTime", c.Determined)
	if c.SevenWeeks {
		w.extVal(kbvSD+"KBV_EX_EAU_7_weeks", "valueBoolean", "true")
	}
	for _, cause := range c.Causes {
		w.ext(hl7SD + "condition-dueTo")
		w.coding(kbvCS+"KBV_CS_FOR_Ursache_Type", cause, "valueCodeableConcept")
		w.shut("extension")
	}
	w.extVal(kbvSD+"KBV_EX_EAU_partially_employable", "valueDateTime", c.PartlyFitFrom)
	if c.Unemployable {
		w.extVal(kbvSD+"KBV_EX_EAU_unemployability", "valueBoolean", "true")
	}
	w.coding(hl7CS+"condition-clinical", "active", "clinicalStatus")
	w.coding(hl7CS+"condition-ver-status", "confirmed", "verificationStatus")
	w.coding(kbvCS+"KBV_CS_SFHIR_KBV_FHIR_DOKUMENTTYPE", "eAU", "code")
	w.ref("subject", w.target("Patient", "Patient"))
	w.open("onsetPeriod")
	w.val("start", c.Since)
	w.val("end", c.Until)
	w.shut("onsetPeriod")
	w.ref("asserter", w.target("Practitioner", "Practitioner"))
	w.done("Condition")
}

// certaintyStatus is what clinicalStatus and verificationStatus say for each certainty of a diagnosis.
func certaintyStatus(certainty string) (clinical, verification string) {
	switch certainty {
	case "G":
		return "active", "confirmed"
	case "V":
		return "active", "provisional"
	case "Z":
		return "resolved", "confirmed"
	case "A":
		return "", "refuted"
	}
	return "active", ""
}

func (w *bundle) diagnosis(i int, d *Diagnosis) {
	w.entry("Condition", "ICD"+strconv.Itoa(i), "KBV_PR_EAU_Condition_ICD")
	clinical, verification := certaintyStatus(d.Certainty)
	if clinical != "" {
		w.coding(hl7CS+"condition-clinical", clinical, "clinicalStatus")
	}
	if verification != "" {
		w.coding(hl7CS+"condition-ver-status", verification, "verificationStatus")
	}
	w.open("code", "coding")
	w.extCode(deSD+"seitenlokalisation", kbvCS+"KBV_CS_SFHIR_ICD_SEITENLOKALISATION", d.Side)
	w.extCode(deSD+"icd-10-gm-diagnosesicherheit", kbvCS+"KBV_CS_SFHIR_ICD_DIAGNOSESICHERHEIT", d.Certainty)
	w.val("system", deCS+"bfarm/icd-10-gm")
	w.val("version", d.Version)
	w.val("code", d.Code)
	w.shut("code", "coding")
	w.ref("subject", w.target("Patient", "Patient"))
	w.ref("asserter", w.target("Practitioner", "Practitioner"))
	w.done("Condition")
}

func (w *bundle) diagnosisText(text string) {
	w.entry("Condition", "Text", "KBV_PR_EAU_Condition_Text")
	w.coding(hl7CS+"condition-ver-status", "confirmed", "verificationStatus")
	w.open("code")
	w.val("text", text)
	w.shut("code")
	w.ref("subject", w.target("Patient", "Patient"))
	w.ref("asserter", w.target("Practitioner", "Practitioner"))
	w.done("Condition")
}

func (w *bundle) step(i int, s *Step) {
	w.entry("ServiceRequest", "Step"+strconv.Itoa(i), "KBV_PR_EAU_ServiceRequest_steps")
	w.extVal(kbvSD+"KBV_EX_EAU_reintegration_date", "valueDateTime", s.Reintegrate)
	w.extVal(kbvSD+"KBV_EX_EAU_admission_date", "valueDateTime", s.Admission)
	w.extVal(kbvSD+"KBV_EX_EAU_discharge_date", "valueDateTime", s.Discharge)
	w.val("status", "active")
	w.val("intent", "proposal")
	w.open("code")
	w.coding(kbvCS+"KBV_CS_EAU_WeitereSchritte_Type", s.Code)
	w.val("text", s.Text)
	w.shut("code")
	w.ref("subject", w.target("Patient", "Patient"))
	w.ref("requester", w.target("Practitioner", "Practitioner"))
	w.ref("reasonReference", w.target("Condition", "AU"))
	w.done("ServiceRequest")
}

func (w *bundle) role(team string) {
	w.entry("PractitionerRole", "Role", "KBV_PR_FOR_PractitionerRole")
	w.ref("practitioner", w.target("Practitioner", "Practitioner"))
	w.open("organization", "identifier")
	w.val("system", "http://fhir.de/NamingSystem/asv/teamnummer")
	w.val("value", team)
	w.shut("organization", "identifier")
	w.done("PractitionerRole")
}

// WriteStorno makes the bundle that cancels an eAU, in version 1.2.1.
func WriteStorno(s Storno) ([]byte, error) {
	cancels := s.Cancels
	if !strings.HasPrefix(cancels, "urn:") {
		cancels = "urn:uuid:" + cancels
	}
	switch {
	case !isUUID(s.ID):
		return nil, fmt.Errorf("writing Storno %q: the id is no lower-case UUID", s.ID)
	case s.Cancels == "":
		return nil, fmt.Errorf("writing Storno %q: it names no eAU", s.ID)
	case s.Date == "":
		return nil, fmt.Errorf("writing Storno %q: the date is missing", s.ID)
	}
	w := &bundle{xmlWriter: xmlWriter{b: make([]byte, 0, 8<<10)}}
	w.start(s.ID, s.Test, "KBV_PR_EAU_Storno_Bundle", stamp(s.Timestamp, s.Date))
	w.entry("Composition", "Composition", "KBV_PR_EAU_Storno_Composition")
	w.val("status", "final")
	w.coding(kbvCS+"KBV_CS_SFHIR_KBV_FORMULAR_ART", "e013", "type")
	w.val("date", s.Date)
	w.open("author")
	w.val("reference", w.target("Practitioner", "Practitioner"))
	w.val("type", "Practitioner")
	w.shut("author")
	w.val("title", "Storno eAU")
	w.ref("custodian", w.target("Organization", "Organization"))
	w.open("section")
	w.ref("entry", w.target("List", "List"))
	w.shut("section")
	w.done("Composition")
	w.practitioner("Practitioner", &s.Author)
	w.organization(&s.Organization)
	w.entry("List", "List", "KBV_PR_EAU_Storno")
	w.val("status", "current")
	w.val("mode", "changes")
	w.open("entry")
	w.val("deleted", "true")
	w.open("item", "identifier")
	w.val("system", "urn:ietf:rfc:3986")
	w.val("value", cancels)
	w.shut("item", "identifier")
	w.shut("entry")
	w.done("List")
	return w.end()
}
