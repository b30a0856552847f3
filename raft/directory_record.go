package raft

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/raft/core"
)

// serverRecord is what a node keeps of a server on disk, beside its log.
type serverRecord struct {
	Name        string
	UID         core.UID
	Cluster     string // its name
	Machine     string // the registered name
	Incarnation core.Incarnation
	// Version is the machine version in force before the first entry.
	Version uint64
	// Initial is the configuration before the first entry; without members for a server that joins.
	Initial core.Configuration
	// Options are the server's own, nil for those of the node.
	Options *ServerOptions
	// NextUID and NextIncarnation are those of the server that is to take this one's place, whose log is damaged; zero for none.
	NextUID         core.UID
	NextIncarnation core.Incarnation
	// Deleted says that the server is no more.
	Deleted bool
	// Stopped keeps the server from being started when its node is.
	Stopped bool
}

const (
	recordPlain   = 1
	recordOptions = 2 // has options
	recordVersion = 3 // has options and a next server
	recordDeleted = 1
	recordStopped = 2
	recordInitial = 4
)

// marshal encodes a record:
//
//	1        version: 1, 2 with options, or 3 with options and a next server
//	1        flags: 1 deleted, 2 stopped, 4 with a configuration
//	names    name, uid, cluster, machine
//	uvarint  incarnation
//	uvarint  initial machine version
//	         from version 2 on the options: see ServerOptions.appendTo
//	         from version 3 on the next server: uid (name), incarnation (uvarint)
//	         the configuration, to the end
func (r *serverRecord) marshal() []byte {
	flags := byte(0)
	if r.Deleted {
		flags |= recordDeleted
	}
	if r.Stopped {
		flags |= recordStopped
	}
	if len(r.Initial.Members) > 0 {
		flags |= recordInitial
	}
	b := []byte{recordPlain, flags}
	options := r.Options
	switch {
	case r.NextIncarnation != 0:
		b[0] = recordVersion
		if options == nil {
			options = new(ServerOptions)
		}
	case options != nil:
		b[0] = recordOptions
	}
	for _, s := range []string{r.Name, string(r.UID), r.Cluster, r.Machine} {
		b = appendName(b, s)
	}
	b = binary.AppendUvarint(b, uint64(r.Incarnation))
	b = binary.AppendUvarint(b, r.Version)
	if options != nil {
		b = options.appendTo(b)
	}
	if b[0] == recordVersion {
		b = binary.AppendUvarint(appendName(b, string(r.NextUID)), uint64(r.NextIncarnation))
	}
	if flags&recordInitial != 0 {
		b = append(b, r.Initial.Marshal()...)
	}
	return b
}

// unmarshalRecord decodes marshal's bytes. Errors: ErrMalformed, ErrUnknownFormat.
func unmarshalRecord(b []byte) (r *serverRecord, err error) {
	if len(b) < 2 {
		return nil, malformed("server record of %d bytes", len(b))
	}
	if b[0] < recordPlain || b[0] > recordVersion {
		return nil, ErrUnknownFormat
	}
	r, d := new(serverRecord), commandDecoder{in: b[2:]}
	r.Name, r.UID = d.name(), core.UID(d.name())
	r.Cluster, r.Machine = d.name(), d.name()
	r.Incarnation, r.Version = core.Incarnation(d.uvarint()), d.uvarint()
	if b[0] >= recordOptions && !d.bad {
		o, err := d.serverOptions()
		if err != nil {
			return nil, err
		}
		if r.Options = o; b[0] == recordVersion {
			r.Options = o.kept()
			r.NextUID, r.NextIncarnation = core.UID(d.name()), core.Incarnation(d.uvarint())
		}
	}
	r.Deleted, r.Stopped = b[1]&recordDeleted != 0, b[1]&recordStopped != 0
	if d.bad || b[1] > recordDeleted|recordStopped|recordInitial {
		return nil, malformed("server record")
	}
	if b[1]&recordInitial != 0 {
		if r.Initial, err = core.UnmarshalConfiguration(d.in); err != nil {
			return nil, malformed("server record: %v", err)
		}
		if len(r.Initial.Members) == 0 {
			return nil, malformed("server record with a configuration of nobody")
		}
	} else if len(d.in) > 0 {
		return nil, malformed("server record with %d bytes behind it", len(d.in))
	}
	if err := r.id("n").Validate(); err != nil || r.UID.Validate() != nil || r.Incarnation == 0 ||
		b[0] == recordVersion && (r.NextUID.Validate() != nil || r.NextIncarnation == 0) {
		return nil, malformed("server record of %q", r.Name)
	}
	return r, nil
}

func (r *serverRecord) id(node NodeID) ServerID { return ServerID{Name: r.Name, Node: node} }

func (r *serverRecord) identity(node NodeID) core.Identity {
	return core.Identity{ID: r.id(node), UID: r.UID, Incarnation: r.Incarnation}
}
