package eau

import (
	"slices"
	"strings"
	"sync"
)

var trees = sync.Pool{New: func() any { return new(tree) }}

// release gives the tree back, without anything of the document in it.
func release(t *tree) {
	t.forget()
	if t.reusable() {
		trees.Put(t)
	}
}

// Read reads an eAU, a Storno or an error message. The only errors are
// *SyntaxError: the bytes are no XML in UTF-8, or exceed the limits. A document
// with wrong, missing or surplus content is read as far as it goes; Check says
// what is wrong with it. Never panics, whatever the bytes.
func Read(b []byte) (*Document, error) {
	t := trees.Get().(*tree) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer release(t)
	if err := t.scan(b); err != nil {
		return nil, err
	}
	return t.document(), nil
}

func (t *tree) document() *Document {
	root := t.nodes[0].first
	d := &Document{ResourceID: t.text(root, "id"), Kind: t.kind(root)}
	name, version := t.profile(root)
	d.Profile, d.ProfileVersion = strings.Clone(name), strings.Clone(version)
	switch d.Kind {
	case KindError:
		d.Error = t.errorNotice(root)
		d.Error.ID, d.Error.Version = d.ResourceID, d.ProfileVersion
		return d
	case KindEAU, KindStorno:
	case KindUnknown:
		return d
	}
	d.Identifier = t.text(root, "identifier", "value")
	d.Timestamp = t.text(root, "timestamp")
	id := strings.TrimPrefix(d.Identifier, "urn:uuid:")
	comp := t.resource(root, "Composition", "")
	d.Date = t.text(comp, "date")
	if d.Kind == KindStorno {
		d.Storno = t.storno(root, comp)
		d.Storno.ID, d.Storno.Date, d.Storno.Timestamp = id, d.Date, d.Timestamp
		return d
	}
	d.Certificate = t.certificate(root, comp)
	d.Certificate.ID, d.Certificate.Date, d.Certificate.Timestamp = id, d.Date, d.Timestamp
	return d
}

// kind goes by the profile of the root; a root whose profile is missing or
// unknown goes by the form that its Composition names.
func (t *tree) kind(root int32) Kind {
	profile, _ := t.profile(root)
	switch {
	case t.nodes[root].flags&(inXHTML|inOther) != 0:
		return KindUnknown
	case t.nodes[root].name == "OperationOutcome":
		return KindError
	case t.nodes[root].name != "Bundle":
		return KindUnknown
	case profile == "KBV_PR_EAU_Bundle":
		return KindEAU
	case profile == "KBV_PR_EAU_Storno_Bundle":
		return KindStorno
	}
	comp := t.resource(root, "Composition", "")
	for c := t.child(t.child(comp, "type"), "coding"); c != 0; c = t.again(c) {
		if strings.HasSuffix(t.text(c, "system"), "/KBV_CS_SFHIR_KBV_FORMULAR_ART") {
			switch t.text(c, "code") {
			case "e010":
				return KindEAU
			case "e013":
				return KindStorno
			}
		}
	}
	return KindUnknown
}

// profile splits the first meta.profile that KBV has published into name and version.
func (t *tree) profile(res int32) (name, version string) {
	for p := t.child(t.child(res, "meta"), "profile"); p != 0; p = t.again(p) {
		if after, ok := strings.CutPrefix(t.nodes[p].value, kbvSD); ok {
			name, version, _ = strings.Cut(after, "|")
			return name, version
		}
	}
	return "", ""
}

// child returns the first child element with that name, or 0.
func (t *tree) child(n int32, name string) int32 {
	if n == 0 {
		return 0
	}
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		if t.nodes[c].name == name {
			return c
		}
	}
	return 0
}

// again returns the next sibling with the same name, or 0.
func (t *tree) again(n int32) int32 {
	name := t.nodes[n].name
	for c := t.nodes[n].next; c != 0; c = t.nodes[c].next {
		if t.nodes[c].name == name {
			return c
		}
	}
	return 0
}

// text follows first children and returns the value at the end.
func (t *tree) text(n int32, path ...string) string {
	for _, name := range path {
		n = t.child(n, name)
	}
	return strings.Clone(t.nodes[n].value)
}

// extension returns the child element of the first extension with that URL, or 0.
func (t *tree) extension(n int32, url string) int32 {
	for e := t.child(n, "extension"); e != 0; e = t.again(e) {
		if t.nodes[e].url == url {
			return t.valueOf(e)
		}
	}
	return 0
}

// valueOf returns the value[x] of an extension, or 0.
func (t *tree) valueOf(ext int32) int32 {
	for c := t.nodes[ext].first; c != 0; c = t.nodes[c].next {
		if strings.HasPrefix(t.nodes[c].name, "value") {
			return c
		}
	}
	return 0
}

// resource returns the first resource of a type, and of a profile unless that is "".
func (t *tree) resource(root int32, kind, profile string) int32 {
	for e := t.child(root, "entry"); e != 0; e = t.again(e) {
		res := t.resourceOf(e)
		if res == 0 || t.nodes[res].name != kind {
			continue
		}
		if have, _ := t.profile(res); profile == "" || have == profile {
			return res
		}
	}
	return 0
}

// resourceOf returns the resource inside a Bundle.entry, or 0.
func (t *tree) resourceOf(entry int32) int32 {
	if r := t.child(entry, "resource"); r != 0 {
		return t.nodes[r].first
	}
	return 0
}

// target returns the resource that a Reference element points to, or 0.
func (t *tree) target(root, ref int32) int32 {
	want := t.text(ref, "reference")
	if want == "" {
		return 0
	}
	for e := t.child(root, "entry"); e != 0; e = t.again(e) {
		url := t.text(e, "fullUrl")
		if url == want || strings.HasSuffix(url, "/"+want) {
			return t.resourceOf(e)
		}
	}
	return 0
}

func (t *tree) storno(root, comp int32) *Storno {
	return &Storno{
		Author:       t.practitioner(t.orFirst(root, t.target(root, t.child(comp, "author")), "Practitioner")),
		Organization: t.organization(t.resource(root, "Organization", "")),
		Cancels:      t.text(t.resource(root, "List", ""), "entry", "item", "identifier", "value"),
	}
}

func (t *tree) orFirst(root, res int32, kind string) int32 {
	if res != 0 && t.nodes[res].name == kind {
		return res
	}
	return t.resource(root, kind, "")
}

func (t *tree) errorNotice(root int32) *ErrorNotice {
	n := &ErrorNotice{
		Code:    t.text(root, "issue", "details", "coding", "code"),
		Display: t.text(root, "issue", "details", "coding", "display"),
	}
	outer := t.child(t.child(root, "issue"), "extension")
	n.BundleIdentifier = t.text(t.extension(outer, "Bundle-Identifier"), "value")
	n.MessageID = t.text(t.extension(outer, "Message-ID"), "value")
	return n
}

func (t *tree) certificate(root, comp int32) *Certificate {
	c := &Certificate{
		LegalBasis:   t.text(t.extension(comp, kbvSD+"KBV_EX_FOR_Legal_basis"), "code"),
		Patient:      t.patient(t.resource(root, "Patient", "")),
		Coverage:     t.coverage(t.resource(root, "Coverage", "")),
		Organization: t.organization(t.resource(root, "Organization", "")),
		ASVTeam:      t.text(t.resource(root, "PractitionerRole", ""), "organization", "identifier", "value"),
	}
	for k := t.child(t.child(comp, "type"), "coding"); k != 0; k = t.again(k) {
		if strings.HasSuffix(t.text(k, "system"), "/KBV_CS_EAU_AU_Type") {
			c.Type = AUType(t.text(k, "code"))
		}
	}
	author := int32(0)
	for a := t.child(comp, "author"); a != 0; a = t.again(a) {
		if t.text(a, "type") == "Device" {
			c.TestNumber = t.text(a, "identifier", "value")
		} else if author == 0 {
			author = t.target(root, a)
		}
	}
	c.Author = t.practitioner(t.orFirst(root, author, "Practitioner"))
	if party := t.child(t.child(comp, "attester"), "party"); party != 0 {
		p := t.practitioner(t.target(root, party))
		c.Responsible = &p
	}
	t.incapacity(c, t.resource(root, "Condition", "KBV_PR_EAU_Condition_AU"))
	for e := t.child(root, "entry"); e != 0; e = t.again(e) {
		t.further(c, t.resourceOf(e))
	}
	return c
}

func (t *tree) incapacity(c *Certificate, au int32) {
	c.Since = t.text(au, "onsetPeriod", "start")
	c.Until = t.text(au, "onsetPeriod", "end")
	for e := t.child(au, "extension"); e != 0; e = t.again(e) {
		v := t.valueOf(e)
		switch t.nodes[e].url {
		case hl7SD + "condition-assertedDate":
			c.Determined = t.text(v)
		case kbvSD + "KBV_EX_EAU_7_weeks":
			c.SevenWeeks = t.nodes[v].value == "true"
		case hl7SD + "condition-dueTo":
			c.Causes = append(c.Causes, t.text(v, "coding", "code"))
		case kbvSD + "KBV_EX_EAU_partially_employable":
			c.PartlyFitFrom = t.text(v)
		case kbvSD + "KBV_EX_EAU_unemployability":
			c.Unemployable = t.nodes[v].value == "true"
		}
	}
}

// further reads the resources that can stand several times.
func (t *tree) further(c *Certificate, res int32) {
	if res == 0 {
		return
	}
	switch profile, _ := t.profile(res); profile {
	case "KBV_PR_EAU_Condition_ICD":
		coding := t.child(t.child(res, "code"), "coding")
		c.Diagnoses = append(c.Diagnoses, Diagnosis{
			Code:      t.text(coding, "code"),
			Version:   t.text(coding, "version"),
			Certainty: t.text(t.extension(coding, deSD+"icd-10-gm-diagnosesicherheit"), "code"),
			Side:      t.text(t.extension(coding, deSD+"seitenlokalisation"), "code"),
		})
	case "KBV_PR_EAU_Condition_Text":
		c.DiagnosisText = t.text(res, "code", "text")
	case "KBV_PR_EAU_ServiceRequest_steps":
		c.Steps = append(c.Steps, Step{
			Code:        t.text(res, "code", "coding", "code"),
			Text:        t.text(res, "code", "text"),
			Reintegrate: t.text(t.extension(res, kbvSD+"KBV_EX_EAU_reintegration_date")),
			Admission:   t.text(t.extension(res, kbvSD+"KBV_EX_EAU_admission_date")),
			Discharge:   t.text(t.extension(res, kbvSD+"KBV_EX_EAU_discharge_date")),
		})
	}
}

func (t *tree) patient(res int32) Patient {
	p := Patient{
		Name:      t.personName(t.child(res, "name")),
		BirthDate: t.text(res, "birthDate"),
		Address:   t.address(t.child(res, "address")),
	}
	for id := t.child(res, "identifier"); id != 0; id = t.again(id) {
		// The system changed between the versions, the last segment did not.
		switch system := t.nodes[t.child(id, "system")].value; {
		case strings.HasSuffix(system, "/kvid-10"):
			p.KVNR = t.text(id, "value")
		case strings.HasSuffix(system, "/kvk-versichertennummer"):
			p.KVK = t.text(id, "value")
		}
	}
	return p
}

func (t *tree) personName(n int32) Name {
	family := t.child(n, "family")
	out := Name{
		Title:    t.text(n, "prefix"),
		Given:    t.text(n, "given"),
		Addition: t.text(t.extension(family, deSD+"humanname-namenszusatz")),
		Prefix:   t.text(t.extension(family, hl7SD+"humanname-own-prefix")),
		Family:   t.text(t.extension(family, hl7SD+"humanname-own-name")),
	}
	if out.Family == "" {
		out.Family = t.text(family)
	}
	return out
}

func (t *tree) address(n int32) Address {
	a := Address{ZIP: t.text(n, "postalCode"), City: t.text(n, "city"), Country: t.text(n, "country")}
	for l := t.child(n, "line"); l != 0; l = t.again(l) {
		parts := 0
		for e := t.child(l, "extension"); e != 0; e = t.again(e) {
			v := t.text(t.valueOf(e))
			parts++
			switch strings.TrimPrefix(t.nodes[e].url, hl7SD+"iso21090-ADXP-") {
			case "streetName":
				a.Street = v
			case "houseNumber":
				a.House = v
			case "additionalLocator":
				a.Extra = v
			case "postBox":
				a.PostBox = v
			}
		}
		if parts == 0 && a.Street == "" {
			a.Street = t.text(l)
		}
	}
	return a
}

func (t *tree) coverage(res int32) Coverage {
	code := func(url string) string { return t.text(t.extension(res, deSD+"gkv/"+url), "code") }
	payor := t.child(res, "payor")
	id := t.child(payor, "identifier")
	return Coverage{
		Type:          t.text(res, "type", "coding", "code"),
		PayorIK:       t.text(id, "value"),
		PayorName:     t.text(payor, "display"),
		AlternativeIK: t.text(t.extension(id, kbvSD+"KBV_EX_FOR_Alternative_IK"), "value"),
		Status:        code("versichertenart"),
		Group:         code("besondere-personengruppe"),
		DMP:           code("dmp-kennzeichen"),
		WOP:           code("wop"),
		End:           t.text(res, "period", "end"),
	}
}

func (t *tree) practitioner(res int32) Practitioner {
	p := Practitioner{Name: t.personName(t.child(res, "name"))}
	for id := t.child(res, "identifier"); id != 0; id = t.again(id) {
		switch t.text(id, "type", "coding", "code") {
		case "LANR":
			p.LANR = t.text(id, "value")
		case "ZANR":
			p.ZANR = t.text(id, "value")
		case "PRN":
			p.TelematikID = t.text(id, "value")
		}
	}
	for q := t.child(res, "qualification"); q != 0; q = t.again(q) {
		code := t.child(q, "code")
		switch system := t.text(code, "coding", "system"); {
		case strings.HasSuffix(system, "/KBV_CS_FOR_Qualification_Type"):
			p.Type = t.text(code, "coding", "code")
		case strings.HasSuffix(system, "/KBV_NS_FOR_Fachgruppennummer_ASV"):
			p.ASVGroup = t.text(code, "coding", "code")
		default:
			p.Profession = t.text(code, "text")
		}
	}
	return p
}

func (t *tree) organization(res int32) Organization {
	o := Organization{Name: t.text(res, "name"), Address: t.address(t.child(res, "address"))}
	for id := t.child(res, "identifier"); id != 0; id = t.again(id) {
		v := t.text(id, "value")
		switch t.text(id, "type", "coding", "code") {
		case "BSNR":
			o.BSNR = v
		case "XX":
			o.IK = v
		case "KZVA":
			o.KZVA = v
		case "KSN":
			o.Site = v
		case "PRN":
			o.TelematikID = v
		}
	}
	for c := t.child(res, "telecom"); c != 0; c = t.again(c) {
		v := t.text(c, "value")
		switch t.text(c, "system") {
		case "phone":
			o.Phone = v
		case "fax":
			o.Fax = v
		case "email":
			o.Mail = v
		}
	}
	return o
}

func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}
