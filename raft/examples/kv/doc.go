// Command kv is a replicated key-value server: nodes of package raft that talk to each other over TLS, an HTTP API for clients, a status
// page, and a client for the command line.
//
// # Trying it
//
//	go run ./raft/examples/kv -demo
//
// starts three nodes on this machine, each a process with a directory of its own, and prints where they are. Open one of these URLs: the
// page shows who leads, and has buttons to change that. Kill a node (kill -9 and its process number, which is printed): the others
// go on, and the demo starts it again. Interrupt it to stop. With -dir the data stays for the next time, with -port the ports are known:
//
//	go build -o kv ./raft/examples/kv
//	./kv -demo -dir /tmp/kv -port 8001
//	export KV_SERVERS=http://127.0.0.1:8001,http://127.0.0.1:8002,http://127.0.0.1:8003
//	./kv put greeting hello
//	./kv get greeting
//	./kv cas -if-value hello greeting goodbye
//	./kv list -values
//	./kv watch            in another shell
//	./kv transfer b
//
// A fourth node joins, and the third leaves:
//
//	./kv certify -dir /tmp/kv/tls d
//	./kv serve -id d -dir /tmp/kv/d -join -http 127.0.0.1:8010 -raft 127.0.0.1:8011 \
//	  -peers a=127.0.0.1:8004,b=127.0.0.1:8005,c=127.0.0.1:8006 \
//	  -cert /tmp/kv/tls/d/cert.pem -key /tmp/kv/tls/d/key.pem -ca /tmp/kv/tls/d/ca.pem
//	./kv members add d    in another shell
//	./kv members remove c
//
// # Running nodes
//
// kv serve runs one node; kv serve -h lists the flags. The nodes that -members names form a new cluster, which the first of them starts
// when all are there. A node with data goes on where it was. One that has lost its directory is removed from the cluster, started with
// -join, and added again; so is one that was away when the cluster was formed. SIGTERM and SIGINT stop a node in order: watches are told,
// requests are answered, leadership is handed over. After kill -9 it has everything that it acknowledged.
//
// Nodes prove who they are by certificates with the node's name as a DNS name, from an authority in -ca. kv certify makes both, for
// trying things out. The HTTP API has neither TLS nor authentication: whoever reaches the port can read and write everything, and
// change the members. It listens on loopback by default; put a proxy that knows its users before anything else.
//
// Client commands: get, put, cas, delete, list, watch, members [add|remove NODE], transfer [NODE], snapshot, status, each with -h. They
// ask the nodes of -servers or $KV_SERVERS, one after the other. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a write may
// have been applied, 4 no such key or a comparison failed.
//
// # HTTP API
//
// Every node answers everything. A key is 1 to 512 bytes of UTF-8, a value at most 480 KiB of anything. timeout=2s bounds any request
// (default 10s, at most 1m).
//
//	GET    /v1/keys/KEY           the value; Kv-Version: the entry that wrote it
//	         consistency=linearizable (default)  reflects every write that was answered before
//	         consistency=leader   cheaper; old only while two nodes believe to lead
//	         consistency=local    what this node has; min_index=N waits until it has applied that
//	PUT    /v1/keys/KEY           the body becomes the value
//	DELETE /v1/keys/KEY
//	POST   /v1/cas                {"key", "if_version" or "if_value", "value" or "delete": true}; if_version 0: there is no such
//	                              key. Bytes that are no text: if_value_base64, value_base64
//	GET    /v1/keys               prefix, after (a key), limit (at most 1,000), values=true, and as for a key
//	GET    /v1/watch              prefix, after (an index): changes as server-sent events
//	POST   /v1/sessions           {"session"}: see below; DELETE /v1/sessions/ID ends it
//	GET    /v1/members            POST {"node"} adds, DELETE /v1/members/NODE removes
//	POST   /v1/transfer           {"node"}, or {} for the voter that has most
//	POST   /v1/snapshot           asks every member to write its state and let go of its log
//	GET    /healthz /readyz       200, or 503 and why not
//	GET    /metrics /status.json  for Prometheus, and as JSON; / is the page
//
// A failed request is answered with a 4xx or 5xx status and
//
//	{"error": {"code", "message", "applied": "no" or "maybe", "retry": true or false, "leader"}}
//
// applied says whether a write may have been applied all the same, retry whether the same request may go well later or on another
// node. With "maybe" and without a session, sending it again may apply it twice.
//
// # Sessions
//
// A client that wants its writes applied exactly once opens a session, and adds session=ID and sequence=N to each, numbered from 1. A write
// that is sent again under its number, to the same node, gets the answer to the first, when there is one; so do 128 numbers below the
// highest answered. The session ends with the node's process, or when it is not used for 15 minutes: 410 then, and what was
// not answered may have been applied.
//
// # Watches
//
// An event is "put" or "delete"; its id is an index of the log, its data {"index", "key", "value" or "value_base64"}. What changed
// nothing is not shown, and nothing comes twice. A watch goes on behind after, or behind the Last-Event-ID that browsers send; ids come
// for what others write, too, so that a place does not grow old. When what comes next was compacted the answer is 410 "compacted":
// list the keys, and watch behind the list's index. An event "error" ends a watch, with an error as above.
//
// Each watch is a reader of the node's log (engine.Reader): it waits for nobody and nobody waits for it. The machine is asked only
// which entries have changed something.
//
// # Commands in the log
//
// Version 1, operation, and by operation the fields behind it; numbers are unsigned varints in their shortest form, a text is its
// length and its bytes.
//
//	1 put       key, condition, value        condition 0 always
//	2 delete    key, condition                         1 the key's version is (number)
//	3 snapshot                                         2 the key's value is (text)
//	4 announce  node, address, URL
//	5 forget    node
//
// # Snapshots
//
//	4        magic "RKVS"
//	1        version, 1
//	varints  last command applied; commands and their bytes since the newest checkpoint, and its index
//	         if it is no snapshot;
//	         index above which all changes are known, their number; each, minus the one before
//	varint   number of nodes; each: name, index of its announcement, address and URL (together a text)
//	varint   number of keys, ascending; each: key, version, value
//
// # Files
//
// command.go, encoding.go, tree.go, history.go, machine.go, snapshot.go and query.go are the replicated part, which does nothing but
// compute. server.go is a node; addresses.go and certificate.go are how nodes find and know each other. api*.go, sessions.go,
// members.go, watch.go, status.go, metrics.go and page.* answer requests. demo.go, serve.go and client*.go are the commands.
package main
