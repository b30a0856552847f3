package raft

import "encoding/binary"

// The flags of a machineMessage.
const (
	messageEvent   = 1
	messageSession = 2
)

// appendTo encodes a machine's message:
//
//	string   name of the sending server, which is on the sender's node
//	byte     flags: 1 event, 2 to a session
//	uvarint  index of the entry that asked for it
//	string   name of the mailbox
//	16 B     cluster of the session, if it is to one
//	uvarint  the session, if it is to one
//	         data to the end
func (m *machineMessage) appendTo(b []byte) []byte {
	flags := flagIf(m.event, messageEvent) | flagIf(m.session != (sessionKey{}), messageSession)
	b = append(appendName(b, m.from.Name), flags)
	b = appendName(binary.AppendUvarint(b, uint64(m.index)), m.name)
	if flags&messageSession != 0 {
		b = binary.AppendUvarint(append(b, m.session.cluster[:]...), uint64(m.session.id))
	}
	return append(b, m.data...)
}

func (d *packetDecoder) machineMessage() *machineMessage {
	m := &machineMessage{from: d.there()}
	f := d.flags(messageEvent | messageSession)
	m.event, m.index, m.name = f&messageEvent != 0, Index(d.uvarint()), d.text()
	if f&messageSession != 0 {
		copy(m.session.cluster[:], d.take(uint64(len(m.session.cluster))))
		m.session.id = SessionID(d.uvarint())
		if m.session == (sessionKey{}) {
			d.refuse()
		}
	}
	m.data = d.rest()
	return m
}
