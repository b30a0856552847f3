// Package nstest tests the key-value server of raft/examples/kv as people run it: five processes in five network namespaces, joined by veth
// pairs to a bridge, each with its data on an ext4 file system of its own, and clients that speak HTTP.
//
//	go test ./raft/examples/kv/nstest -v -run TestNamespaces -timeout 1h -args -for 15m
//
// Without -for it is skipped, and where something lacks that it needs, which it names: Linux, root, ip (iproute2) with namespaces, bridges
// and veth, nft (nftables), ss (iproute2) with sockets that the kernel can be told to end, mkfs.ext4 (e2fsprogs), and mount (util-linux)
// with loop devices.
//
// # What happens
//
// Clients read, put, compare and set, and delete, on all nodes, while nemeses act in turn, for as long as -for says and at least once each: two
// nodes cut off from each other, or only one way, a bridge between two halves, a leader alone, a minority apart, connections reset, a disk
// that is full, a process killed and started again, processes that stand still, and two of these at the same time. -seed draws
// nemeses as before, as far as the same node leads; what goes on in the nodes meanwhile is another matter.
//
// # What must hold
//
//   - porcupine explains the history of each key by some order of its operations; at most one key of a hundred is left undecided. The
//     version of a key is the position in the log of the write that made it, so that histories show writes that move as well.
//   - The changes that the nodes' watches show hold each write that was acknowledged, once, where the answer said; no write twice; none
//     that was refused. All nodes' watches say the same.
//   - A list to which clients append by comparing has every element that was acknowledged, once.
//   - A connection that is cut one way ends, on both sides, and the transport of the node that hears nothing counts it.
//   - When a nemesis has gone, all nodes are ready, hear each other and write again, and in the end their states are equal.
//   - No process ends that was not killed, and every nemesis had an effect: packets were dropped, sockets ended, writes refused by the disk.
//
// # How it is kept apart
//
// The test runs itself again in new namespaces of processes, mounts and network, in which it is the first process. Whatever ends it, the kernel
// ends its processes, and takes the namespaces, mounts and loop devices with it: nothing is left behind, and two runs do not meet.
package nstest
