package raft

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The layout stands in doc.go.
const (
	commandVersion = 1
	commandFixed   = 10 // version, flags and time
	timeOffset     = 2
	maxUvarint     = binary.MaxVarintLen64

	flagSession   = 0x01
	flagLow       = 0x02
	flagOrigin    = 0x04
	replyShift    = 3
	flagReplyMask = 0x03 << replyShift
	flagsKnown    = flagSession | flagLow | flagOrigin | flagReplyMask
)

// AppendCommand appends the data of the entry that says c, whose Type is c.Kind, to dst and returns
// the result. It keeps no reference to c. Errors: ErrMalformed, ErrUnknownFormat for an unknown kind;
// then dst is returned as it was.
func AppendCommand(dst []byte, c *Command) ([]byte, error) {
	if err := c.validate(); err != nil {
		return dst, err
	}
	flags := byte(c.Reply) << replyShift
	if c.Kind == KindUser && c.Session.ID != 0 {
		flags |= flagSession
	}
	if c.Priority == Low {
		flags |= flagLow
	}
	if c.Origin.Node != "" {
		flags |= flagOrigin
	}
	dst = append(dst, commandVersion, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Time))
	if flags&flagSession != 0 {
		dst = binary.AppendUvarint(dst, uint64(c.Session.ID))
		dst = binary.AppendUvarint(dst, c.Session.Sequence)
		dst = binary.AppendUvarint(dst, c.Session.LowestUnacked)
	}
	if flags&flagOrigin != 0 {
		dst = appendName(dst, c.Origin.Node)
		dst = binary.AppendUvarint(dst, c.Origin.Request)
	}
	if c.Reply == ReplyFromMember {
		dst = appendName(dst, c.ReplyNode)
	}
	return appendCommandBody(dst, c), nil
}

func appendCommandBody(dst []byte, c *Command) []byte {
	switch c.Kind {
	case KindUser:
		return append(dst, c.Payload...)
	case KindSessionOpen:
		dst = append(dst, c.Open[:]...)
		dst = binary.AppendUvarint(dst, uint64(c.Window))
		dst = appendBool(dst, c.Ordered)
		return appendNode(dst, c)
	case KindSessionKeepAlive:
		dst = appendNode(binary.AppendUvarint(dst, uint64(c.Session.ID)), c)
		return binary.AppendUvarint(binary.AppendUvarint(dst, c.Acked[Normal]), c.Acked[Low])
	case KindSessionClose:
		return binary.AppendUvarint(dst, uint64(c.Session.ID))
	case KindSessionExpire:
		dst = appendNode(binary.AppendUvarint(dst, uint64(c.Session.ID)), c)
		return binary.AppendUvarint(dst, uint64(c.Armed))
	case KindTimeout:
		return binary.AppendUvarint(appendName(dst, c.Timer), uint64(c.Armed))
	case KindNodeUp, KindNodeDown:
		return binary.AppendUvarint(appendNode(dst, c), uint64(c.Armed))
	default: // KindMachineVersion: validate admits no other
		return binary.AppendUvarint(dst, c.Version)
	}
}

func appendName(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendNode(dst []byte, c *Command) []byte {
	return binary.AppendUvarint(appendName(dst, c.Node), c.Incarnation)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// StampCommand sets the time of an encoded command in place, as the leader does before it appends the
// entry: milliseconds since 1970 (UTC); a negative time counts as 0. Errors: ErrMalformed and
// ErrUnknownFormat when data does not begin as a command; then it is left alone.
func StampCommand(data []byte, millis int64) error {
	if err := checkCommandFixed(data); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(data[timeOffset:], uint64(max(0, millis)))
	return nil
}

func checkCommandFixed(data []byte) error {
	switch {
	case len(data) < 1:
		return malformed("empty")
	case data[0] != commandVersion:
		return fmt.Errorf("%w: version %d", ErrUnknownFormat, data[0])
	case len(data) < commandFixed:
		return malformed("%d bytes", len(data))
	case data[1]&^flagsKnown != 0:
		return malformed("flags %#02x", data[1])
	}
	return nil
}

// DecodeCommand reads the data of an entry of the given type. Payload aliases data; everything else is
// copied, at most 1 KiB. What AppendCommand would not have written is refused. Errors: ErrMalformed,
// ErrUnknownFormat.
func DecodeCommand(kind CommandKind, data []byte) (Command, error) {
	var c Command
	err := (&commandDecoder{}).decode(&c, kind, data)
	return c, err
}

// maxInterned bounds the names that a decoder remembers.
const maxInterned = 1024

// commandDecoder decodes commands and keeps the names that come again and again, so that decoding does not
// allocate. One goroutine at a time.
type commandDecoder struct {
	names map[string]string
	in    []byte // what is not decoded yet
	bad   bool
}

func (d *commandDecoder) decode(c *Command, kind CommandKind, data []byte) error {
	*c = Command{Kind: kind}
	if kind < FirstCommandKind || kind > lastCommandKind {
		return fmt.Errorf("%w: %v", ErrUnknownFormat, kind)
	}
	if err := checkCommandFixed(data); err != nil {
		return err
	}
	millis := binary.LittleEndian.Uint64(data[timeOffset:])
	if millis > math.MaxInt64 {
		return malformed("time %d", millis)
	}
	c.Time = int64(millis)
	flags := data[1]
	d.in, d.bad = data[commandFixed:], false
	d.header(c, flags)
	d.body(c)
	switch {
	case d.bad:
		return malformed("%v cut off, or a number not in its shortest form", kind)
	case len(d.in) > 0:
		return malformed("%v with %d bytes behind it", kind, len(d.in))
	case flags&flagSession != 0 && (kind != KindUser || c.Session.ID == 0):
		return malformed("session header of %v", kind)
	case flags&flagOrigin != 0 && c.Origin.Node == "":
		return malformed("origin without a node")
	}
	return c.validate()
}

func (d *commandDecoder) header(c *Command, flags byte) {
	c.Reply = ReplyMode(flags & flagReplyMask >> replyShift)
	if flags&flagLow != 0 {
		c.Priority = Low
	}
	if flags&flagSession != 0 {
		c.Session = SessionHeader{ID: SessionID(d.uvarint()), Sequence: d.uvarint(), LowestUnacked: d.uvarint()}
	}
	if flags&flagOrigin != 0 {
		c.Origin = Origin{Node: d.name(), Request: d.uvarint()}
	}
	if c.Reply == ReplyFromMember {
		c.ReplyNode = d.name()
	}
}

func (d *commandDecoder) body(c *Command) {
	switch c.Kind {
	case KindUser:
		c.Payload, d.in = d.in, nil
	case KindSessionOpen:
		copy(c.Open[:], d.take(uint64(len(c.Open))))
		window := d.uvarint()
		c.Window, d.bad = uint32(window), d.bad || window > math.MaxUint32
		c.Ordered = d.boolean()
		d.node(c)
	case KindSessionKeepAlive:
		c.Session.ID = SessionID(d.uvarint())
		d.node(c)
		c.Acked[Normal] = d.uvarint()
		c.Acked[Low] = d.uvarint()
	case KindSessionClose:
		c.Session.ID = SessionID(d.uvarint())
	case KindSessionExpire:
		c.Session.ID = SessionID(d.uvarint())
		d.node(c)
		c.Armed = Index(d.uvarint())
	case KindTimeout:
		c.Timer = d.name()
		c.Armed = Index(d.uvarint())
	case KindNodeUp, KindNodeDown:
		d.node(c)
		c.Armed = Index(d.uvarint())
	case KindMachineVersion:
		c.Version = d.uvarint()
	}
}

func (d *commandDecoder) node(c *Command) {
	c.Node = d.name()
	c.Incarnation = d.uvarint()
}

// uvarint reads a number in its shortest form.
func (d *commandDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.in)
	if n <= 0 || n > 1 && d.in[n-1] == 0 {
		d.bad, d.in = true, nil
		return 0
	}
	d.in = d.in[n:]
	return v
}

func (d *commandDecoder) take(n uint64) []byte {
	if n > uint64(len(d.in)) {
		d.bad, d.in = true, nil
		return nil
	}
	b := d.in[:n]
	d.in = d.in[n:]
	return b
}

func (d *commandDecoder) boolean() bool {
	b := d.take(1)
	if len(b) == 0 || b[0] > 1 {
		d.bad = true
		return false
	}
	return b[0] == 1
}

// name reads a name of at most MaxName bytes; the bound holds before anything is allocated.
func (d *commandDecoder) name() string {
	n := d.uvarint()
	if n > MaxName {
		d.bad = true
		return ""
	}
	b := d.take(n)
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	if len(d.names) >= maxInterned || d.names == nil {
		d.names = make(map[string]string)
	}
	s := string(b)
	d.names[s] = s
	return s
}
