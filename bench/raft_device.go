package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// raftDevice is the device's limit: as many streams of durable 4 KiB writes, one at a time in each, as there are
// nodes.
type raftDevice struct {
	streams []*probe
	hist    *hdrhistogram.Histogram
	writes  int
	took    time.Duration
}

// openRaftDevice returns nil where the device cannot be measured.
func openRaftDevice(dir string) (*raftDevice, error) {
	d := &raftDevice{hist: newHist()}
	for i := range houseNodes {
		dir := filepath.Join(dir, fmt.Sprintf("stream-%d", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, errors.Join(err, d.close())
		}
		p, err := openProbe(dir)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil, d.close()
		}
		if err != nil {
			return nil, errors.Join(err, d.close())
		}
		d.streams = append(d.streams, p)
	}
	return d, nil
}

// slice writes for t.
func (d *raftDevice) slice(t time.Duration) error {
	var wg sync.WaitGroup
	hists := make([]*hdrhistogram.Histogram, len(d.streams))
	counts := make([]int, len(d.streams))
	errs := make([]error, len(d.streams))
	for i, p := range d.streams {
		hists[i] = newHist()
		wg.Go(func() { counts[i], _, errs[i] = p.commits(block4K, t, hists[i]) })
	}
	wg.Wait()
	d.took += t
	for i := range hists {
		d.hist.Merge(hists[i])
		d.writes += counts[i]
	}
	return errors.Join(errs...)
}

const block4K = 4096

func (d *raftDevice) close() error {
	var errs []error
	for _, p := range d.streams {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}
