package schedule

import "math"

// luck draws what a plan takes for granted: durations, and whether tests pass. It
// serves one goroutine.
type luck struct {
	p      *Problem
	r      *rng
	testOf []int32 // per task: the loop it decides, or -1
	body   [][]int32
	rounds []int32
	again  []int32
	least  []int32 // per task: it has been under way for so long already
}

func newLuck(p *Problem) *luck {
	l := &luck{p: p, testOf: make([]int32, len(p.Tasks)), rounds: make([]int32, len(p.Loops)), least: make([]int32, len(p.Tasks))}
	for i := range l.testOf {
		l.testOf[i] = -1
	}
	for k, loop := range p.Loops {
		l.testOf[loop.Test] = int32(k)
		var body []int32
		for _, i := range loop.Body {
			body = append(body, int32(i))
		}
		l.body = append(l.body, body)
	}
	return l
}

// begin starts a run: all durations are drawn and no test has failed yet.
func (l *luck) begin(b *builder, seed uint64) {
	l.r = newRNG(seed)
	clear(l.rounds)
	for i := range l.p.Tasks {
		l.draw(b, int32(i))
	}
	for i, least := range l.least {
		for k := range b.work[i] {
			b.work[i][k].length = max(b.work[i][k].length, least)
		}
	}
}

// draw draws the durations of all modes of a task.
func (l *luck) draw(b *builder, i int32) {
	for k := range l.p.Tasks[i].Modes {
		b.work[i][k].length = l.duration(&l.p.Tasks[i].Modes[k])
	}
}

// duration draws from the triangle between Low and High with its top at Duration,
// rounded to whole slots.
func (l *luck) duration(m *Mode) int32 {
	if m.Low == 0 && m.High == 0 || m.Low == m.High {
		return int32(m.Duration)
	}
	low, mode, high := float64(m.Low), float64(m.Duration), float64(m.High)
	u := l.r.unit()
	span := high - low
	var x float64
	if up := (mode - low) / span; u < up {
		x = low + math.Sqrt(float64(u*span)*(mode-low))
	} else {
		x = high - math.Sqrt(float64((1-u)*span)*(high-mode))
	}
	return int32(math.Round(x))
}

// fails decides the test of a loop.
func (l *luck) fails(loop int32) bool {
	k := &l.p.Loops[loop]
	if int(l.rounds[loop]) >= k.Most || l.r.unit() >= k.Probability {
		return false
	}
	l.rounds[loop]++
	return true
}
