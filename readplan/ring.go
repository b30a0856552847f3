package readplan

// ring is a list of readers in the order of their last use, linked through the readers.
type ring struct {
	head open // its next is the first, its prev the last
	len  int
}

func (r *ring) init() { r.head.next, r.head.prev = &r.head, &r.head }

// first returns the least recently used; the ring must not be empty.
func (r *ring) first() *open { return r.head.next }

func (r *ring) pushLast(o *open) {
	o.prev, o.next = r.head.prev, &r.head
	o.prev.next, r.head.prev = o, o
	r.len++
}

func (r *ring) remove(o *open) {
	o.prev.next, o.next.prev = o.next, o.prev
	o.prev, o.next = nil, nil
	r.len--
}
