// Package exercise plays a case: a whole room with its crisis team, and around
// it an outside world that is simulated but real on the wire.
//
// # The outside world
//
// Mail server, practices, regular systems of the Kassen and employers are
// processes of their own (subcommand exercise-part of the one binary, see
// [StartPart] and [ServePart]). They speak SMTP, POP3 and HTTP over sockets and
// each keeps its own book, so that what the room says about itself can be
// compared with what others saw ([CompareBooks]).
//
// Promises:
//
//   - Loopback only. Every address that is listened on or dialled is an IP
//     literal of the loopback network, every mail domain ends in
//     uebung.invalid; anything else is refused before a packet leaves.
//   - Everything is marked: mails carry TEAU0_ in the subject and an X-Uebung
//     header, pages the word ÜBUNG, people are recognisably invented.
//   - Lock-step. A part acts when its parent advances the simulated time, and
//     answers when all that was due is done and durable. The same seed and the
//     same steps give the same counts.
//   - What a part has acknowledged survives its death: the mail server fsyncs
//     before 250, the regular systems before they answer a handover.
//   - A part ends when its parent does: end of input stops it.
package exercise
