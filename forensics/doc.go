// Package forensics judges: it holds the clearances of the forensic gate, the
// proofs that credentials were rotated, and the indicators of compromise.
//
// Promises:
//
//   - No clearance without evidence: at least one named file with its SHA-256,
//     computed while reading it, and two different people behind it.
//   - A clearance is revoked, never deleted; a revoked one never comes back. One
//     that runs out is still there and only warned about.
//   - The functions are pure; the statements beside them write what the caller
//     decided in the caller's transaction. They append nothing to the ledger:
//     granting and revoking have consequences for placements, so package
//     operation does both, with one entry that holds [Clearance.Row] and the rest.
package forensics
