package main

import (
	"fmt"
	"runtime/debug"
)

type versionCmd struct{}

// Run prints one line a field, so that a finding can name the exact program.
func (versionCmd) Run(a *app) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		fmt.Fprintln(a.stdout, "leitstand (built without module information)")
		return nil
	}
	fmt.Fprintf(a.stdout, "leitstand %s\n%s\n", info.Main.Version, info.GoVersion)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision", "vcs.time", "vcs.modified", "GOOS", "GOARCH", "CGO_ENABLED":
			fmt.Fprintf(a.stdout, "%s %s\n", s.Key, s.Value)
		}
	}
	return nil
}

// programVersion is the version of this program, as monitoring tells neighbours apart.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
