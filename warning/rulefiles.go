package warning

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	"leitstand/pure/sigma"
)

const (
	maxRuleFile  = 4 << 20   // bytes; the largest published rule has 60 KB
	maxRuleFiles = 100 << 20 // all together
)

// RuleFiles are rule files and the licences they come under.
type RuleFiles struct {
	Files    []sigma.File
	Licenses Licenses
}

// Licenses are the names of licences by the directory they hold for; "" holds
// for all that have none nearer.
type Licenses map[string]string

// Of is what the rule says itself, else what the licence file nearest above it says.
func (l Licenses) Of(r *sigma.Rule) string {
	if r.License != "" {
		return r.License
	}
	for dir := path.Dir(filepath.ToSlash(r.File)); ; dir = path.Dir(dir) {
		if name := l[dir]; name != "" {
			return name
		}
		if dir == "." || dir == "/" {
			return l[""]
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

// ReadRules reads a directory, a zip file or one rule file; "" is the built-in rules.
func ReadRules(name string) (RuleFiles, error) {
	if name == "" {
		files, err := BuiltinRules()
		return RuleFiles{Files: files}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return RuleFiles{}, fmt.Errorf("reading rules: %w", err)
	}
	c := &ruleCollector{licenses: Licenses{}}
	switch {
	case info.IsDir():
		err = c.fromFS(os.DirFS(name), name)
	case strings.EqualFold(filepath.Ext(name), ".zip"):
		err = c.fromZip(name)
	default:
		err = c.read(name, func() (io.ReadCloser, error) { return os.Open(name) })
	}
	if err != nil {
		return RuleFiles{}, fmt.Errorf("reading rules from %q: %w", name, err)
	}
	c.beside(name)
	return RuleFiles{Files: c.files, Licenses: c.licenses}, nil
}

// Add reads more rules, as ReadRules does.
func (f *RuleFiles) Add(name string) error {
	more, err := ReadRules(name)
	if err != nil {
		return err
	}
	f.Files = append(f.Files, more.Files...)
	if f.Licenses == nil {
		f.Licenses = Licenses{}
	}
	maps.Copy(f.Licenses, more.Licenses)
	return nil
}

type ruleCollector struct {
	files    []sigma.File
	licenses Licenses
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
