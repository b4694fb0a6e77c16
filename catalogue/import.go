package catalogue

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of an import, so that a foreign file cannot exhaust us.
const (
	MaxFile    = 16 << 20 // bytes of one CSV file
	MaxYAML    = 4 << 20  // bytes of one YAML file
	MaxRecords = 250_000  // lines and entries of all files
)

// File is one file to import, its content in memory.
type File struct {
	Name string
	Data []byte
}

// Import reads a whole catalogue from CSV and YAML files. docs/catalogue.md
// describes them; a CSV file is recognised by its columns. The result passes
// Validate. When anything is wrong the error is of type Problems, lists
// everything that is, and there is no catalogue.
func Import(files ...File) (*Catalogue, error) {
	var r reader
	var recs []record
	for _, f := range files {
		recs = append(recs, r.file(f)...)
	}
	if len(files) == 0 {
		r.say("import", 0, "", "no file to read")
	}
	if len(recs) > MaxRecords {
		r.say(files[0].Name, 0, "", "%d lines in all files, at most %d", len(recs), MaxRecords)
		return nil, r.problems.sorted()
	}
	c := r.build(recs)
	if len(r.problems) == 0 {
		if err := c.Validate(); err != nil { // a last net: build names the line of everything it knows to be wrong
			r.say(files[0].Name, 0, "", "%v", err)
		}
	}
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return c.Normal(), nil
}

// ReadFiles reads the named files of a file system; a folder stands for every
// .csv, .yaml and .yml file directly in it. The error names what cannot be read.
func ReadFiles(fsys fs.FS, names ...string) ([]File, error) {
	var out []File
	for _, name := range names {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("reading catalogue files: %w", err)
		}
		list := []string{name}
		if info.IsDir() {
			if list, err = importable(fsys, name); err != nil {
				return nil, err
			}
		}
		for _, n := range list {
			f, err := readFile(fsys, n)
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
	}
	return out, nil
}

func importable(fsys fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("reading catalogue files: %w", err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && formatOf(e.Name()) != "" {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("reading catalogue files: no .csv, .yaml or .yml file in %q", dir)
	}
	slices.Sort(out)
	return out, nil
}

func readFile(fsys fs.FS, name string) (File, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return File{}, fmt.Errorf("reading catalogue files: %w", err)
	}
	if info.Size() > MaxFile {
		return File{}, fmt.Errorf("reading %q: %d bytes, at most %d", name, info.Size(), MaxFile)
	}
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return File{}, fmt.Errorf("reading catalogue files: %w", err)
	}
	return File{Name: name, Data: b}, nil
}

func formatOf(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".csv":
		return "csv"
	case ".yaml", ".yml":
		return "yaml"
	}
	return ""
}

// file reads the records of one file.
func (r *reader) file(f File) []record {
	format, limit := formatOf(f.Name), MaxFile
	if format == "yaml" {
		limit = MaxYAML
	}
	if len(f.Data) > limit {
		r.say(f.Name, 0, "", "%d bytes, at most %d", len(f.Data), limit)
		return nil
	}
	data, ok := r.utf8(f)
	r.broken = r.broken || !ok
	switch {
	case !ok:
		return nil
	case len(bytes.TrimSpace(data)) == 0:
		r.say(f.Name, 0, "", "is empty")
		return nil
	case format == "csv":
		return r.csv(f.Name, data)
	case format == "yaml":
		return r.yaml(f.Name, data)
	}
	r.say(f.Name, 0, "", "is neither .csv nor .yaml")
	return nil
}

// utf8 refuses every other encoding: a guess could turn one name into another.
func (r *reader) utf8(f File) ([]byte, bool) {
	data := f.Data
	for _, bom := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(bom)) {
			r.say(f.Name, 1, "", "is UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)")
			return nil, false
		}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if utf8.Valid(data) {
		return data, true
	}
	line := 1
	for rest := data; len(rest) > 0; {
		c, n := utf8.DecodeRune(rest)
		if c == utf8.RuneError && n == 1 {
			r.say(f.Name, line, "", "is not UTF-8 (byte %#x, perhaps Windows-1252); save it as UTF-8 (in Excel: CSV UTF-8)", rest[0])
			break
		}
		if c == '\n' {
			line++
		}
		rest = rest[n:]
	}
	return nil, false
}
