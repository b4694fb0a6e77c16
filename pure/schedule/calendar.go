package schedule

import (
	"fmt"
	"sort"
)

// maxCapacity bounds amounts and capacities, so that sums stay far from overflow.
const maxCapacity = 1 << 24

// Calendar is the capacity of a resource over time: a step function. Before the
// first step the capacity is zero; the last step holds for ever.
type Calendar []Step

// Step says that from slot From on there are Capacity units.
type Step struct {
	From     int
	Capacity int
}

// Always is a calendar that never changes.
func Always(capacity int) Calendar { return Calendar{{0, capacity}} }

// Sampled is the calendar that at gives slot by slot up to the horizon; afterwards
// its last value holds. With at asking a wall clock it draws shifts, nights,
// weekends, holidays and the change of summer time.
func Sampled(horizon int, at func(slot int) int) Calendar {
	var c Calendar
	for t := range horizon {
		if v := at(t); len(c) == 0 || c[len(c)-1].Capacity != v {
			c = append(c, Step{t, v})
		}
	}
	return c
}

// Shift is a span of slots within a week, From included, To not.
type Shift struct {
	From, To int
	Capacity int
}

// Weekly repeats shifts every week up to the horizon; where they overlap their
// capacities add up. offset is the slot of the week in which slot 0 lies.
func Weekly(horizon, slotsPerWeek, offset int, shifts ...Shift) Calendar {
	week := make([]int, max(1, slotsPerWeek))
	for _, s := range shifts {
		for t := max(0, s.From); t < min(s.To, len(week)); t++ {
			week[t] += s.Capacity
		}
	}
	return Sampled(horizon, func(slot int) int { return week[(slot+offset)%len(week)] })
}

// At is the capacity in a slot.
func (c Calendar) At(slot int) int {
	k := sort.Search(len(c), func(i int) bool { return c[i].From > slot })
	if k == 0 {
		return 0
	}
	return c[k-1].Capacity
}

func (c Calendar) lastStep() int {
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1].From
}

func (c Calendar) highest() int {
	most := 0
	for _, s := range c {
		most = max(most, s.Capacity)
	}
	return most
}

func (c Calendar) validate() error {
	for k, s := range c {
		if s.From < 0 || s.From > MaxHorizon || s.Capacity < 0 || s.Capacity > maxCapacity || k > 0 && s.From <= c[k-1].From {
			return fmt.Errorf("calendar step %d: %d from slot %d", k, s.Capacity, s.From)
		}
	}
	return nil
}
