package detector

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestNoticesOnceInOrder sends notices over links that lose, repeat and reorder.
func TestNoticesOnceInOrder(t *testing.T) {
	for seed := range seeds(60) {
		w := newWorld(t, seed, "a", "b")
		w.ordinal = link{max: 250 * ms, loss: 0.4, dup: 0.3}
		w.watchAll()
		for _, n := range w.nodes {
			n.opts.NoticeBytes = 100 // some notices in a heartbeat
		}
		a, b := w.node("a"), w.node("b")
		var want []string
		for i := range 120 {
			text := fmt.Sprintf("notice %d of seed %d", i, seed)
			if err := a.Notify(w.now, "b", []byte(text)); err != nil {
				t.Fatal(err)
			}
			want = append(want, text)
			w.run(time.Duration(w.rand.Int64N(2e8)))
			if !slices.Equal(b.notices, want[:len(b.notices)]) {
				t.Fatalf("seed %d: handed over %q of %q", seed, b.notices, want)
			}
		}
		w.run(60 * time.Second)
		if !slices.Equal(b.notices, want) {
			t.Fatalf("seed %d: handed over %d of %d", seed, len(b.notices), len(want))
		}
		if out := &a.mu.peers["b"].out; out.bytes != 0 || len(out.notices) != 0 {
			t.Fatalf("seed %d: %d bytes are left", seed, out.bytes)
		}
		if in := &b.mu.peers["a"].in; in.bytes != 0 || in.acked != 120 {
			t.Fatalf("seed %d: inbox %+v", seed, in)
		}
		if s := a.Stats(); s.NoticesSent <= 120 {
			t.Fatalf("seed %d: nothing was repeated: %+v", seed, s)
		}
	}
}

// TestNoticesKeepTheBound hands over more than one heartbeat holds.
func TestNoticesKeepTheBound(t *testing.T) {
	w := newWorld(t, 1, "a")
	largest := 0
	b := w.start("b", 1, func(o *Options) {
		send := o.Send
		o.Send = func(h *Heartbeat) { largest = max(largest, noticeBytes(h.Notices)); send(h) }
	})
	w.watchAll()
	w.run(time.Second)
	const count, size = 10000, 40
	for range count {
		if err := b.Notify(w.now, "a", make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	before := b.Stats().Sent
	w.run(100 * time.Millisecond)
	if sent := b.Stats().Sent - before; sent > 2+extras {
		t.Fatalf("%d heartbeats in an interval", sent)
	}
	w.run(400 * time.Millisecond)
	if got := len(w.node("a").notices); got != count {
		t.Fatalf("%d of %d handed over in half a second", got, count)
	}
	if largest > 16<<10 || largest < 15<<10 {
		t.Fatalf("%d bytes of notices in one heartbeat", largest)
	}
}

func TestNotifyRefuses(t *testing.T) {
	w := newWorld(t, 1)
	a := w.start("a", 1, func(o *Options) { o.NoticeBytes, o.OutboxBytes = 64, 128 })
	if err := a.Notify(w.now, "b", make([]byte, 61)); !errors.Is(err, ErrNoticeSize) {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Notify(w.now, "b", make([]byte, 60)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Notify(w.now, "b", nil); !errors.Is(err, ErrOutboxFull) || a.Stats().NoticesRefused != 1 {
		t.Fatal(err)
	}
	// Nobody watches b, which never answers: the notices go, and so do the heartbeats.
	w.run(2 * time.Second)
	if s := a.Stats(); s.NoticesDropped != 2 || s.Active != 0 || a.Next() != Never {
		t.Fatalf("%+v", s)
	}
	if err := a.Notify(w.now, "b", make([]byte, 60)); err != nil {
		t.Fatal(err)
	}
}

// TestNoticeIsCopied changes the caller's bytes after Notify.
func TestNoticeIsCopied(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	text := []byte("first")
	if err := w.node("a").Notify(w.now, "b", text); err != nil {
		t.Fatal(err)
	}
	copy(text, "other")
	w.run(time.Second)
	if got := w.node("b").notices; !slices.Equal(got, []string{"first"}) {
		t.Fatalf("handed over %q", got)
	}
}

// TestNoticesToAnEarlierLife are not for the next one; later ones are.
func TestNoticesToAnEarlierLife(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	w.watchAll()
	w.run(time.Second)
	a := w.node("a")
	notify := func(text string) {
		if err := a.Notify(w.now, "b", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	notify("seen")
	w.run(100 * time.Millisecond)
	w.node("b").dead = true
	notify("to the dead")
	w.run(100 * time.Millisecond)
	b := w.start("b", 2, nil)
	b.Watch(w.now, "a")
	w.run(time.Second)
	notify("to the second life")
	w.run(time.Second)
	if !slices.Equal(b.notices, []string{"to the second life"}) {
		t.Fatalf("handed over %q", b.notices)
	}
	if s := a.Stats(); s.NoticesDropped != 1 || s.NoticesHandedOver != 0 {
		t.Fatalf("%+v", s)
	}
}

// TestNoticesSurviveIdleness begins and ends heartbeats between notices: the numbers go on.
func TestNoticesSurviveIdleness(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	a, b := w.node("a"), w.node("b")
	for i := range 3 {
		if err := a.Notify(w.now, "b", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		w.run(5 * time.Second)
		if a.Next() != Never || b.Next() != Never {
			t.Fatal("heartbeats go on")
		}
	}
	if !slices.Equal(b.notices, []string{"0", "1", "2"}) {
		t.Fatalf("handed over %q", b.notices)
	}
}

// TestNoticeOfLargerSender reaches a receiver that would not send one of that size itself.
func TestNoticeOfLargerSender(t *testing.T) {
	w := newWorld(t, 1, "a")
	b := w.start("b", 1, func(o *Options) { o.NoticeBytes = 64 })
	for range 3 {
		if err := w.node("a").Notify(w.now, "b", bytes.Repeat([]byte("x"), 1000)); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	if len(b.notices) != 3 {
		t.Fatalf("%d of 3 handed over", len(b.notices))
	}
}

// TestNoticesOfTheNextLife are numbered from 1 again, and handed over.
func TestNoticesOfTheNextLife(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	w.watchAll()
	for life := uint64(1); life <= 3; life++ {
		b := w.start("b", life, nil)
		b.Watch(w.now, "a")
		for i := range 2 {
			if err := b.Notify(w.now, "a", fmt.Appendf(nil, "%d/%d", life, i)); err != nil {
				t.Fatal(err)
			}
		}
		w.run(time.Second)
	}
	if got := w.node("a").notices; !slices.Equal(got, []string{"1/0", "1/1", "2/0", "2/1", "3/0", "3/1"}) {
		t.Fatalf("handed over %q", got)
	}
}

// TestDroppedNoticesKeepTheirNumbers lets acknowledgements be lost until the sender gives up.
func TestDroppedNoticesKeepTheirNumbers(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	a, b := w.node("a"), w.node("b")
	notify := func(text string) {
		if err := a.Notify(w.now, "b", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	notify("0")
	w.run(100 * time.Millisecond)
	notify("1")
	w.rule("b", "a", link{cut: true})
	w.run(3 * time.Second)
	if s := a.Stats(); s.NoticesDropped != 1 {
		t.Fatalf("%+v", s)
	}
	w.links = map[[2]NodeID]*link{}
	notify("2")
	w.run(time.Second)
	if !slices.Equal(b.notices, []string{"0", "1", "2"}) {
		t.Fatalf("handed over %q", b.notices)
	}
}

// TestNoticesOfOneHeartbeat: however small they are, a heartbeat has no more of them than a receiver takes.
func TestNoticesOfOneHeartbeat(t *testing.T) {
	var o outbox
	for range MaxNotices + 1 {
		o.add(nil)
	}
	if n := len(o.batch(1 << 20)); n != MaxNotices {
		t.Fatalf("%d notices", n)
	}
}
