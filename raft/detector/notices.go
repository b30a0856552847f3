package detector

// outbox holds the notices that a peer has not acknowledged, oldest first.
type outbox struct {
	first   uint64 // number of notices[0], or of the next notice when there is none
	notices [][]byte
	bytes   int
}

func (o *outbox) add(notice []byte) {
	o.notices = append(o.notices, notice)
	o.bytes += len(notice) + noticeOverhead
}

// ack drops the notices up to the given number and says whether there were any. A number that was never
// given away is ignored.
func (o *outbox) ack(through uint64) bool {
	if through < o.first || through-o.first >= uint64(len(o.notices)) {
		return false
	}
	n := through - o.first + 1
	o.bytes -= noticeBytes(o.notices[:n])
	o.first += n
	o.notices = o.notices[n:]
	if len(o.notices) == 0 {
		o.notices = nil
	}
	return true
}

// drop forgets all notices and returns how many. Their numbers are not used again, so that the receiver,
// which may have seen some, does not take later ones for them.
func (o *outbox) drop() int {
	n := len(o.notices)
	o.first += uint64(n)
	o.notices, o.bytes = nil, 0
	return n
}

// batch returns the oldest notices that fit into limit bytes. The slice is never written to again.
func (o *outbox) batch(limit int) [][]byte {
	n := 0
	for n < min(len(o.notices), MaxNotices) && len(o.notices[n])+noticeOverhead <= limit {
		limit -= len(o.notices[n]) + noticeOverhead
		n++
	}
	return o.notices[:n:n]
}

// inbox numbers what has come from one life of a peer.
type inbox struct {
	taken uint64 // newest notice queued for handing over
	acked uint64 // newest notice handed over
	bytes int    // of notices queued
}

// take returns those notices of a heartbeat that are new and fit into limit bytes with what is queued, and
// the number of the first. One fits always when nothing is queued, as the sender's limit may be larger. A number
// beyond the next one means that the sender has dropped those before.
func (i *inbox) take(h *Heartbeat, limit int) (uint64, [][]byte) {
	if h.NoticeFirst == 0 || len(h.Notices) == 0 {
		return 0, nil
	}
	if h.NoticeFirst > i.taken+1 {
		i.taken = h.NoticeFirst - 1
	}
	skip := i.taken + 1 - h.NoticeFirst
	if skip >= uint64(len(h.Notices)) {
		return 0, nil
	}
	fresh := h.Notices[skip:]
	n := 0
	for n < len(fresh) && (i.bytes == 0 || i.bytes+len(fresh[n])+noticeOverhead <= limit) {
		i.bytes += len(fresh[n]) + noticeOverhead
		n++
	}
	first := i.taken + 1
	i.taken += uint64(n)
	return first, fresh[:n]
}
