package wal

// fifo is a queue in a slice. It allocates only while it grows to the longest it has been.
type fifo[T any] struct {
	items []T
	head  int // items[:head] are taken
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) {
	if len(q.items) == cap(q.items) && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// first returns the oldest item; the queue is not empty.
func (q *fifo[T]) first() *T { return &q.items[q.head] }

// drop removes the oldest item; the queue is not empty.
func (q *fifo[T]) drop() {
	var zero T
	q.items[q.head] = zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
}

// pop removes and returns the oldest item; the queue is not empty.
func (q *fifo[T]) pop() T {
	v := *q.first()
	q.drop()
	return v
}

// tail returns the youngest item, nil when the queue is empty.
func (q *fifo[T]) tail() *T {
	if q.len() == 0 {
		return nil
	}
	return &q.items[len(q.items)-1]
}
