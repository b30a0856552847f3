//go:build linux

package nstest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Addresses: node i has 10.77.0.(i+1), the clients the last one.
const (
	subnet    = "10.77.0.0/24"
	clientsAt = "10.77.0.100/24"
)

func nodeIP(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

// filter drops what comes from the addresses in a set, and counts it.
const filter = `table inet cut {
	set from { type ipv4_addr; }
	chain in {
		type filter hook input priority 0; policy accept;
		ip saddr @from counter drop
	}
}
`

// network is a bridge in this process' namespace, and a namespace for each node. One goroutine cuts and heals.
type network struct {
	t    testing.TB
	size int
	deaf [][]int // by node, whom it does not hear
}

// newNetwork joins the namespaces n0, n1 and so on.
func newNetwork(t testing.TB, size int) *network {
	n := &network{t: t, size: size, deaf: make([][]int, size)}
	n.must("", "ip", "link", "add", "hub", "type", "bridge")
	n.must("", "ip", "addr", "add", clientsAt, "dev", "hub")
	n.must("", "ip", "link", "set", "hub", "up")
	for i := range size {
		ns, port := namespace(i), fmt.Sprint("port", i)
		n.must("", "ip", "netns", "add", ns)
		n.must("", "ip", "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", ns)
		n.must("", "ip", "link", "set", port, "master", "hub", "up")
		n.must("", "ip", "-n", ns, "addr", "add", nodeIP(i)+"/24", "dev", "eth0")
		n.must("", "ip", "-n", ns, "link", "set", "eth0", "up")
		n.must("", "ip", "-n", ns, "link", "set", "lo", "up")
		n.must(filter, "ip", within(i, "nft", "-f", "-")...)
	}
	return n
}

func namespace(i int) string { return fmt.Sprint("n", i) }

// within are the arguments of ip for a program in a node's namespace.
func within(i int, program ...string) []string {
	return append([]string{"netns", "exec", namespace(i)}, program...)
}

func (n *network) must(input, name string, args ...string) string {
	n.t.Helper()
	out, err := output(input, name, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// cut is packets that do not arrive: those of one node at another.
type cut struct{ from, at int }

// both is a cut in both directions.
func both(a, b int) []cut { return []cut{{a, b}, {b, a}} }

// between cuts all of some nodes off from all of others.
func between(some, others []int) (list []cut) {
	for _, a := range some {
		for _, b := range others {
			list = append(list, both(a, b)...)
		}
	}
	return list
}

// set makes these the only cuts.
func (n *network) set(cuts []cut) {
	deaf := make([][]int, n.size)
	for _, c := range cuts {
		deaf[c.at] = append(deaf[c.at], c.from)
	}
	for i := range deaf {
		if slices.Equal(deaf[i], n.deaf[i]) {
			continue
		}
		script := "flush set inet cut from\n"
		for _, from := range deaf[i] {
			script += fmt.Sprintf("add element inet cut from { %s }\n", nodeIP(from))
		}
		n.must(script, "ip", within(i, "nft", "-f", "-")...)
	}
	n.deaf = deaf
}

// dropped counts the packets that were dropped, on all nodes.
func (n *network) dropped() (packets int) {
	for i := range n.size {
		out := n.must("", "ip", within(i, "nft", "list", "chain", "inet", "cut", "in")...)
		_, behind, _ := strings.Cut(out, "counter packets ")
		count, _, _ := strings.Cut(behind, " ")
		k, err := strconv.Atoi(count)
		if err != nil {
			n.t.Fatalf("nft counts %q: %v", out, err)
		}
		packets += k
	}
	return packets
}

// reset ends all connections of a node, and returns how many those were.
func (n *network) reset(i int) int {
	return lines(n.must("", "ip", within(i, "ss", "-K", "-H", "-t", "-n", "dst", subnet)...))
}

// connections counts those of a node with another that it takes for established.
func (n *network) connections(i, with int) int {
	return lines(n.must("", "ip", within(i, "ss", "-H", "-t", "-n", "state", "established", "dst", nodeIP(with))...))
}

func lines(s string) int { return strings.Count(s, "\n") }
