package detector

const (
	// window is the number of renewals after which the older of two windows is forgotten.
	window = 256
	// warm is the number of renewals that make a history.
	warm = 16
)

// limits bound the age at which a peer is suspected, in nanoseconds.
type limits struct{ floor, bound int64 }

// freshness watches one thing that must be renewed again and again, and learns how old it grows
// between two renewals when all is well.
type freshness struct {
	at       int64    // the moment from which the age counts
	peaks    [2]int64 // longest age at a renewal: in this window, in the one before
	renewals int      // in this window
	known    bool     // at least warm renewals have been seen
}

// renew notes that at now the thing is as fresh as at. A moment that is not later than the one known
// renews nothing.
func (f *freshness) renew(now, at int64) {
	if at <= f.at {
		return
	}
	f.peaks[0] = max(f.peaks[0], now-f.at)
	f.at = at
	f.renewals++
	if f.renewals >= warm {
		f.known = true
	}
	if f.renewals >= window {
		f.peaks = [2]int64{0, f.peaks[0]}
		f.renewals = 0
	}
}

// limit returns the age at which the thing is stale.
func (f *freshness) limit(l limits) int64 {
	if !f.known {
		return l.bound
	}
	peak := max(f.peaks[0], f.peaks[1])
	if peak >= l.bound {
		return l.bound
	}
	return min(max(peak+peak/2, l.floor), l.bound)
}

// restart counts the age from now on without calling it a renewal.
func (f *freshness) restart(now int64) { f.at = now }

// forgive moves the age's start by what the own loop was late.
func (f *freshness) forgive(late, now int64) { f.at = min(f.at+late, now) }
