package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/raft"
)

// Names of the registered queries. They travel between nodes.
const (
	queryGet    = "get"
	queryList   = "list"
	queryStatus = "status" // of the node, not of the machine
)

// Bounds of a list.
const (
	maxList      = 1000
	maxListBytes = 512 << 10 // of keys and values; one item is always there
)

// errQuery says that a machine was asked what it does not understand, or answered so.
var errQuery = errors.New("kv: malformed query")

// got is the answer to a get: the item, if there is one, and how far the machine was.
type got struct {
	Found bool
	Item  item
	Index raft.Index // the last command that was applied
}

func getQuery(m raft.Machine, arg []byte) ([]byte, error) {
	s, ok := m.(*store)
	if !ok {
		return nil, errQuery
	}
	b := binary.AppendUvarint(nil, uint64(s.applied))
	if i := s.keys.get(string(arg)); i != nil {
		b = appendItem(append(b, 1), i)
	} else {
		b = append(b, 0)
	}
	return b, nil
}

func decodeGot(b []byte) (g got, err error) {
	d := decoder{rest: b}
	g.Index = raft.Index(d.uvarint())
	if g.Found = d.byte() == 1; g.Found {
		g.Item = d.item()
	}
	if d.want(len(d.rest) == 0); d.bad {
		return got{}, errQuery
	}
	return g, nil
}

func appendItem(b []byte, i *item) []byte {
	b = binary.AppendUvarint(appendText(b, i.Key), uint64(i.Version))
	return appendText(b, i.Value)
}

func (d *decoder) item() item {
	return item{Key: string(d.key()), Version: raft.Index(d.uvarint()), Value: d.text(maxValue)}
}

// listing asks for keys, at most Limit, and with Values for what they hold.
type listing struct {
	Prefix, After string
	Limit         uint64
	Values        bool
}

func (l listing) encode() []byte {
	b := binary.AppendUvarint(appendText(appendText(nil, l.Prefix), l.After), l.Limit)
	if l.Values {
		return append(b, 1)
	}
	return append(b, 0)
}

// listed is the answer to a listing.
type listed struct {
	Index raft.Index
	More  bool // there are keys behind the last one
	Items []item
}

func listQuery(m raft.Machine, arg []byte) ([]byte, error) {
	d := decoder{rest: arg}
	l := listing{Prefix: string(d.text(maxKey)), After: string(d.text(maxKey)), Limit: d.uvarint(), Values: d.byte() == 1}
	d.want(len(d.rest) == 0 && l.Limit <= maxList)
	s, ok := m.(*store)
	if d.bad || !ok {
		return nil, fmt.Errorf("%w: list", errQuery)
	}
	var items []byte
	count, more := uint64(0), byte(0)
	s.keys.ascendPrefix(l.Prefix, l.After, func(i *item) bool {
		one := *i
		if !l.Values {
			one.Value = nil
		}
		if count == l.Limit || count > 0 && len(items)+len(one.Key)+len(one.Value) > maxListBytes {
			more = 1
			return false
		}
		items = appendItem(items, &one)
		count++
		return true
	})
	b := append(binary.AppendUvarint(nil, uint64(s.applied)), more)
	return append(b, items...), nil
}

func decodeListed(b []byte) (l listed, err error) {
	d := decoder{rest: b}
	l.Index, l.More = raft.Index(d.uvarint()), d.byte() == 1
	for len(d.rest) > 0 {
		l.Items = append(l.Items, d.item())
	}
	if d.bad {
		return listed{}, errQuery
	}
	return l, nil
}
