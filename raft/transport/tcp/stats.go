package tcp

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// Stats counts what a transport has done since Join.
type Stats struct {
	// Sent messages were taken by Send, Refused ones not; Lost ones were taken and ended with their connection or an attempt at
	// one, Unsendable ones have no bytes, or too many. Delivered ones were handed to the Receiver.
	Sent, Refused, Lost, Unsendable, Delivered uint64
	// LogBytes and BulkBytes were written to main and bulk connections, framing included and TLS not.
	LogBytes, BulkBytes uint64
	// Dialed TCP connections were begun by this node, Accepted by others. Failed attempts came to no connection; Connections were
	// made by either side.
	Dialed, Accepted, Failed, Connections uint64
	// What was wrong with others' connections, each of which has ended: too many in their handshake; handshakes malformed, of
	// another version, with another cookie, for another node, of somebody who is not who it says, of an earlier life; frames too
	// long, damaged, out of their turn, of a wrong class, without a message; bytes that nobody took in time.
	Crowded, Malformed, Version, Cookie, Receiver, Identity, Outdated uint64
	TooLong, Damaged, OutOfTurn, WrongClass, Undecoded, TimedOut      uint64
}

// counters are what Stats copies.
type counters struct {
	sent, refused, lost, unsendable, delivered                        atomic.Uint64
	logBytes, bulkBytes                                               atomic.Uint64
	dialed, accepted, failed, connections                             atomic.Uint64
	crowded, malformed, version, cookie, receiver, identity, outdated atomic.Uint64
	tooLong, damaged, outOfTurn, wrongClass, undecoded, timedOut      atomic.Uint64
}

// Stats returns the counts. Any goroutine may call it.
func (t *Transport[M]) Stats() Stats {
	c := &t.stats
	return Stats{
		Sent: c.sent.Load(), Refused: c.refused.Load(), Lost: c.lost.Load(), Unsendable: c.unsendable.Load(), Delivered: c.delivered.Load(),
		LogBytes: c.logBytes.Load(), BulkBytes: c.bulkBytes.Load(),
		Dialed: c.dialed.Load(), Accepted: c.accepted.Load(), Failed: c.failed.Load(), Connections: c.connections.Load(),
		Crowded: c.crowded.Load(), Malformed: c.malformed.Load(), Version: c.version.Load(), Cookie: c.cookie.Load(),
		Receiver: c.receiver.Load(), Identity: c.identity.Load(), Outdated: c.outdated.Load(),
		TooLong: c.tooLong.Load(), Damaged: c.damaged.Load(), OutOfTurn: c.outOfTurn.Load(), WrongClass: c.wrongClass.Load(),
		Undecoded: c.undecoded.Load(), TimedOut: c.timedOut.Load(),
	}
}

// wrote counts bytes of a stream, which its first class tells.
func (c *counters) wrote(first transport.Class, n int) {
	if first == transport.Snapshot {
		c.bulkBytes.Add(uint64(n))
		return
	}
	c.logBytes.Add(uint64(n))
}

// note counts why a connection was refused or has ended.
func (c *counters) note(err error) {
	for _, x := range []struct {
		err   error
		count *atomic.Uint64
	}{
		{errMalformed, &c.malformed}, {errVersion, &c.version}, {errCookie, &c.cookie}, {errReceiver, &c.receiver},
		{errIdentity, &c.identity}, {errOutdated, &c.outdated}, {errCrowded, &c.crowded}, {errLength, &c.tooLong},
		{errChecksum, &c.damaged}, {errSequence, &c.outOfTurn}, {errClass, &c.wrongClass}, {errUndecoded, &c.undecoded},
	} {
		if errors.Is(err, x.err) {
			x.count.Add(1)
			return
		}
	}
	var late interface{ Timeout() bool }
	if errors.As(err, &late) && late.Timeout() {
		c.timedOut.Add(1)
	}
}

// quietFor is how long a kind of trouble is logged once.
const quietFor = time.Minute

// quiet logs each kind of trouble with each peer now and then.
type quiet struct {
	logger *slog.Logger

	mu   sync.Mutex
	last map[[2]string]time.Time
}

// maxQuiet bounds the kinds that are remembered.
const maxQuiet = 1024

func (q *quiet) warn(peer NodeID, kind, what string, err error) {
	q.mu.Lock()
	key, now := [2]string{peer, kind}, time.Now()
	if q.last == nil || len(q.last) >= maxQuiet {
		q.last = make(map[[2]string]time.Time)
	}
	silent := now.Sub(q.last[key]) < quietFor
	if !silent {
		q.last[key] = now
	}
	q.mu.Unlock()
	if !silent {
		q.logger.Warn("tcp: "+what, "peer", peer, "err", err)
	}
}
