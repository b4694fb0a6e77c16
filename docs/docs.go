// Package docs carries the pages that the program itself prints, so that the
// manual on the laptop is the manual of the program on the laptop.
package docs

import _ "embed"

// Operations is docs/operations.md: the manual of the night shift (Markdown).
//
//go:embed operations.md
var Operations string

// Configuration is docs/configuration.md: every key of the configuration (Markdown).
//
//go:embed configuration.md
var Configuration string
