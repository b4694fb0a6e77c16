// Package channel brings parcels to a Kasse's regular system where HTTPS does not
// reach: over SFTP, by KIM mail, on a stick that somebody carries.
//
// Promises:
//
//   - All ways carry the same files: a question (parcel, comparison, list) and
//     its answer, each encrypted with age to the other side before it leaves the
//     machine, each with a manifest or a header that names its size and hash.
//     What is not whole is not there yet.
//   - Repeating is harmless. A question that was asked is not asked twice while
//     its answer is out; an answer may be read as often as needed. What makes
//     effects happen exactly once is the receiver's memory of item ids, as with
//     HTTPS.
//   - Nothing waits: a question whose answer has not come ends with
//     [emergency.ErrPending] and is looked for again later.
//   - SSH host keys are pinned. There is no first use to trust.
package channel
