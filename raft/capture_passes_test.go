package raft

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// Tried again is what may go better, and nothing else.
func TestCapturesThatPass(t *testing.T) {
	for _, x := range []struct {
		err                           error
		cursor, promotion, checkpoint bool
	}{
		{nil, false, false, false},
		{errors.New("the device's"), true, true, true},
		{engine.ErrBusy, true, true, true},
		{engine.ErrReadOnly, true, true, true},
		{engine.ErrNotDurable, true, true, true},
		{engine.ErrSnapshotRunning, true, true, false},
		{engine.ErrCorrupt, true, true, true},
		{engine.ErrSnapshotState, false, false, false},
		{engine.ErrSnapshotOld, false, false, false},
		{engine.ErrSnapshotCodec, false, false, false},
		{engine.ErrVersion, false, false, false},
		{engine.ErrDeleted, false, false, false},
	} {
		for kind, want := range map[EffectKind]bool{
			EffectReleaseCursor: x.cursor, EffectPromoteCheckpoint: x.promotion, EffectCheckpoint: x.checkpoint,
		} {
			err := x.err
			if err != nil {
				err = fmt.Errorf("engine: %w", err)
			}
			if got := passes(kind, err); got != want {
				t.Errorf("%v that failed with %v: another attempt %v, want %v", kind, err, got, want)
			}
		}
	}
}
