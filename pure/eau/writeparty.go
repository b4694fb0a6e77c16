package eau

import "fmt"

// The resources that the eAU shares with other forms: patient, cover, doctor, practice.

func (w *bundle) patient(p *Patient) {
	w.entry("Patient", "Patient", "KBV_PR_FOR_Patient")
	switch {
	case p.KVNR != "":
		w.identifier("KVZ10", p.KVNR)
	case p.KVK != "":
		w.identifier("kvk", p.KVK)
	}
	w.name(&p.Name)
	if p.BirthDate != "" {
		w.val("birthDate", p.BirthDate)
	} else {
		w.open("birthDate")
		w.extVal(hl7SD+"data-absent-reason", "valueCode", "unknown")
		w.shut("birthDate")
	}
	if p.Address != (Address{}) {
		w.address(&p.Address)
	}
	w.done("Patient")
}

// identifierSystems maps the code of an identifier's type to the systems of the type and of the identifier.
func identifierSystems(code string) (ofType, ofValue string) {
	const deBasis = deCS + "identifier-type-de-basis"
	switch code {
	case "KVZ10":
		return deBasis, deSID + "gkv/kvid-10"
	case "kvk":
		return kbvCS + "KBV_CS_Base_identifier_type", deSID + "gkv/kvk-versichertennummer"
	case "LANR":
		return hl7CS + "v2-0203", kbvNS + "KBV_NS_Base_ANR"
	case "ZANR":
		return deBasis, deSID + "kzbv/zahnarztnummer"
	case "PRN":
		return hl7CS + "v2-0203", "https://gematik.de/fhir/sid/telematik-id"
	case "XX":
		return hl7CS + "v2-0203", deSID + "arge-ik/iknr"
	case "BSNR":
		return hl7CS + "v2-0203", kbvNS + "KBV_NS_Base_BSNR"
	case "KZVA":
		return deBasis, deSID + "kzbv/kzvabrechnungsnummer"
	case "KSN":
		return kbvCS + "KBV_CS_Base_identifier_type", deSID + "dkgev/standortnummer"
	}
	return "", ""
}

// identifier writes an Identifier with its type, or nothing if it has no value.
func (w *bundle) identifier(code, value string) {
	if value == "" {
		return
	}
	ofType, ofValue := identifierSystems(code)
	w.open("identifier")
	w.coding(ofType, code, "type")
	w.val("system", ofValue)
	w.val("value", value)
	w.shut("identifier")
}

func (w *bundle) name(n *Name) {
	w.open("name")
	w.val("use", "official")
	w.openVal("family", joinWords(n.Addition, n.Prefix, n.Family))
	w.extVal(deSD+"humanname-namenszusatz", "valueString", n.Addition)
	w.extVal(hl7SD+"humanname-own-prefix", "valueString", n.Prefix)
	w.extVal(hl7SD+"humanname-own-name", "valueString", n.Family)
	w.shut("family")
	w.val("given", n.Given)
	if n.Title != "" {
		w.openVal("prefix", n.Title)
		w.extVal(hl7SD+"iso21090-EN-qualifier", "valueCode", "AC")
		w.shut("prefix")
	}
	w.shut("name")
}

// openVal opens an element that has a value and extensions.
func (w *xmlWriter) openVal(name, value string) {
	w.indent()
	w.raw("<", name, " value=\"")
	w.escape(name, value)
	w.raw("\">")
	w.depth++
}

func (w *bundle) address(a *Address) {
	const part = hl7SD + "iso21090-ADXP-"
	w.open("address")
	if a.PostBox != "" {
		w.val("type", "postal")
		w.openVal("line", a.PostBox)
		w.extVal(part+"postBox", "valueString", a.PostBox)
		w.shut("line")
	} else {
		w.val("type", "both")
		if a.Street != "" || a.House != "" {
			line := joinWords(a.Street, a.House)
			if a.House == noHouse {
				line = a.Street
			}
			w.openVal("line", line)
			w.extVal(part+"houseNumber", "valueString", a.House)
			w.extVal(part+"streetName", "valueString", a.Street)
			w.shut("line")
		}
		if a.Extra != "" {
			w.openVal("line", a.Extra)
			w.extVal(part+"additionalLocator", "valueString", a.Extra)
			w.shut("line")
		}
	}
	w.val("city", a.City)
	w.val("postalCode", a.ZIP)
	w.val("country", a.Country)
	w.shut("address")
}

// noHouse is how an Organization says that its street has no house numbers.
const noHouse = "N/A"

func (w *bundle) coverage(c *Coverage) {
	w.entry("Coverage", "Coverage", "KBV_PR_FOR_Coverage")
	w.extCode(deSD+"gkv/besondere-personengruppe", kbvCS+"KBV_CS_SFHIR_KBV_PERSONENGRUPPE", c.Group)
	w.extCode(deSD+"gkv/dmp-kennzeichen", kbvCS+"KBV_CS_SFHIR_KBV_DMP", c.DMP)
	w.extCode(deSD+"gkv/wop", kbvCS+"KBV_CS_SFHIR_ITA_WOP", c.WOP)
	w.extCode(deSD+"gkv/versichertenart", kbvCS+"KBV_CS_SFHIR_KBV_VERSICHERTENSTATUS", c.Status)
	w.val("status", "active")
	w.coding(payorSystem(c.Type), c.Type, "type")
	w.ref("beneficiary", w.target("Patient", "Patient"))
	if c.End != "" {
		w.open("period")
		w.val("end", c.End)
		w.shut("period")
	}
	w.open("payor")
	if c.PayorIK != "" {
		w.open("identifier")
		if c.AlternativeIK != "" {
			w.ext(kbvSD + "KBV_EX_FOR_Alternative_IK")
			w.open("valueIdentifier")
			w.val("system", deSID+"arge-ik/iknr")
			w.val("value", c.AlternativeIK)
			w.shut("valueIdentifier")
			w.shut("extension")
		}
		w.val("system", deSID+"arge-ik/iknr")
		w.val("value", c.PayorIK)
		w.shut("identifier")
	}
	w.val("display", c.PayorName)
	w.shut("payor")
	w.done("Coverage")
}

// payorSystem is the code system that defines a type of payer.
func payorSystem(code string) string {
	switch code {
	case "SKT", "UK":
		return kbvCS + "KBV_CS_FOR_Payor_Type_KBV"
	}
	return deCS + "versicherungsart-de-basis"
}

func (w *bundle) practitioner(name string, p *Practitioner) {
	w.entry("Practitioner", name, "KBV_PR_FOR_Practitioner")
	w.identifier("LANR", p.LANR)
	w.identifier("ZANR", p.ZANR)
	w.identifier("PRN", p.TelematikID)
	w.name(&p.Name)
	w.open("qualification")
	w.coding(kbvCS+"KBV_CS_FOR_Qualification_Type", p.Type, "code")
	w.shut("qualification")
	w.open("qualification", "code")
	w.coding(kbvCS+"KBV_CS_FOR_Berufsbezeichnung", "Berufsbezeichnung")
	w.val("text", p.Profession)
	w.shut("qualification", "code")
	if p.ASVGroup != "" {
		w.open("qualification")
		w.coding(kbvNS+"KBV_NS_FOR_Fachgruppennummer_ASV", p.ASVGroup, "code")
		w.shut("qualification")
	}
	w.done("Practitioner")
}

func (w *bundle) organization(o *Organization) {
	w.entry("Organization", "Organization", "KBV_PR_FOR_Organization")
	w.identifier("BSNR", o.BSNR)
	w.identifier("XX", o.IK)
	w.identifier("KZVA", o.KZVA)
	w.identifier("KSN", o.Site)
	w.identifier("PRN", o.TelematikID)
	w.val("name", o.Name)
	for _, t := range [...]struct{ system, value string }{{"phone", o.Phone}, {"fax", o.Fax}, {"email", o.Mail}} {
		if t.value != "" {
			w.open("telecom")
			w.val("system", t.system)
			w.val("value", t.value)
			w.shut("telecom")
		}
	}
	w.address(&o.Address)
	w.done("Organization")
}

// WriteError makes the error message of a Kasse, in the version that n names.
func WriteError(n ErrorNotice) ([]byte, error) {
	if n.Version == "" {
		n.Version = "1.2"
	}
	if n.Display == "" {
		n.Display = errorWords(n.Code)
	}
	switch {
	case n.ID == "":
		return nil, fmt.Errorf("writing error message: the id is missing")
	case n.Display == "":
		return nil, fmt.Errorf("writing error message %q: code %q is unknown and has no words", n.ID, n.Code)
	case (n.BundleIdentifier == "") == (n.MessageID == ""):
		return nil, fmt.Errorf("writing error message %q: it must name either a bundle or a mail", n.ID)
	case n.Version != "1.2" && n.Version != "1.1.0":
		return nil, fmt.Errorf("writing error message %q: version %q is unknown", n.ID, n.Version)
	}
	w := &xmlWriter{b: make([]byte, 0, 2<<10)}
	w.raw(`<?xml version="1.0" encoding="UTF-8"?>`)
	w.indent()
	w.raw(`<OperationOutcome xmlns="`, nsFHIR, `">`)
	w.depth++
	if n.Test {
		w.indent()
		w.raw("<!-- ", testComment, " -->")
	}
	w.val("id", n.ID)
	w.open("meta")
	w.val("profile", kbvSD+"KBV_PR_EAU_health_insurance_Practitioner|"+n.Version)
	w.shut("meta")
	w.open("issue")
	w.ext(kbvSD + "KBV_EX_EAU_health_insurance_Practitioner_Identifier")
	w.about("Bundle-Identifier", "urn:ietf:rfc:3986", n.BundleIdentifier)
	w.about("Message-ID", kbvNS+"KBV_NS_EAU_Message_ID_KIM", n.MessageID)
	w.shut("extension")
	w.val("severity", "fatal")
	w.val("code", "processing")
	w.open("details", "coding")
	w.val("system", kbvCS+"KBV_CS_SFHIR_EAU_AU_ERROR_KASSE")
	w.val("code", n.Code)
	w.val("display", n.Display)
	w.shut("details", "coding")
	w.shut("issue")
	w.shut("OperationOutcome")
	b, err := w.finish()
	if err != nil {
		return nil, fmt.Errorf("writing error message %q: %w", n.ID, err)
	}
	return b, nil
}

func (w *xmlWriter) about(url, system, value string) {
	if value == "" {
		return
	}
	w.ext(url)
	w.open("valueIdentifier")
	w.val("system", system)
	w.val("value", value)
	w.shut("valueIdentifier")
	w.shut("extension")
}

// errorWords says in words of our own what an error code of a Kasse means; ""
// for an unknown code. The official display texts are not ours to copy.
func errorWords(code string) string {
	switch code {
	case "100":
		return "Patientin oder Patient ist hier nicht versichert"
	case "101":
		return "eAU entspricht nicht der Spezifikation"
	case "102":
		return "Storno entspricht nicht der Spezifikation"
	case "103":
		return "eAU ist nicht in UTF-8 ohne BOM kodiert"
	case "104":
		return "Storno ist nicht in UTF-8 ohne BOM kodiert"
	case "105":
		return "Storno einer bereits abgewiesenen eAU"
	case "201":
		return "Zertifikat der Signatur der eAU ist ungültig"
	case "202":
		return "Signatur der eAU passt nicht zu den Daten"
	case "203":
		return "Zertifikat der Signatur des Stornos ist ungültig"
	case "204":
		return "Signatur des Stornos passt nicht zu den Daten"
	case "301":
		return "KIM-Nachricht mit Storno: falsches Format der Verschlüsselung"
	case "303":
		return "KIM-Nachricht mit Storno: Signatur fehlt"
	case "304":
		return "KIM-Nachricht mit Storno: Format der Signatur ist falsch"
	case "305":
		return "KIM-Nachricht mit Storno: Signatur passt nicht zum Inhalt"
	case "307":
		return "KIM-Nachricht mit eAU: falsches Format der Verschlüsselung"
	case "309":
		return "KIM-Nachricht mit eAU: Signatur fehlt"
	case "310":
		return "KIM-Nachricht mit eAU: Format der Signatur ist falsch"
	case "311":
		return "KIM-Nachricht mit eAU: Signatur passt nicht zum Inhalt"
	case "313":
		return "KIM-Nachricht mit eAU: Schlüssel zum Öffnen nicht verfügbar"
	case "314":
		return "KIM-Nachricht mit Storno: Schlüssel zum Öffnen nicht verfügbar"
	}
	return ""
}
