package kimmail

import "strings"

// Kind is what a KIM mail is for, as far as its Dienstkennung says.
type Kind int

// The three services of the eAU (Technische Anlage, table of Dienstkennungen),
// ordinary KIM mail, and everything else.
const (
	KindUnknown      Kind = iota
	KindDelivery          // eAU;Lieferung — practice to Kasse
	KindCancellation      // eAU;Storno-Arzt — practice to Kasse
	KindRejection         // eAU;Fehler-Kasse — Kasse to practice
	KindMail              // KIM-Mail;Default
)

func (k Kind) String() string {
	switch k {
	case KindUnknown:
		return "unknown"
	case KindDelivery:
		return "delivery"
	case KindCancellation:
		return "cancellation"
	case KindRejection:
		return "rejection"
	case KindMail:
		return "mail"
	}
	return "unknown"
}

// Service is a Dienstkennung (X-KIM-Dienstkennung), such as
// "eAU;Lieferung;V1.2": application, process and version as sent.
type Service struct {
	Application string
	Process     string
	Version     string
}

// ParseService splits a Dienstkennung. It never fails: a wrong one alone is no
// reason to refuse a mail (Technische Anlage P5-08), so it only yields less.
func ParseService(s string) Service {
	parts := strings.SplitN(s, ";", 3)
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	return Service{
		Application: strings.TrimSpace(parts[0]),
		Process:     strings.TrimSpace(parts[1]),
		Version:     strings.TrimSpace(parts[2]),
	}
}

func (s Service) String() string {
	if s == (Service{}) {
		return ""
	}
	return s.Application + ";" + s.Process + ";" + s.Version
}

// Kind tells what the mail is for, without regard to case.
func (s Service) Kind() Kind {
	app, process := strings.ToLower(s.Application), strings.ToLower(s.Process)
	switch {
	case app == "eau" && process == "lieferung":
		return KindDelivery
	case app == "eau" && process == "storno-arzt":
		return KindCancellation
	case app == "eau" && process == "fehler-kasse":
		return KindRejection
	case app == "kim-mail":
		return KindMail
	}
	return KindUnknown
}

// Subject is what the subject line of an eAU mail states (Technische Anlage
// KP5-05): "EEAU0_<id>", "TEAU0_Storno_<id>", "EEAU0_Fehler_<id>".
type Subject struct {
	Kind Kind
	Test bool   // T: test data, E: real data
	ID   string // document id, or the id of the OperationOutcome
}

// ParseSubject reads an eAU subject line; ok is false for any other.
func ParseSubject(s string) (sub Subject, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) < 7 || !strings.EqualFold(s[1:6], "EAU0_") {
		return Subject{}, false
	}
	switch s[0] {
	case 'E', 'e':
	case 'T', 't':
		sub.Test = true
	default:
		return Subject{}, false
	}
	sub.Kind, sub.ID = KindDelivery, s[6:]
	for prefix, kind := range map[string]Kind{"Storno_": KindCancellation, "Fehler_": KindRejection} {
		if len(sub.ID) > len(prefix) && strings.EqualFold(sub.ID[:len(prefix)], prefix) {
			sub.Kind, sub.ID = kind, sub.ID[len(prefix):]
			break
		}
	}
	return sub, sub.ID != ""
}

// String writes the subject line.
func (s Subject) String() string {
	mark := "E"
	if s.Test {
		mark = "T"
	}
	switch s.Kind {
	case KindCancellation:
		return mark + "EAU0_Storno_" + s.ID
	case KindRejection:
		return mark + "EAU0_Fehler_" + s.ID
	case KindDelivery, KindMail, KindUnknown:
	}
	return mark + "EAU0_" + s.ID
}
