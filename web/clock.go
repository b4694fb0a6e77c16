package web

import (
	"context"
	"time"

	"leitstand/room"
)

// clockWords says how the clock last jumped, empty while there is nothing to deal with.
func (s *server) clockWords(ctx context.Context) string {
	jumps, err := s.room.ClockJumps(ctx)
	if err != nil || len(jumps) == 0 {
		return "" // a page is not refused because of its clock; the doctor says what is wrong
	}
	return s.jumpWords(jumps[0])
}

func (s *server) jumpWords(j room.ClockJump) string {
	way := "vor"
	if j.Seconds < 0 {
		way = "zurück"
	}
	return "um " + far(time.Duration(j.Seconds*float64(time.Second))) + " " + way + ", auf " + s.moment(j.At, j.At).Abs
}

// far is a length of time, to the second below a minute.
func far(d time.Duration) string {
	if d = d.Abs(); d < time.Minute {
		return d.Round(time.Second).String()
	}
	return span(d)
}
