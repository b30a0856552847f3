package tcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// NodeID names a node for all its lives.
type NodeID = transport.NodeID

// MaxName bounds the name of a node, in bytes.
const MaxName = 100

// Codec turns messages into bytes and back. Its methods are called by several goroutines.
type Codec[M transport.Message] interface {
	// Append appends the bytes of m to b. A message that has none, for the error that it returns, is dropped.
	Append(b []byte, m M) ([]byte, error)
	// Decode takes the bytes of a message that came from one node to another. b is its own. An error ends the connection.
	Decode(b []byte, from, to NodeID) (M, error)
}

// Resolver says where nodes are.
type Resolver interface {
	// Resolve returns the address of a node as net.Dial takes it, whenever a connection is to be made. It returns when ctx
	// ends at the latest.
	Resolve(ctx context.Context, id NodeID) (string, error)
}

// Addresses is a Resolver for nodes that do not move.
type Addresses map[NodeID]string

// Resolve implements Resolver.
func (a Addresses) Resolve(_ context.Context, id NodeID) (string, error) {
	if addr, ok := a[id]; ok {
		return addr, nil
	}
	return "", fmt.Errorf("tcp: no address of node %q", id)
}

// Options are those of a node's transport. Resolver, and either TLS or InsecurePlaintext, must be set; the zero value of any
// other field stands for its default.
type Options struct {
	// Listen is the address on which the node is found, as net.Listen takes it. Listener, if it is set, is used instead, and
	// closed by Close.
	Listen   string
	Listener net.Listener
	Resolver Resolver
	// Cookie is the same on all nodes of one service, at most 1 KiB.
	Cookie string
	// TLS says who a node is and whom it believes. Without it InsecurePlaintext must be set: then anybody who reaches the port
	// can take part as any node, and read and change everything.
	TLS               *TLS
	InsecurePlaintext bool
	// Outbox bounds the bytes that wait for one peer, by class. Defaults: Control 4 MiB, Log 64 MiB, Snapshot 16 MiB.
	Outbox [transport.Classes]int
	// MaxFrameBytes bounds one message. Default 32 MiB, 1 KiB to 1 GiB. It is the same on all nodes.
	MaxFrameBytes int
	// DialTimeout bounds an attempt to reach a peer (default 1 s), HandshakeTimeout what follows, at either side (default 5 s).
	DialTimeout, HandshakeTimeout time.Duration
	// WriteTimeout is for how long bytes may wait for a peer to take them, or to acknowledge them, before the connection is cut.
	// Default 5 s.
	WriteTimeout time.Duration
	// MinPause and MaxPause bound the pause behind a failed attempt. Defaults 20 ms and 1 s.
	MinPause, MaxPause time.Duration
	// MaxHandshakes bounds the connections that have not yet proved who they are (default 256), MaxHandshakesPerAddress those
	// of one IP address (default 64), MaxPeers the nodes that are known (default 4,096).
	MaxHandshakes, MaxHandshakesPerAddress, MaxPeers int
	// Logger receives what an operator should know, each kind of it once a minute for each peer. Default: discarded.
	Logger *slog.Logger
}

func orElse[T comparable](field *T, otherwise T) {
	var zero T
	if *field == zero {
		*field = otherwise
	}
}

func (o Options) withDefaults() Options {
	for c, bytes := range [transport.Classes]int{transport.Control: 4 << 20, transport.Log: 64 << 20, transport.Snapshot: 16 << 20} {
		orElse(&o.Outbox[c], bytes)
	}
	orElse(&o.MaxFrameBytes, 32<<20)
	orElse(&o.DialTimeout, time.Second)
	orElse(&o.HandshakeTimeout, 5*time.Second)
	orElse(&o.WriteTimeout, 5*time.Second)
	orElse(&o.MinPause, 20*time.Millisecond)
	orElse(&o.MaxPause, time.Second)
	orElse(&o.MaxHandshakes, 256)
	orElse(&o.MaxHandshakesPerAddress, 64)
	orElse(&o.MaxPeers, 4096)
	orElse(&o.Logger, slog.New(slog.DiscardHandler))
	return o
}

func (o Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("tcp: "+format, args...)) }
	if o.Resolver == nil {
		bad("Resolver is nil")
	}
	if o.Listen == "" && o.Listener == nil {
		bad("neither Listen nor Listener is set")
	}
	switch {
	case o.TLS == nil && !o.InsecurePlaintext:
		errs = append(errs, ErrInsecure)
	case o.TLS != nil && o.InsecurePlaintext:
		bad("both TLS and InsecurePlaintext are set")
	}
	if len(o.Cookie) > 1<<10 {
		bad("Cookie of %d bytes, at most 1,024", len(o.Cookie))
	}
	for c, bytes := range o.Outbox {
		if bytes < 1<<10 || bytes > 1<<32 {
			bad("Outbox of %v %d is not within 1 KiB and 4 GiB", transport.Class(c), bytes)
		}
	}
	if o.MaxFrameBytes < 1<<10 || o.MaxFrameBytes > 1<<30 {
		bad("MaxFrameBytes %d is not within 1 KiB and 1 GiB", o.MaxFrameBytes)
	}
	for _, d := range []time.Duration{o.DialTimeout, o.HandshakeTimeout, o.WriteTimeout, o.MinPause} {
		if d < time.Millisecond {
			bad("a duration of %v is below 1 ms", d)
		}
	}
	if o.MaxPause < o.MinPause {
		bad("MaxPause %v is below MinPause %v", o.MaxPause, o.MinPause)
	}
	if o.MaxHandshakes < 1 || o.MaxHandshakesPerAddress < 1 || o.MaxPeers < 1 {
		bad("MaxHandshakes %d, MaxHandshakesPerAddress %d or MaxPeers %d is below 1", o.MaxHandshakes, o.MaxHandshakesPerAddress, o.MaxPeers)
	}
	return errors.Join(errs...)
}

// Errors of Join, beside those of the listener and of the certificates.
var (
	// ErrInsecure says that Options.TLS is nil and InsecurePlaintext is not set.
	ErrInsecure = errors.New("tcp: no TLS, and InsecurePlaintext is not set")
	// ErrBadName says that a node's name is empty or longer than MaxName.
	ErrBadName = errors.New("tcp: bad name of a node")
)
