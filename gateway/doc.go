// Package gateway stands at the doors: a reverse proxy that does for every
// request what the state of its placement asks for.
//
// Promises:
//
//   - A request is served entirely by the side it started on; a change of table
//     never switches it half-way.
//   - [Gateway.Obeyed] names a door only when no request that started under an
//     older one is still under way. Until then the losing side is not closed.
//   - The table comes from memory and is kept in a file ([Save]): the gateway
//     starts and serves without any database. A damaged file is an error; the
//     gateway never guesses.
//   - What is our fault is never answered with a 4xx: people get 503 with
//     Retry-After and plain words, or 202 when their request was stored durably.
package gateway
