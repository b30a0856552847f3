// Package codec compresses snapshots. It is a module of its own, so that the engine's users do
// not link compressors that they do not use:
//
//	Options{Codec: codec.S2{}, Codecs: []snapshotwriter.Codec{codec.Zstd{}}}
//
// writes with the first and reads both. The encodings are the streaming formats of S2 (an extension of
// Snappy's framing format) and Zstandard (RFC 8878); rawl's own checksums cover the encoded bytes. No
// codec starts goroutines that outlive a Close.
package codec
