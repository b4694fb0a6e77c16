package eau

import (
	"errors"
	"strings"
	"sync"
)

// Finding is one thing that is wrong with a document.
type Finding struct {
	Key      string   // key of the invariant, or of the rule (see docs/eau.md)
	Severity Severity // warnings never make a document invalid
	Path     string   // FHIRPath with indices; "" for the document as a whole
	Line     int      // first line is 1
	Text     string   // German
	Code     string   // error code of the Technische Anlage; "" for warnings
}

// Report is what Check found.
type Report struct {
	Kind     Kind
	Version  Version // the rules that were applied; "" if the bytes are no document
	Valid    bool    // no finding is an error
	Findings []Finding
}

// Options of Check. The zero value judges a document by its own date alone.
type Options struct {
	// At is the day of receipt, YYYY-MM-DD. When set, the version of the
	// profiles must be accepted on that day, and a day of issue after it does
	// not bring newer rules into force.
	At string
	// Expect is what the document was announced as; it decides the error code
	// of bytes that do not tell. The zero value means KindEAU.
	Expect Kind
}

// maxFindings bounds the report on a document made to be wrong everywhere.
const maxFindings = 500

// Check judges a document by all rules of its version. It never fails: bytes
// that are no document are a report with one finding.
func Check(b []byte, opt Options) Report {
	_, r := check(b, opt, false)
	return r
}

// ReadAndCheck is Read and Check in one pass over the bytes. The document is
// nil if there is none to read.
func ReadAndCheck(b []byte, opt Options) (*Document, Report) { return check(b, opt, true) }

var checkers = sync.Pool{New: func() any { return new(checker) }}

func check(b []byte, opt Options, read bool) (*Document, Report) {
	c := checkers.Get().(*checker) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer func() {
		c.forget()
		if c.tree.reusable() {
			checkers.Put(c)
		}
	}()
	c.findings, c.overflow = nil, false
	if err := c.tree.scan(b); err != nil {
		return nil, unreadable(err, opt.Expect)
	}
	r := c.run(opt)
	if !read {
		return nil, r
	}
	return c.tree.document(), r
}

// unreadable is the report on bytes that are no document.
func unreadable(err error, expect Kind) Report {
	f := Finding{Key: "xml", Severity: SeverityError, Line: 1, Text: err.Error()}
	if se, ok := errors.AsType[*SyntaxError](err); ok {
		f.Line, f.Text = se.Line, se.Text
		switch se.Kind {
		case FaultCharset:
			f.Key = "charset"
		case FaultLimit:
			f.Key = "limit"
		case FaultXML:
		}
	}
	f.Code = errorCode(expect, f.Key)
	return Report{Findings: []Finding{f}}
}

// errorCode is the code of KBV_CS_SFHIR_EAU_AU_ERROR_KASSE for an error:
// 101/102 for a document against the rules, 103/104 for its character set.
// Nobody answers an error message, so there is none for that.
func errorCode(k Kind, key string) string {
	charset := key == "charset"
	switch {
	case k == KindError:
		return ""
	case k == KindStorno && charset:
		return "104"
	case k == KindStorno:
		return "102"
	case charset:
		return "103"
	}
	return "101"
}

// run checks the scanned document.
func (c *checker) run(opt Options) Report {
	root := c.tree.nodes[0].first
	kind := c.tree.kind(root)
	_, written := c.tree.profile(root)
	issued := c.issued(root)
	day := issued
	if opt.At != "" && (day == "" || day > opt.At) {
		day = opt.At
	}
	version := versionOn(written, day)
	c.set, c.day, c.kind = rulesFor(version), day, kind
	if day == "" {
		c.day = "9999-12-31"
	}
	c.code = kind
	if kind == KindUnknown {
		c.code = opt.Expect
	}
	c.links.index(&c.tree, root)
	c.ev.reset(&c.tree, &c.links, c.set.memos)
	c.checkVersion(root, written, issued, opt.At)
	c.checkRoot(root)
	r := Report{Kind: kind, Version: version, Valid: true, Findings: c.findings}
	for i := range r.Findings {
		if r.Findings[i].Severity == SeverityError {
			r.Valid = false
		}
	}
	return r
}

// issued returns the day of issue, "" if the document names no usable one.
func (c *checker) issued(root int32) string {
	t := &c.tree
	if date := t.nodes[t.child(t.resource(root, "Composition", ""), "date")].value; len(date) >= 10 && validDate(date[:10]) {
		return date[:10]
	}
	return ""
}

// checkVersion holds the version that the root claims against the days.
func (c *checker) checkVersion(root int32, written, issued, at string) {
	if c.kind == KindUnknown {
		return
	}
	w, known := windowOf(written)
	if !known {
		return // the fixed value of meta.profile says it
	}
	profile := c.tree.child(c.tree.child(root, "meta"), "profile")
	path := c.tree.nodes[root].name + ".meta.profile"
	if issued != "" && !w.has(issued) {
		c.add(Finding{
			Key: "version-date", Severity: SeverityError, Path: path, Line: c.tree.line(c.tree.nodes[profile].pos),
			Text: "Version " + written + " der Profile gilt nicht am Ausstellungsdatum " + german(issued) + ".",
		})
	}
	if at != "" && !w.has(at) {
		c.add(Finding{
			Key: "version-receipt", Severity: SeverityError, Path: path, Line: c.tree.line(c.tree.nodes[profile].pos),
			Text: "Version " + written + " der Profile wird am Tag des Eingangs " + german(at) + " nicht angenommen.",
		})
	}
}

// german writes a day as DD.MM.YYYY.
func german(day string) string {
	if len(day) != 10 {
		return day
	}
	return day[8:10] + "." + day[5:7] + "." + day[:4]
}

// checkRoot finds the profile of the root and walks it.
func (c *checker) checkRoot(root int32) {
	t := &c.tree
	if c.kind == KindUnknown {
		c.add(Finding{
			Key: "kind", Severity: SeverityError, Path: t.nodes[root].name, Line: t.line(t.nodes[root].pos),
			Text: "Das Dokument ist weder eAU noch Storno noch Fehlernachricht.",
		})
	}
	if t.nodes[root].flags&(inXHTML|inOther) != 0 {
		c.add(Finding{
			Key: "namespace", Severity: SeverityError, Path: t.nodes[root].name, Line: t.line(t.nodes[root].pos),
			Text: "Das Wurzelelement gehört nicht zum Namensraum von FHIR.",
		})
		return
	}
	p := c.set.profiles[rootProfile(c.kind)]
	if c.kind == KindUnknown {
		name, _ := t.profile(root)
		p = c.set.profiles[name]
	}
	if p == nil || p.typ != t.nodes[root].name {
		return // said above
	}
	c.stray = 0
	c.element(root, p.root)
	for ; c.stray < len(t.stray); c.stray++ {
		c.strayAttr(&t.stray[c.stray])
	}
	if t.nodes[root].name == "Bundle" {
		c.bundle(root)
	}
}

func rootProfile(k Kind) string {
	switch k {
	case KindEAU:
		return "KBV_PR_EAU_Bundle"
	case KindStorno:
		return "KBV_PR_EAU_Storno_Bundle"
	case KindError:
		return "KBV_PR_EAU_health_insurance_Practitioner"
	case KindUnknown:
	}
	return ""
}

// full reports whether the report is full, and says so in it once. It comes
// before everything that a finding costs: a document made to be wrong everywhere
// must not be slow for it.
func (c *checker) full(n int32) bool {
	if len(c.findings) < maxFindings {
		return false
	}
	if !c.overflow {
		c.overflow = true
		c.findings = append(c.findings, Finding{
			Key: "limit", Severity: SeverityError, Line: c.tree.line(c.tree.nodes[n].pos), Code: errorCode(c.code, ""),
			Text: "Das Dokument hat mehr Fehler, als hier aufgezählt werden.",
		})
	}
	return true
}

// add appends a finding; the error code follows from the kind of document.
func (c *checker) add(f Finding) {
	if f.Severity == SeverityError {
		f.Code = errorCode(c.code, f.Key)
	}
	f.Path = strings.Clone(f.Path)
	c.findings = append(c.findings, f)
}
