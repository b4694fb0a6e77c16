// Package ledger is the tamper-evident record of a store: an RFC 6962 Merkle
// log in the same database and the same transaction as the change it records.
//
// Promises:
//
//   - [Append] numbers entries from 1 without gaps, in commit order.
//   - No commit that holds a new entry becomes durable without a head signed
//     over all entries up to it (see [Attach]).
//   - [Verify] finds any altered, missing, reordered or cut-off entry and names
//     it, as long as the verifier has one signed head from outside the store; and
//     without one, unless the signing key was stolen too.
//   - [VerifyState] finds any row that is not what the last entry about it says.
//
// Entries hold ids, states, reasons and salted commitments; no health data and
// no insured person in clear. Hashes are those of RFC 6962 §2.1 over the bytes
// of the column body; heads are signed notes (golang.org/x/mod/sumdb/note).
package ledger
