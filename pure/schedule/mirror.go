package schedule

// mirrored is the problem with time running backwards from the horizon: what was
// last comes first. Releases, deadlines and maximal lags are left out, since the
// mirrored plan only serves to order tasks.
func mirrored(p *Problem, m *model) *Problem {
	h := int(m.slots)
	q := &Problem{Horizon: h, Resources: make([]Resource, len(p.Resources)), Tasks: make([]Task, len(p.Tasks)), Links: make([]Link, len(p.Links))}
	for k := range p.Resources {
		c := p.Resources[k].Capacity
		q.Resources[k].Capacity = Sampled(h, func(t int) int { return c.At(h - 1 - t) })
	}
	for i := range p.Tasks {
		t := &p.Tasks[i]
		q.Tasks[i] = Task{Modes: t.Modes, Fixed: t.Fixed, FixedMode: t.FixedMode}
		if t.Fixed {
			q.Tasks[i].FixedAt = max(0, h-int(m.finish[i]))
			q.Tasks[i].FixedUntil = max(0, h-int(m.start[i]))
		}
	}
	for k, l := range p.Links {
		l.From, l.To, l.Bounded = l.To, l.From, false
		switch l.Kind {
		case StartStart:
			l.Kind = FinishFinish
		case FinishFinish:
			l.Kind = StartStart
		case FinishStart, StartFinish:
		}
		q.Links[k] = l
	}
	return q
}
