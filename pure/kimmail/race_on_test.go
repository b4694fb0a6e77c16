//go:build race

package kimmail

// raceEnabled: the detector slows Go code down and not the assembly of math/big.
const raceEnabled = true
