// Package logbus lets several worker processes share the early warning of a
// large installation over a log bus (NATS JetStream), with right correlations.
//
//	senders ─ LOG, by partition ─> worker: single events ─┬─ hits ──────────────────────> HIT ─> room ─> signals
//	                                                      └─ OBS, by partition of group ─> worker: correlations ─ hits ─┘
//
// Promises:
//   - A correlation finds what one process would find, however many workers
//     there are and however often one of them is killed. Observations are put in
//     one order, that of their time, before they are counted, and this order
//     follows from the log alone (see merge).
//   - Nothing is lost and nothing is signalled twice. What a worker reads is
//     passed on before its place is noted; what is passed on twice after a
//     takeover carries the same number and is dropped; a hit has the same id
//     each time, and the room notes ids in the transaction that raises the signal.
//   - A worker that was taken for dead and is not cannot do harm: its notes are
//     compare-and-set against a revision that has moved on.
//   - Nobody's clock decides who owns a partition: a lease is over when it was
//     not renewed for a while by the watch of the one who takes it.
//
// The bus carries; it is not the only holder of anything acknowledged. Logs
// are acknowledged by the bus with the durability its operator chose (docs/warning.md);
// signals lie in the room.
package logbus
