package readplan

import "github.com/rawl-db/rawl/internal/vfs"

// lane is what one execution at a time needs to read: a queue, and two groups with their buffers,
// the one that is handed out and the one that is read ahead.
type lane struct {
	q       vfs.Queue // nil when there is none or it failed: pieces are then read one by one
	depth   int       // bound on flying, of the present execution
	groups  *[2]group
	pending []*piece // to be submitted, in this order
	flying  int
	done    [maxDepth]*vfs.Op
	left    []*arena // of a queue that failed; entries handed out may still lie there
}

// start takes over a group's pieces and begins to read them.
func (l *lane) start(g *group) {
	if l.q == nil {
		return
	}
	for k := range g.pieces {
		l.pending = append(l.pending, &g.pieces[k])
	}
	l.advance(0)
}

// await reads until p has been read.
func (l *lane) await(p *piece) {
	for p.state != pieceDone && l.q != nil {
		l.advance(1)
	}
	if p.state != pieceDone {
		p.read()
	}
}

// advance submits what the depth allows, and waits for least completions.
func (l *lane) advance(least int) {
	if l.q == nil {
		return
	}
	for len(l.pending) > 0 && l.flying < l.depth {
		p := l.pending[0]
		if p.state == pieceDone {
			l.pending = l.pending[1:]
			continue
		}
		if err := l.q.Submit(&p.op); err != nil {
			l.fail()
			return
		}
		p.state = pieceFlying
		l.pending = l.pending[1:]
		l.flying++
	}
	if l.flying == 0 {
		return
	}
	n, err := l.q.Reap(min(least, l.flying), l.done[:])
	for _, op := range l.done[:n] {
		l.groups[op.Tag>>32].pieces[uint32(op.Tag)].finish(op.N, op.Err)
	}
	clear(l.done[:n])
	l.flying -= n
	if err != nil {
		l.fail()
	}
}

// fail gives the queue up. What was in flight may still be written to: its buffers are not
// touched again.
func (l *lane) fail() {
	running := l.q.Close() != nil // its failure is answered by reading without it
	l.q, l.flying, l.pending = nil, 0, nil
	for n := range l.groups {
		g := &l.groups[n]
		for k := range g.pieces {
			if p := &g.pieces[k]; p.state == pieceFlying {
				p.op, p.state, p.have = vfs.Op{}, pieceDone, 0 // its entries are read one by one
			}
		}
		if running {
			g.arena.leak()
		}
		l.left = append(l.left, g.arena)
		g.arena = nil
	}
}

// drain waits for everything in flight and drops the rest.
func (l *lane) drain() {
	l.pending = nil
	for l.q != nil && l.flying > 0 {
		l.advance(l.flying)
	}
}

// close releases the queue. Nothing is in flight.
func (l *lane) close() error {
	if l.q == nil {
		return nil
	}
	return l.q.Close()
}

// piece is one read of consecutive bytes of one file.
type piece struct {
	op    vfs.Op
	state pieceState
	have  int // bytes read, once done
}

type pieceState uint8

const (
	pieceWaiting pieceState = iota
	pieceFlying
	pieceDone
)

// read reads the piece on the caller's goroutine.
func (p *piece) read() {
	p.finish(p.op.File.ReadAt(p.op.Buf, p.op.Off))
}

func (p *piece) finish(n int, err error) {
	p.have, p.state = n, pieceDone
	if err != nil && n < len(p.op.Buf) {
		p.have = 0
	}
}

// from returns what was read from a place of the file on, which lies in the piece.
func (p *piece) from(off int64) []byte {
	return p.op.Buf[min(int(off-p.op.Off), p.have):p.have]
}
