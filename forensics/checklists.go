package forensics

// Kind is the kind of scope that a check list is for.
type Kind string

// The kinds of check lists.
const (
	WindowsDomain Kind = "windows-domain"
	LinuxServer   Kind = "linux-server"
	BackupSet     Kind = "backup-set"
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{WindowsDomain, LinuxServer, BackupSet} }

// fits are the kinds of lists that may carry a clearance of a kind of scope.
func (s Scope) fits() []Kind {
	switch s.Kind {
	case Environment, Component:
		return []Kind{WindowsDomain, LinuxServer}
	case Realm:
		return []Kind{WindowsDomain}
	case Backup:
		return []Kind{BackupSet}
	}
	return nil
}

// template is a point of a list before anybody worked on it.
type template struct {
	id, text string
	rotation bool // changes credentials; the gate asks for the proof of rotation besides
}

// points is what is to be done for a kind, in order. The order follows the work:
// evidence first, then search, then credentials, then what keeps it clean.
func (k Kind) points() []template {
	switch k {
	case WindowsDomain:
		return windowsDomain()
	case LinuxServer:
		return linuxServer()
	case BackupSet:
		return backupSet()
	}
	return nil
}

func windowsDomain() []template {
	return []template{
		{id: "wd-01", text: "Speicherabbild und Systemstand aller Domänencontroller gesichert, bevor etwas verändert wurde"},
		{id: "wd-02", text: "Sicherheits-, System-, PowerShell- und Sysmon-Protokolle der Domänencontroller exportiert; Lücken und Löschungen (1102) geklärt"},
		{id: "wd-03", text: "Bekannte Spuren (Indikatoren) auf allen Systemen gesucht, Treffer bewertet"},
		{id: "wd-04", text: "Verzeichnisabbilder und Kopien von ntds.dit gesucht (ntdsutil, Schattenkopien, DCSync: 4662)"},
		{id: "wd-05", text: "Mitglieder aller hohen Gruppen, AdminSDHolder und Rechte auf die Domäne (Replikation) einzeln bestätigt"},
		{id: "wd-06", text: "Gruppenrichtlinien, Anmeldeskripte, SYSVOL und geplante Aufgaben auf fremde Einträge geprüft"},
		{id: "wd-07", text: "Vertrauensstellungen, Zertifikatvorlagen (AD CS) und Delegierungen geprüft"},
		{id: "wd-08", text: "Neue Konten, Dienste und Fernzugänge seit der frühesten Spur einzeln erklärt"},
		{id: "wd-09", text: "krbtgt zweimal gewechselt, mit dem Abstand der längsten Ticketdauer", rotation: true},
		{id: "wd-10", text: "Kennwörter aller Verwaltungs- und Dienstkonten gewechselt, gMSA-Schlüssel erneuert", rotation: true},
		{id: "wd-11", text: "Lokale Verwalterkennwörter je Rechner verschieden gesetzt (LAPS)", rotation: true},
		{id: "wd-12", text: "Kennwörter aller Nutzerkonten gewechselt, zweiter Faktor für Verwaltung und Fernzugang an", rotation: true},
		{id: "wd-13", text: "Schlüssel und Zertifikate auf den Systemen gewechselt (TLS, KIM/SMC-B, SSH, Datenbankzugänge)", rotation: true},
		{id: "wd-14", text: "Verschärfte Überwachung eingerichtet; erste Auswertung ohne neuen Fund"},
	}
}

func linuxServer() []template {
	return []template{
		{id: "ls-01", text: "Speicher- und Plattenabbild gesichert, bevor etwas verändert wurde"},
		{id: "ls-02", text: "Protokolle (journal, auth, audit, Webserver) exportiert; Lücken geklärt"},
		{id: "ls-03", text: "Bekannte Spuren (Indikatoren) gesucht, Treffer bewertet"},
		{id: "ls-04", text: "Dateien gegen Paketverwaltung oder Sollstand verglichen, Abweichungen erklärt"},
		{id: "ls-05", text: "Prozesse, Kernmodule, ld.so.preload, PAM, sudoers und suid-Dateien geprüft"},
		{id: "ls-06", text: "Dienste, Timer, cron, rc- und Profildateien auf fremde Einträge geprüft"},
		{id: "ls-07", text: "Alle authorized_keys und Konten mit Anmeldung einzeln bestätigt; kein Schlüssel gilt auf mehreren Servern als root"},
		{id: "ls-08", text: "Verbindungen und lauschende Ports erklärt; Container und Abbilder geprüft"},
		{id: "ls-09", text: "SSH-Schlüssel aller Personen und Dienste und die Hostschlüssel gewechselt", rotation: true},
		{id: "ls-10", text: "Kennwörter, Tokens und Datenbankzugänge der Dienste gewechselt", rotation: true},
		{id: "ls-11", text: "TLS-Schlüssel und Zertifikate gewechselt, alte gesperrt", rotation: true},
		{id: "ls-12", text: "Neu aufgesetzt oder auf bekannten Stand gebracht; Sicherheitsstände eingespielt"},
		{id: "ls-13", text: "Verschärfte Überwachung eingerichtet; erste Auswertung ohne neuen Fund"},
	}
}

func backupSet() []template {
	return []template{
		{id: "bs-01", text: "Zeitpunkt der Sicherung liegt vor der frühesten bekannten Spur; Abstand begründet"},
		{id: "bs-02", text: "Unversehrtheit geprüft: Prüfsummen, Vollständigkeit, keine fremde Änderung am Sicherungssystem"},
		{id: "bs-03", text: "Verwaltung des Sicherungssystems geprüft: Konten, Löschaufträge, geänderte Aufbewahrung"},
		{id: "bs-04", text: "In abgetrennter Umgebung ohne alte Konten und Wege wiederhergestellt"},
		{id: "bs-05", text: "Wiederhergestelltes auf bekannte Spuren untersucht (Indikatoren, YARA), Treffer bewertet"},
		{id: "bs-06", text: "Startprogramme, geplante Aufgaben und Fernzugänge im Abbild geprüft"},
		{id: "bs-07", text: "Zugänge des Sicherungssystems gewechselt", rotation: true},
		{id: "bs-08", text: "Im Abbild enthaltene Zugänge (Dienstkonten, Schlüssel) vor dem Anschluss gewechselt", rotation: true},
		{id: "bs-09", text: "Fehlende Daten seit der Sicherung benannt, Nachführung geregelt"},
	}
}
