// Package seal closes bodies for one Kasse so that only an unlock opens them.
//
// A room accepts sick notes, payments and records day and night, also after a
// restart that nobody watches. So closing needs the Kasse's public key alone,
// and nothing that stays in the memory of the accepting process can open what
// was closed a moment ago: every envelope has a key of its own (HPKE base mode,
// RFC 9180, with the hybrid of ML-KEM-768 and X25519, HKDF-SHA-256 and
// AES-256-GCM), also where several that are in memory at the same moment share
// an encapsulation ([Together]). What is taken off a stolen disk today stays closed to a
// quantum computer tomorrow.
//
// The package promises:
//
//   - PublicKey.Seal needs no secret; PrivateKey.Open gives the plain text or
//     an error, never part of it.
//   - An envelope opens only with the key it was made for and the additional
//     data it was made with. A change of any single bit is refused.
//   - Additional data is not stored in the envelope. Bind an envelope to its
//     place with it (Kasse, item, kind), so that bodies cannot be exchanged.
//   - Private keys at rest are wrapped: by a Master key, or by a passphrase
//     through argon2id (RFC 9106). Destroying every wrapping of a key erases
//     all that was sealed to it.
//   - Commit hides and binds: a commitment in the ledger says nothing about
//     the data without its salt, and fits no other data.
//
// Keys do not expire here. To rotate, generate a new key, seal to it from now
// on, keep the old one in a Ring for reading, and Reseal what must move.
// Formats carry a version; a reader refuses what it does not know. All
// functions may be called from several goroutines.
package seal
