package web

import (
	"errors"
	"net/http"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
	"leitstand/warning"
)

// failure is an error with words for people.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

// known puts the errors that people decide on into words. This is the one table.
func known() []struct {
	err error
	failure
} {
	return []struct {
		err error
		failure
	}{
		{access.ErrSamePerson, failure{http.StatusConflict, "Die zweite Person muss eine andere sein als die erste."}},
		{access.ErrChanged, failure{http.StatusConflict, "Seit der Vorschau hat sich die Lage geändert. Bitte neu anordnen."}},
		{access.ErrExpired, failure{http.StatusConflict, "Die Anfrage ist abgelaufen. Bitte neu anordnen."}},
		{access.ErrDecided, failure{http.StatusConflict, "Darüber ist schon entschieden."}},
		{access.ErrWrongCode, failure{http.StatusConflict, "Der Code passt nicht zu dieser Anfrage und dieser Person, oder seine Zeit ist abgelaufen."}},
		{access.ErrNoCodes, failure{http.StatusConflict, "Diese Person hat keine unbenutzten Codes. Sie braucht ein neues Blatt: leitstand code sheet."}},
		{access.ErrTooMany, failure{http.StatusConflict, "Für diese Person wurden schon drei Codes erbeten und nicht benutzt. Bitte eine halbe Stunde warten."}},
		{emergency.ErrLocked, failure{http.StatusConflict, "Der Raum ist gesperrt. Entsperren unter „Schlüssel“; Annehmen geht weiter."}},
		{access.ErrNoConsent, failure{http.StatusNotFound, "Diese Anfrage gibt es nicht."}},
		{access.ErrUnknownPerson, failure{http.StatusConflict, "Diese Person gibt es nicht oder sie ist nicht mehr tätig."}},
		{notice.ErrNoChange, failure{http.StatusConflict, "Die veröffentlichte Liste sagt das schon. Eine neue Fassung ist nicht nötig."}},
		{notice.ErrTwice, failure{http.StatusConflict, "Ein Dienst einer Kasse stünde doppelt in der Liste. Sie wurde nicht veröffentlicht."}},
		{containment.ErrEmpty, failure{http.StatusUnprocessableEntity, "Die Auswahl trifft keine Stelle. Bitte mindestens eine Kasse, einen Dienst, einen Standort oder eine Komponente wählen."}},
		{containment.ErrUnknown, failure{http.StatusNotFound, "Diese Maßnahme gibt es nicht."}},
		{incident.ErrUnknown, failure{http.StatusNotFound, "Diesen Vorfall gibt es nicht."}},
		{incident.ErrClosed, failure{http.StatusConflict, "Der Vorfall ist schon beendet."}},
		{incident.ErrNotAllowed, failure{http.StatusConflict, "Einen Vorfall erklärt die Leitung des Stabs oder der Betrieb; beenden kann ihn nur die Leitung."}},
		{warning.ErrUnknown, failure{http.StatusNotFound, "Dieses Signal gibt es nicht."}},
		{warning.ErrReason, failure{http.StatusUnprocessableEntity, "Wer ein Signal verwirft, nennt bitte einen Grund."}},
		{warning.ErrDecided, failure{http.StatusConflict, "Über dieses Signal ist schon entschieden."}},
		{recovery.ErrNoPlan, failure{http.StatusNotFound, "Es gibt noch keinen Plan der Wiederherstellung."}},
		{recovery.ErrNothing, failure{http.StatusConflict, "Es ist nichts wiederherzustellen: Alles läuft."}},
		{recovery.ErrNoStep, failure{http.StatusNotFound, "Diesen Schritt gibt es nicht."}},
		{recovery.ErrNoTask, failure{http.StatusNotFound, "Diese Position gibt es im Plan nicht."}},
		{room.ErrTermsOvertaken, failure{http.StatusConflict, "Inzwischen haben andere etwas vereinbart. Bitte neu beantragen."}},
		{recovery.ErrNoTeam, failure{http.StatusNotFound, "Dieses Team gibt es im Plan nicht."}},
		{ledger.ErrNoEntry, failure{http.StatusNotFound, "Diesen Eintrag gibt es nicht."}},
		{db.ErrDiskFull, failure{http.StatusInsufficientStorage, "Die Festplatte ist voll. Es wurde nichts gespeichert; bitte Platz schaffen, dann geht es weiter."}},
		{db.ErrReadOnly, failure{http.StatusInsufficientStorage, "Der Datenträger ist nur lesbar. Es wurde nichts gespeichert."}},
	}
}

// explain finds the words for an error, or the general ones.
func (s *server) explain(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	for _, k := range known() {
		if errors.Is(err, k.err) {
			return &k.failure
		}
	}
	if refused, ok := errors.AsType[*room.Failure](err); ok {
		return &failure{http.StatusConflict, refusedText(refused.Rule, refused.Text)}
	}
	if refused, ok := errors.AsType[*operation.Refused](err); ok {
		return &failure{http.StatusConflict, refusedText(int(refused.Rule), refused.Text)}
	}
	return &failure{http.StatusInternalServerError, "Das hat nicht geklappt. Bitte noch einmal versuchen; hilft das nicht, steht der Grund im Protokoll des Programms."}
}

// refusedText names the rule that refused an act, in its words and ours.
func refusedText(rule int, text string) string {
	names := map[int]string{
		int(operation.RuleGate): "Tor", int(operation.RuleOneWriter): "nur ein Schreiber", int(operation.RuleNothingLost): "nichts geht verloren",
		int(operation.RuleTwoPeople): "zwei Personen", int(operation.RuleOnRecord): "alles im Buch", int(operation.RuleComplete): "vollständig",
		int(operation.RuleRevocation): "Widerruf erreicht alle",
	}
	if n, ok := names[rule]; ok {
		return "Abgelehnt von Regel " + number(rule) + " („" + n + "“): " + text
	}
	return text
}
