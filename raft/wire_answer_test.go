package raft

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// TestOperationOfLaterCode: who asks for what this code does not know is told so, and does not wait.
func TestOperationOfLaterCode(t *testing.T) {
	for _, name := range []string{"request of later code", "request command of later code"} {
		p, err := packetCodec{}.Decode(goldenPackets(t)[name], alpha, beta)
		if err != nil {
			t.Fatal(name, err)
		}
		if err := (&Node{}).authorize(alpha, p.(*request)); !errors.Is(err, ErrUnknownFormat) || errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnswerOfAnother: only the node that was asked answers, any one where any may.
func TestAnswerOfAnother(t *testing.T) {
	s, _ := heldServer(t, NodeOptions{})
	for _, c := range []struct {
		asked, from NodeID
		heard       bool
	}{{alpha, alpha, true}, {alpha, beta, false}, {"", beta, true}} {
		answers := make(chan answer, 2)
		id := s.node.number()
		s.node.calls.Store(id, &outstanding{node: c.asked, done: func(a answer) { answers <- a }})
		for range 2 {
			(*receiver)(s.node).Receive(c.from, 0, 1, &response{id: id})
		}
		if heard := len(answers); heard > 1 || heard == 1 != c.heard {
			t.Errorf("asked %q, answered by %q: %d answers", c.asked, c.from, heard)
		}
		s.node.calls.Delete(id)
	}
}

// TestAnswerOfAnotherType: a node that answers something else than it was asked for is an error, not a panic.
func TestAnswerOfAnotherType(t *testing.T) {
	for _, v := range []any{nil, 7, core.Identity{}} {
		if _, err := valueOf[core.Configuration](&answer{any: v}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%T: %v", v, err)
		}
	}
	if c, err := valueOf[core.Configuration](&answer{any: core.Configuration{Epoch: 3}}); err != nil || c.Epoch != 3 {
		t.Error(c, err)
	}
}
