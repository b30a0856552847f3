package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/ring"
)

// Calibration is what one backend's durable writes cost when the engine was opened.
type Calibration struct {
	Backend Backend
	// Small and Large are the medians for 4 KiB and 256 KiB.
	Small, Large time.Duration
}

const (
	calibrationFile = "calibration"
	smallWrite      = 4 << 10
	largeWrite      = 256 << 10
	smallWrites     = 12
	largeWrites     = 6
	rounds          = 3
	calibrationSize = smallWrites*smallWrite + largeWrites*largeWrite
)

// chooseByMeasure lets both candidates write in turn, to a file of the WAL's directory that is
// kept so that its blocks are written ones, and prefers direct unless the ring is clearly better:
// on a busy host the ring's completions may wait for a kernel worker.
func chooseByMeasure(direct device, uring *ring.FS, walDir string) (device, error) {
	queue, err := uring.NewQueue(commitDepth)
	if err != nil {
		direct.choice.Reason = "io_uring is refused: " + err.Error()
		return direct, nil
	}
	better, reason := true, "measured 4 KiB and 256 KiB writes, ring must win by 15 % on the large and lose less than 10 % on the small in every round"
	var d, r Calibration
	for round := 0; round < rounds && better; round++ { // a round that is lost decides
		sums, err := calibrate(direct.fs, walDir, [2]vfs.Queue{direct.commit, queue})
		if err != nil { // a full disk, as a rule; the engine must open all the same
			direct.choice.Reason = "could not measure: " + err.Error()
			return direct, queue.Close()
		}
		d, r = sums[0], sums[1]
		better = better && float64(r.Large) < 0.85*float64(d.Large) && float64(r.Small) < 1.1*float64(d.Small)
		reason += fmt.Sprintf("; direct %v and %v, ring %v and %v", d.Small.Round(time.Microsecond),
			d.Large.Round(time.Microsecond), r.Small.Round(time.Microsecond), r.Large.Round(time.Microsecond))
		direct.choice.Calibration = append(direct.choice.Calibration, d, r)
	}
	deep, err := uring.NewQueue(deepDepth)
	if err == nil {
		err = direct.deep.Close()
		direct.deep, direct.deepFS, direct.choice.Deep = deep, uring, BackendRing
	}
	if err != nil {
		return device{}, errors.Join(err, queue.Close(), direct.close())
	}
	direct.choice.Reason = reason
	if !better {
		return direct, queue.Close()
	}
	direct.choice.Backend = BackendRing
	direct.commit = newWatchedQueue(queue, direct.commit, r)
	return direct, nil
}

// calibrate times durable writes of both queues, direct and ring, in turn.
func calibrate(dev vfs.FS, dir string, queues [2]vfs.Queue) (sums [2]Calibration, err error) {
	sums[0].Backend, sums[1].Backend = BackendDirect, BackendRing
	buf, free, err := dev.Alloc(largeWrite)
	if err != nil {
		return sums, err
	}
	defer free()
	f, err := calibrationTarget(dev, dir, buf)
	if err != nil {
		return sums, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var off int64
	for _, size := range []struct{ bytes, times int }{{smallWrite, smallWrites}, {largeWrite, largeWrites}} {
		var took [2][]time.Duration
		for range size.times {
			for i, q := range queues {
				d, err := timeWrite(q, f, buf[:size.bytes], off)
				if err != nil {
					return sums, err
				}
				took[i] = append(took[i], d)
			}
			off += int64(size.bytes)
		}
		for i := range took {
			slices.Sort(took[i])
			median := took[i][len(took[i])/2]
			if size.bytes == smallWrite {
				sums[i].Small = median
			} else {
				sums[i].Large = median
			}
		}
	}
	return sums, nil
}

// calibrationTarget opens the file, made and written once.
func calibrationTarget(dev vfs.FS, dir string, buf []byte) (vfs.File, error) {
	name := filepath.Join(dir, calibrationFile)
	f, err := dev.Open(name, vfs.OpenOptions{Write: true, Direct: true})
	if err == nil {
		if n, err := f.Size(); err == nil && n == calibrationSize {
			return f, nil
		}
		if err := errors.Join(f.Close(), dev.Remove(name)); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err = dev.Create(name, vfs.CreateOptions{Direct: true, Size: calibrationSize})
	if err != nil {
		return nil, err
	}
	for off := int64(0); off < calibrationSize && err == nil; off += smallWrites * smallWrite {
		_, err = f.WriteAt(buf[:smallWrites*smallWrite], off)
	}
	if err = errors.Join(err, f.Sync()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func timeWrite(q vfs.Queue, f vfs.File, b []byte, off int64) (time.Duration, error) {
	op := vfs.Op{Kind: vfs.OpWrite, File: f, Buf: b, Off: off, DSync: true}
	began := time.Now()
	if err := q.Submit(&op); err != nil {
		return 0, err
	}
	var done [1]*vfs.Op
	if _, err := q.Reap(1, done[:]); err != nil {
		return 0, err
	}
	return time.Since(began), op.Err
}
