package fallback

import (
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
)

// runChain runs a chain from its first node on. After an operation that failed or fell
// short, or once the queue is closing, the rest is canceled.
func (q *queue) runChain(first int32) {
	failed := false
	for i := first; i != none; i = q.nodes[i].behind {
		op := q.nodes[i].op
		if failed || q.closing.Load() {
			op.N, op.Err = 0, vfs.ErrCanceled
			continue
		}
		q.run(op)
		failed = op.Err != nil || transfers(op.Kind) && op.N < len(op.Buf)
	}
}

func transfers(k vfs.OpKind) bool { return k == vfs.OpRead || k == vfs.OpWrite }

// run carries out one operation in the calling goroutine.
func (q *queue) run(op *vfs.Op) {
	op.N, op.Err = 0, nil
	if op.File == nil {
		op.Err = errOperation
		return
	}
	switch op.Kind {
	case vfs.OpRead:
		op.N, op.Err = op.File.ReadAt(op.Buf, op.Off)
	case vfs.OpWrite:
		if op.DSync {
			op.N, op.Err = q.writeDSync(op)
		} else {
			op.N, op.Err = op.File.WriteAt(op.Buf, op.Off)
		}
	case vfs.OpDatasync:
		op.Err = op.File.Datasync()
	case vfs.OpSync:
		op.Err = op.File.Sync()
	default:
		op.Err = errOperation
	}
}

// writeDSync writes and makes durable what it wrote, with one call where the personality
// or the way the file was opened allows it.
func (q *queue) writeDSync(op *vfs.Op) (int, error) {
	f, ours := op.File.(*osfs.File)
	if ours && f.SyncMode() != vfs.SyncNone {
		return f.WriteAt(op.Buf, op.Off)
	}
	if ours && q.dsync {
		return f.WriteAtDSync(op.Buf, op.Off)
	}
	n, err := op.File.WriteAt(op.Buf, op.Off)
	if err != nil {
		return n, err
	}
	return n, op.File.Datasync()
}
