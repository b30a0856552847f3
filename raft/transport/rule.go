package transport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Rule says what happens to messages of one class from one node to another. The zero Rule is a perfect link.
type Rule struct {
	// Loss is the probability that a message vanishes, 0 to 1, without an end of its epoch.
	Loss float64
	// Duplicate is the probability that a message arrives a second time, 0 to 1, some delay after the first and
	// maybe after later messages.
	Duplicate float64
	// Reorder is the probability that a message does not keep its place, 0 to 1: it arrives after its own delay
	// even if earlier ones take longer, and before those that are due at the same time.
	Reorder float64
	// DelayMin and DelayMax bound the time that a message travels. Each delay is drawn evenly from between them, and
	// is longer where an earlier message takes longer. DelayMin is at least 0, DelayMax at least DelayMin.
	DelayMin time.Duration
	DelayMax time.Duration
	// BytesPerSecond is how fast the link takes bytes; 0 for at once. All classes of a direction share it, and one message is on the wire
	// after the other, those of Control before all others. It travels for its delay then. At least 0.
	BytesPerSecond int
}

func (r Rule) validate() error {
	var found []error
	for _, p := range []struct {
		name  string
		value float64
	}{{"Loss", r.Loss}, {"Duplicate", r.Duplicate}, {"Reorder", r.Reorder}} {
		if !(p.value >= 0 && p.value <= 1) {
			found = append(found, fmt.Errorf("transport: %s %v is not within 0 and 1", p.name, p.value))
		}
	}
	if r.DelayMin < 0 || r.DelayMax < r.DelayMin {
		found = append(found, fmt.Errorf("transport: delays from %v to %v", r.DelayMin, r.DelayMax))
	}
	if r.BytesPerSecond < 0 {
		found = append(found, fmt.Errorf("transport: BytesPerSecond %d is below 0", r.BytesPerSecond))
	}
	return errors.Join(found...)
}

// leaves returns when the last byte of a message is on the wire.
func (l *link[M]) leaves(r *Rule, class Class, now int64, size int) int64 {
	if r.BytesPerSecond == 0 {
		return now
	}
	takes := int64(size) * int64(time.Second) / int64(r.BytesPerSecond)
	l.busy = max(l.busy, now) + takes
	if class == Control { // whatever else waits for the wire waits longer
		l.ahead = max(l.ahead, now) + takes
		return l.ahead
	}
	return l.busy
}

func (r *Rule) delay(random *rand.Rand) int64 {
	d := int64(r.DelayMin)
	if r.DelayMax > r.DelayMin {
		d += random.Int64N(int64(r.DelayMax-r.DelayMin) + 1)
	}
	return d
}

// happens draws whether something of probability p is the case.
func happens(random *rand.Rand, p float64) bool { return p > 0 && random.Float64() < p }

// cut is when a direction carries nothing.
type cut struct {
	always bool
	// Flapping: from since on it carries for up, does not for down, and so on; down 0 means no flapping.
	since, up, down int64
}

func (c *cut) at(now int64) bool {
	if c.always {
		return true
	}
	return c.down > 0 && (now-c.since)%(c.up+c.down) >= c.up
}
