package sigma

import (
	"errors"
	"maps"
	"strings"
)

// Logsource says what kind of log a rule is for, or an event is from. Empty
// parts of a rule's log source fit everything.
type Logsource struct {
	Category, Product, Service string
}

// String writes only the parts that are set.
func (l Logsource) String() string {
	var parts []string
	for _, p := range [...][2]string{{"product", l.Product}, {"category", l.Category}, {"service", l.Service}} {
		if p[1] != "" {
			parts = append(parts, p[0]+"="+p[1])
		}
	}
	return strings.Join(parts, " ")
}

// Rule is one Sigma rule that can be used.
type Rule struct {
	ID, Name, Title, Description string
	Author, License              string
	Status, Level                string
	Date, Modified               string // as written: the newer of the two is the version
	Tags, References             []string
	FalsePositives, Fields       []string
	Logsource                    Logsource
	File                         string
	Line                         int
	Filters                      []string     // titles of the filters put on it
	Quiet                        bool         // only a part of correlations: no match of its own
	Correlation                  *Correlation // nil for a rule about single events

	seq   int // position in its set
	cond  *expr
	texts []string // conditions as written
}

// Condition returns the condition as written; several are joined with "or".
func (r *Rule) Condition() string { return strings.Join(r.texts, " or ") }

// Version is the date of the last change the author noted.
func (r *Rule) Version() string {
	if r.Modified != "" {
		return r.Modified
	}
	return r.Date
}

// RuleSet is what a set of rule files contains, before compiling.
type RuleSet struct {
	Rules        []*Rule // about single events
	Correlations []*Rule
}

// ParseOptions are what reading rules may need from outside.
type ParseOptions struct {
	Placeholders Placeholders // values for the modifier expand

	wildcard bool // a placeholder without values matches anything
}

// ParseRules reads rule files. What cannot be used comes back as problems, in
// file and line order; all else is in the set.
func ParseRules(files []File) (*RuleSet, []Problem) { return ParseOptions{}.Parse(files) }

// Parse is ParseRules with options.
func (o ParseOptions) Parse(files []File) (*RuleSet, []Problem) {
	set := &RuleSet{}
	var problems []Problem
	var filters []*filterRule
	for _, f := range files {
		docs, err := parseYAML(f.Data)
		if err != nil {
			problems = append(problems, problemOf(f.Name, nil, err))
		}
		for _, d := range docs {
			filter, err := set.add(f.Name, d, o)
			if err != nil {
				problems = append(problems, problemOf(f.Name, d, err))
			} else if filter != nil {
				filters = append(filters, filter)
			}
		}
	}
	for _, f := range filters {
		problems = append(problems, f.apply(set.Rules, set.Correlations)...)
	}
	problems = append(problems, set.resolve()...)
	sortProblems(problems)
	return set, problems
}

// anyPlaceholder in Placeholders stands for those without values.
const anyPlaceholder = "*"

func (o ParseOptions) fill() Placeholders {
	if !o.wildcard {
		return o.Placeholders
	}
	out := Placeholders{anyPlaceholder: {"*"}}
	maps.Copy(out, o.Placeholders)
	return out
}

// add reads one document into the set; filters come back, to be put on when all rules are there.
func (s *RuleSet) add(file string, d *node, o ParseOptions) (*filterRule, error) {
	switch {
	case d.kind != mapNode:
		return nil, errAt(d.line, "not a Sigma rule: the document is no map")
	case d.get("action") != nil:
		return nil, errAt(d.line, "rule collections with action are not part of Sigma 2")
	case d.get("filter") != nil:
		return parseFilter(file, d, o.fill())
	case d.get("correlation") != nil:
		r, err := parseCorrelation(file, d)
		if err == nil {
			s.Correlations = append(s.Correlations, r)
		}
		return nil, err
	}
	r, err := parseRule(file, d, o.fill())
	if err == nil {
		r.seq = len(s.Rules)
		s.Rules = append(s.Rules, r)
	}
	return nil, err
}

func problemOf(file string, doc *node, err error) Problem {
	p := Problem{File: file, Reason: err.Error()}
	if doc != nil {
		p.Line, p.Rule, p.Title = doc.line, doc.str("id"), doc.str("title")
	}
	if at, ok := errors.AsType[*lineError](err); ok {
		p.Reason = at.msg
		if at.line > 0 {
			p.Line = at.line
		}
	}
	return p
}

func parseRule(file string, d *node, ph Placeholders) (*Rule, error) {
	r := metaOf(file, d)
	det := d.get("detection")
	if det == nil || det.kind != mapNode {
		return nil, errAt(d.line, "not a Sigma rule: no detection")
	}
	ls := d.get("logsource")
	if ls == nil || ls.kind != mapNode {
		return nil, errAt(d.line, "rule has no logsource")
	}
	r.Logsource = Logsource{Category: ls.str("category"), Product: ls.str("product"), Service: ls.str("service")}
	s, err := parseSearches(det, ph, "condition", "timeframe")
	if err != nil {
		return nil, err
	}
	cond := det.get("condition")
	if cond == nil {
		return nil, errAt(det.line, "detection has no condition")
	}
	var alts []*expr
	for _, text := range det.strings("condition") {
		x, err := parseCondition(text, cond.line, s.searches, s.order)
		if err != nil {
			return nil, err
		}
		alts, r.texts = append(alts, x), append(r.texts, text)
	}
	if len(alts) == 0 {
		return nil, errAt(cond.line, "condition is empty")
	}
	r.cond = orOf(alts...)
	return r, nil
}

func metaOf(file string, d *node) *Rule {
	return &Rule{
		ID: d.str("id"), Name: d.str("name"), Title: d.str("title"), Description: d.str("description"),
		Author: strings.Join(d.strings("author"), ", "), License: d.str("license"),
		Status: d.str("status"), Level: d.str("level"), Date: d.str("date"), Modified: d.str("modified"),
		Tags: d.strings("tags"), References: d.strings("references"),
		FalsePositives: d.strings("falsepositives"), Fields: d.strings("fields"),
		File: file, Line: d.line,
	}
}
