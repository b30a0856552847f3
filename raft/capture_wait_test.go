package raft_test

import (
	"io"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// slow is a tally whose views take their time.
type slow struct {
	tally
	began chan struct{} // hears of each view that begins to be written
}

type slowView struct {
	raft.View
	began, gate chan struct{}
}

// Snapshot implements raft.Machine.
func (s *slow) Snapshot() raft.View { return slowView{s.tally.Snapshot(), s.began, s.gate} }

// WriteTo implements raft.View.
func (v slowView) WriteTo(w io.Writer) (int64, error) {
	v.began <- struct{}{}
	<-v.gate
	return v.View.WriteTo(w)
}

// A cursor that is released while another state of the machine is being written is not forgotten: the snapshot is taken behind that, without
// another command.
func TestCursorWaitsForCapture(t *testing.T) {
	for _, first := range [][]byte{cmdRelease, cmdCheck} {
		gate, began := make(chan struct{}), make(chan struct{}, 10)
		h := newHouseWith(t, 1, houseOptions{machines: map[string]func() raft.Machine{
			"slow": func() raft.Machine { return &slow{tally{gate: gate}, began} }}})
		ctx := ctxFor(t)
		h.start(ctx, "c", "slow", 0)
		process := func(command []byte) raft.Index {
			t.Helper()
			r, err := h.nodes[0].Process(ctx, h.id(0, "c"), command, raft.ProcessOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return r.Index
		}
		process(first)
		until(t, ctx, "the first state to be written", func() bool {
			select {
			case <-began:
				return true
			default:
				process(one()) // what is captured has to be durable: a commit here proves it
				return false
			}
		})
		second := process(cmdRelease)
		process(one())
		if at := h.metrics(0, "c").Snapshot; at != 0 {
			t.Errorf("a snapshot at %d beside the one that is written", at)
		}
		close(gate)
		until(t, ctx, "the second snapshot", func() bool { return h.metrics(0, "c").Snapshot >= second })
	}
}

// A promotion that finds a checkpoint being written is carried out behind that, without another command.
func TestPromotionWaitsForCapture(t *testing.T) {
	gate, began := make(chan struct{}), make(chan struct{}, 10)
	h := newHouseWith(t, 1, houseOptions{machines: map[string]func() raft.Machine{
		"slow": func() raft.Machine { return &slow{tally{gate: gate}, began} }}})
	ctx := ctxFor(t)
	h.start(ctx, "c", "slow", 0)
	h.tell(ctx, 0, "c", cmdCheck)
	<-began
	gate <- struct{}{}
	until(t, ctx, "a checkpoint", func() bool { return h.metrics(0, "c").Counters[raft.CounterCheckpoints] == 1 })
	h.tell(ctx, 0, "c", cmdCheck)
	<-began
	h.tell(ctx, 0, "c", cmdPromote)
	if at := h.metrics(0, "c").Snapshot; at != 0 {
		t.Errorf("a snapshot at %d beside the checkpoint that is written", at)
	}
	if running, again := h.nodes[0].Captures("c"); running != 1 || again != 0 {
		t.Errorf("%d captures run, %d are to be tried again", running, again)
	}
	close(gate)
	until(t, ctx, "the promotion", func() bool { return h.metrics(0, "c").Snapshot > 0 })
	if c := h.metrics(0, "c").Counters; c[raft.CounterPromotions] != 1 || c[raft.CounterCheckpoints] != 2 {
		t.Errorf("counters are %v", c)
	}
}
