package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/rawl-db/rawl/wal"
)

// Health is the state of an engine.
type Health uint8

const (
	// HealthOK means that commits are answered in time.
	HealthOK Health = iota
	// HealthSlow means that a submission takes longer than Options.SlowAfter.
	HealthSlow
	// HealthStalled means that it takes longer than Options.StallAfter.
	HealthStalled
	// HealthReadOnly means that there is no space: entries are refused until there is.
	HealthReadOnly
	// HealthFailed means that the device failed; it is final.
	HealthFailed
)

var healthNames = [...]string{"ok", "slow", "stalled", "readOnly", "failed"}

// String returns ok, slow, stalled, readOnly or failed.
func (h Health) String() string {
	if int(h) < len(healthNames) {
		return healthNames[h]
	}
	return "unknown"
}

// The monitor looks every monitorInterval while there is something to watch, and every restInterval at an engine at rest.
const (
	monitorInterval = 20 * time.Millisecond
	restInterval    = 5 * monitorInterval
)

// monitor watches how long the running submission takes, tries again to write when the disk
// was full, and asks for a roll when memory is used up by a WAL file that is not full yet.
type monitor struct {
	e *Engine

	mu struct {
		sync.Mutex
		health Health
		cause  error
	}
	retryIn int // steps until the next try to write
	failed  bool
	looked  int // steps since slots were looked at
}

func newMonitor(e *Engine) *monitor { return &monitor{e: e} }

// Step returns after how long the next one is due.
func (m *monitor) Step() time.Duration {
	h, cause := m.observe()
	m.set(h, cause)
	switch {
	case h == HealthFailed && !m.failed:
		m.failed = true
		m.e.failWaiters(m.e.failure())
		m.e.happenedEverywhere(happenedEnd)
	case h == HealthReadOnly:
		if m.retryIn--; m.retryIn <= 0 {
			m.retryIn = 5
			m.e.wal.Retry()
		}
	}
	b := &m.e.budget
	if (b.used.Load() > b.memory/2 || b.queued.Load() > 0) && m.e.flusher.backlog() == 0 {
		m.e.wal.Roll()
	}
	b.relieve()
	if m.looked++; m.looked >= slotCheckEvery {
		m.looked = 0
		m.e.checkSlots(m.e.now())
	}
	if h == HealthOK && m.e.wal.InFlightSince() == 0 && b.used.Load() <= b.memory/2 && b.queued.Load() == 0 {
		return restInterval
	}
	return monitorInterval
}

// observe works out the health of this moment.
func (m *monitor) observe() (Health, error) {
	switch m.e.wal.Health() {
	case wal.Failed:
		return HealthFailed, m.e.failure()
	case wal.ReadOnly:
		return HealthReadOnly, m.e.failure()
	}
	since := m.e.wal.InFlightSince()
	if since == 0 {
		return HealthOK, nil
	}
	switch d := time.Duration(m.e.now() - since); {
	case d > m.e.opts.StallAfter:
		return HealthStalled, ErrStalled
	case d > m.e.opts.SlowAfter:
		return HealthSlow, nil
	}
	return HealthOK, nil
}

func (m *monitor) set(h Health, cause error) {
	m.mu.Lock()
	changed := m.mu.health != h
	m.mu.health, m.mu.cause = h, cause
	m.mu.Unlock()
	if !changed {
		return
	}
	if h == HealthOK {
		m.e.opts.Logger.Info("health", "state", h.String())
	} else {
		m.e.opts.Logger.Warn("health", "state", h.String(), "cause", cause)
	}
	m.e.event(Event{Kind: EventHealth, Health: h, Err: cause})
}

// Health returns the engine's state and, unless it is HealthOK or HealthSlow, the cause.
func (e *Engine) Health() (Health, error) {
	e.monitor.mu.Lock()
	defer e.monitor.mu.Unlock()
	return e.monitor.mu.health, e.monitor.mu.cause
}

// walHealth is told by the committer at once; the monitor's next step does the rest.
func (e *Engine) walHealth(h wal.Health, cause error) {
	if h == wal.Failed {
		e.opts.Logger.Error("write-ahead log failed", "err", cause)
	}
}

// failWaiters answers everybody who waits for durability.
func (e *Engine) failWaiters(err error) {
	for _, l := range inOrder(slices.Values(append(e.logs.snapshot(), e.dying.snapshot()...))) {
		l.failAll(err)
	}
}
