package schedule

import "slices"

// model is a problem in the form the general solver works on: dense capacities,
// links by task. It is not changed after newModel and may be shared.
type model struct {
	p        *Problem
	n        int
	slots    int32
	capacity []int32 // [resource*slots+slot], pinned tasks taken off
	rows     int
	work     [][]work // [task][mode]
	in       [][]tie  // [task]: links to it
	out      [][]tie  // [task]: links from it
	order    []int32  // topological
	release  []int32
	pinned   []int32 // tasks
	start    []int32 // of pinned tasks
	finish   []int32
	network  network // for orders only: who comes before whom
	bounded  bool    // some link has a maximal lag
}

// work is one mode of a task.
type work struct {
	length int32
	claims []claim
	roster *roster // nil: works through
}

type claim struct {
	row    int32 // resource
	amount int32
}

// tie is a link as one of its tasks sees it.
type tie struct {
	other    int32
	kind     LinkKind
	bounded  bool
	min, max int32
}

// roster is the set of slots in which pausable work of one kind goes on.
type roster struct {
	slot  []int32 // ascending
	index []int32 // index[t]: how many of them lie before t
}

// newModel compiles a validated problem.
func newModel(p *Problem) *model {
	n := len(p.Tasks)
	m := &model{
		p: p, n: n, slots: int32(p.slots()), rows: len(p.Resources),
		work: make([][]work, n), in: make([][]tie, n), out: make([][]tie, n), release: make([]int32, n),
		start: make([]int32, n), finish: make([]int32, n),
	}
	m.capacity = make([]int32, m.rows*int(m.slots))
	for k := range p.Resources {
		spread(p.Resources[k].Capacity, m.row(m.capacity, int32(k)))
	}
	rosters := map[string]*roster{}
	for i := range p.Tasks {
		t := &p.Tasks[i]
		m.release[i] = int32(t.Release)
		for k := range t.Modes {
			m.work[i] = append(m.work[i], m.newWork(&t.Modes[k], rosters))
		}
	}
	dur := make([]int32, n)
	for i := range dur {
		dur[i] = m.shortest(i)
	}
	for _, l := range p.Links {
		t := tie{kind: l.Kind, bounded: l.Bounded, min: int32(l.Min), max: int32(l.Max)}
		t.other = int32(l.From)
		m.in[l.To] = append(m.in[l.To], t)
		t.other = int32(l.To)
		m.out[l.From] = append(m.out[l.From], t)
		m.bounded = m.bounded || l.Bounded
	}
	m.network = newNetwork(n, p.Links, dur, false)
	m.order = m.network.order
	m.pin()
	return m
}

func spread(c Calendar, row []int32) {
	for k, s := range c {
		to := len(row)
		if k+1 < len(c) {
			to = min(to, c[k+1].From)
		}
		for t := s.From; t < to; t++ {
			row[t] = int32(s.Capacity)
		}
	}
}

// row is the part of a profile that belongs to one resource.
func (m *model) row(profile []int32, k int32) []int32 {
	at := int(k) * int(m.slots)
	return profile[at : at+int(m.slots)]
}

func (m *model) newWork(mode *Mode, rosters map[string]*roster) work {
	w := work{length: int32(mode.Duration)}
	var key []byte
	for _, need := range mode.Needs {
		if need.Amount > 0 && max(mode.Duration, mode.High) > 0 {
			c := claim{int32(need.Resource), int32(need.Amount)}
			w.claims = append(w.claims, c)
		}
	}
	if !mode.Pausable || len(w.claims) == 0 {
		return w
	}
	slices.SortFunc(w.claims, func(a, b claim) int { return int(a.row - b.row) })
	for _, c := range w.claims {
		for s := range 4 {
			key = append(key, byte(c.row>>(8*s)), byte(c.amount>>(8*s)))
		}
	}
	r := rosters[string(key)]
	if r == nil {
		r = m.newRoster(w.claims)
		rosters[string(key)] = r
	}
	if len(r.slot) < int(m.slots) {
		w.roster = r
	}
	return w
}

func (m *model) newRoster(claims []claim) *roster {
	r := &roster{index: make([]int32, m.slots+1)}
	for t := range m.slots {
		r.index[t] = int32(len(r.slot))
		open := true
		for _, c := range claims {
			open = open && m.row(m.capacity, c.row)[t] >= c.amount
		}
		if open {
			r.slot = append(r.slot, t)
		}
	}
	r.index[m.slots] = int32(len(r.slot))
	return r
}

func (m *model) shortest(i int) int32 {
	least := m.work[i][0].length
	for _, w := range m.work[i] {
		least = min(least, w.length)
	}
	return least
}

// pin places the pinned tasks and takes what they use off the capacities.
func (m *model) pin() {
	for i := range m.p.Tasks {
		t := &m.p.Tasks[i]
		if !t.Fixed {
			continue
		}
		w := &m.work[i][t.FixedMode]
		m.pinned = append(m.pinned, int32(i))
		m.start[i] = int32(t.FixedAt)
		m.finish[i] = int32(t.FixedUntil)
		if t.FixedUntil == 0 {
			m.finish[i] = w.end(m.start[i])
		}
		w.take(m, m.capacity, m.start[i], m.finish[i])
	}
}

// end is when work that starts at t is done; for pausable work t may be closed.
func (w *work) end(t int32) int32 {
	if w.roster == nil || w.length == 0 {
		return t + w.length
	}
	r := w.roster
	k := r.index[min(int(t), len(r.index)-1)] + w.length - 1
	if int(k) >= len(r.slot) {
		return int32(len(r.index)) // past the horizon
	}
	return r.slot[k] + 1
}

// between counts the slots that work goes on from one slot to another.
func (w *work) between(from, to int) int32 {
	if to <= from {
		return 0
	}
	if w.roster == nil {
		return int32(to - from)
	}
	last := len(w.roster.index) - 1
	return w.roster.index[min(to, last)] - w.roster.index[min(from, last)]
}

// take takes the claims of work from start to finish off a profile.
func (w *work) take(m *model, profile []int32, start, finish int32) {
	finish = min(finish, m.slots)
	for _, c := range w.claims {
		row := m.row(profile, c.row)
		if w.roster == nil {
			for t := start; t < finish; t++ {
				row[t] -= c.amount
			}
			continue
		}
		r := w.roster
		for k := r.index[min(start, finish)]; int(k) < len(r.slot) && r.slot[k] < finish; k++ {
			row[r.slot[k]] -= c.amount
		}
	}
}

// earliest finds the first start from t on at which the work finds all it claims
// in the profile. It returns a negative slot when there is none.
func (w *work) earliest(m *model, profile []int32, t int32) (start, finish int32) {
	if w.length == 0 {
		if t > m.slots {
			return -1, -1
		}
		return t, t
	}
	if w.roster != nil {
		return w.earliestPaused(m, profile, t)
	}
	known := t // nothing before known needs a look
again:
	end := t + w.length
	if end > m.slots {
		return -1, -1
	}
	for k := range w.claims {
		row, amount := m.row(profile, w.claims[k].row), w.claims[k].amount
		for u := end - 1; u >= known; u-- {
			if row[u] < amount {
				for t = u + 1; t < m.slots && row[t] < amount; t++ {
				}
				known = t
				goto again
			}
		}
	}
	return t, end
}

func (w *work) earliestPaused(m *model, profile []int32, t int32) (start, finish int32) {
	r := w.roster
	if t >= m.slots {
		return -1, -1
	}
	k := r.index[t]
again:
	end := k + w.length
	if int(end) > len(r.slot) {
		return -1, -1
	}
	for c := range w.claims {
		row, amount := m.row(profile, w.claims[c].row), w.claims[c].amount
		for u := end - 1; u >= k; u-- {
			if row[r.slot[u]] < amount {
				k = u + 1
				goto again
			}
		}
	}
	return r.slot[k], r.slot[end-1] + 1
}

// startFor is the first start whose work ends at finish or later.
func (w *work) startFor(finish int32) int32 {
	if w.roster == nil || w.length == 0 {
		return finish - w.length
	}
	r := w.roster
	if int(finish) >= len(r.index) {
		return int32(len(r.index)) // past the horizon
	}
	if finish < 1 {
		return 0
	}
	k := r.index[finish-1] - (w.length - 1)
	if k < 0 {
		return 0
	}
	if int(k) >= len(r.slot) {
		return int32(len(r.index))
	}
	return r.slot[k]
}

// fits returns t if work can start exactly there. If not it returns from when on it
// is worth asking again; or, if some resource has nothing left in slot t itself,
// the row of that resource (otherwise -1).
func (w *work) fits(m *model, profile []int32, t int32) (later, row int32) {
	if w.length == 0 {
		return t, -1
	}
	if w.roster != nil {
		r := w.roster
		k := r.index[t]
		if int(k+w.length) > len(r.slot) {
			return m.slots, -1
		}
		if r.slot[k] != t {
			return r.slot[k], -1
		}
	} else if t+w.length > m.slots {
		return m.slots, -1
	}
	for _, c := range w.claims {
		if m.row(profile, c.row)[t] <= 0 {
			return t + 1, c.row
		}
	}
	return w.free(m, profile, t), -1
}

// free returns t if the profile has all that work starting there claims, and
// otherwise the slot behind one that has too little.
func (w *work) free(m *model, profile []int32, t int32) int32 {
	for _, c := range w.claims {
		row := m.row(profile, c.row)
		if w.roster == nil {
			for u := t + w.length - 1; u >= t; u-- {
				if row[u] < c.amount {
					return u + 1
				}
			}
			continue
		}
		r := w.roster
		k := r.index[t]
		for u := k + w.length - 1; u >= k; u-- {
			if row[r.slot[u]] < c.amount {
				return r.slot[u] + 1
			}
		}
	}
	return t
}
