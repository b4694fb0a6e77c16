package main

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// configReference is docs/configuration.md, made from the tags of config.
func configReference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

One file says everything about a room that is neither data nor a key: ` + "`leitstand.yaml`" + ` in its data directory
(or ` + "`--config FILE`, `LEITSTAND_CONFIG`" + `). Without it everything has its default. Flags win over the file, the file over the default.
An unknown key is refused with file, line and the key that was probably meant. Relative file names count from the file's directory.

    leitstand config check      # before a restart: all mistakes at once, each with its line
    leitstand config show       # what is in force, and where it comes from; secrets are left out
    leitstand config example    # a file with every key, explained, to begin with
    leitstand config reference  # this page: it is made from the program

Files from before there was one configuration (` + "`connections.json`, `gateway.json`, `warning.json`, `employers.json`" + `) are still read, with a
warning at the start and by the doctor; a room that has one of them and the same part in ` + "`leitstand.yaml`" + ` is refused, so that nobody
edits the one that does not count. How measures act on the outside world stays in
` + "`drivers.yml`" + ` (docs/containment.md), because two people agree to it by its content.
`)
	referenceOf(&b, reflect.TypeFor[config](), "", "The file")
	return b.String()
}

func referenceOf(b *strings.Builder, t reflect.Type, path, title string) {
	fmt.Fprintf(b, "\n## %s\n\n| key | kind | default | meaning |\n|---|---|---|---|\n", title)
	for f := range t.Fields() {
		k := keyOf(f)
		if k == "" {
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k, kindOf(f), defaultOf(f), strings.ReplaceAll(f.Tag.Get("help"), "|", "\\|"))
	}
	for f := range t.Fields() {
		at := strings.TrimPrefix(path+"."+keyOf(f), ".")
		switch {
		case keyOf(f) == "":
		case f.Type.Kind() == reflect.Struct:
			referenceOf(b, f.Type, at, "`"+at+"`")
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			referenceOf(b, f.Type.Elem(), at+"[]", "`"+at+"[]`, each item")
		}
	}
}

// kindOf names the kind of a field's value for people.
func kindOf(f reflect.StructField) string {
	kind := "text"
	switch {
	case f.Type == reflect.TypeFor[time.Duration]():
		kind = "duration (30s, 5m, 24h)"
	case f.Type.Kind() == reflect.Struct:
		kind = "section"
	case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
		kind = "list of sections"
	case f.Type.Kind() == reflect.Slice:
		kind = "list"
	case f.Type.Kind() == reflect.Bool:
		kind = "true or false"
	case f.Type.Kind() == reflect.Int, f.Type.Kind() == reflect.Int64:
		kind = "whole number"
	case f.Type.Kind() == reflect.Float64:
		kind = "number"
	case f.Tag.Get("enum") != "":
		kind = strings.ReplaceAll(f.Tag.Get("enum"), ",", ", ")
	case f.Tag.Get("path") != "":
		kind = "file"
	}
	if f.Tag.Get("required") != "" {
		kind += ", required"
	}
	return kind
}

func defaultOf(f reflect.StructField) string {
	if d := f.Tag.Get("default"); d != "" {
		return "`" + d + "`"
	}
	return ""
}

// configExample is a file with every key: explained, and all of it commented out.
func configExample() string {
	var b strings.Builder
	b.WriteString("## Configuration of a Leitstand room. Every key is explained; what is commented out has its default.\n" +
		"## After a change: leitstand config check. The whole reference: docs/configuration.md.\n")
	exampleOf(&b, reflect.TypeFor[config](), "# ", "# ")
	return b.String()
}

func exampleOf(b *strings.Builder, t reflect.Type, first, rest string) {
	lead := first
	for f := range t.Fields() {
		k := keyOf(f)
		if k == "" {
			continue
		}
		fmt.Fprintf(b, "\n## %s\n", f.Tag.Get("help"))
		switch {
		case f.Type.Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", lead, k)
			exampleOf(b, f.Type, rest+"  ", rest+"  ")
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", lead, k)
			exampleOf(b, f.Type.Elem(), rest+"  - ", rest+"    ")
		default:
			v := f.Tag.Get("default")
			if v == "" {
				v = f.Tag.Get("example")
			}
			fmt.Fprintf(b, "%s%s: %s\n", lead, k, v)
		}
		lead = rest
	}
}

// effective prints the configuration in force as YAML; each value says where it
// comes from. Secrets are left out.
func (c *config) effective() string {
	var b strings.Builder
	c.show(&b, reflect.ValueOf(*c), "", "", "")
	return b.String()
}

func (c *config) show(b *strings.Builder, v reflect.Value, path, first, rest string) {
	lead := first
	for f, field := range v.Fields() {
		k := keyOf(f)
		if k == "" {
			continue
		}
		at := strings.TrimPrefix(path+"."+k, ".")
		switch {
		case f.Type.Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", lead, k)
			c.show(b, field, at, rest+"  ", rest+"  ")
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			if field.Len() == 0 {
				fmt.Fprintf(b, "%s%s: []\n", lead, k)
				break
			}
			fmt.Fprintf(b, "%s%s:\n", lead, k)
			for i := range field.Len() {
				c.show(b, field.Index(i), fmt.Sprintf("%s[%d]", at, i), rest+"  - ", rest+"    ")
			}
		default:
			from := "default"
			if n := c.line[at]; n > 0 {
				from = fmt.Sprintf("line %d", n)
			}
			fmt.Fprintf(b, "%s%s: %s  # %s\n", lead, k, shown(f, field), from)
		}
		lead = rest
	}
}

// shown is a value for people and YAML, without what nobody should read over a shoulder.
func shown(f reflect.StructField, v reflect.Value) string {
	switch f.Tag.Get("secret") {
	case "true":
		if v.IsZero() {
			return `""`
		}
		return `"(secret)"`
	case "url":
		if u, err := url.Parse(v.String()); err == nil && !v.IsZero() {
			if u.RawQuery != "" {
				u.RawQuery = "secret"
			}
			return fmt.Sprintf("%q", u.Redacted())
		}
		return `""`
	}
	switch x := v.Interface().(type) {
	case string:
		return fmt.Sprintf("%q", x)
	case []string:
		quoted := make([]string, len(x))
		for i, s := range x {
			quoted[i] = fmt.Sprintf("%q", s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprint(x)
	}
}

// values is the configuration in force for machines, secrets left out.
func (c *config) values() map[string]any { return valuesOf(reflect.ValueOf(*c)) }

func valuesOf(v reflect.Value) map[string]any {
	out := map[string]any{}
	for f, field := range v.Fields() {
		k := keyOf(f)
		switch {
		case k == "":
		case f.Type.Kind() == reflect.Struct:
			out[k] = valuesOf(field)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			items := make([]map[string]any, field.Len())
			for i := range items {
				items[i] = valuesOf(field.Index(i))
			}
			out[k] = items
		case f.Tag.Get("secret") != "":
			out[k] = strings.Trim(shown(f, field), `"`)
		case f.Type == reflect.TypeFor[time.Duration]():
			out[k] = time.Duration(field.Int()).String()
		default:
			out[k] = field.Interface()
		}
	}
	return out
}
