package web

// publicWords are the fixed texts of the public pages in one language or view.
type publicWords struct {
	Lang, Title, Intro, Notices, List, Version, Reason, None, Search, Button string
	Service, State, Advice, Changes, Help, HelpText, AllRun, Feed            string
	States                                                                   map[string]string
}

// publicTexts are the views: for insured people, for partners, in Leichte Sprache and in English.
func publicTexts() map[string]publicWords {
	german := publicWords{
		Lang: "de", Title: "Was geht, was geht nicht", Notices: "Mitteilungen", List: "Liste der Einschränkungen", Version: "Fassung", Reason: "Grund der Fassung",
		Intro: "Hier steht, welche Dienste Ihrer Krankenkasse zurzeit nicht wie gewohnt laufen und was Sie stattdessen tun können. Es gibt nur diese eine Liste; jede Änderung bekommt eine neue Nummer.",
		None:  "Zurzeit sind keine Einschränkungen bekannt gegeben.", Search: "Krankenkasse (Name oder IK)", Button: "Suchen",
		Service: "Dienst", State: "Zustand", Advice: "Was Sie tun können", Changes: "Alle Fassungen und Änderungen", Feed: "Änderungen abonnieren (Atom)",
		AllRun: "Alle Dienste laufen.", Help: "Im Notfall",
		HelpText: "Medizinische Hilfe bekommen Sie immer: Notruf 112, ärztlicher Bereitschaftsdienst 116 117. Ihre elektronische Gesundheitskarte gilt weiter.",
	}
	partner := german
	partner.Title = "Hinweise für Praxen, Apotheken und Arbeitgeber"
	partner.Intro = "Hier steht, welche Schnittstellen zu welchen Krankenkassen zurzeit nicht wie gewohnt laufen und was Sie als Praxis, Apotheke, Arbeitgeber oder Hersteller tun sollen."
	partner.Advice, partner.Help = "Was Sie tun sollen", "Wenn eine Nachricht nicht ankommt"
	partner.HelpText = "Bewahren Sie Nachrichten auf, die nicht angenommen wurden, und senden Sie sie erneut, sobald der Dienst in dieser Liste nicht mehr steht. Was der Notbetrieb angenommen hat, wird nachgereicht: Bitte nicht doppelt senden."
	return map[string]publicWords{"versicherte": german, "partner": partner, "leicht": easyGerman(german), "en": english()}
}

// easyGerman are the fixed texts in Leichte Sprache: short sentences, known words.
func easyGerman(t publicWords) publicWords {
	t.Title = "Was funktioniert? Was funktioniert nicht?"
	t.Intro = "Bei einigen Kranken-Kassen gibt es gerade Probleme mit den Computern. Auf dieser Seite sehen Sie: Was funktioniert gerade nicht? Und: Was können Sie stattdessen tun?"
	t.Notices, t.List, t.None = "Neuigkeiten", "Das funktioniert gerade nicht", "Wir wissen gerade von keinen Problemen."
	t.Search, t.Button, t.Service, t.State, t.Advice = "Name von Ihrer Kranken-Kasse", "Suchen", "Was?", "Wie ist es gerade?", "Das können Sie tun"
	t.Changes, t.AllRun, t.Feed, t.Version, t.Reason = "Was hat sich geändert?", "Alles funktioniert.", "Neuigkeiten als Nachricht bekommen", "Nummer", "Darum haben wir die Liste geändert"
	t.Help = "Sind Sie krank?"
	t.HelpText = "Sie bekommen immer Hilfe. Rufen Sie im Notfall die Nummer 112 an. Ist es nicht so eilig? Dann rufen Sie die Nummer 116 117 an. Ihre Karte von der Kranken-Kasse gilt weiter."
	t.States = map[string]string{
		"nicht erreichbar": "funktioniert nicht", "eingeschränkt": "funktioniert nur zum Teil", "im Notbetrieb": "funktioniert mit Hilfe",
		"im Probebetrieb": "wird ausprobiert",
	}
	return t
}

func english() publicWords {
	return publicWords{
		Lang: "en", Title: "What works and what does not", Notices: "Announcements", List: "List of restrictions", Version: "Version", Reason: "Reason for this version",
		Intro: "This page shows which services of your health insurer do not work as usual at the moment and what you can do instead. This is the only list; every change gets a new number. Names of services and announcements are in German.",
		None:  "No restrictions have been announced.", Search: "Health insurer (name or IK number)", Button: "Search",
		Service: "Service", State: "State", Advice: "What you can do", Changes: "All versions and changes", Feed: "Subscribe to changes (Atom)",
		AllRun: "All services work.", Help: "In an emergency",
		HelpText: "You always get medical help: emergency number 112, doctor on call 116 117. Your health card remains valid.",
		States: map[string]string{
			"nicht erreichbar": "not available", "eingeschränkt": "restricted", "im Notbetrieb": "emergency operation", "im Probebetrieb": "trial operation",
		},
	}
}
