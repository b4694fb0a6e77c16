//go:build !race

package exercise

const raceEnabled = false
