// Package sigma reads Sigma rules (specification 2.1), compiles them and
// matches them against log events.
//
// What it promises:
//
//   - Nothing is skipped silently. Every rule, filter or correlation that cannot
//     be used comes back as a [Problem] with file, line and reason.
//   - One meaning. [Rule.Explain] evaluates a rule exactly as written; the
//     compiled [Engine] gives the same answer, only faster, and tests hold the
//     two against each other.
//   - Foreign input does no harm: rules and events may be hostile. Regular
//     expressions run in linear time, nothing recurses without bound, nothing
//     panics.
//   - No clock, no network, no files: bytes in, values out. Time is the time of
//     the event.
//
// Where the specification leaves a choice, docs/sigma.md says what was chosen.
package sigma
