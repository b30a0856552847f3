package fallback

import "github.com/rawl-db/rawl/internal/vfs"

// none ends a list.
const none = -1

// node holds one operation from Submit to Reap. Nodes live in one array and refer to each
// other by position, so that moving them between lists allocates nothing.
type node struct {
	op *vfs.Op
	// behind is the next operation of the same chain, or none.
	behind int32
	// next is the next element of the list this node is in. Of a chain only the first
	// node is in a list until the chain has run.
	next int32
}

// list is a queue of nodes, first in first out.
type list struct {
	first, last int32
	length      int
}

func emptyList() list { return list{first: none, last: none} }

func (l *list) push(nodes []node, i int32) {
	nodes[i].next = none
	if l.length == 0 {
		l.first = i
	} else {
		nodes[l.last].next = i
	}
	l.last = i
	l.length++
}

// pop removes the first node of a list that is not empty.
func (l *list) pop(nodes []node) int32 {
	i := l.first
	l.first = nodes[i].next
	l.length--
	return i
}

// append moves all of m to the end of l.
func (l *list) append(nodes []node, m *list) {
	if m.length == 0 {
		return
	}
	if l.length == 0 {
		l.first = m.first
	} else {
		nodes[l.last].next = m.first
	}
	l.last = m.last
	l.length += m.length
	*m = emptyList()
}
