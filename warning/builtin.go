package warning

import (
	"embed"
	"fmt"

	"leitstand/pure/sigma"
)

//go:embed rules/*.yml
var builtin embed.FS

// BuiltinRules returns the rules of our own, as files. They ask for fields that
// Enrich adds.
func BuiltinRules() ([]sigma.File, error) {
	names, err := builtin.ReadDir("rules")
	if err != nil {
		return nil, fmt.Errorf("reading built-in rules: %w", err)
	}
	var files []sigma.File
	for _, n := range names {
		data, err := builtin.ReadFile("rules/" + n.Name())
		if err != nil {
			return nil, fmt.Errorf("reading built-in rules: %w", err)
		}
		files = append(files, sigma.File{Name: n.Name(), Data: data})
	}
	return files, nil
}
