package main

import "leitstand/exercise"

// exercisePartCmd is one simulated party of an exercise. People never call it:
// the exercise starts it as a child and leads it over standard input.
type exercisePartCmd struct {
	Kind string `arg:"" enum:"mail,practices,regular,employers" help:"The party to play."`
}

// Run ends with the parent: at the end of standard input.
func (c exercisePartCmd) Run(a *app) error {
	return exercise.ServePart(a.ctx, exercise.PartKind(c.Kind), a.stdin, a.stdout)
}
