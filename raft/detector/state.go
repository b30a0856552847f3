package detector

import "fmt"

// State is what is known of a peer. See the package comment for what each proves.
type State uint8

// The states of a peer.
const (
	Unknown State = iota
	Up
	OneWay
	Down
)

// String names the state.
func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Up:
		return "up"
	case OneWay:
		return "one-way"
	case Down:
		return "down"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// View is what is known of one peer at one moment.
type View struct {
	State State
	// Incarnation is the newest life heard of, 0 for none.
	Incarnation uint64
	// Contact is when the newest heartbeat that this life has echoed was sent, on this node's clock: the time of
	// the last two-way contact. 0 when there was none.
	Contact int64
	// Version rises with each change of State or Incarnation. A Change whose version is not above that of a
	// view taken before is older than the view.
	Version uint64
}

// Change reports one change of one watched peer.
type Change struct {
	Peer NodeID
	View
	// Was is the state before.
	Was State
	// Restarted says that a newer life was heard of: Incarnation is its number, Previous that of the life that
	// has ended, Contact the last contact with that one, State Unknown.
	Restarted bool
	Previous  uint64
}
