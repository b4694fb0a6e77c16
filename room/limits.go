package room

import (
	"cmp"
	"time"
)

// ConfigFile is the name of a room's configuration file in its data directory.
// Programs read it; this package only keeps it with the room.
const ConfigFile = "leitstand.yaml"

// Limits say when the room warns: before anything stops.
type Limits struct {
	DiskFree      int64         // bytes free below which it warns; a tenth of it is bad
	DiskDays      int           // days until the disk is full at its present growth; a seventh of it is bad
	Backup        time.Duration // age of the newest backup; seven times as old is bad
	Restore       time.Duration // age of the last tested restore
	Certificate   time.Duration // until a certificate ends; a quarter of it is bad
	OutboxAge     time.Duration // how long something may wait for being sent
	WitnessAge    time.Duration // age of the newest head that a witness keeps
	PeoplePerRole int           // with fewer nobody can be on duty day and night
}

// withDefaults fills what is zero.
func (l Limits) withDefaults() Limits {
	const day = 24 * time.Hour
	return Limits{
		DiskFree: cmp.Or(l.DiskFree, 10_000_000_000), DiskDays: cmp.Or(l.DiskDays, 14),
		Backup: cmp.Or(l.Backup, day), Restore: cmp.Or(l.Restore, 90*day), Certificate: cmp.Or(l.Certificate, 30*day),
		OutboxAge: cmp.Or(l.OutboxAge, 15*time.Minute), WitnessAge: cmp.Or(l.WitnessAge, day),
		PeoplePerRole: cmp.Or(l.PeoplePerRole, 2),
	}
}
