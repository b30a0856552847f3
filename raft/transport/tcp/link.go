package tcp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// batchBytes is about how much is written at once.
const batchBytes = 256 << 10

// errReplaced ends a connection when the peer has made a newer one.
var errReplaced = errors.New("tcp: replaced by a newer connection")

// link is a connection with a peer: two TCP connections that live and die together.
type link[M transport.Message] struct {
	peer        *peer[M]
	epoch       uint64
	incarnation uint64 // the peer's
	dialed      bool   // by this node
	parts       [2]stream

	// before is closed when the connection that this one replaces has ended, done when this one has.
	before <-chan struct{}
	done   chan struct{}
	owed   []transport.Event // at its end; under peer.mu

	once sync.Once
	stop chan struct{}
	why  error // set before stop is closed
}

// stream is one of the TCP connections.
type stream struct {
	conn     net.Conn
	out, in  uint32 // what checksums begin with
	classes  []transport.Class
	wakes    chan struct{}
	mask     uint8
	combined bool // writes are put together before: TLS would make a record of each
}

// outgoing is a message on its way out.
type outgoing[M transport.Message] struct {
	class transport.Class
	m     M
}

var partClasses = [2][]transport.Class{mainPart: {transport.Control, transport.Log}, bulkPart: {transport.Snapshot}}

func newLink[M transport.Message](p *peer[M], dialed bool) *link[M] {
	l := &link[M]{peer: p, dialed: dialed, done: make(chan struct{}), stop: make(chan struct{})}
	for i := range l.parts {
		s := &l.parts[i]
		s.classes, s.wakes = partClasses[i], make(chan struct{}, 1)
		for _, c := range s.classes {
			s.mask |= 1 << c
		}
	}
	return l
}

// wake has the writer of a class look.
func (l *link[M]) wake(c transport.Class) {
	s := &l.parts[mainPart]
	if c == transport.Snapshot {
		s = &l.parts[bulkPart]
	}
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// end ends the connection; run does the rest. Any goroutine may call it.
func (l *link[M]) end(why error) {
	l.once.Do(func() {
		l.why = why
		close(l.stop)
		for i := range l.parts {
			if c := l.parts[i].conn; c != nil {
				_ = bare(c).Close()
			}
		}
	})
}

// bare is the TCP connection itself: to close one of TLS would wait for the peer to take a farewell.
func bare(c net.Conn) net.Conn {
	if s, ok := c.(*tls.Conn); ok {
		return s.NetConn()
	}
	return c
}

// run carries messages until the connection ends.
func (l *link[M]) run() {
	defer close(l.done)
	if l.before != nil {
		<-l.before
	}
	p := l.peer
	p.t.stats.connections.Add(1)
	p.tell(transport.Event{Kind: transport.Connected, Peer: p.id, Epoch: l.epoch})
	var both sync.WaitGroup
	for i := range l.parts {
		s := &l.parts[i]
		both.Go(func() { l.end(l.write(s)) })
		both.Go(func() { l.end(l.read(s)) })
	}
	both.Wait()
	kind := p.t.stats.note(l.why)
	if !errors.Is(l.why, io.EOF) && !errors.Is(l.why, errReplaced) && !errors.Is(l.why, transport.ErrClosed) {
		p.t.quiet.warn(p.id, "link "+kind, "a connection has ended", l.why)
	}
	p.tell(p.ended(l)...)
}

// read hands over what comes.
func (l *link[M]) read(s *stream) error {
	p := l.peer
	u := unframer{r: bufio.NewReaderSize(s.conn, 64<<10), seed: s.in, most: p.t.opts.MaxFrameBytes, classes: s.mask}
	for {
		class, b, err := u.next()
		if err != nil {
			return err
		}
		m, err := p.t.codec.Decode(b, p.id, p.t.node)
		if err != nil {
			return errors.Join(errUndecoded, err)
		}
		p.calls.Lock()
		select {
		case <-l.stop: // nothing arrives behind the end
			p.calls.Unlock()
			return nil
		default:
		}
		p.t.receiver.Receive(p.id, class, l.epoch, m)
		p.calls.Unlock()
		p.t.stats.delivered.Add(1)
	}
}

// errUndecoded says that a frame holds no message.
var errUndecoded = errors.New("tcp: frame without a message")

// write writes what waits, as much as there is at a time.
func (l *link[M]) write(s *stream) error {
	p := l.peer
	w := writer[M]{stream: s, framer: framer{seed: s.out}, t: p.t}
	var list []outgoing[M]
	for {
		var ready []transport.Event
		list, ready = p.take(l, s.classes, list[:0])
		p.tell(ready...)
		if len(list) == 0 {
			select {
			case <-s.wakes:
				continue
			case <-l.stop:
				return nil
			}
		}
		if err := s.conn.SetWriteDeadline(time.Now().Add(p.t.opts.WriteTimeout)); err != nil {
			return err
		}
		if err := w.write(list); err != nil {
			return err
		}
		clear(list)
	}
}

// writer turns messages into frames. It belongs to one goroutine.
type writer[M transport.Message] struct {
	*stream
	framer
	t     *Transport[M]
	small []byte // frames that stand together
	bufs  net.Buffers
}

// ownBuffer is from what size on a frame has a buffer of its own, which is not kept.
const ownBuffer = 64 << 10

// write writes frames by as few calls as it can: writev, or one write of all under TLS.
func (w *writer[M]) write(list []outgoing[M]) error {
	w.small = w.small[:0]
	for i := range list {
		if err := w.add(&list[i]); err != nil {
			return err
		}
	}
	return w.flush()
}

// add puts a frame behind the others.
func (w *writer[M]) add(o *outgoing[M]) error {
	if o.m.Size() >= ownBuffer && !w.combined {
		return w.addLarge(o)
	}
	at := len(w.small)
	b, err := w.t.codec.Append(w.begin(w.small), o.m)
	if !w.fits(o, b, at, err) {
		return nil // the codec may have moved the slice: what was in front is still in small
	}
	w.small = b
	w.finish(w.small, at, o.class)
	return nil
}

func (w *writer[M]) addLarge(o *outgoing[M]) error {
	b, err := w.t.codec.Append(w.begin(make([]byte, 0, o.m.Size()+frameHeader+64)), o.m)
	if !w.fits(o, b, 0, err) {
		return nil
	}
	w.finish(b, 0, o.class)
	if len(w.small) > 0 { // in their order
		w.bufs = append(w.bufs, w.small)
		w.small = nil
	}
	w.bufs = append(w.bufs, b)
	return nil
}

// fits reports whether a message became a frame of allowed size. One that did not is dropped.
func (w *writer[M]) fits(o *outgoing[M], b []byte, at int, err error) bool {
	if err == nil && len(b)-at-frameHeader > w.t.opts.MaxFrameBytes {
		err = errLength
	}
	if err != nil {
		w.t.stats.unsendable.Add(1)
		w.t.quiet.warn("", "encode", "a message cannot be sent", err)
		return false
	}
	return true
}

func (w *writer[M]) flush() error {
	if len(w.bufs) == 0 {
		if len(w.small) == 0 {
			return nil
		}
		n, err := w.conn.Write(w.small)
		w.t.stats.wrote(w.classes[0], n)
		if cap(w.small) > 4*batchBytes {
			w.small = nil
		}
		return err
	}
	if len(w.small) > 0 {
		w.bufs = append(w.bufs, w.small)
		w.small = nil
	}
	bufs := w.bufs
	n, err := bufs.WriteTo(w.conn)
	w.t.stats.wrote(w.classes[0], int(n))
	clear(w.bufs)
	w.bufs = w.bufs[:0]
	return err
}
