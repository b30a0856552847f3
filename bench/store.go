package main

import "github.com/rawl-db/rawl/engine"

// store is what a row measures: the engine or the floor.
type store interface {
	// stream returns log number i. written, when not nil, is called with every rise of the
	// newest durable index, on the committer's goroutine.
	stream(i int, written func(engine.Index)) (stream, error)
	// warm brings the store into the state that the row asks for, before the first slice.
	warm() error
	counters() counters
	// rolls counts how often the store went on in another file.
	rolls() uint64
	close() error
}

// stream is one log of a store. It has one user, except where its methods say otherwise.
type stream interface {
	// last is the index of the newest entry.
	last() engine.Index
	// append queues entries that follow the last one.
	append(entries []engine.Entry) error
	// appendSync waits until they are durable.
	appendSync(entries []engine.Entry) error
	// release gives up everything up to an index.
	release(upTo engine.Index) error
}

// counters run from the opening of the store.
type counters struct {
	syncs, batches, walBytes, segmentBytes, busy, rolls, unprepared, delivered uint64
}

func (c counters) minus(o counters) counters {
	return counters{syncs: c.syncs - o.syncs, batches: c.batches - o.batches, walBytes: c.walBytes - o.walBytes,
		segmentBytes: c.segmentBytes - o.segmentBytes, busy: c.busy - o.busy,
		rolls: c.rolls - o.rolls, unprepared: c.unprepared - o.unprepared,
		delivered: c.delivered - o.delivered}
}

func openStore(r row) (store, error) {
	if r.Store == storeFloor {
		return openFloor(r)
	}
	return openEngineStore(r)
}
