package room

import "time"

// TrustSilence makes the room take every silent gateway for one that has stopped:
// what the lease is there to prevent. For the control of the test with two nodes.
func (d *Doors) TrustSilence() { d.watch.Margin = -time.Hour }
