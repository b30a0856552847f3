package raft_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// hostile is a peer that speaks to a node as the documentation of package tcp says, and then does not keep to it.
type hostile struct {
	t      testing.TB
	addr   string
	cert   *tls.Certificate // nil without TLS
	cookie string
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// shake makes a message of the handshake.
func shake(payload []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	return append(binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli)), payload...)
}

// greeting is what a hello says.
type greeting struct {
	magic              string
	version, part      byte
	cookie             string
	token              [16]byte
	nonce              uint64
	from, to           string
	incarnation, epoch uint64
}

// greeting is a good one, of "h" to "n0".
func (p *hostile) greeting() greeting {
	return greeting{magic: "RWLT", version: 1, cookie: p.cookie, nonce: 7, from: "h", to: "n0", incarnation: 9}
}

func (g *greeting) bytes() []byte {
	b := append([]byte(g.magic), g.version, g.part)
	cookie := sha256.Sum256([]byte(g.cookie))
	b = append(append(b, cookie[:]...), g.token[:]...)
	b = binary.LittleEndian.AppendUint64(b, g.nonce)
	for _, name := range []string{g.from, g.to} {
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
	}
	return shake(binary.AppendUvarint(binary.AppendUvarint(b, g.incarnation), g.epoch))
}

// raw opens a TCP connection.
func (p *hostile) raw() net.Conn {
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// reach opens a connection, of TLS if the peer has a certificate.
func (p *hostile) reach() net.Conn {
	c := p.raw()
	if p.cert == nil {
		return c
	}
	return tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*p.cert}, InsecureSkipVerify: true})
}

// gone waits until the node has ended a connection.
func (p *hostile) gone(c net.Conn) {
	_, err := io.Copy(io.Discard, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Error("the node does not end a connection")
	}
	_ = c.Close()
}

// send writes bytes over a new connection and waits for its end.
func (p *hostile) send(c net.Conn, b []byte) {
	_, _ = c.Write(b) // the node may have had enough before
	p.gone(c)
}

// drip writes a byte now and then until the connection has ended.
func (p *hostile) drip(c net.Conn, b []byte) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		if _, err := c.Write(b[i%len(b) : i%len(b)+1]); err != nil {
			break
		}
		<-tick.C
	}
	p.gone(c)
}

// welcome says hello and returns token and nonce of the answer. Error: that the node does not want the connection, or not now.
func (p *hostile) welcome(c net.Conn, g greeting) (token [16]byte, nonce uint64, err error) {
	if _, err := c.Write(g.bytes()); err != nil {
		return token, 0, err
	}
	var h [8]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		return token, 0, err
	}
	b := make([]byte, binary.LittleEndian.Uint32(h[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return token, 0, err
	}
	if b[0] != 1 {
		return token, 0, fmt.Errorf("status %d", b[0])
	}
	copy(token[:], b[1:])
	return token, binary.LittleEndian.Uint64(b[17:]), nil
}

// greeted is a main connection that was welcomed.
func (p *hostile) greeted() net.Conn {
	for {
		c := p.reach()
		_, _, err := p.welcome(c, p.greeting())
		switch {
		case err == nil:
			return c
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.t.Fatal(err)
		}
		_ = c.Close()
	}
}

// joined is a connection that stands.
type joined struct {
	p          *hostile
	main, bulk net.Conn
	seed       uint32
	number     uint32
	goOn       []byte // what was said last on the main part
}

// join makes a connection as a good peer would.
func (p *hostile) join() *joined {
	end := time.Now().Add(20 * time.Second)
	for {
		j := &joined{p: p, main: p.reach(), bulk: p.reach()}
		err := j.meet()
		if err == nil {
			return j
		}
		_, _ = j.main.Close(), j.bulk.Close()
		if time.Now().After(end) {
			p.t.Fatal(err)
		}
	}
}

func (j *joined) meet() error {
	g := j.p.greeting()
	token, nonce, err := j.p.welcome(j.main, g)
	if err != nil {
		return err
	}
	second := g
	second.part, second.token = 1, token
	_, other, err := j.p.welcome(j.bulk, second)
	if err != nil {
		return err
	}
	j.goOn = shake(binary.LittleEndian.AppendUint64(nil, nonce))
	j.seed = crc32.Checksum(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, g.nonce), nonce), castagnoli)
	if _, err := j.bulk.Write(shake(binary.LittleEndian.AppendUint64(nil, other))); err != nil {
		return err
	}
	_, err = j.main.Write(j.goOn)
	return err
}

// frame makes the next frame of the main connection.
func (j *joined) frame(class byte, packet []byte) []byte {
	j.number++
	b := make([]byte, 13, 13+len(packet))
	binary.LittleEndian.PutUint32(b, uint32(len(packet)))
	binary.LittleEndian.PutUint32(b[8:], j.number)
	b[12] = class
	b = append(b, packet...)
	binary.LittleEndian.PutUint32(b[4:], crc32.Update(j.seed, castagnoli, b[8:]))
	return b
}

// end writes last bytes and waits for the end of the connection.
func (j *joined) end(b ...[]byte) {
	for _, x := range b {
		_, _ = j.main.Write(x)
	}
	j.p.gone(j.main)
	j.p.gone(j.bulk)
}

// leave writes last bytes and ends the connection, in an orderly way.
func (j *joined) leave(b ...[]byte) {
	for _, x := range b {
		_, _ = j.main.Write(x)
	}
	_ = j.main.Close()
	j.p.gone(j.bulk)
}
