package schedule

import "fmt"

// topological orders tasks so that From comes before To in every link, lower
// numbers first among equals. It says false when links form a circle.
func topological(n int, links []Link) ([]int32, bool) {
	succ := make([][]int32, n)
	waits := make([]int32, n)
	for _, l := range links {
		succ[l.From] = append(succ[l.From], int32(l.To))
		waits[l.To]++
	}
	order := make([]int32, 0, n)
	ready := &intHeap{}
	for i := range n {
		if waits[i] == 0 {
			ready.push(int32(i))
		}
	}
	for len(*ready) > 0 {
		i := ready.pop()
		order = append(order, i)
		for _, j := range succ[i] {
			if waits[j]--; waits[j] == 0 {
				ready.push(j)
			}
		}
	}
	return order, len(order) == n
}

// circle names one task that lies on a circle of links.
func (p *Problem) circle() string {
	order, _ := topological(len(p.Tasks), p.Links)
	done := make([]bool, len(p.Tasks))
	for _, i := range order {
		done[i] = true
	}
	// Whoever is not done waits for someone not done: walking back must meet itself.
	waitsFor := make([]int, len(p.Tasks))
	for _, l := range p.Links {
		if !done[l.From] && !done[l.To] {
			waitsFor[l.To] = l.From
		}
	}
	for i := range p.Tasks {
		if done[i] {
			continue
		}
		for range p.Tasks {
			i = waitsFor[i]
		}
		return fmt.Sprintf("task %d %q", i, p.Tasks[i].ID)
	}
	return "no task"
}
