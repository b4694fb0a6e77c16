package eau

import "slices"

// Kind is the kind of a document.
type Kind int

// The kinds. Unknown is any readable XML that is none of the three.
const (
	KindUnknown Kind = iota
	KindEAU          // electronic sick note, practice to Kasse
	KindStorno       // its cancellation, practice to Kasse
	KindError        // error message (OperationOutcome), Kasse to practice
)

// String returns the word used in reports: eau, storno, error or unknown.
func (k Kind) String() string {
	switch k {
	case KindEAU:
		return "eau"
	case KindStorno:
		return "storno"
	case KindError:
		return "error"
	case KindUnknown:
	}
	return "unknown"
}

// Document is what Read found. Only the part that fits Kind is set. All
// values stand as they were sent: Read does not check, Check does. Dates are
// FHIR text, usually YYYY-MM-DD, birth dates also YYYY or YYYY-MM.
type Document struct {
	Kind           Kind
	Profile        string // meta.profile of the root without version, its last path segment: "KBV_PR_EAU_Bundle"
	ProfileVersion string // behind the "|": "1.2", "1.1.0", "1.0.2"; "" if not written
	ResourceID     string // id of the root resource
	Identifier     string // Bundle.identifier.value as sent: "urn:uuid:…"
	Date           string // Composition.date, which decides the version of the rules
	Timestamp      string // Bundle.timestamp

	Certificate *Certificate // KindEAU
	Storno      *Storno      // KindStorno
	Error       *ErrorNotice // KindError
}

// AUType is the type of a certificate (KBV_CS_EAU_AU_Type).
type AUType string

// First certificate, follow-up, and each as "Endbescheinigung".
const (
	Erst     AUType = "ERST"
	Folge    AUType = "FOLGE"
	ErstEnd  AUType = "ERST_END"
	FolgeEnd AUType = "FOLGE_END"
)

// First reports whether t is a first certificate.
func (t AUType) First() bool { return t == Erst || t == ErstEnd }

// Final reports whether t ends the case.
func (t AUType) Final() bool { return t == ErstEnd || t == FolgeEnd }

// Causes of incapacity (KBV_CS_FOR_Ursache_Type).
const (
	CauseAccident     = "1" // accident or its consequences
	CauseWorkAccident = "2" // accident at work, occupational disease
	CauseCompensation = "3" // social compensation law (SER)
)

// Certificate is an eAU. Read fills it from a bundle, Write makes a bundle of it.
type Certificate struct {
	ID         string // UUID of Bundle.identifier, without "urn:uuid:"
	Test       bool   // Write only: mark as exercise data (see FileName)
	Date       string // Composition.date: day of issue
	Timestamp  string // Bundle.timestamp; Write: "" means noon UTC of Date
	Type       AUType
	LegalBasis string // Rechtsgrundlage: "00", "01" ASV, …
	TestNumber string // Prüfnummer of the practice software; Write: "" means a fictitious one

	Patient      Patient
	Coverage     Coverage
	Author       Practitioner
	Responsible  *Practitioner // answers for Author where the law asks for it
	Organization Organization
	ASVTeam      string // team number, when LegalBasis is "01" or "11"

	Since      string // arbeitsunfähig seit; empty on follow-ups
	Until      string // voraussichtlich arbeitsunfähig bis
	Determined string // festgestellt am
	SevenWeeks bool   // from the seventh week on, or other case of sick pay
	Causes     []string

	PartlyFitFrom string // private insurance only
	Unemployable  bool   // private insurance only

	Diagnoses     []Diagnosis
	DiagnosisText string
	Steps         []Step
}

// Accident reports whether the certificate names an accident of any kind.
func (c *Certificate) Accident() bool { return c.hasCause(CauseAccident) }

// WorkAccident reports whether it names an accident at work or occupational disease.
func (c *Certificate) WorkAccident() bool { return c.hasCause(CauseWorkAccident) }

// Compensation reports whether it names a case of social compensation (SER).
func (c *Certificate) Compensation() bool { return c.hasCause(CauseCompensation) }

// AccidentInsuranceDoctor reports whether the patient was sent to a D-Arzt.
func (c *Certificate) AccidentInsuranceDoctor() bool {
	for i := range c.Steps {
		if c.Steps[i].Code == "d_arzt" {
			return true
		}
	}
	return false
}

func (c *Certificate) hasCause(code string) bool {
	return slices.Contains(c.Causes, code)
}

// Name is a person's name. Family is the own name without additions;
// Read takes the written family name when the parts are absent.
type Name struct {
	Title    string // Dr. med.
	Given    string
	Addition string // Namenszusatz: Freiherr
	Prefix   string // Vorsatzwort: von
	Family   string
}

// Full returns all parts in the order in which German letters put them.
func (n Name) Full() string { return joinWords(n.Title, n.Given, n.Addition, n.Prefix, n.Family) }

// Address is a street address, or a post box when PostBox is set.
type Address struct {
	Street  string
	House   string
	Extra   string // Adresszusatz, second line
	PostBox string
	ZIP     string
	City    string
	Country string // Anlage 8: "D", "A", …
}

// Patient is the insured person.
type Patient struct {
	Name      Name
	KVNR      string // ten characters; empty if the patient has another or no number
	KVK       string // number of the old insurance card, other payers
	BirthDate string // YYYY-MM-DD, YYYY-MM or YYYY; "" when unknown
	Address   Address
}

// Coverage says who pays.
type Coverage struct {
	Type          string // GKV, PKV, BG, SEL, SKT, UK
	PayorIK       string // Coverage.payor.identifier: the IK of the Kasse
	PayorName     string
	AlternativeIK string // BG, UK: the IK of the payer
	Status        string // Versichertenart 1, 3, 5
	Group         string // besondere Personengruppe
	DMP           string
	WOP           string
	End           string // Coverage.period.end
}

// Practitioner is a doctor.
type Practitioner struct {
	Name        Name
	Type        string // Qualification_Type 00, 01, 03, 04
	Profession  string // Berufsbezeichnung
	LANR        string
	ZANR        string
	ASVGroup    string // Fachgruppennummer ASV
	TelematikID string
}

// Organization is a practice or hospital. One of the four numbers is set.
type Organization struct {
	Name        string
	BSNR        string
	IK          string
	KZVA        string // KZV-Abrechnungsnummer
	Site        string // Standortnummer
	TelematikID string
	Phone       string
	Fax         string
	Mail        string
	Address     Address
}

// Diagnosis is one ICD-10-GM code.
type Diagnosis struct {
	Code      string // E10.20
	Version   string // year of ICD-10-GM
	Certainty string // G, V, A, Z
	Side      string // R, L, B
}

// Step is a further step of treatment: d_arzt, reha, wiedereingliederung,
// sonstige (with Text); the dates are for private insurance only.
type Step struct {
	Code        string
	Text        string
	Reintegrate string
	Admission   string
	Discharge   string
}

// Storno cancels an eAU.
type Storno struct {
	ID           string // UUID of Bundle.identifier, without "urn:uuid:"
	Test         bool   // Write only
	Date         string
	Timestamp    string
	Author       Practitioner
	Organization Organization
	Cancels      string // Bundle.identifier of the cancelled eAU; "urn:uuid:…"
}

// ErrorNotice is the error message of a Kasse to a practice. Exactly one of
// BundleIdentifier and MessageID is set.
type ErrorNotice struct {
	ID               string // OperationOutcome.id
	Test             bool   // Write only
	Version          string // profile version: "1.2" or "1.1.0"; Write: "" means "1.2"
	Code             string // KBV_CS_SFHIR_EAU_AU_ERROR_KASSE: "101", …
	Display          string // Write: "" means words of our own for Code
	BundleIdentifier string // "urn:uuid:…"
	MessageID        string // of the outer KIM mail
}

// FileName returns the name under which the Technische Anlage wants a document
// sent: E or T (real or test data), the kind, the UUID, without extension.
// ID is Bundle.identifier without "urn:uuid:", for errors OperationOutcome.id.
func FileName(k Kind, test bool, id string) string {
	name := "EEAU0_"
	if test {
		name = "TEAU0_"
	}
	switch k {
	case KindStorno:
		name += "Storno_"
	case KindError:
		name += "Fehler_"
	case KindEAU, KindUnknown:
	}
	return name + id
}

// GermanDay turns YYYY-MM-DD, as documents have it, into DD.MM.YYYY and leaves anything else.
func GermanDay(s string) string {
	if len(s) == 10 && s[4] == '-' && s[7] == '-' {
		return s[8:] + "." + s[5:7] + "." + s[:4]
	}
	return s
}
