package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"

	"github.com/rawl-db/rawl/engine"
)

// verifier compares an engine with what its journal proves and allows.
type verifier struct {
	e       *engine.Engine
	w       *world
	unsure  int // steps that may have become durable or not
	entries int
	states  int // that were read and verified
	torn    int // checkpoints that do not verify: they are not synced
	live    int // entries that a snapshot keeps
	drained int // entries that readers had not got
	slots   int // that hold
	givenUp int // slots that do not any more
	held    int // entries that slots hold or have to come
	digest  hash.Hash
	buf     []byte

	recovery engine.RecoveryReport
}

// verifyTorture opens the engine and proves that every acknowledged fact is there, that
// nothing is that was not asked for, and that order holds. It settles w on what was found.
func verifyTorture(w *world, open openEngine, o engine.Options) (*verifier, error) {
	v := &verifier{w: w, digest: sha256.New()}
	for _, m := range w.logs {
		v.unsure += len(m.tail)
	}
	var err error
	if v.e, err = open(o); err != nil {
		return nil, err
	}
	err = v.run()
	v.recovery = v.e.Stats().Recovery
	return v, errors.Join(err, v.e.Close(context.Background()))
}

// String is the summary of a proof that holds.
func (v *verifier) String() string {
	rep := v.recovery
	return fmt.Sprintf("verified: %d names, %d entries, %d acknowledgements, %d open steps, %d runs; readers: %d got, %d to come; snapshots: %d states, %d live entries, %d torn checkpoints; slots: %d with %d entries, %d given up (of all: %v); recovery: %d files, %d torn, %d tail; digest %s",
		len(v.w.logs), v.entries, v.w.acks, v.unsure, v.w.opens, v.w.delivered, v.drained, v.states, v.live, v.torn, v.slots, v.held, v.givenUp, v.w.slots, rep.Files, rep.Torn, rep.Tail, v.sum())
}

// sum names all that was found: two proofs of the same directory have the same.
func (v *verifier) sum() string { return fmt.Sprintf("%x", v.digest.Sum(nil)[:8]) }

func (v *verifier) run() error {
	rep := v.e.Stats().Recovery
	if rep.Damage > 0 || len(rep.Quarantined) > 0 {
		return fmt.Errorf("recovery found damage in %d places and set %d logs apart: %v", rep.Damage, len(rep.Quarantined), rep.Quarantined)
	}
	logs, err := observeLogs(v.e)
	if err != nil {
		return err
	}
	if err := v.w.resolve(logs); err != nil {
		return err
	}
	var errs []error
	for _, uid := range slices.Sorted(maps.Keys(v.w.logs)) {
		if s := v.w.logs[uid].sure; s.exists {
			if err := v.all(uid, s); err != nil {
				errs = append(errs, fmt.Errorf("log %s: %w", uid, err))
			}
		}
	}
	return errors.Join(errs...)
}

// observeLogs says what the engine has.
func observeLogs(e *engine.Engine) (map[engine.UID]found, error) {
	logs := make(map[engine.UID]found)
	for l := range e.Logs() {
		f := found{exists: true, last: l.Last(), hard: l.HardState(), snapshot: newestSnapshot(l), released: engine.EntryID{Index: l.First() - 1}}
		var err error
		if f.slots, err = observeSlots(e, l); err != nil {
			return nil, fmt.Errorf("log %s: %w", l.UID(), err)
		}
		if f.released.Term, err = l.Term(f.released.Index); err != nil {
			return nil, fmt.Errorf("log %s: term of %d: %w", l.UID(), f.released.Index, err)
		}
		if w := l.LastWritten(); w != f.last {
			return nil, fmt.Errorf("log %s: last written is %v, last %v", l.UID(), w, f.last)
		}
		if _, twice := logs[l.UID()]; twice {
			return nil, fmt.Errorf("log %s is there twice", l.UID())
		}
		logs[l.UID()] = f
	}
	return logs, nil
}

// log compares every entry, by range and one by one, and the edges.
func (v *verifier) log(uid engine.UID, s *logState) error {
	l, err := v.e.Log(uid)
	if err != nil {
		return err
	}
	fmt.Fprintf(v.digest, "%s %v\n", uid, s)
	first, last := s.released.Index+1, s.last().Index
	next := first
	for e, err := range l.ReadRange(first, last) {
		if err != nil {
			return fmt.Errorf("range: %w", err)
		}
		if e.Index != next {
			return fmt.Errorf("range: entry %d where %d was due", e.Index, next)
		}
		if err := v.entry(uid, s, e); err != nil {
			return fmt.Errorf("range: %w", err)
		}
		next++
	}
	if next != last+1 {
		return fmt.Errorf("range ended before %d of [%d,%d]", next, first, last)
	}
	stride := max((last-first)/16, 1)
	for i := first; i <= last; i += stride {
		e, err := l.Read(i)
		if err == nil {
			err = v.entry(uid, s, e)
		}
		if err != nil {
			return fmt.Errorf("read %d: %w", i, err)
		}
		if t, err := l.Term(i); err != nil || t != s.at(i).term {
			return fmt.Errorf("term of %d is %d, %w", i, t, err)
		}
	}
	if _, err := l.Read(last + 1); !errors.Is(err, engine.ErrOutOfRange) && last >= first {
		return fmt.Errorf("read beyond the end: %w", err)
	}
	if _, kept := s.find(first - 1); kept || first == 1 {
		return nil
	}
	if _, err := l.Read(first - 1); !errors.Is(err, engine.ErrCompacted) {
		return fmt.Errorf("read of a released entry: %w", err)
	}
	return nil
}

func (v *verifier) entry(uid engine.UID, s *logState, e engine.Entry) error {
	v.entries++
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], uint64(e.Index))
	v.digest.Write(word[:])
	v.digest.Write(e.Data)
	return checkEntry(&v.buf, uid, s.at(e.Index), e)
}

// checkEntry compares an entry with what the model says of it.
func checkEntry(buf *[]byte, uid engine.UID, m modelEntry, e engine.Entry) error {
	if e.Term != m.term || len(e.Data) != m.size || e.Type != tortureType(m.op) {
		return fmt.Errorf("entry %v has %d bytes and type %d; want term %d, %d bytes, type %d",
			e.ID(), len(e.Data), e.Type, m.term, m.size, tortureType(m.op))
	}
	*buf = slices.Grow((*buf)[:0], m.size)[:m.size]
	fillPayload(*buf, uid, m.op, e.Index)
	if !bytes.Equal(*buf, e.Data) {
		return fmt.Errorf("entry %v has other bytes than were appended", e.ID())
	}
	return nil
}
