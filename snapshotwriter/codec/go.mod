module github.com/rawl-db/rawl/snapshotwriter/codec

go 1.26.0

require (
	github.com/klauspost/compress v1.20.3
	github.com/rawl-db/rawl v0.0.0
)

require github.com/cespare/xxhash/v2 v2.3.0 // indirect

replace github.com/rawl-db/rawl => ../..
