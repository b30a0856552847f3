package main

import (
	"io"
	"net"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// pingBytes is what goes to another process and comes back.
const pingBytes = 256

// pinger measures what TCP between two processes takes at least, by one packet that goes to and fro.
type pinger struct {
	conn net.Conn
	hist *hdrhistogram.Histogram
}

// openPinger returns nil where there is nobody to answer.
func openPinger(addr string) (*pinger, error) {
	if addr == "" {
		return nil, nil
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &pinger{conn: c, hist: newHist()}, nil
}

// slice sends and waits for t.
func (p *pinger) slice(t time.Duration) error {
	b := make([]byte, pingBytes)
	for end := time.Now().Add(t); ; {
		began := time.Now()
		if began.After(end) {
			return nil
		}
		if _, err := p.conn.Write(b); err != nil {
			return err
		}
		if _, err := io.ReadFull(p.conn, b); err != nil {
			return err
		}
		_ = p.hist.RecordValue(min(max(time.Since(began).Microseconds(), 1), histMax))
	}
}

func (p *pinger) close() error { return p.conn.Close() }

// answerPings sends back what comes on any connection, until the listener is closed.
func answerPings(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // until the other side closes
			defer func() { _ = c.Close() }()
			b := make([]byte, pingBytes)
			for {
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}()
	}
}
