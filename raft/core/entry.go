package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Kinds of entries that the core understands, as Entry.Type. The numbers are frozen: they stand in
// logs. Up to FirstShellKind they are the core's; the others mean nothing to it.
const (
	// KindNoop opens a term and says which version of the machine applies from it on.
	KindNoop uint8 = 1
	// KindConfiguration is in effect from the moment it is appended.
	KindConfiguration uint8 = 2
	// KindDelete ends the cluster.
	KindDelete uint8 = 3
	// FirstShellKind is the first kind that belongs to the shell.
	FirstShellKind uint8 = 16
)

// MaxMembers bounds a configuration.
const MaxMembers = 64

// ErrBadEntry is wrapped by errors about payloads of the core's own entries.
var ErrBadEntry = errors.New("core: bad entry")

// ErrVersion is wrapped when a payload's format is newer than this program.
var ErrVersion = errors.New("core: newer format")

const entryVersion = 1

// MarshalNoop encodes the payload of a KindNoop entry:
//
//	byte     format version, 1
//	uvarint  machine version
func MarshalNoop(machine uint64) []byte {
	return binary.AppendUvarint([]byte{entryVersion}, machine)
}

// UnmarshalNoop decodes MarshalNoop's bytes. Errors wrap ErrBadEntry or ErrVersion.
func UnmarshalNoop(b []byte) (machine uint64, err error) {
	d := decoder{b: b}
	d.version(entryVersion)
	machine = d.uvarint()
	return machine, d.end("noop")
}

// MarshalDelete encodes the payload of a KindDelete entry:
//
//	byte     format version, 1
func MarshalDelete() []byte { return []byte{entryVersion} }

// UnmarshalDelete checks MarshalDelete's bytes. Errors wrap ErrBadEntry or ErrVersion.
func UnmarshalDelete(b []byte) error {
	d := decoder{b: b}
	d.version(entryVersion)
	return d.end("deletion")
}

// Marshal encodes the payload of a KindConfiguration entry:
//
//	byte     format version, 1
//	16 B     cluster id
//	uvarint  epoch
//	uvarint  number of members, at most MaxMembers; then each, by address:
//	string   node, name, uid: uvarint length and bytes
//	uvarint  incarnation
//	byte     membership
//	uvarint  target
func (c Configuration) Marshal() []byte {
	b := append([]byte{entryVersion}, c.Cluster[:]...)
	b = binary.AppendUvarint(b, c.Epoch)
	b = binary.AppendUvarint(b, uint64(len(c.Members)))
	for i := range c.Members {
		m := &c.Members[i]
		b = appendString(b, m.ID.Node)
		b = appendString(b, m.ID.Name)
		b = appendString(b, string(m.UID))
		b = binary.AppendUvarint(b, uint64(m.Incarnation))
		b = append(b, byte(m.Membership))
		b = binary.AppendUvarint(b, uint64(m.Target))
	}
	return b
}

// UnmarshalConfiguration decodes Marshal's bytes and keeps no reference to them. Errors wrap
// ErrBadEntry or ErrVersion.
func UnmarshalConfiguration(b []byte) (Configuration, error) {
	var c Configuration
	d := decoder{b: b}
	d.version(entryVersion)
	copy(c.Cluster[:], d.bytes(len(c.Cluster)))
	c.Epoch = d.uvarint()
	n := d.uvarint()
	if n > MaxMembers {
		d.fail()
	}
	for i := uint64(0); i < n && !d.bad; i++ {
		var m Member
		m.ID.Node = d.string(MaxNodeLen)
		m.ID.Name = d.string(MaxNameLen)
		m.UID = UID(d.string(maxUID))
		m.Incarnation = Incarnation(d.uvarint())
		m.Membership = Membership(d.byte())
		m.Target = Index(d.uvarint())
		c.Members = append(c.Members, m)
	}
	if err := d.end("configuration"); err != nil {
		return Configuration{}, err
	}
	if err := c.Validate(); err != nil {
		return Configuration{}, fmt.Errorf("%w: %w", ErrBadEntry, err)
	}
	return c, nil
}

const maxUID = 128

// Validate reports what makes a configuration unusable: too many members, an address twice or out of
// order, a bad name, a member without incarnation or with an unknown membership.
func (c Configuration) Validate() error {
	if len(c.Members) > MaxMembers {
		return fmt.Errorf("core: %d members, at most %d", len(c.Members), MaxMembers)
	}
	for i := range c.Members {
		m := &c.Members[i]
		if err := m.ID.Validate(); err != nil {
			return err
		}
		if err := m.UID.Validate(); err != nil {
			return err
		}
		if m.Incarnation == 0 || m.Membership < Voter || m.Membership > NonVoter {
			return fmt.Errorf("core: member %v: incarnation %d, %v", m.ID, m.Incarnation, m.Membership)
		}
	}
	if !slices.IsSortedFunc(c.Members, func(a, b Member) int {
		if a.ID == b.ID {
			return -1
		}
		return a.ID.Compare(b.ID)
	}) {
		return errors.New("core: members out of order, or one twice")
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder reads from b until something is wrong.
type decoder struct {
	b     []byte
	bad   bool
	newer bool
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

func (d *decoder) version(known byte) {
	if v := d.byte(); v > known && !d.bad {
		d.newer = true
		d.fail()
	} else if v == 0 {
		d.fail()
	}
}

func (d *decoder) byte() byte {
	b := d.bytes(1)
	if d.bad {
		return 0
	}
	return b[0]
}

func (d *decoder) bytes(n int) []byte {
	if len(d.b) < n {
		d.fail()
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// uvarint accepts the shortest form only, so that one value has one encoding.
func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string(most int) string {
	n := d.uvarint()
	if n > uint64(most) {
		d.fail()
		return ""
	}
	return string(d.bytes(int(n)))
}

// end returns what was wrong, trailing bytes included.
func (d *decoder) end(what string) error {
	switch {
	case d.newer:
		return fmt.Errorf("%w: %s", ErrVersion, what)
	case d.bad || len(d.b) > 0:
		return fmt.Errorf("%w: %s", ErrBadEntry, what)
	}
	return nil
}
