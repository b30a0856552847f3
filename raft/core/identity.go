package core

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// The vocabulary of the log.
type (
	// Index is a position in the log; the first entry is 1, 0 means none.
	Index = raftlog.Index
	// Term numbers leaderships; 0 precedes every election.
	Term = raftlog.Term
	// EntryID is an entry's identity.
	EntryID = raftlog.EntryID
	// Entry is a log entry. Its Type is one of the kinds of this package or the shell's own.
	Entry = raftlog.Entry
	// HardState is what a server must not forget: its term and its vote.
	HardState = raftlog.HardState
	// UID names a server's log.
	UID = raftlog.UID
)

// NodeID names a node, a process that hosts servers: 1 to MaxNodeLen bytes.
type NodeID = string

// ServerID is the address of a server: its name, unique on its node, and that node.
type ServerID struct {
	Name string // 1 to MaxNameLen bytes
	Node NodeID
}

// Bounds of names, in bytes, so that a vote fits into a hard state.
const (
	MaxNameLen = 128
	MaxNodeLen = 100
)

// ErrBadID is wrapped by errors about names that break their bounds.
var ErrBadID = errors.New("core: bad server id")

// Validate returns an error that wraps ErrBadID when a part is empty or too long.
func (id ServerID) Validate() error {
	if n := len(id.Name); n == 0 || n > MaxNameLen {
		return fmt.Errorf("%w: name of %d bytes", ErrBadID, n)
	}
	if n := len(id.Node); n == 0 || n > MaxNodeLen {
		return fmt.Errorf("%w: node name of %d bytes", ErrBadID, n)
	}
	return nil
}

// String renders the address as name@node.
func (id ServerID) String() string { return id.Name + "@" + id.Node }

// IsZero reports whether id names no server.
func (id ServerID) IsZero() bool { return id == ServerID{} }

// Compare orders addresses by node, then name.
func (id ServerID) Compare(o ServerID) int {
	if c := strings.Compare(id.Node, o.Node); c != 0 {
		return c
	}
	return strings.Compare(id.Name, o.Name)
}

// ClusterID is drawn at random when a cluster starts. The zero value is that of a server that
// was never in a cluster.
type ClusterID [16]byte

// String renders the id in hexadecimal.
func (id ClusterID) String() string { return hex.EncodeToString(id[:]) }

// Incarnation numbers one life of a member: it is drawn at random when the member's log is made, so a
// server that lost its disk is another one. 0 is none.
type Incarnation uint64

// Identity is a server's own: it never changes.
type Identity struct {
	ID          ServerID
	UID         UID
	Incarnation Incarnation
}

// Membership says what a member counts for.
type Membership uint8

const (
	// Voter votes and counts for commits.
	Voter Membership = 1
	// Promotable receives the log and becomes a voter when it has caught up to its target.
	Promotable Membership = 2
	// NonVoter receives the log.
	NonVoter Membership = 3
)

// String renders the membership as Ra names it.
func (m Membership) String() string {
	switch m {
	case Voter:
		return "voter"
	case Promotable:
		return "promotable"
	case NonVoter:
		return "non_voter"
	}
	return fmt.Sprintf("membership(%d)", uint8(m))
}

// Member is one server of a configuration.
type Member struct {
	Identity
	Membership Membership
	// Target is the index below which a promotable member has too little to become a voter. It becomes one when it has
	// everything up to the cluster's newest configuration, which is at Target or above, and knows that it is committed.
	Target Index
}

// Configuration is the cluster as an entry of its log names it. It is never changed in place.
type Configuration struct {
	Cluster ClusterID
	// Epoch is drawn anew by a forced shrink: members of different epochs refuse each other.
	Epoch uint64
	// Members are in the order of their addresses, each address once.
	Members []Member
}

// Member returns the member with that address.
func (c Configuration) Member(id ServerID) (Member, bool) {
	if m := c.find(id); m != nil {
		return *m, true
	}
	return Member{}, false
}

// find returns the member with that address, nil when there is none. Members are few: looking at each costs less than
// comparing for an order, and it is done for every message.
func (c *Configuration) find(id ServerID) *Member {
	for i := range c.Members {
		if m := &c.Members[i]; m.ID == id {
			return m
		}
	}
	return nil
}

// Has reports whether the life of a server is a member.
func (c Configuration) Has(id ServerID, inc Incarnation) bool {
	m := c.find(id)
	return m != nil && m.Incarnation == inc
}

// votes reports whether the life of a server is a voter.
func (c Configuration) votes(id ServerID, inc Incarnation) bool {
	m := c.find(id)
	return m != nil && m.Incarnation == inc && m.Membership == Voter
}

// Quorum is how many voters make a majority.
func (c Configuration) Quorum() int {
	n := 0
	for i := range c.Members {
		if c.Members[i].Membership == Voter {
			n++
		}
	}
	return n/2 + 1
}

// with returns the configuration with m in the place of whoever has its address.
func (c Configuration) with(m Member) Configuration {
	members := slices.Clone(c.Members)
	k, ok := slices.BinarySearchFunc(members, m.ID, func(m Member, id ServerID) int { return m.ID.Compare(id) })
	if ok {
		members[k] = m
	} else {
		members = slices.Insert(members, k, m)
	}
	c.Members = members
	return c
}

// without returns the configuration without the member of that address.
func (c Configuration) without(id ServerID) Configuration {
	c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool { return m.ID == id })
	return c
}
