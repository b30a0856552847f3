package transport

// itemKind says what is delivered.
type itemKind uint8

const (
	message itemKind = iota
	connected
	disconnected
	ready
)

// item is one thing on its way to a node.
type item[M Message] struct {
	at    int64  // when it is due
	order uint64 // rises with each item of a pair
	epoch uint64
	size  int // bytes that it holds in its outbox
	kind  itemKind
	class Class // of a ready; a message's is that of its queue
	m     M
}

// queue holds items by the time at which they are due. Items are added at its end nearly always.
type queue[M Message] struct {
	items []item[M]
	head  int
}

func (q *queue[M]) len() int { return len(q.items) - q.head }

// first returns the first item; the queue must not be empty.
func (q *queue[M]) first() *item[M] { return &q.items[q.head] }

// push adds an item behind those that are due earlier or, unless first is set, at the same time.
func (q *queue[M]) push(it item[M], first bool) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		q.compact()
	}
	q.items = append(q.items, it)
	i := len(q.items) - 1
	for i > q.head && (q.items[i-1].at > it.at || first && q.items[i-1].at == it.at) {
		q.items[i] = q.items[i-1]
		i--
	}
	q.items[i] = it
}

// pop removes the first item; the queue must not be empty.
func (q *queue[M]) pop() item[M] {
	it := q.items[q.head]
	q.items[q.head] = item[M]{} // the message is not kept alive
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > keep {
			q.items = nil
		}
	}
	return it
}

// drop removes the items of epochs before the given one, ready ones excepted, and returns how many
// were messages.
func (q *queue[M]) drop(epoch uint64) (messages uint64) {
	kept := q.head
	for i := q.head; i < len(q.items); i++ {
		it := &q.items[i]
		if it.kind == ready || it.epoch >= epoch {
			q.items[kept] = *it
			kept++
		} else if it.kind == message {
			messages++
		}
	}
	clear(q.items[kept:])
	q.items = q.items[:kept]
	return messages
}

// keep is the capacity that an empty queue may hold.
const keep = 64

// compact moves the items to the front when that frees at least half of the slice.
func (q *queue[M]) compact() {
	if q.head < len(q.items)/2 {
		return
	}
	n := copy(q.items, q.items[q.head:])
	clear(q.items[n:])
	q.items, q.head = q.items[:n], 0
}
