package catalogue

import "slices"

// pricer tells what it costs when a few nodes are gone, again and again, at the
// cost of what falls with them only. It is for one goroutine.
type pricer struct {
	g      *graph
	works  []truth // the situation, between runs
	fallen []int32 // nodes lowered in this run, with their value before
	former []truth
	queue  []int32

	cellOf   []int32   // by placement
	cellLeft []int32   // placements that still run, by cell
	cellCost []float64 // weight × insured
	cells    []cellKey
}

func newPricer(g *graph, situation fall) *pricer {
	p := &pricer{g: g, works: situation.works, cellOf: make([]int32, len(g.c.Placements))}
	x := g.c.index()
	number := map[cellKey]int32{}
	for i := range g.c.Placements {
		q := &g.c.Placements[i]
		k := cellKey{q.Kasse, q.Service}
		n, known := number[k]
		if !known {
			n = int32(len(p.cells))
			number[k] = n
			p.cells = append(p.cells, k)
			p.cellLeft = append(p.cellLeft, 0)
			cost := 0.0
			if kasse, s := x.kassen[string(k.kasse)], x.services[k.service]; kasse != nil && s != nil {
				cost = s.Weight * float64(kasse.Insured)
			}
			p.cellCost = append(p.cellCost, cost)
		}
		p.cellOf[i] = n
		if p.works[int(g.components)+i] > no {
			p.cellLeft[n]++
		}
	}
	return p
}

// gone lets the nodes fall; undo must follow before the next run.
func (p *pricer) gone(nodes ...int32) {
	for _, i := range nodes {
		p.lower(i, no)
	}
	for len(p.queue) > 0 {
		i := p.queue[len(p.queue)-1]
		p.queue = p.queue[:len(p.queue)-1]
		for _, j := range p.g.hard[i] {
			if p.works[j] > no {
				p.lower(j, p.g.needs[j].eval(p.works))
			}
		}
	}
}

func (p *pricer) lower(i int32, v truth) {
	if v >= p.works[i] {
		return
	}
	p.fallen, p.former = append(p.fallen, i), append(p.former, p.works[i])
	p.works[i] = v
	p.queue = append(p.queue, i)
	if q := i - p.g.components; v == no && q >= 0 {
		p.cellLeft[p.cellOf[q]]--
	}
}

// cost is weight × insured of the cells that stopped in this run.
func (p *pricer) cost() float64 {
	sum := 0.0
	p.stopped(func(cell int32) { sum += p.cellCost[cell] })
	return sum
}

// stopped visits each cell that stopped in this run once.
func (p *pricer) stopped(visit func(cell int32)) {
	for _, i := range p.fallen {
		q := i - p.g.components
		if q < 0 || p.works[i] > no {
			continue
		}
		if n := p.cellOf[q]; p.cellLeft[n] == 0 {
			p.cellLeft[n] = -1 // counted
			visit(n)
		}
	}
	for _, i := range p.fallen {
		if q := i - p.g.components; q >= 0 && p.cellLeft[p.cellOf[q]] == -1 {
			p.cellLeft[p.cellOf[q]] = 0
		}
	}
}

func (p *pricer) undo() {
	for k, i := range slices.Backward(p.fallen) {
		if q := i - p.g.components; p.works[i] == no && q >= 0 {
			p.cellLeft[p.cellOf[q]]++
		}
		p.works[i] = p.former[k]
	}
	p.fallen, p.former = p.fallen[:0], p.former[:0]
}
