//go:build !race

package kimmail

const raceEnabled = false
