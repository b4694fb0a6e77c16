package web

// kindWords says in German what an entry of the ledger records. What the crisis
// team need not see on the wall (books reported, deadlines noted by the room) is
// marked quiet; it stands in the diary all the same.
type kindOf struct {
	word  string
	quiet bool
}

func kinds() map[string]kindOf {
	return map[string]kindOf{
		"answer.released":               {word: "Antworten an Absender freigegeben"},
		"attack.ruled_out":              {word: "Angriff als Ursache ausgeschlossen"},
		"behaviour.set":                 {word: "Verhalten einer Schnittstelle gewählt"},
		"catalogue.saved":               {word: "Katalog gespeichert", quiet: true},
		"clearance.granted":             {word: "Forensische Freigabe erteilt"},
		"clearance.revoked":             {word: "Freigabe widerrufen"},
		"consent.asked":                 {word: "Zustimmung erbeten"},
		"consent.declined":              {word: "Abgelehnt"},
		"consent.expired":               {word: "Anfrage abgelaufen"},
		"consent.given":                 {word: "Zugestimmt"},
		"consent.withdrawn":             {word: "Anfrage zurückgezogen"},
		"deadline.passed":               {word: "Frist verstrichen"},
		"emergency.prepared":            {word: "Notbetrieb vorbereitet", quiet: true},
		"emergency.started":             {word: "Notbetrieb angeordnet"},
		"fact.noted":                    {word: "Fakt festgehalten"},
		"failure.observed":              {word: "Ausfall beobachtet"},
		"flag.lifted":                   {word: "Muss doch nicht vom Netz"},
		"gateway.registered":            {word: "Zugangsknoten angemeldet", quiet: true},
		"gateway.retired":               {word: "Zugangsknoten abgemeldet", quiet: true},
		"handover.begun":                {word: "Übergabe begonnen"},
		"handover.withdrawn":            {word: "Zurück in den Notbetrieb"},
		"incident.closed":               {word: "Vorfall beendet"},
		"incident.declared":             {word: "Vorfall erklärt"},
		"indicator.recorded":            {word: "Spur des Angreifers festgehalten"},
		"journal.reported":              {word: "Stand des Notbetriebsbuchs", quiet: true},
		"list.published":                {word: "Öffentliche Liste veröffentlicht"},
		"measure.confirmation_recorded": {word: "Maßnahme von zweiter Person bestätigt"},
		"measure.confirmed":             {word: "Abtrennung bestätigt", quiet: true},
		"measure.ordered":               {word: "Vom Netz genommen"},
		"measure.recorded":              {word: "Maßnahme angeordnet"},
		"measure.undone":                {word: "Abtrennung zurückgenommen"},
		"notice.released":               {word: "Mitteilung veröffentlicht"},
		"observation.ended":             {word: "Beobachtung beendet"},
		"owner.set":                     {word: "Verantwortung übergeben"},
		"person.stored":                 {word: "Person eingetragen", quiet: true},
		"plan.made":                     {word: "Plan der Wiederherstellung in Kraft gesetzt"},
		"plan.replaced":                 {word: "Wiederherstellung neu geplant"},
		"plan.reported":                 {word: "Fortschritt gemeldet", quiet: true},
		"plan.terms_agreed":             {word: "Teams und Prioritäten vereinbart"},
		"rebuild.begun":                 {word: "Aufbau begonnen"},
		"regular.accepted":              {word: "Im Regelbetrieb abgenommen"},
		"regular.limited":               {word: "Eingeschränkt"},
		"regular.unlimited":             {word: "Einschränkung aufgehoben"},
		"rotation.proven":               {word: "Wechsel der Kennungen nachgewiesen"},
		"side.closed":                   {word: "Probe: Regelseite zu, Notbetrieb beginnt"},
		"signal.acknowledged":           {word: "Signal übernommen"},
		"signal.attached":               {word: "Signal dem Vorfall zugeordnet"},
		"signal.dismissed":              {word: "Signal verworfen"},
		"signal.escalated":              {word: "Signal ohne Entscheidung: eskaliert"},
		"signal.raised":                 {word: "Signal der Frühwarnung"},
		"signal.repeated":               {word: "Signal wiederholt sich", quiet: true},
		"state.adopted":                 {word: "Zustände aufgenommen", quiet: true},
		"state.confirmed":               {word: "Zustand bestätigt"},
		"subject.named":                 {word: "Umgebung von Signal genannt", quiet: true},
		"trial.entered":                 {word: "Probebetrieb nach dem Tor"},
	}
}

// kindWord is the German of a kind; an unknown one stands for itself.
func kindWord(kind string) string {
	if k, ok := kinds()[kind]; ok {
		return k.word
	}
	return kind
}
