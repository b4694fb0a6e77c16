// Package sicknote keeps the intake of electronic sick notes (eAU) alive while a
// Kasse's regular systems are cut off: it fetches KIM mail by POP3, keeps it,
// reads it, answers employers, and never rejects by accident.
//
// Promises:
//
//   - A mail is deleted on the server only after its raw bytes are durable in the
//     Kasse's journal, sealed. Cut at any point, it is there or here, never
//     nowhere; fetched twice, it is recognised by UIDL and hash and stored once.
//   - Fetching obeys the door: nothing is fetched, let alone deleted, unless the
//     placement is in emergency operation, and every stored batch checks the
//     epoch in its own transaction.
//   - One slow or broken mailbox delays no other. A mailbox that fails is tried
//     again after growing pauses.
//   - Nobody is told that a mail was faulty unless two people released that
//     answer. What cannot be read or looks faulty is held with a reason, an owner
//     and a deadline, and is handed over with its reason.
//   - The mailbox is the addressee: a bundle that names another payer is reported
//     and kept all the same.
//   - Answers to employers hold no diagnosis and no doctor: the index they are
//     made from does not have them.
//
// Norms: RFC 1939 (POP3), 2449 (CAPA), 2595 (STLS), 8314 (POP3S); Technische
// Anlage zur eAU of the KBV, chapters 4, 5 and 7; § 109 SGB IV for employers.
package sicknote
