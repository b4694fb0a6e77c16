// Package kimmail reads and writes KIM messages, the signed and encrypted mails
// of German health care, as bytes and values: it opens no file, no socket and
// asks no clock.
//
// A mail reaches us in one of two forms. A Clientmodul has usually decrypted it
// already and left its findings in X-KIM header fields ([FormClear]); otherwise
// the body is a CMS AuthEnvelopedData that [Message.Open] takes apart with a key
// ([FormEnveloped]). Either way the sick note travels in an attachment, mostly
// inside a CAdES container, and is found in [Message.Documents].
//
// Promises:
//   - Foreign bytes never cause a panic, and never more memory than a small
//     multiple of their length; [Limits] bounds size, nesting, parts and header.
//   - What is missing or damaged is a finding or an error, never a guess. A
//     broken attachment does not hide the others, and the header stays readable.
//   - A signature counts as valid only up to configured trust anchors. Without
//     them the best answer is "intact, trust not checked".
//   - Slices in results may share memory with the input: do not write to either.
//
// Norms: RFC 5322, 2045–2047, 2231 (mail), 5652, 5083, 5084, 5035 (CMS),
// 4055, 4056 (RSA), 5639 (brainpool), gemSMIME_KOMLE, gemSpec_Krypt, and the
// Technische Anlage zur eAU of the KBV.
package kimmail
