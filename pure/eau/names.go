package eau

// Stems of the URLs that the profiles use.
const (
	kbvSD = "https://fhir.kbv.de/StructureDefinition/"
	kbvCS = "https://fhir.kbv.de/CodeSystem/"
	kbvNS = "https://fhir.kbv.de/NamingSystem/"
	hl7SD = "http://hl7.org/fhir/StructureDefinition/"
	hl7CS = "http://terminology.hl7.org/CodeSystem/"
	deSD  = "http://fhir.de/StructureDefinition/"
	deCS  = "http://fhir.de/CodeSystem/"
	deSID = "http://fhir.de/sid/"
)
