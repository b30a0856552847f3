package errorfs_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

func newFile(t *testing.T) (*errorfs.FS, vfs.File) {
	t.Helper()
	fs := errorfs.New(memfs.New(1), errorfs.Plan{})
	f, err := fs.Create("/f", vfs.CreateOptions{Size: 8 * block})
	if err != nil {
		t.Fatal(err)
	}
	return fs, f
}

func TestStall(t *testing.T) {
	for _, end := range []string{"Release", "Heal"} {
		t.Run(end, func(t *testing.T) {
			fs, f := newFile(t)
			fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.Stall})
			done := make(chan error, 1)
			go func() { // ends with the write; the test receives from done
				_, err := f.WriteAt([]byte{7}, 0)
				done <- err
			}()
			if op := <-fs.Stalled(); op.Kind != errorfs.OpWrite || op.Name != "/f" || op.Len != 1 {
				t.Errorf("stalled %+v", op)
			}
			got := make([]byte, 1)
			if _, err := f.ReadAt(got, 0); err != nil || got[0] != 0 {
				t.Errorf("a read beside the stalled write: %d, %v", got[0], err)
			}
			if len(done) > 0 {
				t.Error("the write did not stall")
			}
			if end == "Heal" {
				fs.Heal()
			} else {
				fs.Release()
			}
			if err := <-done; err != nil {
				t.Errorf("after %s: %v", end, err)
			}
			if _, err := f.ReadAt(got, 0); err != nil || got[0] != 7 {
				t.Errorf("after %s the file holds %d, %v", end, got[0], err)
			}
		})
	}
}

// TestStallInQueue stalls one operation: those beside it complete, the one linked behind
// it waits, and a Reap that needs it blocks until the release.
func TestStallInQueue(t *testing.T) {
	fs, f := newFile(t)
	q, err := fs.NewQueue(8)
	if err != nil {
		t.Fatal(err)
	}
	fs.Arm(errorfs.Plan{K: 2, Fault: errorfs.Stall})
	ops := make([]*vfs.Op, 4)
	for i := range ops {
		ops[i] = &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: []byte{byte(i + 1)}, Off: int64(i) * block, Link: i == 1}
		if err := q.Submit(ops[i]); err != nil {
			t.Fatal(err)
		}
	}
	done := make([]*vfs.Op, 4)
	n, err := q.Reap(2, done)
	if n != 2 || err != nil || q.Outstanding() != 2 {
		t.Fatalf("Reap(2) = %d, %v, %d outstanding", n, err, q.Outstanding())
	}
	for _, op := range done[:n] {
		if op == ops[1] || op == ops[2] {
			t.Errorf("the operation at %d completed though stalled", op.Off)
		}
	}
	if n, err := q.Reap(0, done); n != 0 || err != nil {
		t.Errorf("Reap(0) beside a stall = %d, %v", n, err)
	}
	reaped := make(chan int, 1)
	go func() { // owns q until it sends; the test receives from reaped
		n, err := q.Reap(2, done)
		if err != nil {
			t.Error(err)
		}
		reaped <- n
	}()
	if op := <-fs.Stalled(); !op.Queued || op.Off != block {
		t.Errorf("stalled %+v", op)
	}
	fs.Release()
	if n := <-reaped; n != 2 || done[0] != ops[1] || done[1] != ops[2] {
		t.Errorf("%d operations were reaped after the release", n)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseWithStalled(t *testing.T) {
	fs, f := newFile(t)
	q, err := fs.NewQueue(2)
	if err != nil {
		t.Fatal(err)
	}
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.Stall})
	op := &vfs.Op{Kind: vfs.OpDatasync, File: f}
	if err := q.Submit(op); err != nil {
		t.Fatal(err)
	}
	if n, err := q.Reap(0, make([]*vfs.Op, 1)); n != 0 || err != nil {
		t.Errorf("Reap = %d, %v", n, err)
	}
	if err := q.Close(); err != nil || op.Err != vfs.ErrCanceled {
		t.Errorf("Close = %v, the stalled operation's error %v", err, op.Err)
	}
}

// TestStallFromThere stalls every operation, one release after the other.
func TestStallFromThere(t *testing.T) {
	fs, f := newFile(t)
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.Stall, Sticky: true})
	done := make(chan error)
	go func() { // ends after three writes; the test receives each
		for i := range int64(3) {
			_, err := f.WriteAt([]byte{1}, i)
			done <- err
		}
	}()
	for range 3 {
		<-fs.Stalled()
		fs.Release()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
