package logbus

import (
	"cmp"
	"container/heap"
	"math"
)

// merge puts the observations of all log partitions into one order: by key,
// then by log partition, then by place in it. It gives one away only when every
// log partition has promised that nothing before it comes any more. The order
// follows from the log alone, not from which worker was faster: whoever reads
// the same log, after whatever interruption, counts in the same order.
type merge struct {
	marks []int64 // promises, by log partition
	last  []place // by log partition: what came; anything up to it has come already
	heap  itemHeap
}

// item is an observation that waits, with the name of its correlation.
type item struct {
	Observed observed `json:"o"`
	Name     string   `json:"n"`
	From     int      `json:"p"`
}

func newMerge(partitions int) *merge {
	return &merge{marks: make([]int64, partitions), last: make([]place, partitions)}
}

// add takes a message and returns how many observations in it had come before.
func (m *merge) add(b batch) (again int) {
	for _, o := range b.Items {
		if o.compare(m.last[b.From]) <= 0 {
			again++
			continue
		}
		m.last[b.From] = o.place
		heap.Push(&m.heap, item{o, b.Names[o.Name], b.From})
	}
	m.marks[b.From] = max(m.marks[b.From], b.Mark)
	return again
}

// safe is the time before which nothing comes any more.
func (m *merge) safe() int64 {
	low := int64(math.MaxInt64)
	for _, mark := range m.marks {
		low = min(low, mark)
	}
	return low
}

// pop gives the next observation, if it is its turn, or if it must not wait.
func (m *merge) pop(now bool) (item, bool) {
	if len(m.heap) == 0 || !now && m.heap[0].Observed.Key >= m.safe() {
		return item{}, false
	}
	return heap.Pop(&m.heap).(item), true //nolint:forcetypeassert,errcheck // only item is pushed
}

type itemHeap []item

func (h itemHeap) Len() int { return len(h) }

func (h itemHeap) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	return cmp.Or(cmp.Compare(a.Observed.Key, b.Observed.Key), cmp.Compare(a.From, b.From), a.Observed.compare(b.Observed.place)) < 0
}

func (h itemHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *itemHeap) Push(x any)   { *h = append(*h, x.(item)) } //nolint:forcetypeassert,errcheck // only item is pushed
func (h *itemHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
