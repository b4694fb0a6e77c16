package emergency

import "leitstand/pure/seal"

// Public is the newest public key of the Kasse: whoever has it can close bodies
// for the Kasse and open none. Gateways keep it beside their table of doors.
func (j *Journal) Public() *seal.PublicKey { return j.public.Load() }
