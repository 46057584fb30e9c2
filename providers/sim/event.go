package sim

import (
	"container/heap"
	"time"
)

// event is something that happens at a moment.
type event struct {
	at  time.Time
	seq uint64 // those of one moment happen in the order they were added
	act func()
}

// events is what is yet to happen.
type events struct {
	queue eventHeap
	seq   uint64
}

func (e *events) add(at time.Time, act func()) {
	e.seq++
	heap.Push(&e.queue, event{at: at, seq: e.seq, act: act})
}

// next takes out the first event that is due at now.
func (e *events) next(now time.Time) (event, bool) {
	if len(e.queue) == 0 || e.queue[0].at.After(now) {
		return event{}, false
	}
	return heap.Pop(&e.queue).(event), true
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
