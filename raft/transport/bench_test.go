package transport

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// counter is a receiver that counts.
type counter struct{ letters atomic.Int64 }

func (c *counter) Receive(NodeID, Class, uint64, *letter) { c.letters.Add(1) }
func (c *counter) Event(Event)                            {}

func benchNetwork(b *testing.B, nodes int, stepped bool, now func() int64) (*Network[*letter], []*Endpoint[*letter], *counter) {
	n, err := New[*letter](Options{Now: now, Stepped: stepped, Outbox: [Classes]int{Log: 1 << 30}})
	if err != nil {
		b.Fatal(err)
	}
	c := &counter{}
	var ends []*Endpoint[*letter]
	for i := range nodes {
		e, err := n.Join(fmt.Sprintf("node-%d", i), c)
		if err != nil {
			b.Fatal(err)
		}
		ends = append(ends, e)
	}
	return n, ends, c
}

// BenchmarkProduction sends from one node to 1 and to 1,000 others.
func BenchmarkProduction(b *testing.B) {
	for _, peers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("peers=%d", peers), func(b *testing.B) {
			start := time.Now()
			n, ends, c := benchNetwork(b, peers+1, false, func() int64 { return int64(time.Since(start)) })
			m := &letter{bytes: 300}
			to := make([]NodeID, peers)
			for i := range to {
				to[i] = ends[i+1].node.id
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := ends[0].Send(to[i%peers], Log, m); err != nil {
					b.Fatal(err)
				}
			}
			n.drains.Wait()
			if int(c.letters.Load()) != b.N {
				b.Fatalf("%d of %d arrived", c.letters.Load(), b.N)
			}
		})
	}
}

// BenchmarkStepped is one message of a simulation in which a node talks to 1,000 others over slow links.
func BenchmarkStepped(b *testing.B) {
	now := int64(0)
	n, ends, c := benchNetwork(b, 1001, true, func() int64 { return now })
	if err := n.SetRules(Rule{DelayMin: time.Millisecond, DelayMax: 2 * time.Millisecond}); err != nil {
		b.Fatal(err)
	}
	m := &letter{bytes: 300}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := ends[0].Send(ends[1+i%1000].node.id, Log, m); err != nil {
			b.Fatal(err)
		}
		now += 1000
		for n.Step() {
		}
	}
	if c.letters.Load() == 0 {
		b.Fatal("nothing arrived")
	}
}
