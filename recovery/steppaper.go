package recovery

import (
	"strings"
	"time"

	"leitstand/pure/paper"
)

// Order is a step on paper: what is to be done, and a field for the signature.
func (v *StepView) Order(zone *time.Location, exercise bool) paper.Form {
	f := paper.Form{
		Title: "Auftrag: " + v.Kind.Word(), Exercise: exercise,
		Facts: [][2]string{{"Schritt", v.ID}, {"Aufgabe", v.Label}, {"Ziel", v.Subject}},
		Steps: v.Kind.work(), Fields: []string{"Ausgeführt von", "Begonnen am, um", "Beendet am, um", "Nachweis (Nummer, Ablage)", "Abweichungen", "Unterschrift"},
		Foot: "Rückmeldung im Leitstand: leitstand plan step done " + v.ID + " --who NAME --evidence NACHWEIS --as PERSON",
	}
	if v.Act != "" {
		f.Facts = append(f.Facts, [2]string{"Auftrag", v.Act})
	}
	if !v.Start.IsZero() {
		f.Facts = append(f.Facts, [2]string{"Geplant", Clock(v.Start.In(zone)) + " bis " + Clock(v.End.In(zone))})
	}
	if len(v.Teams) > 0 {
		f.Facts = append(f.Facts, [2]string{"Team", strings.Join(v.Teams, ", ")})
	}
	if v.Who != "" {
		f.Facts = append(f.Facts, [2]string{"Ausführung", v.Who})
	}
	if !v.Until.IsZero() {
		f.Facts = append(f.Facts, [2]string{"Mindestens", "bis " + Clock(v.Until.In(zone))})
	}
	for _, w := range v.Waits {
		f.Notes = append(f.Notes, "Wartet noch: "+w)
	}
	if v.Kind.SkipNeedsTwo() {
		f.Notes = append(f.Notes, "Auslassen dürfen diesen Schritt nur zwei Personen mit Begründung.")
	}
	return f
}

// work is what belongs to a kind of step, for people who hold paper.
func (k TaskKind) work() []string {
	switch k {
	case Secure:
		return []string{"Nichts ausschalten, nichts überschreiben, bevor gesichert ist.", "Arbeitsspeicher, Datenträger und Protokolle sichern; Prüfsummen (SHA-256) notieren.", "Ablage und Übergabe in der Beweismittelkette eintragen."}
	case Examine:
		return []string{"Gesicherte Spuren im abgeschotteten Bereich untersuchen.", "Befunde und Indikatoren im Leitstand eintragen.", "Freigabe beantragen oder Befund melden: Die Freigabe erteilen zwei Personen im Leitstand."}
	case Emergency:
		return []string{"Prüfliste der Notumgebung ist abgearbeitet.", "Notbetrieb durch zwei Personen im Leitstand beginnen.", "Erster Vorgang: Nummer, Buch und Anzeige prüfen."}
	case Build:
		return []string{"Nur aus sicherer Quelle aufbauen; Quelle und Prüfsumme notieren.", "Keine Datei, kein Schlüssel, kein Kennwort aus dem alten Stand übernehmen.", "Härtung, Protokollierung und Sicherung einrichten."}
	case Rotate:
		return []string{"Alle Kennwörter, Schlüssel, Zertifikate und Dienstkonten des Bereichs wechseln.", "Alte Zugangsdaten sperren, nicht nur ersetzen.", "Nachweis des Wechsels im Leitstand eintragen."}
	case Probe:
		return []string{"Erreichbarkeit, Anmeldung, Schnittstellen und Sicherung technisch prüfen.", "Ergebnis mit Zeit und Werten festhalten.", "Schlägt etwas fehl: melden, nicht flicken."}
	case Test:
		return []string{"Die benannten Geschäftsfälle mit Testdaten durchführen.", "Zu jedem Fall notieren, was zu sehen war.", "Was nur eingeschränkt geht, genau benennen."}
	case Observe:
		return []string{"Verschärfte Frühwarnung verfolgen; über jedes Signal entscheiden.", "Auffälligkeiten sofort melden.", "Die Beobachtung endet nicht von selbst: Rückmeldung geben."}
	case Switch:
		return []string{"Fenster ist angekündigt, Abbruchkriterium ist bekannt.", "Nur lesen → übergeben → vergleichen → beide Seiten unterschreiben (leitstand handover).", "Bei Abweichung: zurück in den Notbetrieb, solange niemand unterschrieben hat."}
	case Join:
		return []string{"Zweitstandort erst anschließen, wenn der erste im Regelbetrieb ist.", "Abgleich der Daten prüfen, dann Lastverteilung öffnen."}
	case Backlog:
		return []string{"Reihenfolge: medizinisch dringend, dann Sicherung des Lebensunterhalts, dann der Rest.", "Bestand zu Beginn und am Ende notieren."}
	}
	return nil
}
