package kimmail

import "strings"

// Fault is one thing wrong with the protection of a mail, found by a Clientmodul
// (X-KIM result fields) or by us. FaultNone is no fault.
type Fault int

// The result codes of gemSpec_CM_KOMLE, and the two faults that a bundle's own
// signature can have.
const (
	FaultNone            Fault = iota
	FaultNoKey                 // decryption 01: no key for this mail
	FaultEnvelope              // decryption 02: wrong encryption format
	FaultModule                // decryption 03: Konnektor was out of reach; our side, not the sender's
	FaultTampered              // integrity 02: content does not match the signature
	FaultUnsigned              // integrity 03: no signature
	FaultSignatureFormat       // integrity 04: signature has the wrong format
	FaultChain                 // integrity 05: certificate could not be traced to an anchor
	FaultUnchecked             // integrity 06: could not be checked for another reason
	FaultRevocation            // integrity 07: OCSP gave no answer to rely on
	FaultHeaderMismatch        // integrity 08: outer and inner header differ
	FaultRecipients            // integrity 09: recipient-emails differ
	FaultVendor                // a code of the vendor (Xnn), or one we do not know
	FaultSender                // From and signer belong to different parties
	FaultBundleSigner          // signature of the bundle: certificate invalid
	FaultBundleTampered        // signature of the bundle: data does not match
)

// Text says in German what a person handling the mail must know.
func (f Fault) Text() string {
	switch f {
	case FaultNone:
		return "kein Mangel"
	case FaultNoKey:
		return "Für diese Nachricht ist kein Schlüssel verfügbar."
	case FaultEnvelope:
		return "Die Nachricht ist in einem falschen Format verschlüsselt."
	case FaultModule:
		return "Der Konnektor war beim Entschlüsseln nicht erreichbar (eigene Seite)."
	case FaultTampered:
		return "Der Inhalt passt nicht zur Signatur der KIM-Nachricht."
	case FaultUnsigned:
		return "Die KIM-Nachricht trägt keine Signatur."
	case FaultSignatureFormat:
		return "Die Signatur der KIM-Nachricht hat ein falsches Format."
	case FaultChain:
		return "Das Signaturzertifikat führt zu keinem bekannten Aussteller."
	case FaultUnchecked:
		return "Die Signatur der KIM-Nachricht konnte nicht geprüft werden."
	case FaultRevocation:
		return "Der Sperrstatus des Signaturzertifikats ist unklar."
	case FaultHeaderMismatch:
		return "Äußere und innere Kopfzeilen stimmen nicht überein."
	case FaultRecipients:
		return "Die Empfängerliste der Signatur und die der Verschlüsselung stimmen nicht überein."
	case FaultVendor:
		return "Das Clientmodul meldet einen herstellereigenen Fehler."
	case FaultSender:
		return "Absender und Unterzeichner der KIM-Nachricht gehören nicht zusammen."
	case FaultBundleSigner:
		return "Das Zertifikat der Signatur der Bescheinigung ist fehlerhaft."
	case FaultBundleTampered:
		return "Die Daten der Bescheinigung passen nicht zu ihrer Signatur."
	}
	return "unbekannter Mangel"
}

// EAUCode returns the code that the Technische Anlage assigns to the fault (code
// system KBV_CS_SFHIR_EAU_AU_ERROR_KASSE), for a sick note or a cancellation. ok
// is false where none is assigned: then nobody may be told that the mail was
// faulty.
func (f Fault) EAUCode(kind Kind) (code string, ok bool) {
	var delivery, cancellation string
	switch f {
	case FaultNoKey:
		delivery, cancellation = "313", "314"
	case FaultEnvelope:
		delivery, cancellation = "307", "301"
	case FaultTampered:
		delivery, cancellation = "311", "305"
	case FaultUnsigned:
		delivery, cancellation = "309", "303"
	case FaultSignatureFormat:
		delivery, cancellation = "310", "304"
	case FaultBundleSigner:
		delivery, cancellation = "201", "203"
	case FaultBundleTampered:
		delivery, cancellation = "202", "204"
	case FaultNone, FaultModule, FaultChain, FaultUnchecked, FaultRevocation, FaultHeaderMismatch, FaultRecipients, FaultVendor, FaultSender:
		return "", false
	}
	if kind == KindCancellation {
		return cancellation, true
	}
	return delivery, true
}

// Results are the findings a Clientmodul wrote into the mail it decrypted. All
// fields may repeat (gematik FAQ); a mail that never passed a Clientmodul has none.
type Results struct {
	Decryption []string // X-KIM-DecryptionResult: "00" is success
	Integrity  []string // X-KIM-IntegrityCheckResult: "01" is success
	Messages   []string // X-KIM-Fehlermeldung: 4001 to 4017
}

// Present tells whether a Clientmodul left any finding.
func (r Results) Present() bool { return len(r.Decryption)+len(r.Integrity)+len(r.Messages) > 0 }

// Faults translates the findings; success codes yield nothing.
func (r Results) Faults() []Fault {
	var faults []Fault
	for _, code := range r.Decryption {
		if f := decryptionFault(code); f != FaultNone {
			faults = append(faults, f)
		}
	}
	for _, code := range r.Integrity {
		if f := integrityFault(code); f != FaultNone {
			faults = append(faults, f)
		}
	}
	return faults
}

func decryptionFault(code string) Fault {
	switch code {
	case "00":
		return FaultNone
	case "01":
		return FaultNoKey
	case "02":
		return FaultEnvelope
	case "03":
		return FaultModule
	}
	return FaultVendor
}

func integrityFault(code string) Fault {
	switch code {
	case "01":
		return FaultNone
	case "02":
		return FaultTampered
	case "03":
		return FaultUnsigned
	case "04":
		return FaultSignatureFormat
	case "05":
		return FaultChain
	case "06":
		return FaultUnchecked
	case "07":
		return FaultRevocation
	case "08":
		return FaultHeaderMismatch
	case "09":
		return FaultRecipients
	}
	return FaultVendor
}

// readResults takes the codes out of the header; text behind a code is dropped.
func readResults(h Header) Results {
	codes := func(name string) []string {
		var list []string
		for _, v := range h.All(name) {
			for code := range strings.SplitSeq(v, ",") {
				if fields := strings.Fields(code); len(fields) > 0 {
					list = append(list, fields[0])
				}
			}
		}
		return list
	}
	return Results{
		Decryption: codes("X-KIM-DecryptionResult"),
		Integrity:  codes("X-KIM-IntegrityCheckResult"),
		Messages:   codes("X-KIM-Fehlermeldung"),
	}
}
