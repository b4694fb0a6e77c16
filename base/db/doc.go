// Package db opens the stores that everything of a room lives in: SQLite files
// in one data directory, or schemas of one PostgreSQL database.
//
// Promises:
//
//   - A [DB.Write] that returned nil is durable: on SQLite the write-ahead log
//     was synced (synchronous=FULL), on PostgreSQL the commit was acknowledged.
//   - A Write that returned an error changed nothing, with one exception that the
//     error names ([ErrUnknown]): the commit itself failed, and only a fresh look
//     can tell. Callers repeat idempotently or ask a person.
//   - Writes of one store never run at the same time, in this process or another:
//     one goroutine commits up to 256 of them together, each in a savepoint of its
//     own, and PostgreSQL serialises processes by an advisory lock.
//   - Reads see committed data only and never wait for writers.
//
// SQL is the common subset of both engines: $1 in order of first use, returning,
// on conflict, with recursive; ids are text made by us, times bigint microseconds.
package db
