package tcp_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// note is a message; text is its codec.
type note string

func (n note) Size() int { return len(n) }

type text struct{}

func (text) Append(b []byte, n note) ([]byte, error)            { return append(b, n...), nil }
func (text) Decode(b []byte, from, to tcp.NodeID) (note, error) { return note(b), nil }
func (p printer) Event(e transport.Event)                       { p.events <- e }
func (p printer) Receive(from string, c transport.Class, _ uint64, n note) {
	p.heard <- fmt.Sprintf("%v from %s: %s", c, from, n)
}

type printer struct {
	heard  chan string
	events chan transport.Event
}

// Two nodes on one machine; others would have certificates.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	where := tcp.Addresses{}
	join := func(id string) (*tcp.Transport[note], printer) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		where[id] = l.Addr().String()
		p := printer{make(chan string, 10), make(chan transport.Event, 10)}
		o := tcp.Options{Listener: l, Resolver: where, InsecurePlaintext: true}
		t, err := tcp.Join(o, id, 1, tcp.Codec[note](text{}), transport.Receiver[note](p))
		if err != nil {
			panic(err)
		}
		return t, p
	}
	paris, _ := join("paris")
	rome, inRome := join("rome")
	if err := paris.Send("rome", transport.Log, "salve"); err != nil {
		fmt.Println(err)
	}
	select {
	case s := <-inRome.heard:
		fmt.Println(s)
	case <-ctx.Done():
		fmt.Println("nothing came")
	}
	fmt.Println(paris.Close(), rome.Close())
	// Output:
	// log from paris: salve
	// <nil> <nil>
}
