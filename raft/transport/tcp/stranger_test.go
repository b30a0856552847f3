package tcp

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

// Accept implements net.Listener.
func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipes) Close() error { close(l.done); return nil }

// Addr implements net.Listener.
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dripping writes a byte a second, without end.
func dripping(c net.Conn, b []byte) {
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{b[i%len(b)]}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// Who has not said who it is, and that it goes on, within five seconds, is closed then, whatever it does meanwhile, is counted, and
// gives back its place; the log has a line for each kind of trouble.
func TestStrangersAreClosed(t *testing.T) {
	secret := func(x *Transport[letter], c net.Conn) *tls.Conn { // of a peer that may connect
		return tls.Client(c, x.tls.client("a"))
	}
	for _, x := range []struct {
		name string
		tls  bool
		do   func(t *testing.T, x *Transport[letter], c net.Conn)
	}{
		{"says nothing", false, func(*testing.T, *Transport[letter], net.Conn) {}},
		{"says nothing to TLS", true, func(*testing.T, *Transport[letter], net.Conn) {}},
		{"drips", false, func(_ *testing.T, x *Transport[letter], c net.Conn) {
			hi := goodHello(x)
			dripping(c, framed(hi.appendTo(nil)))
		}},
		{"drips to TLS", true, func(_ *testing.T, _ *Transport[letter], c net.Conn) { dripping(c, []byte{22, 3, 1, 1, 0, 1}) }},
		{"drips in TLS", true, func(t *testing.T, x *Transport[letter], c net.Conn) {
			s, hi := secret(x, c), goodHello(x)
			if err := s.Handshake(); err != nil {
				t.Error(err)
			}
			dripping(s, framed(hi.appendTo(nil)))
		}},
		{"does not go on", false, func(t *testing.T, x *Transport[letter], c net.Conn) { say(t, c, goodHello(x)) }},
		{"goes on, without a bulk connection", false, func(t *testing.T, x *Transport[letter], c net.Conn) {
			w := say(t, c, goodHello(x))
			time.Sleep(4 * time.Second)
			if err := writeShake(c, binary.LittleEndian.AppendUint64(nil, w.nonce)); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				l := &pipes{make(chan net.Conn), make(chan struct{})}
				o := Options{Listener: l, Resolver: Addresses{}, InsecurePlaintext: !x.tls, Logger: slog.New(slog.NewTextHandler(&log, nil))}
				if x.tls {
					files := newIssuer(t).write(t.TempDir(), "a", time.Now().Add(time.Hour))
					o.TLS = &files
				}
				a, err := Join(o, "a", 1, post{}, transport.Receiver[letter](&sink{}))
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					mine, theirs := net.Pipe()
					e, began := &ended{Conn: theirs, closed: make(chan struct{})}, time.Now()
					l.conns <- e
					done := make(chan struct{})
					go func() { defer close(done); x.do(t, a, mine) }()
					<-e.closed
					if took := time.Since(began); took > 5*time.Second {
						t.Errorf("it was closed after %v", took)
					}
					<-done
				}
				synctest.Wait()
				s := a.Stats()
				if a.gate.taken() != 0 || s.TimedOut+s.Malformed != 2 || s.Connections != 0 {
					t.Errorf("%d places taken, %+v", a.gate.taken(), s)
				}
				if err := a.Close(); err != nil {
					t.Error(err)
				}
				if n := strings.Count(log.String(), "a connection is refused"); n != 1 {
					t.Errorf("%d lines: %s", n, &log)
				}
			})
		})
	}
}

// ended is a connection that says when it is closed on its side.
type ended struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

// Close implements net.Conn.
func (e *ended) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.Conn.Close()
}

// What is refused is logged once a minute for each kind of trouble, and no more than so many lines.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &quiet{}
		count := func(peers, kinds string) (n int) {
			for range 3 {
				for _, p := range peers {
					for _, k := range kinds {
						if q.first(string(p), string(k)) {
							n++
						}
					}
				}
			}
			return n
		}
		if n := count("ab", "xyz"); n != 6 {
			t.Errorf("%d lines", n)
		}
		if n := count("ab", "xy") + count("c", "x"); n != 1 {
			t.Errorf("%d lines more", n)
		}
		time.Sleep(quietFor)
		if n := count("ab", "xyz"); n != 6 {
			t.Errorf("%d lines a minute later", n)
		}
		most := 0
		for i := range 3 * maxQuiet {
			if q.first(string(rune(1000+i)), "x") {
				most++
			}
		}
		if most != maxQuiet-6 {
			t.Errorf("%d lines at most", most)
		}
	})
}
