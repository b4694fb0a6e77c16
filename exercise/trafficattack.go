package exercise

import (
	"fmt"
	"time"
)

// attackAll plays every pattern once, after the time in which rules learn.
func (m *trafficMaker) attackAll(days int) {
	for _, play := range []func(a *attackPlay){
		sprayAttack, guessAttack, newNetworkAttack, keyAttack, accountAttack, rootAttack, backupAttack, windowsBackupAttack, shadowAttack,
		stopAttack, defenderAttack, killAttack, serviceAttack, logonServiceAttack, encryptAttack, noteAttack, renameAttack, readAttack, uploadAttack,
		passwordAttack, singleFactorAttack, vpnAttack, slowSprayAttack, slowKeyAttack,
	} {
		m.n++
		day := m.start.AddDate(0, 0, max(1, days-1))
		play(&attackPlay{m: m, at: m.within(day, 7, 16), night: m.within(day, 1, 2.5), n: m.n})
	}
}

// attackPlay is one attack being written down.
type attackPlay struct {
	m         *trafficMaker
	at, night time.Time
	n         int
}

func (a *attackPlay) addr() string { return fmt.Sprintf("203.0.%d.%d", a.n/200, 1+a.n%200) }
func (a *attackPlay) host() string { return fmt.Sprintf("target%03d", a.n) }

// expect notes the answer: rule has to tell of events with token.
func (a *attackPlay) expect(pattern, rule, token string, from time.Time) {
	a.m.out.Attacks = append(a.m.out.Attacks, LogAttack{Pattern: pattern, Rule: ruleIDs + rule, Token: token, From: from, To: from.Add(time.Hour)})
}

func (a *attackPlay) fail(after time.Duration, host, user string) {
	a.m.line(a.at.Add(after), "%s sshd[1]: Failed password for invalid user %s from %s port 1 ssh2", host, user, a.addr())
}

func (a *attackPlay) accept(after time.Duration, host, user, key string) {
	a.m.line(a.at.Add(after), "%s sshd[1]: Accepted publickey for %s from %s port 1 ssh2: RSA SHA256:%s", host, user, a.addr(), key)
}

func sprayAttack(a *attackPlay) {
	for i := range 9 + a.m.rnd.IntN(20) {
		a.fail(time.Duration(i)*9*time.Second, a.m.host(), fmt.Sprintf("opfer%02d", i))
	}
	a.expect("Passwort-Sprühen", "2022", a.addr(), a.at)
	a.accept(6*time.Minute, a.m.host(), "opfer03", "geraten")
	a.expect("Erfolg nach Sprühen", "2025", a.addr(), a.at)
}

func guessAttack(a *attackPlay) {
	for i := range 11 + a.m.rnd.IntN(30) {
		a.fail(time.Duration(i)*5*time.Second, a.host(), "verwalter")
	}
	a.accept(5*time.Minute, a.host(), "verwalter", "geraten")
	a.expect("Erfolg nach vielen Fehlversuchen", "2024", a.addr(), a.at)
}

func newNetworkAttack(a *attackPlay) {
	user := a.m.users[a.n%len(a.m.users)]
	a.accept(0, a.host(), user, "gestohlen")
	a.expect("Konto aus neuem Netz", "2026", a.addr(), a.at)
	a.m.out.Attacks[len(a.m.out.Attacks)-1].Account = user
}

func keyAttack(a *attackPlay) {
	key := fmt.Sprintf("schluessel%d", a.n)
	for i := range 6 + a.m.rnd.IntN(20) {
		a.accept(time.Duration(i)*8*time.Second, a.m.hosts[i], fmt.Sprintf("dienst%d", i), key)
	}
	a.expect("Ein Schlüssel auf vielen Rechnern", "2027", key, a.at)
}

func accountAttack(a *attackPlay) {
	user := fmt.Sprintf("svc%d", a.n)
	for i := range 12 + a.m.rnd.IntN(20) {
		a.m.object(a.at.Add(time.Duration(i)*7*time.Second), map[string]any{"Channel": "Security", "EventID": 4624, "LogonType": "3", "Computer": "win-" + a.m.hosts[i], "TargetUserName": user, "IpAddress": "::ffff:" + a.addr()})
	}
	a.expect("Ein Konto auf vielen Rechnern", "2028", user, a.at)
}

func rootAttack(a *attackPlay) {
	a.accept(0, a.host(), "root", "eins")
	a.expect("root mit Schlüssel von außen", "2001", a.host(), a.at)
}

func backupAttack(a *attackPlay) {
	a.m.line(a.at, "%s sudo: svc : COMMAND=/sbin/zfs destroy -r backup/kassen", a.host())
	a.expect("Sicherung gelöscht (Linux)", "2002", a.host(), a.at)
}

// process is a Windows process as Sysmon tells of it.
func (a *attackPlay) process(command string) {
	a.m.object(a.at, map[string]any{"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Computer": a.host(), "Image": `C:\Windows\System32\cmd.exe`, "CommandLine": command})
}

func windowsBackupAttack(a *attackPlay) {
	a.process("wbadmin.exe DELETE catalog -quiet")
	a.expect("Sicherung gelöscht (Windows)", "2010", a.host(), a.at)
}

func shadowAttack(a *attackPlay) {
	forms := []string{"vssadmin.exe Delete Shadows /all /quiet", "wmic shadowcopy delete", `powershell "Get-WmiObject Win32_ShadowCopy | % { $_.Delete() }"`, "vssadmin resize shadowstorage /for=c: /on=c: /maxsize=401MB"}
	a.process(forms[a.m.rnd.IntN(len(forms))])
	a.expect("Schattenkopien gelöscht", "2011", a.host(), a.at)
}

func stopAttack(a *attackPlay) {
	a.m.line(a.at, "%s systemd[1]: Stopped auditd", a.host())
	a.expect("Schutz angehalten (Linux)", "2003", a.host(), a.at)
}

func defenderAttack(a *attackPlay) {
	a.m.object(a.at, map[string]any{"Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 5001, "Computer": a.host()})
	a.expect("Echtzeitschutz aus", "2012", a.host(), a.at)
}

func killAttack(a *attackPlay) {
	forms := []string{"net stop WinDefend", "sc.exe config Sense start= disabled", "taskkill /f /im MsMpEng.exe", "powershell Set-MpPreference -DisableRealtimeMonitoring $true"}
	a.process(forms[a.m.rnd.IntN(len(forms))])
	a.expect("Schutz von Hand beendet", "2013", a.host(), a.at)
}

func (a *attackPlay) service(after time.Duration, name, path string) {
	a.m.object(a.at.Add(after), map[string]any{"Channel": "System", "Provider_Name": "Service Control Manager", "EventID": 7045, "Computer": a.host(), "ServiceName": name, "ImagePath": path})
}

func serviceAttack(a *attackPlay) {
	a.service(0, "PSEXESVC", `%SystemRoot%\PSEXESVC.exe`)
	a.expect("Dienst aus der Ferne", "2014", a.host(), a.at)
}

func logonServiceAttack(a *attackPlay) {
	a.m.object(a.at, map[string]any{"Channel": "Security", "EventID": 4624, "LogonType": 3, "Computer": a.host(), "TargetUserName": "svc", "IpAddress": "10.9.9.9"})
	a.service(8*time.Second, "Hilfe", `C:\hilfe.exe`)
	a.expect("Dienst gleich nach Netzanmeldung", "2017", a.host(), a.at)
}

func (a *attackPlay) file(after time.Duration, name string) {
	a.m.object(a.at.Add(after), map[string]any{"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 11, "Computer": a.host(), "TargetFilename": name})
}

func encryptAttack(a *attackPlay) {
	for i := range 40 + a.m.rnd.IntN(200) {
		a.file(time.Duration(i)*200*time.Millisecond, fmt.Sprintf(`D:\akten\%d.odt.lockbit`, i))
	}
	a.expect("Massenhaft neue Endungen", "2033", a.host(), a.at)
}

func noteAttack(a *attackPlay) {
	for i := range 20 + a.m.rnd.IntN(50) {
		a.file(time.Duration(i)*time.Second, fmt.Sprintf(`D:\akten\%d\RESTORE-MY-FILES.txt`, i))
	}
	a.expect("Erpresserschreiben", "2034", a.host(), a.at)
}

func renameAttack(a *attackPlay) {
	for i := range 330 {
		a.m.line(a.at.Add(time.Duration(i)*100*time.Millisecond), "%s smbd_audit: svc|10.9.9.9|share|renameat|ok|%d.odt|%d.odt.x", a.host(), i, i)
	}
	a.expect("Massenhaftes Umbenennen", "2035", a.host(), a.at)
}

func readAttack(a *attackPlay) {
	for i := range 1100 {
		a.m.line(a.night.Add(time.Duration(i)*400*time.Millisecond), "%s smbd_audit: svc|10.9.9.9|share|open|ok|r|%d.odt", a.host(), i)
	}
	a.expect("Massenhaftes Lesen bei Nacht", "2043", a.host(), a.night)
}

func uploadAttack(a *attackPlay) {
	from := fmt.Sprintf("10.66.%d.%d", a.n/200, 1+a.n%200)
	for i := range 30 {
		a.m.object(a.night.Add(time.Duration(i)*time.Minute), map[string]any{"source.ip": from, "source.bytes": 90_000_000, "destination.ip": a.addr(), "event.category": "network"})
	}
	a.expect("Große Übertragung bei Nacht", "2044", from, a.night)
}

func passwordAttack(a *attackPlay) {
	a.m.line(a.at, "%s sshd[1]: Accepted password for gast from %s port 1 ssh2", a.host(), a.addr())
	a.expect("Nur Passwort, von außen", "2050", a.host(), a.at)
}

func singleFactorAttack(a *attackPlay) {
	a.m.object(a.at, map[string]any{"category": "SignInLogs", "userPrincipalName": a.host() + "@example.org", "ipAddress": a.addr(), "ResultType": "0", "AuthenticationRequirement": "singleFactorAuthentication", "host.name": a.host()})
	a.expect("Anmeldedienst ohne zweiten Faktor", "2051", a.host(), a.at)
}

func vpnAttack(a *attackPlay) {
	a.m.object(a.at, map[string]any{"host.name": a.host(), "event.category": "authentication", "event.outcome": "success", "user.name": "gast", "source.ip": a.addr(), "mfa": "none"})
	a.expect("Einwahl ohne zweiten Faktor", "2052", a.host(), a.at)
}

// slowSprayAttack tries one account every ten minutes.
func slowSprayAttack(a *attackPlay) {
	for i := range 20 {
		a.fail(time.Duration(i)*10*time.Minute, a.m.host(), fmt.Sprintf("opfer%02d", i))
	}
	a.expect("Passwort-Sprühen, langsam", "2022", a.addr(), a.at)
	a.slow()
}

// slowKeyAttack opens one host every four minutes.
func slowKeyAttack(a *attackPlay) {
	key := fmt.Sprintf("schluessel%d", a.n)
	for i := range 8 {
		a.accept(time.Duration(i)*4*time.Minute, a.m.hosts[i], fmt.Sprintf("dienst%d", i), key)
	}
	a.expect("Ein Schlüssel auf vielen Rechnern, langsam", "2027", key, a.at)
	a.slow()
}

func (a *attackPlay) slow() {
	last := &a.m.out.Attacks[len(a.m.out.Attacks)-1]
	last.Slow, last.To = true, last.From.Add(4*time.Hour)
}
