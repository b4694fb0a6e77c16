// Package operation holds the state of every placement, the doors that follow
// from it, and the seven rules that every act must obey.
//
// Promises:
//
//   - [Apply] is a pure function of a state and a command. It never changes the
//     state it is given; what it refuses it refuses with a [*Refused] that names
//     the rule and says what to do instead.
//   - [Door] is one table over both tracks. What it calls illegal cannot be
//     reached by any sequence of commands, and [CheckInvariants] looks for it.
//   - [Store.Do] is one transaction: the rows that changed and exactly one ledger
//     entry with their after-images, or nothing. What [Store.Current] returns was
//     committed.
//   - No clock ever reconnects anything. [Tick] only warns and escalates.
//   - "Since then" is judged by the order of changes, not by clocks: every row
//     carries the version of the state that wrote it.
//
// The regular system and the emergency path never both accept writes for one
// placement: [Writing] says who may write, under which epoch, and how the side
// before it was proven closed.
package operation
