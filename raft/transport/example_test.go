package transport_test

import (
	"fmt"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// text is a message.
type text string

// Size is transport.Message.
func (t text) Size() int { return len(t) }

// printer prints what reaches a node.
type printer struct{ id transport.NodeID }

// Receive is transport.Receiver.
func (p printer) Receive(from transport.NodeID, _ transport.Class, epoch uint64, m text) {
	fmt.Printf("%s: %s says %q in epoch %d\n", p.id, from, m, epoch)
}

// Event is transport.Receiver.
func (p printer) Event(e transport.Event) {
	fmt.Printf("%s: %s %v, epoch %d\n", p.id, e.Peer, e.Kind, e.Epoch)
}

// Two nodes on a network with delays; the link fails once.
func ExampleNetwork() {
	var now int64
	n, err := transport.New[text](transport.Options{Seed: 7, Stepped: true, Now: func() int64 { return now }})
	if err != nil {
		panic(err)
	}
	paris, _ := n.Join("paris", printer{"paris"})
	_, _ = n.Join("rome", printer{"rome"})
	_ = n.SetRules(transport.Rule{DelayMin: time.Millisecond, DelayMax: 2 * time.Millisecond})
	run := func() {
		for at, ok := n.Next(); ok; at, ok = n.Next() {
			now = max(now, at)
			n.Step()
		}
	}
	_ = paris.Send("rome", transport.Control, "hello")
	run()
	_ = n.Cut([]transport.NodeID{"paris"}, []transport.NodeID{"rome"})
	_ = paris.Send("rome", transport.Control, "into the void")
	run()
	n.HealAll()
	fmt.Println("healed")
	_ = paris.Send("rome", transport.Control, "hello again")
	run()
	// Unordered output:
	// paris: rome connected, epoch 1
	// rome: paris connected, epoch 1
	// rome: paris says "hello" in epoch 1
	// healed
	// paris: rome disconnected, epoch 1
	// paris: rome connected, epoch 2
	// rome: paris disconnected, epoch 1
	// rome: paris connected, epoch 2
	// rome: paris says "hello again" in epoch 2
}
