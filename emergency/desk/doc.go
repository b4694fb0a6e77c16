// Package desk is what emergency services have in common that take requests over HTTP:
// who asks, under which right, how it is kept and how it is answered.
//
// Promises: a request is kept, durably and sealed, before it is answered with 202; what
// is our fault is answered 503 and may be sent again under the same id, which names the
// same item for ever; a 4xx is given only for what the sender can put right, and names the
// field. No answer and no log holds what an item says about a person.
package desk
