package tcp

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// arrival is a peer's main connection that waits for its bulk one.
type arrival[M transport.Message] struct {
	from NodeID
	bulk chan bulkArrival
}

// bulkArrival is a bulk connection that was welcomed.
type bulkArrival struct {
	conn    net.Conn
	out, in uint32
}

// seeds are what the checksums of the two directions begin with: that of the sender's nonce, then the other one.
func seeds(mine, theirs uint64) (out, in uint32) {
	of := func(first, second uint64) uint32 {
		b := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, first), second)
		return crc32.Checksum(b, castagnoli)
	}
	return of(mine, theirs), of(theirs, mine)
}

func nonce() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // it does not fail
	return binary.LittleEndian.Uint64(b[:])
}

// dial makes a connection, and leaves it running.
func (p *peer[M]) dial(ctx context.Context) error {
	l := newLink(p, true)
	fail := func(err error) error {
		l.end(err)
		close(l.done)
		return err
	}
	p.mu.Lock()
	epoch := p.epoch
	p.mu.Unlock()
	h := hello{part: mainPart, cookie: p.t.cookie, from: p.t.node, to: p.id, incarnation: p.t.incarnation, epoch: epoch}
	w, err := p.dialPart(ctx, &l.parts[mainPart], &h)
	if err != nil {
		return fail(err)
	}
	l.epoch, l.incarnation = w.epoch, w.incarnation
	h.part, h.token = bulkPart, w.token
	bulk, err := p.dialPart(ctx, &l.parts[bulkPart], &h)
	if err != nil {
		return fail(err)
	}
	if err = goOn(l.parts[bulkPart].conn, bulk.nonce); err == nil {
		err = goOn(l.parts[mainPart].conn, w.nonce) // last: the other one is there then
	}
	if err != nil {
		return fail(err)
	}
	if !p.begun(l) {
		return errBusy
	}
	return nil
}

// dialPart makes one of the two TCP connections, up to the welcome.
func (p *peer[M]) dialPart(ctx context.Context, s *stream, h *hello) (w welcome, err error) {
	t := p.t
	c, err := t.connect(ctx, p.id)
	if err != nil {
		return w, err
	}
	s.conn = c
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.SetDeadline(time.Now().Add(t.opts.HandshakeTimeout)); err != nil {
		return w, err
	}
	if s.conn, err = t.secure(c, p.id); err != nil {
		return w, err
	}
	s.combined = t.tls != nil
	h.nonce = nonce()
	if err := writeShake(s.conn, h.appendTo(nil)); err != nil {
		return w, err
	}
	b, err := readShake(s.conn)
	if err != nil {
		return w, err
	}
	if w, err = parseWelcome(b); err != nil {
		return w, err
	}
	switch w.status {
	case statusBusy:
		return w, errBusy
	case statusRefused:
		return w, errRefused
	}
	s.out, s.in = seeds(h.nonce, w.nonce)
	return w, nil
}

// errRefused says that the peer does not want the connection; it knows why.
var errRefused = errors.New("tcp: the peer refuses this node")

// goOn ends the handshake of a dialled connection.
func goOn(c net.Conn, nonce uint64) error {
	if err := writeShake(c, binary.LittleEndian.AppendUint64(nil, nonce)); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

// connect makes a TCP connection to where a node is said to be.
func (t *Transport[M]) connect(ctx context.Context, id NodeID) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opts.DialTimeout)
	defer cancel()
	addr, err := t.opts.Resolver.Resolve(ctx, id)
	if err != nil {
		return nil, err
	}
	t.stats.dialed.Add(1)
	d := net.Dialer{KeepAlive: -1} // TCP_USER_TIMEOUT and heartbeats do that
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	t.tune(c)
	return c, nil
}

// tune sets what a connection should be like.
func (t *Transport[M]) tune(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetNoDelay(true)
		_ = setUserTimeout(tc, t.opts.WriteTimeout) // where there is none the write deadline remains
	}
}

// secure makes a dialled connection one of TLS to a node that proves who it is.
func (t *Transport[M]) secure(c net.Conn, id NodeID) (net.Conn, error) {
	if t.tls == nil {
		return c, nil
	}
	s := tls.Client(c, t.tls.client(id))
	if err := s.Handshake(); err != nil {
		err = unproven(err)
		t.stats.note(err)
		return c, err
	}
	return s, nil
}

// unproven says what is wrong with a peer whose TLS handshake failed. One that said nothing in time, or left, has not said who it is.
func unproven(err error) error {
	var late net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &late) && late.Timeout() {
		return err
	}
	return fmt.Errorf("%w: %w", errIdentity, err)
}

// answer takes part in the handshake of a connection that came in.
func (t *Transport[M]) answer(c net.Conn) {
	t.tune(c)
	stop := context.AfterFunc(t.ctx, func() { _ = c.Close() })
	defer stop()
	end := time.Now().Add(t.opts.HandshakeTimeout)
	err := c.SetDeadline(end)
	if err == nil {
		err = t.greet(c, end)
	}
	if err == nil {
		return
	}
	_ = c.Close()
	if !errors.Is(err, errBusy) && t.ctx.Err() == nil {
		t.refused(c, err)
	}
}

// refused takes note of a connection that did not come to be.
func (t *Transport[M]) refused(c net.Conn, err error) {
	kind := t.stats.note(err)
	if kind == "" {
		kind = t.stats.note(io.ErrUnexpectedEOF)
	}
	t.quiet.warn("", kind, "a connection is refused", fmt.Errorf("from %v: %w", c.RemoteAddr(), err))
}

// greet sees the handshake to its end, which is there at the latest when its time is over.
func (t *Transport[M]) greet(c net.Conn, end time.Time) error {
	secured := c
	if t.tls != nil {
		s := tls.Server(c, t.tls.server())
		if err := s.Handshake(); err != nil {
			return unproven(err)
		}
		secured = s
	}
	b, err := readShake(secured)
	if err != nil {
		return err
	}
	h, err := parseHello(b)
	if err == nil {
		err = t.believe(&h, secured)
	}
	if err != nil {
		return errors.Join(err, refuse(secured, statusRefused))
	}
	if h.part == bulkPart {
		return t.greetBulk(secured, &h)
	}
	return t.greetMain(secured, &h, end)
}

func refuse(c net.Conn, s status) error {
	w := welcome{status: s}
	return writeShake(c, w.appendTo(nil))
}

// believe checks a hello against what the node knows. Errors: errCookie, errReceiver, errIdentity.
func (t *Transport[M]) believe(h *hello, c net.Conn) error {
	switch {
	case h.cookie != t.cookie:
		return errCookie
	case h.to != t.node:
		return fmt.Errorf("%w: %q", errReceiver, h.to)
	case h.from == t.node:
		return fmt.Errorf("%w: it has this node's name", errIdentity)
	case t.tls != nil:
		return t.tls.check(c.(*tls.Conn).ConnectionState(), h.from)
	}
	return nil
}

// greetMain welcomes a main connection, waits for the bulk one, and for both to go on.
func (t *Transport[M]) greetMain(c net.Conn, h *hello, end time.Time) error {
	p, err := t.peer(h.from)
	if err != nil {
		return errors.Join(err, refuse(c, statusRefused))
	}
	epoch, err := p.expect(h)
	if err != nil {
		s := statusRefused
		if errors.Is(err, errBusy) {
			s = statusBusy
		}
		return errors.Join(err, refuse(c, s))
	}
	defer p.arrived()
	w := welcome{status: statusWelcome, nonce: nonce(), incarnation: t.incarnation, epoch: epoch}
	_, _ = crand.Read(w.token[:]) // it does not fail
	a := &arrival[M]{from: h.from, bulk: make(chan bulkArrival, 1)}
	t.mu.Lock()
	t.mu.waiting[w.token] = a
	t.mu.Unlock()
	bulk, err := t.finish(c, a, &w, end)
	if err != nil {
		return err
	}
	l := newLink(p, false)
	l.epoch, l.incarnation = epoch, h.incarnation
	m, b := &l.parts[mainPart], &l.parts[bulkPart]
	m.conn, m.combined = c, t.tls != nil
	m.out, m.in = seeds(w.nonce, h.nonce)
	b.conn, b.combined, b.out, b.in = bulk.conn, t.tls != nil, bulk.out, bulk.in
	p.begun(l) // one that was overtaken is closed
	return nil
}

// finish sees the main connection's handshake to its end.
func (t *Transport[M]) finish(c net.Conn, a *arrival[M], w *welcome, end time.Time) (bulk bulkArrival, err error) {
	defer func() {
		t.mu.Lock()
		delete(t.mu.waiting, w.token)
		t.mu.Unlock()
		select { // it may have come in the last moment
		case late := <-a.bulk:
			_ = late.conn.Close()
		default:
		}
		if err != nil && bulk.conn != nil {
			_ = bulk.conn.Close()
		}
	}()
	if err := writeShake(c, w.appendTo(nil)); err != nil {
		return bulk, err
	}
	if err := awaitGo(c, w.nonce); err != nil {
		return bulk, err
	}
	late := time.NewTimer(time.Until(end))
	defer late.Stop()
	select {
	case bulk = <-a.bulk: // it was told to go on before
		return bulk, nil
	case <-late.C:
		return bulk, fmt.Errorf("%w: no bulk connection", errMalformed)
	case <-t.ctx.Done():
		return bulk, transport.ErrClosed
	}
}

// awaitGo reads the go of a connection.
func awaitGo(c net.Conn, nonce uint64) error {
	b, err := readShake(c)
	if err != nil {
		return err
	}
	if len(b) != 8 || binary.LittleEndian.Uint64(b) != nonce {
		return fmt.Errorf("%w: no go", errMalformed)
	}
	return c.SetDeadline(time.Time{})
}

// greetBulk welcomes a bulk connection and hands it to the main one that it belongs to.
func (t *Transport[M]) greetBulk(c net.Conn, h *hello) error {
	t.mu.Lock()
	a := t.mu.waiting[h.token]
	t.mu.Unlock()
	if a == nil || a.from != h.from {
		return errors.Join(fmt.Errorf("%w: a bulk connection without a main one", errMalformed), refuse(c, statusRefused))
	}
	w := welcome{status: statusWelcome, token: h.token, nonce: nonce(), incarnation: t.incarnation}
	if err := writeShake(c, w.appendTo(nil)); err != nil {
		return err
	}
	if err := awaitGo(c, w.nonce); err != nil {
		return err
	}
	b := bulkArrival{conn: c}
	b.out, b.in = seeds(w.nonce, h.nonce)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.waiting[h.token] != a || len(a.bulk) > 0 {
		return fmt.Errorf("%w: a bulk connection too many", errMalformed)
	}
	a.bulk <- b
	return nil
}

// expect agrees to the handshake of a peer, and says which epoch the connection is to have; arrived must follow. Errors: errBusy
// while this node's own attempt counts more, errOutdated.
func (p *peer[M]) expect(h *hello) (epoch uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case h.incarnation < p.incarnation:
		return 0, fmt.Errorf("%w: %d, known is %d", errOutdated, h.incarnation, p.incarnation)
	case p.arriving > 0, p.dialing != nil && p.t.node < p.id:
		return 0, errBusy
	}
	p.arriving++
	return max(p.epoch, h.epoch) + 1, nil
}

// arrived ends what expect began. What was sent meanwhile waits for a connection of this node's own if the peer made none.
func (p *peer[M]) arrived() {
	p.mu.Lock()
	var events []transport.Event
	p.arriving--
	if p.arriving == 0 && p.link == nil && p.dialing == nil && p.waitingLocked() && !p.dialLocked() {
		events = p.giveUpLocked()
	}
	p.mu.Unlock()
	p.tell(events...)
}
