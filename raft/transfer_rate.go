package raft

import (
	"sync"
	"time"
)

// transferSlack is how much unused time a burst of snapshots' parts may make up for.
const transferSlack = 50 * time.Millisecond

// transferRate spaces the parts of snapshots that a node sends.
type transferRate struct {
	perSecond int64 // bytes; below 0 there is no bound

	mu   sync.Mutex
	next int64 // when the next part may go
}

// wait returns for how long no part may go, 0 when one may now.
func (r *transferRate) wait(now int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.next-now)
}

// spend takes note of a part.
func (r *transferRate) spend(bytes int, now int64) {
	if r.perSecond < 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = max(r.next, now-int64(transferSlack)) + int64(float64(bytes)/float64(r.perSecond)*float64(time.Second))
}
