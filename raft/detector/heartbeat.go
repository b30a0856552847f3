package detector

// Heartbeat is what one node says to another. It is immutable once sent.
type Heartbeat struct {
	From        NodeID
	To          NodeID
	Incarnation uint64 // the sender's life
	Seq         uint64 // rises with each heartbeat from this life to this receiver; the first is 1
	Stamp       int64  // when it was sent, on the sender's clock; it returns as EchoStamp
	Answer      bool   // the sender wants heartbeats back

	// PeerIncarnation is the receiver's life as the sender knows it, 0 when it has never heard of it. The fields
	// below speak of that life and mean nothing to another.
	PeerIncarnation uint64
	Echo            uint64 // Seq of the newest heartbeat that the sender has heard, 0 for none
	EchoStamp       int64  // its Stamp
	EchoDelay       int64  // nanoseconds from its arrival to this heartbeat

	NoticeAck   uint64   // notices up to here have been handed over
	NoticeFirst uint64   // number of Notices[0]; 0 when there are none
	Notices     [][]byte // consecutive, at most MaxNotices
}

// MaxNotices bounds the notices of a heartbeat.
const MaxNotices = 4096

// noticeOverhead is what a notice costs beside its bytes: its length.
const noticeOverhead = 4

// Size returns how many bytes the heartbeat takes on a wire, to within its framing.
func (h *Heartbeat) Size() int {
	const fixed = 9*8 + 1 + 2*2
	return fixed + len(h.From) + len(h.To) + noticeBytes(h.Notices)
}

func noticeBytes(notices [][]byte) int {
	sum := 0
	for _, n := range notices {
		sum += len(n) + noticeOverhead
	}
	return sum
}
