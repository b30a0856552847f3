package detector

// roundTrip is a smoothed round trip time: each sample counts an eighth, as in RFC 6298.
type roundTrip struct {
	mean int64 // nanoseconds, 0 before the first sample
}

func (r *roundTrip) sample(d int64) {
	d = max(d, 1)
	if r.mean == 0 {
		r.mean = d
		return
	}
	r.mean = max(r.mean+(d-r.mean)/8, 1)
}
