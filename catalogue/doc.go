// Package catalogue knows who and what there is: Kassen, sites, services, the
// machinery they share, where each service of each Kasse is placed, and what
// everything rests on. From that it computes what a loss would cost.
//
// The package promises:
//
//   - A catalogue that Validate accepts has one identity for every thing:
//     Kassen by IK (never by name), placements as Kasse × service × site.
//   - What nobody knows is marked: a field named Assumed is true for values
//     that were generated or guessed, never for values somebody reported.
//   - Reading and writing are deterministic: the same content has the same
//     Hash, whatever order it was given in.
//   - Importers report every error of all files at once, each with file, line
//     and field, and take nothing when there is one.
//   - Impact is a preview: it changes nothing, and unknown spreads as unknown.
//
// State (what runs right now) is not kept here but in operation.
package catalogue
