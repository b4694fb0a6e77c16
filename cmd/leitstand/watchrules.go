package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"leitstand/pure/sigma"
	"leitstand/warning"
)

// loadedEngine is an engine with what belongs to its rules.
type loadedEngine struct {
	*sigma.Engine
	set      *sigma.RuleSet
	rules    int
	licenses map[string]string // by directory of the rule files
}

const (
	maxRuleFile  = 4 << 20   // bytes; the largest published rule has 60 KB
	maxRuleFiles = 100 << 20 // all together
)

// loadEngine reads rules and names everything that cannot be used on standard error.
func loadEngine(a *app, rules, mapFile string, strict bool) (*loadedEngine, error) {
	files, licenses, err := ruleFiles(rules)
	if err != nil {
		return nil, &exitError{2, err}
	}
	mapping, problems, err := loadMapping(mapFile)
	if err != nil {
		return nil, &exitError{2, err}
	}
	set, more := mapping.Parse(files)
	problems = append(problems, more...)
	eng, more := sigma.Compile(set, mapping.Options())
	problems = append(problems, more...)
	for _, p := range problems {
		fmt.Fprintf(a.stderr, "leitstand: not usable: %s\n", plain(p.Error()))
	}
	if strict && len(problems) > 0 {
		return nil, &exitError{2, fmt.Errorf("--strict: %d rules or settings cannot be used", len(problems))}
	}
	n := len(set.Rules) + len(set.Correlations)
	if n == 0 {
		return nil, &exitError{2, fmt.Errorf("no usable rule in %q", rules)}
	}
	return &loadedEngine{Engine: eng, set: set, rules: n, licenses: licenses}, nil
}

func loadMapping(name string) (*sigma.Mapping, []sigma.Problem, error) {
	if name == "" {
		return &sigma.Mapping{}, nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading map: %w", err)
	}
	m, problems := sigma.ParseMapping(sigma.File{Name: name, Data: data})
	if m == nil {
		return nil, nil, problems[0]
	}
	return m, problems, nil
}

// find returns a rule by id or title.
func (e *loadedEngine) find(name string) *sigma.Rule {
	for _, r := range e.set.Rules {
		if r.ID == name || strings.EqualFold(r.Title, name) || r.Name == name {
			return r
		}
	}
	return nil
}

// license is what the rule says itself, else what the licence file nearest above it says.
func (e *loadedEngine) license(r *sigma.Rule) string {
	if r.License != "" {
		return r.License
	}
	for dir := path.Dir(filepath.ToSlash(r.File)); ; dir = path.Dir(dir) {
		if l := e.licenses[dir]; l != "" {
			return l
		}
		if dir == "." || dir == "/" {
			return e.licenses[""]
		}
	}
}

// licenseName recognises the licences that rules come under.
func licenseName(name string, text []byte) string {
	s := string(text[:min(len(text), 8192)])
	switch {
	case strings.Contains(s, "Detection Rule License") && strings.Contains(s, "1.1"):
		return "DRL-1.1"
	case strings.Contains(s, "Detection Rule License"):
		return "DRL-1.0"
	case strings.Contains(s, "Apache License"):
		return "Apache-2.0"
	case strings.Contains(s, "MIT License") || strings.Contains(s, "Permission is hereby granted, free of charge"):
		return "MIT"
	}
	return "see " + name
}

func isLicense(name string) bool {
	return strings.HasPrefix(strings.ToUpper(path.Base(name)), "LICENSE")
}

func isRule(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return (ext == ".yml" || ext == ".yaml") && !strings.HasPrefix(path.Base(name), ".")
}

// ruleFiles reads a directory, a zip file or one rule file.
func ruleFiles(name string) ([]sigma.File, map[string]string, error) {
	if name == "" {
		files, err := warning.BuiltinRules()
		return files, nil, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading rules: %w", err)
	}
	c := &ruleCollector{licenses: map[string]string{}}
	switch {
	case info.IsDir():
		err = c.fromFS(os.DirFS(name), name)
	case strings.EqualFold(filepath.Ext(name), ".zip"):
		err = c.fromZip(name)
	default:
		err = c.read(name, func() (io.ReadCloser, error) { return os.Open(name) })
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading rules from %q: %w", name, err)
	}
	c.beside(name)
	return c.files, c.licenses, nil
}

type ruleCollector struct {
	files    []sigma.File
	licenses map[string]string
	size     int64
}

func (c *ruleCollector) fromFS(fsys fs.FS, root string) error {
	return fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || (!isRule(p) && !isLicense(p)) {
			return err
		}
		return c.read(path.Join(filepath.ToSlash(root), p), func() (io.ReadCloser, error) { return fsys.Open(p) })
	})
}

func (c *ruleCollector) fromZip(name string) (err error) {
	z, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	for _, f := range z.File {
		if f.FileInfo().IsDir() || (!isRule(f.Name) && !isLicense(f.Name)) {
			continue
		}
		if err := c.read(f.Name, f.Open); err != nil {
			return err
		}
	}
	return nil
}

// read takes one file; a rule too large to be one stops, rather than being cut.
func (c *ruleCollector) read(name string, open func() (io.ReadCloser, error)) (err error) {
	f, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if c.size += int64(len(data)); len(data) > maxRuleFile || c.size > maxRuleFiles {
		return fmt.Errorf("%q: rules larger than %d bytes a file or %d together are not read", name, maxRuleFile, maxRuleFiles)
	}
	if isLicense(name) {
		c.licenses[path.Dir(name)] = licenseName(path.Base(name), data)
		return nil
	}
	c.files = append(c.files, sigma.File{Name: name, Data: data})
	return nil
}

// beside looks for a licence next to the rules, for all that have none nearer.
func (c *ruleCollector) beside(name string) {
	names, err := filepath.Glob(filepath.Join(filepath.Dir(name), "LICENSE*"))
	if err != nil {
		return
	}
	for _, n := range names {
		if data, err := os.ReadFile(n); err == nil {
			if l := licenseName(filepath.Base(n), data); c.licenses[""] == "" || !strings.HasPrefix(l, "see ") {
				c.licenses[""] = l
			}
		}
	}
}
