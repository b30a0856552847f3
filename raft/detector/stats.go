package detector

// Stats counts what a detector has done since New.
type Stats struct {
	Watched int // peers with a watcher now
	Active  int // peers that get heartbeats now
	Known   int // peers ever met

	Sent         uint64 // heartbeats
	Received     uint64 // heartbeats, also those that were ignored
	Stale        uint64 // heartbeats ignored as repeated, overtaken, or of an older life
	Misaddressed uint64 // heartbeats ignored as meant for another node, or without a sender

	Suspected   uint64 // times that a peer became Down
	FoundOneWay uint64 // times that a peer became OneWay
	Restarts    uint64 // newer lives heard of
	Late        uint64 // times that Step was late enough to forgive the peers
	LateTime    int64  // nanoseconds forgiven

	NoticesSent       uint64 // in heartbeats, repetitions included
	NoticesHandedOver uint64
	NoticesDropped    uint64 // as their receiver restarted, or was down and not watched
	NoticesRefused    uint64 // by ErrOutboxFull
}

// Stats returns the counts. It may be called by any goroutine.
func (d *Detector) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.mu.stats
	s.Active, s.Known = len(d.mu.active), len(d.mu.peers)
	return s
}
