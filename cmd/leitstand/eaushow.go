package main

import (
	"fmt"
	"io"
	"strings"

	"leitstand/pure/eau"
)

type eauShowCmd struct {
	At   string `help:"Day of receipt, as for check." placeholder:"YYYY-MM-DD"`
	File string `arg:"" help:"File, or - for standard input."`
}

// Run prints one document, and what is wrong with it.
func (c *eauShowCmd) Run(a *app) error {
	var doc *eau.Document
	var rep eau.Report
	err := eachDocument(a, c.File, func(_ string, b []byte) error {
		doc, rep = eau.ReadAndCheck(b, eau.Options{At: c.At})
		return nil
	})
	if err != nil {
		return &exitError{2, err}
	}
	var out strings.Builder
	showDocument(&out, doc)
	showReport(&out, &rep)
	if _, err := io.WriteString(a.stdout, out.String()); err != nil {
		return err
	}
	if !rep.Valid {
		return &exitError{code: 1}
	}
	return nil
}

// field writes a line of the form name: value, or nothing without a value.
func field(w *strings.Builder, name string, values ...string) {
	var have []string
	for _, v := range values {
		if v != "" {
			have = append(have, v)
		}
	}
	if len(have) > 0 {
		fmt.Fprintf(w, "%-22s %s\n", name+":", strings.Join(have, ", "))
	}
}

func showDocument(w *strings.Builder, d *eau.Document) {
	switch {
	case d == nil:
		w.WriteString("Kein lesbares Dokument\n")
	case d.Certificate != nil:
		showCertificate(w, d.Certificate)
		field(w, "Kennung", d.Identifier)
	case d.Storno != nil:
		w.WriteString("Storno einer Arbeitsunfähigkeitsbescheinigung\n")
		field(w, "Ausgestellt am", eau.GermanDay(d.Date))
		field(w, "Storniert wird", d.Storno.Cancels)
		showDoctor(w, &d.Storno.Author, &d.Storno.Organization)
		field(w, "Kennung", d.Identifier)
	case d.Error != nil:
		w.WriteString("Fehlernachricht einer Krankenkasse\n")
		field(w, "Fehler", d.Error.Code, d.Error.Display)
		field(w, "Betrifft Dokument", d.Error.BundleIdentifier)
		field(w, "Betrifft Nachricht", d.Error.MessageID)
		field(w, "Kennung", d.ResourceID)
	default:
		w.WriteString("Unbekanntes Dokument\n")
		field(w, "Profil", d.Profile)
	}
}

func showCertificate(w *strings.Builder, c *eau.Certificate) {
	kind := "Folgebescheinigung"
	if c.Type.First() {
		kind = "Erstbescheinigung"
	}
	if c.Type.Final() {
		kind += ", zugleich Endbescheinigung"
	}
	w.WriteString("Arbeitsunfähigkeitsbescheinigung (" + kind + ")\n")
	p := &c.Patient
	field(w, "Versicherte Person", p.Name.Full())
	field(w, "Geboren am", eau.GermanDay(p.BirthDate))
	field(w, "Versichertennummer", p.KVNR, p.KVK)
	field(w, "Anschrift", showAddress(&p.Address))
	field(w, "Kostenträger", c.Coverage.PayorName, c.Coverage.Type, prefixed("IK ", c.Coverage.PayorIK), prefixed("IK des Trägers ", c.Coverage.AlternativeIK))
	field(w, "Arbeitsunfähig seit", eau.GermanDay(c.Since))
	field(w, "Voraussichtlich bis", eau.GermanDay(c.Until))
	field(w, "Festgestellt am", eau.GermanDay(c.Determined))
	field(w, "Ausgestellt am", eau.GermanDay(c.Date))
	field(w, "Besonderheiten", when(c.WorkAccident(), "Arbeitsunfall oder Berufskrankheit"), when(c.Accident(), "sonstiger Unfall"),
		when(c.Compensation(), "soziale Entschädigung"), when(c.SevenWeeks, "ab 7. AU-Woche oder sonstiger Krankengeldfall"),
		when(c.Unemployable, "berufsunfähig"), prefixed("teilweise arbeitsfähig ab ", eau.GermanDay(c.PartlyFitFrom)))
	for _, d := range c.Diagnoses {
		field(w, "Diagnose", strings.TrimSpace(d.Code+" "+d.Certainty+d.Side))
	}
	field(w, "Diagnosetext", c.DiagnosisText)
	for _, s := range c.Steps {
		field(w, "Weiterer Schritt", stepName(s.Code), s.Text, prefixed("ab ", eau.GermanDay(s.Reintegrate)),
			prefixed("Aufnahme ", eau.GermanDay(s.Admission)), prefixed("Entlassung ", eau.GermanDay(s.Discharge)))
	}
	showDoctor(w, &c.Author, &c.Organization)
	if c.Responsible != nil {
		field(w, "Verantwortlich", c.Responsible.Name.Full(), c.Responsible.Profession, prefixed("LANR ", c.Responsible.LANR))
	}
}

func showDoctor(w *strings.Builder, p *eau.Practitioner, o *eau.Organization) {
	field(w, "Ausgestellt von", p.Name.Full(), p.Profession, prefixed("LANR ", p.LANR), prefixed("ZANR ", p.ZANR))
	field(w, "Einrichtung", o.Name, prefixed("BSNR ", o.BSNR), prefixed("IK ", o.IK), prefixed("KZV-Nr. ", o.KZVA), prefixed("Standort ", o.Site))
	field(w, "Telefon", o.Phone)
}

func showAddress(a *eau.Address) string {
	street := strings.TrimSpace(a.Street + " " + a.House)
	if a.PostBox != "" {
		street = "Postfach " + a.PostBox
	}
	var parts []string
	for _, p := range []string{street, a.Extra, strings.TrimSpace(a.ZIP + " " + a.City), a.Country} {
		if p != "" && p != "D" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// stepName says what a further step of treatment is.
func stepName(code string) string {
	switch code {
	case "d_arzt":
		return "dem Durchgangsarzt zugewiesen"
	case "reha":
		return "Leistung zur Rehabilitation"
	case "wiedereingliederung":
		return "stufenweise Wiedereingliederung"
	case "stationaere_heilbehandlung":
		return "Heilbehandlung im Krankenhaus"
	case "sonstige":
		return "anderes"
	}
	return code
}

func prefixed(prefix, value string) string {
	if value == "" {
		return ""
	}
	return prefix + value
}

func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func showReport(w *strings.Builder, r *eau.Report) {
	verdict := "entspricht den Regeln"
	if !r.Valid {
		verdict = "entspricht NICHT den Regeln"
	}
	field(w, "Prüfung", verdict, prefixed("Version ", string(r.Version)))
	for _, f := range r.Findings {
		kind := "Hinweis"
		if f.Severity == eau.SeverityError {
			kind = "Fehler"
		}
		fmt.Fprintf(w, "  %s, Zeile %d: %s (%s", kind, f.Line, f.Text, f.Key)
		if f.Code != "" {
			fmt.Fprintf(w, ", Fehlercode %s", f.Code)
		}
		w.WriteString(")\n")
	}
}
