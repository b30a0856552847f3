package tcp

import (
	"errors"
	"io"
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
	// long, damaged, out of their turn, of a wrong class, without a message, cut off, as handshakes are; bytes that did not come, or that
	// nobody took, in time.
	Crowded, Malformed, Version, Cookie, Receiver, Identity, Outdated uint64
	TooLong, Damaged, OutOfTurn, WrongClass, Undecoded, Cut, TimedOut uint64
}

// counters are what Stats copies.
type counters struct {
	sent, refused, lost, unsendable, delivered                        atomic.Uint64
	logBytes, bulkBytes                                               atomic.Uint64
	dialed, accepted, failed, connections                             atomic.Uint64
	crowded, malformed, version, cookie, receiver, identity, outdated atomic.Uint64
	tooLong, damaged, outOfTurn, wrongClass, undecoded, cut, timedOut atomic.Uint64
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
		Undecoded: c.undecoded.Load(), Cut: c.cut.Load(), TimedOut: c.timedOut.Load(),
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

// note counts why a connection was refused or has ended, and returns what kind of trouble that is, "" for none that is counted.
func (c *counters) note(err error) (kind string) {
	for _, x := range []struct {
		err   error
		count *atomic.Uint64
	}{
		{errMalformed, &c.malformed}, {errVersion, &c.version}, {errCookie, &c.cookie}, {errReceiver, &c.receiver},
		{errIdentity, &c.identity}, {errOutdated, &c.outdated}, {errCrowded, &c.crowded}, {errLength, &c.tooLong},
		{errChecksum, &c.damaged}, {errSequence, &c.outOfTurn}, {errClass, &c.wrongClass}, {errUndecoded, &c.undecoded},
		{io.ErrUnexpectedEOF, &c.cut},
	} {
		if errors.Is(err, x.err) {
			x.count.Add(1)
			return x.err.Error()
		}
	}
	var late interface{ Timeout() bool }
	if errors.As(err, &late) && late.Timeout() {
		c.timedOut.Add(1)
		return "timeout"
	}
	return ""
}

// quietFor is how long a kind of trouble is logged once.
const quietFor = time.Minute

// quiet logs each kind of trouble with each peer now and then.
type quiet struct {
	logger *slog.Logger

	mu    sync.Mutex
	since time.Time              // when the minute began
	said  map[[2]string]struct{} // in it
}

// maxQuiet bounds what is logged in a minute, and remembered.
const maxQuiet = 1024

func (q *quiet) warn(peer NodeID, kind, what string, err error) {
	if q.first(peer, kind) {
		q.logger.Warn("tcp: "+what, "peer", peer, "err", err)
	}
}

// first reports whether a kind of trouble is to be logged.
func (q *quiet) first(peer NodeID, kind string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now(); now.Sub(q.since) >= quietFor {
		q.since, q.said = now, make(map[[2]string]struct{})
	}
	key := [2]string{peer, kind}
	if _, said := q.said[key]; said || len(q.said) >= maxQuiet {
		return false
	}
	q.said[key] = struct{}{}
	return true
}
