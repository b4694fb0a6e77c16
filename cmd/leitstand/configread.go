package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxConfig is far more than 80 Kassen need.
const maxConfig = 4 << 20

// configError is one mistake in a configuration file, with its line.
type configError struct {
	file string
	line int
	text string
}

func (e *configError) Error() string {
	if e.line == 0 {
		return fmt.Sprintf("%s: %s", e.file, e.text)
	}
	return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.text)
}

// readConfig reads a configuration file. Without one everything has its default.
// All mistakes are told at once, each with its line; values are never repeated,
// because they may be secrets.
func readConfig(file string) (*config, error) {
	c := &config{line: map[string]int{}}
	setDefaults(reflect.ValueOf(c).Elem())
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(b) > maxConfig {
		return nil, fmt.Errorf("%s is no configuration: it has %d bytes, at most %d are read", file, len(b), maxConfig)
	}
	c.from = file
	if err := c.parse(b); err != nil {
		return nil, err
	}
	resolvePaths(reflect.ValueOf(c).Elem(), filepath.Dir(file))
	return c, nil
}

func (c *config) parse(b []byte) error {
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return c.yamlError(err)
	}
	var found []error
	if len(f.Docs) > 1 {
		return &configError{c.from, 0, "one document is enough: remove the line ---"}
	}
	for _, doc := range f.Docs {
		if doc.Body != nil {
			found = append(found, c.walk(doc.Body, reflect.TypeFor[config](), "")...)
		}
	}
	if err := errors.Join(found...); err != nil {
		return err
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil || f.Docs[0].Body.Type() == ast.NullType {
		return nil // an empty file, or one of comments alone
	}
	if err := yaml.UnmarshalWithOptions(b, c, yaml.Strict()); err != nil {
		return c.yamlError(err)
	}
	fillItems(reflect.ValueOf(c).Elem())
	return nil
}

// yamlError is a library error with the file and line, and without the source,
// which may hold passwords.
func (c *config) yamlError(err error) error {
	if y, ok := errors.AsType[yaml.Error](err); ok && y.GetToken() != nil {
		return &configError{c.from, y.GetToken().Position.Line, plainYAML(y.GetMessage())}
	}
	return &configError{c.from, 0, "this is no YAML"}
}

// plainYAML takes Go's names and the value out of a library message.
func plainYAML(msg string) string {
	if strings.Contains(msg, "cannot unmarshal") || strings.Contains(msg, "cannot convert") || strings.Contains(msg, "invalid duration") {
		return "the value is of the wrong kind: see leitstand config reference"
	}
	return msg
}

// wrong is a mistake in the value of a key.
func (c *config) wrong(key, format string, args ...any) error {
	file := c.from
	if file == "" {
		file = "configuration"
	}
	line := c.line[key]
	for short := key; line == 0 && short != ""; line = c.line[short] { // the item that lacks the key
		short = short[:max(0, strings.LastIndexAny(short, ".["))]
	}
	return &configError{file, line, fmt.Sprintf("%s: "+format, append([]any{key}, args...)...)}
}

// walk compares what the file says with what there is, and keeps the lines.
func (c *config) walk(n ast.Node, t reflect.Type, path string) (found []error) {
	line := n.GetToken().Position.Line
	add := func(line int, format string, args ...any) {
		found = append(found, &configError{c.from, line, fmt.Sprintf(format, args...)})
	}
	if n.Type() == ast.NullType {
		return nil // a key without value keeps its default
	}
	switch {
	case t.Kind() == reflect.Struct:
		m, ok := n.(ast.MapNode)
		if !ok {
			add(line, "%s: keys are expected here: %s", where(path), strings.Join(keysOf(t), ", "))
			return found
		}
		for it := m.MapRange(); it.Next(); {
			found = append(found, c.walkKey(it.KeyValue(), t, path)...)
		}
	case t.Kind() == reflect.Slice:
		s, ok := n.(*ast.SequenceNode)
		if !ok {
			add(line, "%s: a list is expected here: lines that begin with - ", where(path))
			return found
		}
		for i, item := range s.Values {
			at := fmt.Sprintf("%s[%d]", path, i)
			c.line[at] = item.GetToken().Position.Line
			found = append(found, c.walk(item, t.Elem(), at)...)
		}
	default:
		scalar, ok := n.(ast.ScalarNode)
		if !ok {
			add(line, "%s: one value is expected here", where(path))
		} else if t == reflect.TypeFor[time.Duration]() {
			if _, err := time.ParseDuration(fmt.Sprint(scalar.GetValue())); err != nil {
				add(line, "%s: a duration is expected here, such as 30s, 5m or 24h", path)
			}
		}
	}
	return found
}

func (c *config) walkKey(kv *ast.MappingValueNode, t reflect.Type, path string) []error {
	name := strings.Trim(kv.Key.GetToken().Value, `"'`)
	line := kv.Key.GetToken().Position.Line
	f, ok := fieldOf(t, name)
	if !ok {
		text := fmt.Sprintf("unknown key %q in %s", name, where(path))
		if near := nearestKey(name, t, path); near != "" {
			text += fmt.Sprintf(": did you mean %s?", near)
		} else {
			text += ": known are " + strings.Join(keysOf(t), ", ")
		}
		return []error{&configError{c.from, line, text}}
	}
	at := strings.TrimPrefix(path+"."+name, ".")
	c.line[at] = line
	return c.walk(kv.Value, f.Type, at)
}

func where(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// keyOf is the key of a field, empty when it has none.
func keyOf(f reflect.StructField) string {
	if !f.IsExported() {
		return ""
	}
	return f.Tag.Get("yaml")
}

func keysOf(t reflect.Type) []string {
	var out []string
	for f := range t.Fields() {
		if k := keyOf(f); k != "" {
			out = append(out, k)
		}
	}
	return out
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if keyOf(f) == key && key != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// nearestKey is the known key that was probably meant: one spelt alike in the
// same place, or the same key in another place.
func nearestKey(name string, t reflect.Type, path string) string {
	best, distance := "", 1+len(name)/3
	for _, k := range keysOf(t) {
		if d := editDistance(strings.ToLower(name), k); d <= distance {
			best, distance = k, d-1
		}
	}
	if best != "" {
		return strings.TrimPrefix(path+"."+best, ".")
	}
	for _, k := range allKeys(reflect.TypeFor[config](), "") {
		if last := k[strings.LastIndexByte(k, '.')+1:]; last == name {
			return k
		}
	}
	return ""
}

// allKeys lists every key by its path; items of lists are marked [].
func allKeys(t reflect.Type, path string) []string {
	var out []string
	for f := range t.Fields() {
		k := keyOf(f)
		if k == "" {
			continue
		}
		at := strings.TrimPrefix(path+"."+k, ".")
		out = append(out, at)
		switch e := f.Type; {
		case e.Kind() == reflect.Struct:
			out = append(out, allKeys(e, at)...)
		case e.Kind() == reflect.Slice && e.Elem().Kind() == reflect.Struct:
			out = append(out, allKeys(e.Elem(), at+"[]")...)
		}
	}
	return out
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := left
			if a[i] != b[j] {
				cost++
			}
			left = row[j+1]
			row[j+1] = min(cost, left+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// setDefaults gives every key that has a default its default.
func setDefaults(v reflect.Value) {
	for f, field := range v.Fields() {
		switch {
		case f.Type.Kind() == reflect.Struct:
			setDefaults(field)
		case f.Tag.Get("default") != "" && field.IsZero():
			setValue(field, f.Tag.Get("default"))
		}
	}
}

// setValue sets a field from the text of its default. A default that does not
// fit its field is a mistake of ours, which a test would show.
func setValue(v reflect.Value, text string) {
	var err error
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
	case time.Duration:
		var d time.Duration
		d, err = time.ParseDuration(text)
		v.SetInt(int64(d))
	case int, int64:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
	default:
		err = errors.New("no such kind of default")
	}
	if err != nil {
		panic(fmt.Sprintf("default %q of the configuration: %v", text, err))
	}
}

// fillItems gives items of lists their defaults, after reading.
func fillItems(v reflect.Value) {
	for f, field := range v.Fields() {
		switch {
		case f.Type.Kind() == reflect.Struct:
			fillItems(field)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			for i := range field.Len() {
				setDefaults(field.Index(i))
			}
		}
	}
}

// resolvePaths makes relative file names relative to the configuration's directory.
func resolvePaths(v reflect.Value, dir string) {
	abs := func(s reflect.Value) {
		if p := s.String(); p != "" && !filepath.IsAbs(p) {
			s.SetString(filepath.Join(dir, p))
		}
	}
	for f, field := range v.Fields() {
		isPath := f.Tag.Get("path") != ""
		switch {
		case f.Type.Kind() == reflect.Struct:
			resolvePaths(field, dir)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			for i := range field.Len() {
				resolvePaths(field.Index(i), dir)
			}
		case isPath && f.Type.Kind() == reflect.Slice:
			for i := range field.Len() {
				abs(field.Index(i))
			}
		case isPath:
			abs(field)
		}
	}
}

// missing names required keys that items of lists lack, and values outside of what is allowed.
func (c *config) missing(v reflect.Value, path string) (found []error) {
	for f, field := range v.Fields() {
		k := keyOf(f)
		if k == "" {
			continue
		}
		at := strings.TrimPrefix(path+"."+k, ".")
		switch {
		case f.Type.Kind() == reflect.Struct:
			found = append(found, c.missing(field, at)...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			for i := range field.Len() {
				found = append(found, c.missing(field.Index(i), fmt.Sprintf("%s[%d]", at, i))...)
			}
		case f.Tag.Get("required") != "" && field.IsZero():
			found = append(found, c.wrong(at, "is missing"))
		case f.Tag.Get("enum") != "" && !slices.Contains(strings.Split(f.Tag.Get("enum"), ","), field.String()):
			found = append(found, c.wrong(at, "one of %s is expected", f.Tag.Get("enum")))
		}
	}
	return found
}
