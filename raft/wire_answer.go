package raft

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/raft/core"
)

// The flags of an answer, and those of its error.
const (
	answerReply = 1
	answerError = 2
	answerValue = 4

	errorMaybe      = 1
	errorRetriable  = 2
	errorSameLeader = 4
)

// The values of answers on the wire. The numbers are frozen.
const (
	wireConfiguration byte = iota + 1
	wireMemberInfos
	wireAnIdentity
	wireAnOverview
)

// minMemberInfo is what a MemberInfo takes at least: a byte for each of its fields, and of its member's.
const minMemberInfo = 11

// appendTo encodes an answer:
//
//	uvarint  number of the request
//	byte     flags: 1 with a reply, which may be empty, 2 with an error, 4 with a value
//	byte     status
//	uvarint  index, term, session
//	string   leader: name and node, both empty for none
//	         with an error: flags (byte), 1 maybe applied, 2 retriable, 4 its leader is the answer's; otherwise that leader;
//	         then see appendError
//	         with a value its kind (byte):
//	         1 configuration: bytes of Configuration.Marshal
//	         2 members, at most core.MaxMembers: their number; of each see appendMember, leader (bool), next, match, commit,
//	         and mode (string)
//	         3 identity of a server of the answering node: name, uid, incarnation
//	         4 overview: see appendOverview
//	         the reply, to the end
func (p *response) appendTo(b []byte) []byte {
	a := &p.answer
	flags := flagIf(a.reply != nil, answerReply) | flagIf(a.err != nil, answerError)
	value := a.kind()
	b = append(binary.AppendUvarint(b, p.id), flags|flagIf(value != 0, answerValue), byte(a.status))
	for _, v := range [...]uint64{uint64(a.index), uint64(a.term), uint64(a.session)} {
		b = binary.AppendUvarint(b, v)
	}
	b = appendServer(b, a.leader)
	if e := a.err; e != nil {
		same := e.Leader == a.leader
		b = append(b, flagIf(e.Outcome != NotApplied, errorMaybe)|flagIf(e.Retriable, errorRetriable)|flagIf(same, errorSameLeader))
		if !same {
			b = appendServer(b, e.Leader)
		}
		b = appendError(b, e.Err)
	}
	if value != 0 {
		b = a.appendValue(append(b, value))
	}
	return append(b, a.reply...)
}

// kind is that of the value, 0 when there is none. A query by a function, which may answer anything, comes from no other
// node.
func (a *answer) kind() byte {
	switch a.any.(type) {
	case core.Configuration:
		return wireConfiguration
	case []MemberInfo:
		return wireMemberInfos
	case core.Identity:
		return wireAnIdentity
	case map[string]any:
		return wireAnOverview
	}
	return 0
}

func (a *answer) appendValue(b []byte) []byte {
	switch v := a.any.(type) {
	case core.Configuration:
		return appendConfiguration(b, v)
	case []MemberInfo:
		b = binary.AppendUvarint(b, uint64(len(v)))
		for i := range v {
			b = v[i].appendTo(b)
		}
	case core.Identity:
		return appendIdentity(b, &v)
	case map[string]any:
		return appendOverview(b, v)
	}
	return b
}

func (m *MemberInfo) appendTo(b []byte) []byte {
	b = appendBool(appendMember(b, &m.Member), m.Leader)
	for _, i := range [...]Index{m.Next, m.Match, m.Commit} {
		b = binary.AppendUvarint(b, uint64(i))
	}
	return appendName(b, m.Mode)
}

func (d *packetDecoder) response() *response {
	p := &response{id: d.uvarint()}
	a := &p.answer
	f := d.flags(answerReply | answerError | answerValue)
	a.status = ReplyStatus(d.byte())
	a.index, a.term, a.session = Index(d.uvarint()), Term(d.uvarint()), SessionID(d.uvarint())
	a.leader = d.server()
	if f&answerError != 0 {
		a.err = d.failure(a.leader)
	}
	if f&answerValue != 0 {
		a.any = d.value()
	}
	if f&answerReply != 0 {
		a.reply, d.in = d.in, nil
	}
	return p
}

func (d *packetDecoder) failure(leader ServerID) *ProposalError {
	f := d.flags(errorMaybe | errorRetriable | errorSameLeader)
	e := &ProposalError{Retriable: f&errorRetriable != 0, Leader: leader}
	if f&errorMaybe != 0 {
		e.Outcome = MaybeApplied
	}
	if f&errorSameLeader == 0 {
		if e.Leader = d.server(); e.Leader == leader {
			d.refuse()
		}
	}
	e.Err = d.remoteError()
	return e
}

func (d *packetDecoder) value() any {
	switch d.byte() {
	case wireConfiguration:
		return d.configuration()
	case wireMemberInfos:
		var list []MemberInfo
		for range d.count(core.MaxMembers, minMemberInfo) {
			list = append(list, MemberInfo{Member: d.member(), Leader: d.boolean(), Next: Index(d.uvarint()), Match: Index(d.uvarint()),
				Commit: Index(d.uvarint()), Mode: d.text()})
		}
		return list
	case wireAnIdentity:
		return d.identity()
	case wireAnOverview:
		return d.overview()
	}
	d.refuse()
	return nil
}
