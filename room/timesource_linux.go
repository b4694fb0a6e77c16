package room

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// timeSource asks the kernel whether a time service keeps the clock, and how far
// it may be off at most (adjtimex(2)). It changes nothing.
func timeSource() (synced bool, off time.Duration, err error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, 0, fmt.Errorf("asking the kernel for its time source: %w", err)
	}
	const staUnsync = 0x40 // STA_UNSYNC, linux/timex.h
	return state != unix.TIME_ERROR && t.Status&staUnsync == 0, (time.Duration(t.Maxerror) * time.Microsecond).Round(time.Millisecond), nil
}
