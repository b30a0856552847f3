package raft_test
import ("testing";"fmt";"context";"time";"github.com/rawl-db/rawl/raft")
func dump(t *testing.T, h *house) {
	for i, n := range h.nodes { if n==nil {continue}
		m, err := n.KeyMetrics("m"); fmt.Printf("n%d %+v %v\n", i, m, err) }
}
func TestDbg(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	client := h.nodes[3]
	ctx := ctxFor(t)
	for range 20 {
		_, leader, err := client.Members(ctx, members[0])
		if err != nil { dump(t,h); t.Fatal(err) }
		gone := int(leader.Node[1] - '0')
		h.close(gone)
		h.open(gone)
		c2, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err = client.Process(c2, members[gone], one(), raft.ProcessOptions{})
		cancel()
		if err != nil { dump(t,h); t.Fatal(gone, err) }
	}
}
