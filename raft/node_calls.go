package raft

import "context"

// What a node does with its servers another one may ask it for: each of these calls is the method of Node of nearly the same name,
// there, if that node's Authorize allows it. On the own node nobody is asked. Errors beside that method's: ErrForbidden, ErrUnreachable,
// ErrLost, when it is not known whether it was done. A call that is under way when ctx ends goes on.

// opServer has a node do something with one of its servers.
type opServer struct {
	what   serverCall
	config ServerConfig   // of a start
	again  RestartOptions // of a restart
}

// serverCall says what. The numbers are frozen: they travel between nodes.
type serverCall uint8

const (
	callStart serverCall = iota + 1
	callRestart
	callStop
	callDelete
)

// StartServerOn is StartServer on another node. The server is not a member of any cluster until AddMember.
func (n *Node) StartServerOn(ctx context.Context, node NodeID, c ServerConfig) (ServerID, error) {
	id := ServerID{Name: c.Name, Node: node}
	if node == n.id {
		return n.StartServer(ctx, c)
	}
	if err := id.Validate(); err != nil {
		return ServerID{}, err
	}
	if err := c.Options.validate(); err != nil {
		return ServerID{}, err
	}
	if err := n.callServer(ctx, id, &opServer{what: callStart, config: c}); err != nil {
		return ServerID{}, err
	}
	return id, nil
}

// RestartServerOn is RestartServer on the server's node.
func (n *Node) RestartServerOn(ctx context.Context, id ServerID, o RestartOptions) error {
	if o.Options != nil {
		if err := o.Options.validate(); err != nil {
			return err
		}
	}
	return n.callServer(ctx, id, &opServer{what: callRestart, again: o})
}

// StopServerOn is StopServer on the server's node.
func (n *Node) StopServerOn(ctx context.Context, id ServerID) error {
	return n.callServer(ctx, id, &opServer{what: callStop})
}

// DeleteServerOn is DeleteServer on the server's node.
func (n *Node) DeleteServerOn(ctx context.Context, id ServerID) error {
	return n.callServer(ctx, id, &opServer{what: callDelete})
}

func (n *Node) callServer(ctx context.Context, id ServerID, op *opServer) error {
	if id.Node == n.id {
		return n.performServer(ctx, id.Name, op)
	}
	a := n.await(ctx, id, op, 256)
	return a.queryError()
}

// performServer does it here.
func (n *Node) performServer(ctx context.Context, name string, op *opServer) error {
	switch op.what {
	case callStart:
		_, err := n.StartServer(ctx, op.config)
		return err
	case callRestart:
		return n.RestartServer(ctx, name, op.again)
	case callStop:
		return n.StopServer(ctx, name)
	}
	return n.DeleteServer(ctx, name)
}

// answerServer does it for another node.
func (n *Node) answerServer(name string, op *opServer) answer {
	if err := n.performServer(n.ctx, name, op); err != nil {
		return failed(err, NotApplied, false, ServerID{})
	}
	return answer{}
}

// appendTo encodes the call, of the server that the request is to:
//
//	byte     1 start, 2 restart, 3 stop, 4 delete
//	         start: names of cluster, system, uid and machine (strings), initial machine version (uvarint), the options
//	         restart: name of the cluster (string), whether there are options (bool), the options
//
// Options: see ServerOptions.appendTo.
func (op *opServer) appendTo(b []byte) []byte {
	b = append(b, byte(op.what))
	switch op.what {
	case callStart:
		return op.config.appendTo(b)
	case callRestart:
		b = appendBool(appendName(b, op.again.Cluster), op.again.Options != nil)
		if op.again.Options != nil {
			b = op.again.Options.appendTo(b)
		}
	}
	return b
}

func (d *packetDecoder) serverCall(name string) *opServer {
	op := &opServer{what: serverCall(d.byte())}
	switch op.what {
	case callStart:
		op.config.Name = name
		d.serverConfig(&op.config)
	case callRestart:
		op.again.Cluster = d.text()
		if d.boolean() {
			op.again.Options = d.options()
		}
	case callStop, callDelete:
	default:
		d.refuse()
	}
	return op
}
