// Package room puts one room together: its stores opened, its packages wired,
// and every act of a person by name, so that commands, screens and exercises
// drive the same functions.
//
// It is a package of its own because cmd and exercise both need it and may not
// import each other. It holds no rules: it asks for consent, calls the domain,
// and hands on what the domain refuses.
package room
