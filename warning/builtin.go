package warning

import (
	"fmt"

	"leitstand/pure/sigma"
)

// BuiltinRules returns the rules of our own, as files.
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
