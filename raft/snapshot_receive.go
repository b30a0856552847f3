package raft

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// incoming is a snapshot that a leader sends, or the last one that was sent. Its parts are written one after the other, on a goroutine that lives
// while there are some.
type incoming struct {
	server *server
	accept core.Accept
	before <-chan struct{} // closed when the log's place for a snapshot is free of the one before this; nil for none
	free   chan struct{}   // closed when it is free of this one

	mu      sync.Mutex
	running bool
	closed  bool
	parts   []*snapshotPart
	next    int // chunk that is to come
	chunks  int // of the snapshot, 0 before its header came
	// Owned by whoever works.
	in    *engine.Install
	taken int
}

// accept begins to receive the snapshot that the core accepted.
func (s *server) accept(a core.Accept) {
	in := &incoming{server: s, accept: a, free: make(chan struct{})}
	old := s.incoming.Load()
	if old != nil {
		in.before = old.free
	}
	s.incoming.Store(in)
	if old != nil {
		old.close()
	}
	in.reply(&snapshotReply{})
}

// abortIncoming ends the receiving of a transfer. What arrived is kept for another attempt.
func (s *server) abortIncoming(transfer uint64) {
	if in := s.incoming.Load(); in != nil && in.accept.Transfer == transfer {
		in.reply(&snapshotReply{failed: true})
		in.close()
	}
}

func (in *incoming) reply(r *snapshotReply) {
	r.to, r.transfer = in.accept.From, in.accept.Transfer
	in.server.node.sendSnapshot(in.accept.From.Node, r)
}

// refuse tells the sender that the snapshot is not taken, and whether it may be soon.
func (in *incoming) refuse(err error) {
	in.reply(&snapshotReply{failed: true, busy: errors.Is(err, engine.ErrSnapshotRunning)})
}

// put takes a part from the network.
func (in *incoming) put(p *snapshotPart) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || len(in.parts) > sendCredit {
		return // a sender that exceeds its credit
	}
	in.parts = append(in.parts, p)
	if !in.running {
		in.running = true
		in.server.node.spawn(in.run)
	}
}

func (in *incoming) run() {
	for {
		in.mu.Lock()
		if len(in.parts) == 0 || in.closed {
			in.running = false
			if in.closed {
				in.leaveLocked()
			}
			in.mu.Unlock()
			return
		}
		p := in.parts[0]
		in.parts = in.parts[1:]
		in.mu.Unlock()
		if err := in.take(p); err != nil {
			in.server.node.opts.Logger.Warn("a snapshot cannot be received", "server", in.server.id.String(), "from", in.accept.From.String(), "err", err)
			in.server.mail.put(core.SnapshotFailed{Transfer: in.accept.Transfer})
			in.refuse(err)
			in.close()
		}
	}
}

// close ends the receiving, at once or when whoever works is done.
func (in *incoming) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	again := in.closed
	in.closed = true
	if !in.running && !again {
		in.leaveLocked()
	}
}

// leaveLocked frees the log's place for a snapshot. It comes once, last.
func (in *incoming) leaveLocked() {
	if in.in != nil {
		_ = in.in.Close()
		in.in = nil
	}
	in.parts = nil
	close(in.free)
}

var errTransfer = errors.New("raft: snapshot transfer")

// take writes one part.
func (in *incoming) take(p *snapshotPart) error {
	if p.failed {
		return fmt.Errorf("%w: the sender gave up", errTransfer)
	}
	if p.header != nil {
		return in.begin(p.header)
	}
	if in.in == nil {
		return fmt.Errorf("%w: a part before the header", errTransfer)
	}
	in.taken++
	in.server.count(CounterTransferBytesTaken, p.payload())
	in.server.mail.put(core.SnapshotProgress{Transfer: in.accept.Transfer})
	switch {
	case p.end:
		in.server.mail.put(core.SnapshotReceived{Transfer: in.accept.Transfer})
		return nil
	case len(p.live) > 0:
		if len(p.sums) != len(p.live) {
			return fmt.Errorf("%w: %d entries with %d checksums", errTransfer, len(p.live), len(p.sums))
		}
		if err := in.in.PutLive(p.live, p.sums); err != nil {
			return err
		}
	default:
		if err := in.in.Accept(p.chunk, p.data, p.sum); err != nil {
			return err
		}
	}
	in.progressed(in.in)
	in.reply(&snapshotReply{have: true, parts: in.taken})
	return nil
}

// progressed notes how far it is, for those who look.
func (in *incoming) progressed(i *engine.Install) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.next, in.chunks = i.Next(), i.Chunks()
}

// atWork tells the sender and the core that something is done that takes long but no part: checking what an earlier
// transfer left, or the whole. It is told until stop is called.
func (in *incoming) atWork() (stop func()) {
	n := in.server.node
	every := int64(n.optionsOf(in.server.record).SnapshotTimeout) / 4
	var mu sync.Mutex
	over := false
	a := &alarm{}
	a.ring = func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		in.server.mail.put(core.SnapshotProgress{Transfer: in.accept.Transfer})
		in.reply(&snapshotReply{alive: true})
		n.wheel.set(a, n.now()+every)
	}
	n.wheel.set(a, n.now()+every)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		n.wheel.stop(a)
	}
}

// begin opens the snapshot, or goes on with one that an earlier transfer began. Its live entries are sent again: until it is
// published no record names the files that they stand in, so that what an interrupted transfer left of them is swept like
// what a crash leaves. Beside the chunks they are few as a rule.
func (in *incoming) begin(header []byte) error {
	if in.in != nil {
		return nil // sent twice
	}
	stop := in.atWork()
	if in.before != nil { // it may be checking what it had: this one goes on there
		_, _ = sched.Wait(in.server.node.world, in.before, nil, nil)
	}
	i, err := in.server.log.Install(header)
	stop()
	if err != nil {
		return err
	}
	in.in = i
	in.progressed(i)
	if i.Info().ID != in.accept.Snapshot.ID {
		return fmt.Errorf("%w: it is of %v, offered was %v", errTransfer, i.Info().ID, in.accept.Snapshot.ID)
	}
	in.reply(&snapshotReply{have: true, next: i.Next()})
	return nil
}

// install publishes the snapshot that arrived, in the order of what is applied, and puts a machine that begins
// with it in the place of the old one.
func (s *server) install(meta core.SnapshotMeta, transfer uint64) {
	s.applies.do(func() error {
		in := s.incoming.Load()
		if in == nil || in.accept.Transfer != transfer {
			s.mail.put(core.SnapshotFailed{Transfer: transfer})
			return nil
		}
		in.mu.Lock()
		i := in.in
		in.in = nil
		in.mu.Unlock()
		in.close()
		if i == nil {
			s.mail.put(core.SnapshotFailed{Transfer: transfer})
			return nil
		}
		stop := in.atWork()
		_, err := i.Finish(s.node.ctx)
		stop()
		if err != nil {
			_ = i.Close()
			s.node.opts.Logger.Warn("a snapshot cannot be installed", "server", s.id.String(), "at", uint64(meta.ID.Index), "err", err)
			in.refuse(err)
			s.mail.put(core.SnapshotFailed{Transfer: transfer})
			return nil
		}
		if err := s.applies.replace(); err != nil {
			return err
		}
		in.reply(&snapshotReply{done: true})
		s.figures.snapshot.Store(uint64(meta.ID.Index))
		s.count(CounterSnapshotsInstalled, 1)
		s.mail.put(core.Installed{Snapshot: meta})
		return nil
	})
}

// replace makes a machine of the snapshot that the log begins with now.
func (q *applyQueue) replace() error {
	fresh, err := q.server.newApplier()
	if err != nil {
		return err
	}
	fresh, meta, err := q.server.restore(fresh)
	if err != nil {
		return err
	}
	effects, err := fresh.Installed(q.machine())
	if err != nil {
		return err
	}
	q.restored(fresh, meta)
	q.mu.Lock()
	q.target = max(q.target, q.applied)
	q.mu.Unlock()
	q.effects.carry(effects)
	return nil
}
