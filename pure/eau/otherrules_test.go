package eau

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// at puts text somewhere near an element: behind the name in its start tag,
// inside it (an element that was empty), around it.
func tagged(path, text string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		nd := &m.tree.nodes[m.find(path)]
		pos := int(nd.pos) + 1 + len(nd.name)
		return []cut{{pos, pos, text}}
	}
}

func filled(path, text string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		nd := &m.tree.nodes[m.find(path)]
		return []cut{{int(nd.end) - 2, int(nd.end), ">" + text + "</" + nd.name + ">"}}
	}
}

func addressed(resource, url string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		entry := m.tree.nodes[m.tree.nodes[m.find(resource)].up].up
		return []cut{m.set(m.tree.child(entry, "fullUrl"), url)}
	}
}

// swapped exchanges two entries.
func swapped(a, b string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		ea, eb := m.tree.nodes[m.tree.nodes[m.find(a)].up].up, m.tree.nodes[m.tree.nodes[m.find(b)].up].up
		return []cut{m.replace(ea, m.text(eb)), m.replace(eb, m.text(ea))}
	}
}

// renamed gives the second of two resources the address and id of the first.
func renamed(from, to string) func(*mutator) []cut {
	return func(m *mutator) []cut {
		a, b := m.find(from), m.find(to)
		entry := m.tree.nodes[m.tree.nodes[a].up].up
		target := m.tree.nodes[m.tree.nodes[b].up].up
		return []cut{
			m.set(m.tree.child(target, "fullUrl"), m.tree.nodes[m.tree.child(entry, "fullUrl")].value),
			m.set(m.tree.child(b, "id"), m.tree.nodes[m.tree.child(a, "id")].value),
		}
	}
}

// otherMutants break the rules that stand in no table: of the document as a
// whole, and those of FHIR that hold everywhere.
func otherMutants() []invMutant {
	fhirExt := `<extension url="` + hl7SD + `patient-birthPlace"><valueString value="x"/></extension>`
	ownExt := `<extension url="` + kbvSD + `KBV_EX_Base_Stage_Life"><valueString value="x"/></extension>`
	withText := func(div string) func(*mutator) []cut {
		return after("Composition.meta", `<text><status value="generated"/>`+div+`</text>`)
	}
	return []invMutant{
		{"", "extension", "gkv", filled("Patient.name.given", ownExt), nil, ""},
		{"", "extension", "gkv", filled("Patient.name.given", `<extension><valueString value="x"/></extension>`), nil, ""},
		{"", "extension", "gkv", after("Patient.meta", `<modifierExtension url="`+kbvSD+`x"><valueString value="x"/></modifierExtension>`), nil, ""},
		{"", "extension-unchecked", "gkv", filled("Patient.name.given", fhirExt), nil, ""},
		{"", "ext-1", "gkv", into("Composition.extension", fhirExt), []string{"extension-unchecked"}, "the inner extension is one of FHIR that no profile names"},
		{"", "txt-1", "gkv", withText(`<div xmlns="` + nsXHTML + `"><script>x</script></div>`), nil, ""},
		{"", "txt-2", "gkv", withText(`<div xmlns="` + nsXHTML + `"> <p/> </div>`), nil, ""},
		{"", "namespace", "gkv", withText(`<div>Text</div>`), nil, ""},
		{"", "namespace", "gkv", tagged("Patient.name.given", ` xmlns="urn:fremd"`), []string{"min"}, "an element of another namespace is not the one that is asked for"},
		{"", "profile", "gkv", set("Patient.meta.profile", kbvSD+"KBV_PR_FOR_Unbekannt|1.2"), []string{"fixed"}, "an unknown profile is not the one that is asked for"},
		{"", "fullUrl", "gkv", addressed("Coverage", "Coverage/1"), []string{"reference", "orphan"}, "references go by the address"},
		{"", "bdl-7", "gkv", renamed("Condition:ICD", "Condition:ICD[1]"), []string{"reference", "orphan"}, "the second of the two entries cannot be referred to"},
		{"", "bdl-11", "gkv", swapped("Composition", "Patient"), nil, ""},
		{"", "orphan", "weiterbildung", gone("Composition.attester"), []string{"-eau-angabeVerantwortlichePersonPflicht"}, "every other resource must be referred to"},
		{"", "reference", "gkv", set("Condition:ICD.subject.reference", "Patient/unbekannt"), nil, ""},
		{"", "attribute", "gkv", tagged("Patient.name", ` value="x"`), nil, ""},
		{"", "attribute", "gkv", tagged("Patient.name.given", ` url="x"`), nil, ""},
		{"", "text", "gkv", filled("Patient.name.given", `Erika`), nil, ""},
		{"", "version-date", "folge", set("Composition.date", "2025-09-30"), nil, ""},
	}
}

func TestRulesOutsideTheTablesFailOnTheirMutants(t *testing.T) {
	docs := documents(t)
	for _, im := range otherMutants() {
		m := newMutator(t, docs[im.base])
		r := Check(m.apply(im.cuts(m)...), Options{})
		keys := []string{}
		for _, f := range r.Findings {
			keys = append(keys, f.Key)
		}
		want := append([]string{im.key}, im.also...)
		slices.Sort(want)
		slices.Sort(keys)
		if !slices.Equal(want, slices.Compact(keys)) {
			t.Errorf("%s: got %q, want %q", im.key, keysOf(&r), want)
		}
	}
}

func TestWhatIsNoDocumentIsAReportWithOneFinding(t *testing.T) {
	good := string(documents(t)["gkv"])
	many := strings.Repeat(`<x/>`, maxNodes)
	deep := strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1)
	manyAttrs := "<Bundle"
	for i := range maxAttrs + 1 {
		manyAttrs += " a" + strconv.Itoa(i) + `=""`
	}
	for name, c := range map[string]struct{ doc, key, code string }{
		"byte order mark":              {"\xef\xbb\xbf" + good, "charset", "103"},
		"UTF-16":                       {"\xff\xfe<\x00B\x00", "charset", "103"},
		"UTF-16 big endian":            {"\x00<\x00B", "charset", "103"},
		"Latin-1 bytes":                {strings.Replace(good, "ü", "\xfc", 1), "charset", "103"},
		"another encoding declared":    {strings.Replace(good, "UTF-8", "ISO-8859-1", 1), "charset", "103"},
		"nothing":                      {"", "xml", "101"},
		"only white space":             {" \n", "xml", "101"},
		"only a comment":               {"<!-- x -->", "xml", "101"},
		"no XML":                       {"Sehr geehrte Damen und Herren", "xml", "101"},
		"XML 1.1":                      {strings.Replace(good, `version="1.0"`, `version="1.1"`, 1), "xml", "101"},
		"instruction of one sign":      {`<?>`, "xml", "101"},
		"document type":                {`<!DOCTYPE a [<!ENTITY b "c">]><a/>`, "xml", "101"},
		"unknown entity":               {"<a b='&c;'/>", "xml", "101"},
		"entity without end":           {"<a b='&amp'/>", "xml", "101"},
		"character reference to zero":  {"<a b='&#0;'/>", "xml", "101"},
		"surrogate reference":          {"<a b='&#xd800;'/>", "xml", "101"},
		"noncharacter":                 {"<a b='\uffff'/>", "xml", "101"},
		"control character":            {"<a b='\x01'/>", "xml", "101"},
		"control character in text":    {"<a>\x01</a>", "xml", "101"},
		"attribute twice":              {"<a b='1' b='2'/>", "xml", "101"},
		"attribute without value":      {"<a b/>", "xml", "101"},
		"attribute without quotes":     {"<a b=1/>", "xml", "101"},
		"attributes without blank":     {"<a b='1'c='2'/>", "xml", "101"},
		"less-than in an attribute":    {"<a b='<'/>", "xml", "101"},
		"attribute not closed":         {"<a b='1", "xml", "101"},
		"end tag of another":           {"<a></b>", "xml", "101"},
		"end tag of a longer name":     {"<a></ab>", "xml", "101"},
		"end tag too many":             {"<a/></a>", "xml", "101"},
		"not closed":                   {"<a><b></b>", "xml", "101"},
		"cut in a tag":                 {good[:len(good)-5], "xml", "101"},
		"two roots":                    {"<a/><b/>", "xml", "101"},
		"text behind the root":         {"<a/>b", "xml", "101"},
		"CDATA outside":                {"<![CDATA[x]]><a/>", "xml", "101"},
		"CDATA not closed":             {"<a><![CDATA[x</a>", "xml", "101"},
		"CDATA end in text":            {"<a>]]></a>", "xml", "101"},
		"comment not closed":           {"<a><!-- </a>", "xml", "101"},
		"two hyphens in a comment":     {"<a><!-- -- --></a>", "xml", "101"},
		"declaration in the middle":    {"<a><?xml version='1.0'?></a>", "xml", "101"},
		"instruction without name":     {"<a><? x?></a>", "xml", "101"},
		"instruction not closed":       {"<a><?x </a>", "xml", "101"},
		"prefix that is not declared":  {"<f:a/>", "xml", "101"},
		"attribute prefix unknown":     {"<a f:b=''/>", "xml", "101"},
		"markup that is not known":     {"<a><!x></a>", "xml", "101"},
		"name that is none":            {"<1/>", "xml", "101"},
		"too large":                    {"<a>" + strings.Repeat(" ", maxBytes) + "</a>", "limit", "101"},
		"too deep":                     {deep, "limit", "101"},
		"too many elements":            {"<a>" + many + "</a>", "limit", "101"},
		"too many attributes":          {manyAttrs + "/>", "limit", "101"},
		"attribute of ten megabytes":   {"<a b='" + strings.Repeat("x", 10<<20) + "'/>", "limit", "101"},
		"nested entities (DTD)":        {`<!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>`, "xml", "101"},
		"external entity":              {`<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, "xml", "101"},
		"standalone that is no answer": {`<?xml version="1.0" standalone="vielleicht"?><a/>`, "xml", "101"},
	} {
		r := Check([]byte(c.doc), Options{})
		if r.Valid || r.Kind != KindUnknown || r.Version != "" || len(r.Findings) != 1 || r.Findings[0].Key != c.key || r.Findings[0].Code != c.code || r.Findings[0].Line < 1 {
			t.Errorf("%s: %+v, want one finding %s with code %s", name, r, c.key, c.code)
		}
		if _, err := Read([]byte(c.doc)); err == nil {
			t.Errorf("%s: Read takes it", name)
		}
	}
}

func TestTheCodeOfAnUnreadableStornoIsItsOwn(t *testing.T) {
	for doc, want := range map[string]string{"<a>": "102", "\xef\xbb\xbf<a/>": "104"} {
		if r := Check([]byte(doc), Options{Expect: KindStorno}); r.Findings[0].Code != want {
			t.Errorf("%q: code %s, want %s", doc, r.Findings[0].Code, want)
		}
	}
	b := strings.Replace(string(documents(t)["storno"]), "e013", "e010", 1)
	if r := Check([]byte(b), Options{}); r.Valid || r.Findings[0].Code != "102" {
		t.Errorf("a wrong Storno: %+v, want code 102", r)
	}
}

func TestWhatIsWellFormedAndUnusualIsTaken(t *testing.T) {
	good := string(documents(t)["gkv"])
	body := good[strings.Index(good, "<Bundle"):]
	for name, doc := range map[string]string{
		"no declaration":              body,
		"declaration with single":     `<?xml version='1.0' encoding='utf-8' standalone="no" ?>` + body,
		"comment and instruction":     "<!-- vorab -->\n<?xml-stylesheet href='x'?>" + body + "<!-- danach -->",
		"hint for schema processors":  strings.Replace(good, "<Bundle ", `<Bundle xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b" `, 1),
		"prefix instead of a default": prefixed(body),
		"CRLF":                        strings.ReplaceAll(good, "\n", "\r\n"),
		"no white space":              strings.ReplaceAll(strings.ReplaceAll(body, "\n", ""), "\t", ""),
		"character references":        strings.ReplaceAll(good, "ü", "&#252;"),
		"hexadecimal references":      strings.ReplaceAll(good, "ü", "&#xFC;"),
		"single quotes":               strings.ReplaceAll(body, `"`, "'"),
		"white space in CDATA":        strings.Replace(good, "<name>", "<name><![CDATA[ ]]>", 1),
		"blanks around =":             strings.ReplaceAll(body, `value="`, `value = "`),
	} {
		if r := Check([]byte(doc), Options{}); !r.Valid || len(r.Findings) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Documents made to be slow: everything wrong, everything the same, everything
// referring to everything. None costs more than a fraction of a second; the limit
// leaves room for the race detector on a busy machine.
func TestHostileDocumentsAreJudgedQuickly(t *testing.T) {
	const head = `<Bundle xmlns="` + nsFHIR + `"><meta><profile value="` + kbvSD + `KBV_PR_EAU_Bundle|1.2"/></meta>`
	entry := func(resource string) string { return "<entry><resource>" + resource + "</resource></entry>" }
	step := `<ServiceRequest><meta><profile value="` + kbvSD + `KBV_PR_EAU_ServiceRequest_steps|1.2"/></meta><code><coding><code value="%"/></coding></code>` +
		`<subject><reference value="Patient/%"/></subject></ServiceRequest>`
	var steps strings.Builder
	for i := range 1800 {
		steps.WriteString(entry(strings.ReplaceAll(step, "%", strconv.Itoa(i))))
	}
	for name, doc := range map[string]string{
		"unknown elements":    head + strings.Repeat("<x/>", 19_000) + "</Bundle>",
		"stray attributes":    head + strings.Repeat(`<entry a="" b="" c=""/>`, 19_000) + "</Bundle>",
		"entries":             head + strings.Repeat(entry("<Patient/>"), 6_000) + "</Bundle>",
		"steps that differ":   head + steps.String() + "</Bundle>",
		"one long value":      head + `<id value="` + strings.Repeat("x", 3<<20) + `"/></Bundle>`,
		"entities":            head + `<id value="` + strings.Repeat("&amp;", 600_000) + `"/></Bundle>`,
		"white space":         head + strings.Repeat(" \n", 1<<20) + "</Bundle>",
		"comments":            head + strings.Repeat("<!---->", 500_000) + "</Bundle>",
		"namespaces":          head + strings.Repeat(`<x xmlns:a="b">`, 50) + strings.Repeat("</x>", 50) + "</Bundle>",
		"extensions in depth": head + strings.Repeat(`<extension url="x">`, 60) + strings.Repeat("</extension>", 60) + "</Bundle>",
	} {
		start := time.Now()
		r := Check([]byte(doc), Options{})
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		if r.Valid || len(r.Findings) > maxFindings+1 {
			t.Errorf("%s: valid %v with %d findings", name, r.Valid, len(r.Findings))
		}
		t.Logf("%s: %v, %d findings", name, time.Since(start).Round(time.Millisecond), len(r.Findings))
	}
}

// A profile without version, or with one too exact, is a finding and no riddle.
func TestAProfileVersionThatIsMissingOrTooExactIsSaid(t *testing.T) {
	good := string(documents(t)["gkv"])
	for _, version := range []string{"", "|1.2.1", "|1.2.0", "|2.0"} {
		r := Check([]byte(strings.ReplaceAll(good, "|1.2\"", version+"\"")), Options{})
		if r.Valid || r.Kind != KindEAU || r.Version != V121 || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Key == "fixed" && f.Path == "Bundle.meta.profile[0]" }) {
			t.Errorf("%q: %v %v %v", version, r.Kind, r.Version, keysOf(&r))
		}
	}
}

// prefixed writes every FHIR element with a prefix.
func prefixed(body string) string {
	body = strings.Replace(body, ` xmlns="`+nsFHIR+`"`, "", 1)
	body = strings.ReplaceAll(strings.ReplaceAll(body, "</", "\x00"), "<", "<f:")
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\x00", "</f:"), "<f:!--", "<!--")
	return strings.Replace(body, "<f:Bundle", `<f:Bundle xmlns:f="`+nsFHIR+`"`, 1)
}

// The keys of rules outside the tables are part of what others build on: the
// manual names each.
func TestEveryKeyIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/eau.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".go") && !strings.HasSuffix(f.Name(), "_test.go") {
			keysIn(t, f.Name(), keys)
		}
	}
	if len(keys) < 20 {
		t.Fatalf("only %d keys found: the way they are written has changed", len(keys))
	}
	for k := range keys {
		if !strings.Contains(string(manual), "`"+k+"`") {
			t.Errorf("docs/eau.md does not name the key %s", k)
		}
	}
}

// keysIn collects the literal keys of findings in a file.
func keysIn(t *testing.T, name string, keys map[string]bool) {
	t.Helper()
	f, err := goparser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && s != "" {
				keys[s] = true
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
				switch sel.Sel.Name {
				case "report":
					keep(n.Args[0])
				case "reportAt":
					keep(n.Args[1])
				case "missing":
					keep(n.Args[2])
				}
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && id.Name == "Key" {
				keep(n.Value)
			}
		}
		return true
	})
}
