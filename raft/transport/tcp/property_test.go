package tcp

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/raft/transport"
)

// Nodes send each other letters without end, while connections are reset and nodes leave and come back. What each hears keeps
// the promises of package transport.
func TestPromises(t *testing.T) {
	ids := []NodeID{"a", "b", "c"}
	h := newHouse(t, func(_ NodeID, o *Options) { o.Outbox[transport.Log] = 8 << 10 }, ids...)
	rounds := 25
	if testing.Short() {
		rounds = 8
	}
	r := rand.New(rand.NewPCG(1, 2))
	lives := make(map[*sink]string)
	for range rounds {
		stop := make(chan struct{})
		var senders sync.WaitGroup
		for _, from := range ids {
			for _, to := range ids {
				if from == to {
					continue
				}
				e, pad := h.ends[from], strings.Repeat(" ", r.IntN(300))
				life := fmt.Sprint(h.lives[from])
				senders.Go(func() { sendWithoutEnd(e, to, life, pad, stop) })
			}
		}
		for range 3 {
			a, b := ids[r.IntN(3)], ids[r.IntN(3)]
			if a != b {
				n := h.ends[b].stats.delivered.Load()
				h.until("letters", func() bool { return h.ends[b].stats.delivered.Load() > n+20 })
				h.cut(a, b)
			}
		}
		close(stop)
		senders.Wait()
		if r.IntN(4) == 0 {
			id := ids[r.IntN(3)]
			if err := h.ends[id].Close(); err != nil {
				t.Fatal(err)
			}
			lives[h.sinks[id]] = id
			h.join(id)
		}
	}
	for id, s := range h.sinks {
		lives[s] = id
	}
	letters := 0
	for s, id := range lives {
		for _, peer := range ids {
			letters += checkPromises(t, id, peer, s.all())
		}
	}
	var sum uint64
	for _, e := range h.ends {
		sum += e.Stats().Connections
	}
	t.Logf("%d letters, %d connections of the last lives", letters, sum)
}

// numbers of letters, by sender, receiver and class.
var numbers sync.Map

// sendWithoutEnd sends numbered letters of a life in all classes.
func sendWithoutEnd(e *Transport[letter], to NodeID, life, pad string, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		for c := range transport.Class(transport.Classes) {
			x, _ := numbers.LoadOrStore(fmt.Sprint(e.node, to, c), new(int))
			n := x.(*int)
			if e.Send(to, c, letter(fmt.Sprintf("%s %d%s", life, *n, pad))) == nil {
				*n++ // one goroutine at a time sends from here to there
			}
		}
	}
}

// checkPromises checks what a node heard of a peer, and returns how many letters it was.
func checkPromises(t *testing.T, id, peer NodeID, all []heard) (letters int) {
	t.Helper()
	epoch, newest, inside := uint64(0), uint64(0), false
	var next [transport.Classes]int // of the numbers in this epoch, -1 for any
	for _, x := range all {
		if x.from != peer {
			continue
		}
		switch {
		case x.event == transport.Connected:
			if inside || x.epoch <= newest {
				t.Fatalf("%v: connected with %v in %d, inside %v, newest %d", id, peer, x.epoch, inside, newest)
			}
			inside, epoch, newest = true, x.epoch, x.epoch
			next = [transport.Classes]int{-1, -1, -1}
		case x.event == transport.Disconnected:
			if !inside || x.epoch != epoch {
				t.Fatalf("%v: disconnected from %v in %d, inside %v of %d", id, peer, x.epoch, inside, epoch)
			}
			inside = false
		case x.event == 0:
			letters++
			if !inside || x.epoch != epoch {
				t.Fatalf("%v: a letter from %v in %d, inside %v of %d", id, peer, x.epoch, inside, epoch)
			}
			n, err := strconv.Atoi(strings.Fields(string(x.m))[1])
			if err != nil || next[x.class] >= 0 && n != next[x.class] {
				t.Fatalf("%v: letter %q from %v, want %d", id, x.m, peer, next[x.class])
			}
			next[x.class] = n + 1
		}
	}
	return letters
}
