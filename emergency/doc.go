// Package emergency keeps what is accepted in emergency operation, one journal
// per Kasse, until the regular system has it.
//
// Promises:
//
//   - What [Journal.Accept] returned a number for is durable, sealed to the Kasse,
//     and in the journal's ledger. Accepting needs no secret.
//   - accepted = handed over with a receipt + rejected with a reason and a named
//     owner + still open, at every moment ([Counts.Check]). A book closes only
//     when nothing of it is open (rule 3).
//   - Every acceptance checks in its own transaction that the book of its
//     placement is open and that the epoch is the book's (rule 2). A sender that
//     was passed over by a newer epoch writes nothing.
//   - An item that comes twice with the same key is one item; the same key with
//     another content is refused, never merged.
//   - Handing over is at-least-once on the wire and exactly once in effect: items
//     carry an id for life, receipts are signed and name id and hash of each, a
//     receiver that keeps ids applies none twice. It can be killed at any point.
//   - Items of one person leave in the order they became ready.
//
// Each journal is a store of its own ("kasse_" and the IK) with its own ledger,
// so that one Kasse can be sealed, copied as evidence, moved or restored alone.
// Clear columns hold what people need to steer (kinds, states, reasons, owners,
// deadlines); whatever names a person is sealed, or a hash under a key that does
// not lie in that store.
package emergency
