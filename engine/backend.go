package engine

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/ring"
)

// BackendChoice says which backend commits, and why.
type BackendChoice struct {
	// Backend is the one in use; it may change from ring to direct while the engine runs.
	Backend Backend
	// Direct says whether files bypass the page cache.
	Direct bool
	// Deep is the backend of flush.
	Deep Backend
	// Reason is for people: what was measured, or what was refused.
	Reason string
	// Calibration holds what BackendAuto measured, empty otherwise.
	Calibration []Calibration
	// Switches counts changes of backend since the engine was opened.
	Switches int
}

const (
	commitDepth = 8
	deepDepth   = 64
)

// openDevice makes the chosen backend. walDir exists.
func openDevice(o Options, walDir string) (device, error) {
	switch o.Backend {
	case BackendRing:
		return openRing(walDir)
	case BackendDirect:
		return openDirect(walDir)
	case BackendFallback:
		return openFallback("asked for")
	}
	return openAuto(walDir)
}

func openRing(walDir string) (device, error) {
	fs, err := ring.Open(ring.Options{})
	if err != nil {
		return device{}, fmt.Errorf("engine: backend ring: %w", err)
	}
	reason := "asked for"
	direct := fallback.ProbeDirect(walDir)
	if direct != nil {
		reason += "; files are buffered: " + direct.Error()
	}
	d := device{fs: fs, direct: direct == nil, choice: BackendChoice{
		Backend: BackendRing, Direct: direct == nil, Deep: BackendRing, Reason: reason}}
	return d.withQueues(fs, fs)
}

func openDirect(walDir string) (device, error) {
	fs, err := fallback.Open(fallback.Options{Direct: true})
	if err == nil {
		err = fallback.ProbeDirect(walDir)
	}
	if err != nil {
		return device{}, fmt.Errorf("engine: backend direct: %w", err)
	}
	d := device{fs: fs, direct: true, choice: BackendChoice{
		Backend: BackendDirect, Direct: true, Deep: BackendDirect, Reason: "asked for"}}
	return d.withQueues(fs, fs)
}

func openFallback(reason string) (device, error) {
	fs, err := fallback.Open(fallback.Options{})
	if err != nil {
		return device{}, fmt.Errorf("engine: backend fallback: %w", err)
	}
	d := device{fs: fs, choice: BackendChoice{Backend: BackendFallback, Deep: BackendFallback, Reason: reason}}
	return d.withQueues(fs, fs)
}

// openAuto takes the fastest commit path that works here, and io_uring for the deep queue
// where it is allowed.
func openAuto(walDir string) (device, error) {
	uring, ringErr := ring.Open(ring.Options{})
	direct, directErr := openDirect(walDir)
	if directErr != nil {
		if !errors.Is(directErr, vfs.ErrUnsupported) {
			return device{}, directErr
		}
		d, err := openFallback("direct is refused: " + directErr.Error())
		return d, err
	}
	if ringErr != nil {
		direct.choice.Reason = "io_uring is refused: " + ringErr.Error()
		return direct, nil
	}
	return chooseByMeasure(direct, uring, walDir)
}

// withQueues makes the device's two queues.
func (d device) withQueues(commit, deep vfs.FS) (device, error) {
	var err error
	if d.commit, err = commit.NewQueue(commitDepth); err != nil {
		return device{}, fmt.Errorf("engine: commit queue: %w", err)
	}
	d.deepFS = deep
	if d.deep, err = deep.NewQueue(deepDepth); err != nil {
		return device{}, errors.Join(fmt.Errorf("engine: flush queue: %w", err), d.commit.Close())
	}
	return d, nil
}

func (d *device) close() error {
	var errs []error
	if d.commit != nil {
		errs = append(errs, d.commit.Close())
	}
	if d.deep != nil {
		errs = append(errs, d.deep.Close())
	}
	return errors.Join(errs...)
}
