// Package tcp is the transport between nodes of different processes: package transport's promises over TCP, with mutual TLS 1.3
// or, where the options insist, without.
//
// # Connections
//
// A pair of nodes has one connection at a time, which is two TCP connections: the main one for log traffic and control, the
// bulk one for snapshots, so that no chunk stands before a heartbeat. They end together. On the main one control goes first.
// Whoever has something to send makes the connection; when both do, that of the node with the smaller name wins. An attempt that
// failed is followed by a pause that doubles, with jitter. Where a node is, Resolver says each time: an address is a hint, who
// answers there proves who it is.
//
// Nothing that a peer does can block a sender, or cost more memory than the outboxes and one frame. A peer that does not read
// is cut after WriteTimeout, one that has vanished by TCP_USER_TIMEOUT as well.
//
// # Who may connect
//
// With TLS both sides present a certificate that a common authority has signed, and the names in it must contain the one that
// belongs to the node that it claims to be: TLS.Identity. Certificates and authorities are read again when their files have
// changed. Plain TCP must be asked for by InsecurePlaintext, on a loopback interface too. The cookie is no protection: it keeps
// apart services whose addresses were mixed up.
//
// Before a peer has proved who it is it may cost 4 KiB, what crypto/tls takes for a handshake, and HandshakeTimeout; how many do
// so at a time is bounded, in all and for each address.
//
// # What the handshake leaves out
//
// The versions of machines are not part of it. They belong to servers, which come and go while a connection lasts, and a cluster moves
// to a newer version by the word of those of its members that are there: a leader with newer code asks them (core.Info), each new
// connection makes it forget what it heard from the node behind, and a new member it has never heard. That costs nothing while all
// have the version in force, and a list in the hello would have to be kept true afterwards all the same.
//
// # Bytes
//
// Integers are little-endian; strings and numbers in messages are uvarints and uvarint-prefixed. The one who dials says hello,
// is welcomed and says go, on each of the two connections, the main one first; go on the main one comes last, and only then
// the connection exists:
//
//	offset  size  field
//	0       4     length of the payload, at most 4,096
//	4       4     CRC-32C of the payload
//	8             payload
//
//	hello    "RWLT", version 1 (byte), 0 main or 1 bulk (byte), SHA-256 of the cookie, 16 B token (bulk: the welcome's),
//	         8 B nonce, names of sender and receiver, sender's incarnation, newest epoch of the pair that it knows
//	welcome  status (byte), 16 B token, 8 B nonce, incarnation, epoch of this connection
//	go       the welcome's nonce
//
// Then frames:
//
//	offset  size  field
//	0       4     length of the payload, at most MaxFrameBytes
//	4       4     CRC-32C of the two nonces, the sender's first, and of the bytes behind it
//	8       4     number of the frame in its direction, from 1
//	12      1     class
//	13            payload: a message, as the codec has it
//
// A frame of another connection fails its checksum, one that comes twice or not in turn its number. Any of this ends the
// connection and is counted; the next one begins anew.
package tcp
