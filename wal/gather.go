package wal

const (
	// minSync is the least sync time that gathering reckons with, in nanoseconds.
	minSync = 20_000
	// maxYields ends a window under a clock that stands still, as a simulated one may.
	maxYields = 1024
)

// gather waits for company as long as that pays: waiting d longer delays the n entries that
// are pending by d each, and saves one sync time T for each of the k entries that join. So it
// goes on, window by window, while k*T > n*d. It yields at least once, which lets producers
// that were just acknowledged run before the next commit blocks; a lone write waits one window.
func (w *WAL) gather() {
	if w.o.NoGather {
		return
	}
	sync := max(w.count.ewma.Load(), minSync)
	window := sync / 32
	begin := w.o.Now()
	now := begin
	n, bytes := w.pending()
	for bytes < uint64(w.o.GatherMaxBytes) && now-begin < sync {
		start := now
		for i := 0; i == 0 || now-start < window && i < maxYields; i++ {
			w.o.Yield()
			now = w.o.Now()
		}
		before := n
		n, bytes = w.pending()
		if (n-min(n, before))*uint64(sync) <= before*uint64(now-start) {
			break
		}
	}
	w.collect()
}
