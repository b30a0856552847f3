package raft_test

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/raft"
)

// refuse has a device find no room for files of captured states of one kind.
func refuse(d *errorfs.FS, kind string, ops ...errorfs.OpKind) {
	d.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.NoSpace, Match: func(op errorfs.Op) bool {
		return slices.Contains(ops, op.Kind) && (strings.HasPrefix(path.Base(op.Name), kind) || strings.HasPrefix(path.Base(op.To), kind))
	}})
}

// settle waits until no capture of the first node's member runs, nor waits for another attempt.
func (h *house) settle(ctx context.Context, name string) {
	h.t.Helper()
	until(h.t, ctx, "the end of captures", func() bool {
		running, again := h.nodes[0].Captures(name)
		return running+again == 0
	})
}

// counted is one of the counts of the first node's member.
func (h *house) counted(name string, c raft.Counter) uint64 {
	h.t.Helper()
	return h.metrics(0, name).Counters[c]
}

// checkpoint takes a checkpoint on the first node, and returns the entry that it stands for.
func (h *house) checkpoint(ctx context.Context, name string) raft.Index {
	h.t.Helper()
	before := h.counted(name, raft.CounterCheckpoints)
	r, err := h.nodes[0].Process(ctx, h.id(0, name), cmdCheck, raft.ProcessOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	until(h.t, ctx, "a checkpoint", func() bool { return h.counted(name, raft.CounterCheckpoints) > before })
	return r.Index
}

// TestCaptureIsTriedAgain: a snapshot, and then a promotion, find no room. When there is some they are made without another command.
func TestCaptureIsTriedAgain(t *testing.T) {
	o, devices := onDevices(1)
	h := newHouseWith(t, 1, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0)
	h.add(ctx, 0, "c")
	refuse(devices[0], "snapshot-", errorfs.OpCreate)
	h.tell(ctx, 0, "c", cmdRelease)
	until(t, ctx, "a refusal", devices[0].Tripped)
	devices[0].Heal()
	first := h.metrics(0, "c").Last
	until(t, ctx, "the snapshot", func() bool { return h.metrics(0, "c").Snapshot == first })
	h.add(ctx, 0, "c")
	h.checkpoint(ctx, "c")
	refuse(devices[0], "snapshot-", errorfs.OpRename)
	h.tell(ctx, 0, "c", cmdPromote)
	until(t, ctx, "a refusal", devices[0].Tripped)
	devices[0].Heal()
	until(t, ctx, "the promotion", func() bool { return h.metrics(0, "c").Snapshot > first })
}

// TestCaptureIsNotTriedAgain: what another capture covers by then is not captured once more, and what waits on conditions of its own is
// not captured without them.
func TestCaptureIsNotTriedAgain(t *testing.T) {
	for _, x := range []struct {
		what    string
		command []byte
		refused string // so that the command's capture fails
		then    func(context.Context, *house)
		count   raft.Counter
		want    uint64
	}{
		{"a cursor behind which a checkpoint is promoted", cmdRelease, "snapshot-", func(ctx context.Context, h *house) {
			until(h.t, ctx, "a checkpoint", func() bool {
				h.tell(ctx, 0, "c", cmdCheck) // it is left where the cursor is being tried
				return h.counted("c", raft.CounterCheckpoints) > 0
			})
			h.tell(ctx, 0, "c", cmdPromote)
			until(h.t, ctx, "the promotion", func() bool { return h.counted("c", raft.CounterPromotions) > 0 })
		}, raft.CounterSnapshots, 1},
		{"a checkpoint behind which there is a snapshot", cmdCheck, "checkpoint-", func(ctx context.Context, h *house) {
			h.tell(ctx, 0, "c", cmdRelease)
			until(h.t, ctx, "the snapshot", func() bool { return h.counted("c", raft.CounterSnapshots) > 0 })
		}, raft.CounterCheckpoints, 0},
		{"a cursor behind which another waits", cmdRelease, "snapshot-", func(ctx context.Context, h *house) {
			h.tell(ctx, 0, "c", cmdNever)
		}, raft.CounterSnapshots, 0},
	} {
		t.Run(x.what, func(t *testing.T) {
			o, devices := onDevices(1)
			h := newHouseWith(t, 1, o)
			ctx := ctxFor(t)
			h.start(ctx, "c", "tally", 0)
			refuse(devices[0], x.refused, errorfs.OpCreate)
			h.tell(ctx, 0, "c", x.command)
			until(t, ctx, "a refusal", devices[0].Tripped)
			h.add(ctx, 0, "c")
			x.then(ctx, h)
			h.add(ctx, 0, "c")
			devices[0].Heal()
			h.settle(ctx, "c")
			if got := h.counted("c", x.count); got != x.want {
				t.Errorf("%v: %d, %d are wanted", x.count, got, x.want)
			}
		})
	}
}

// TestPromotionFallsBack: the newest checkpoint turns out to be damaged, or cannot be synced. The one before it is promoted, without
// another command; where there is none nothing is tried any more.
func TestPromotionFallsBack(t *testing.T) {
	for _, x := range []struct {
		what  string
		fault errorfs.Fault
		op    errorfs.OpKind
		older bool
	}{
		{"a sync fails", errorfs.EIO, errorfs.OpDatasync, true},
		{"bytes are missing", errorfs.ShortTransfer, errorfs.OpRead, true},
		{"a sync of the only one fails", errorfs.EIO, errorfs.OpDatasync, false},
		{"bytes of the only one are missing", errorfs.ShortTransfer, errorfs.OpRead, false},
	} {
		t.Run(x.what, func(t *testing.T) {
			o, devices := onDevices(1)
			h := newHouseWith(t, 1, o)
			ctx := ctxFor(t)
			h.start(ctx, "c", "tally", 0)
			want := raft.Index(0)
			if x.older {
				want = h.checkpoint(ctx, "c")
			}
			h.add(ctx, 0, "c")
			newest := fmt.Sprintf("-%016x", h.checkpoint(ctx, "c"))
			devices[0].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: x.fault, Match: func(op errorfs.Op) bool {
				return op.Kind == x.op && strings.HasSuffix(op.Name, newest)
			}})
			h.tell(ctx, 0, "c", cmdPromote)
			until(t, ctx, "a failure", devices[0].Tripped)
			h.settle(ctx, "c")
			if at := h.metrics(0, "c").Snapshot; at != want {
				t.Errorf("a snapshot at %d, one at %d is wanted", at, want)
			}
		})
	}
}
