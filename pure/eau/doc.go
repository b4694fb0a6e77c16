// Package eau reads, checks and writes the electronic sick note (eAU), its
// cancellation (Storno) and the error message of a Kasse, as FHIR R4 XML.
//
// Promises. No input makes it panic, loop or take more memory than a small
// multiple of its size: documents above 4 MiB, deeper than 64 levels or with a
// DTD are refused before anything is built. Nothing here reads a clock, a file
// or the network; functions are safe for concurrent use and keep nothing of
// their arguments. The same certificate always gives the same bytes.
//
// Read takes any readable document and never judges; Check judges it.
package eau
