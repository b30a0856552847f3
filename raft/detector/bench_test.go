package detector

import (
	"fmt"
	"testing"
)

// benchPeers is a detector that watches 1,000 peers, all Up, and the heartbeats that keep them so.
func benchPeers(b *testing.B) (d *Detector, now int64, beats []*Heartbeat) {
	var sent []*Heartbeat
	d, err := New(Options{Node: "self", Incarnation: 1, Send: func(h *Heartbeat) { sent = append(sent, h) },
		Changed: func(Change) {}, Notice: func(NodeID, uint64, []byte) {}})
	if err != nil {
		b.Fatal(err)
	}
	now = 1e12
	for i := range 1000 {
		d.Watch(now, fmt.Sprintf("node-%d", i))
	}
	d.Step(now)
	for _, h := range sent {
		beats = append(beats, &Heartbeat{From: h.To, To: "self", Incarnation: 1, Answer: true, PeerIncarnation: 1})
	}
	return d, now, beats
}

// answer moves the peers' heartbeats on by one interval.
func answer(d *Detector, now int64, beats []*Heartbeat, round uint64) {
	for _, h := range beats {
		h.Seq, h.Stamp, h.Echo, h.EchoStamp = round, now, round, now-100*ms
		d.Receive(now, h)
	}
}

// BenchmarkInterval is one interval of 1,000 peers: all heartbeats received and sent, all peers judged.
func BenchmarkInterval(b *testing.B) {
	d, now, beats := benchPeers(b)
	d.opts.Send = func(*Heartbeat) {}
	round := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 100 * ms
		round++
		answer(d, now, beats, round)
		d.Step(now)
	}
	if s := d.Stats(); s.Suspected+s.Late != 0 {
		b.Fatalf("%+v", s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e8*100, "%core")
}

// BenchmarkWatch is one more cluster that watches a peer, and takes that back.
func BenchmarkWatch(b *testing.B) {
	d, now, beats := benchPeers(b)
	b.ReportAllocs()
	for b.Loop() {
		d.Watch(now, beats[500].From)
		d.Unwatch(now, beats[500].From)
	}
}
