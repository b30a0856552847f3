package detector

import "testing"

func TestLimitFollowsThePeaks(t *testing.T) {
	l := limits{floor: 500, bound: 1000}
	var f freshness
	now := int64(1)
	f.restart(now)
	renew := func(count int, age int64) {
		for range count {
			now += age
			f.renew(now, now)
		}
	}
	want := func(limit int64) {
		t.Helper()
		if got := f.limit(l); got != limit {
			t.Fatalf("limit %d, not %d, after %d renewals: %v", got, limit, f.renewals, f.peaks)
		}
	}
	renew(warm-1, 100)
	want(1000) // no history yet
	renew(1, 100)
	want(500)
	renew(1, 400)
	want(600)
	renew(1, 1<<62)
	want(1000)
	renew(window-1, 100)
	want(1000) // remembered over one window at least
	renew(window, 100)
	want(500) // and over two at most
	f.renew(now+50, now)
	if f.at != now {
		t.Fatal("renewed by what is not newer")
	}
}

func TestRoundTripFollows(t *testing.T) {
	var r roundTrip
	r.sample(0)
	if r.mean != 1 {
		t.Fatalf("mean %d", r.mean)
	}
	for range 100 {
		r.sample(8000)
	}
	if r.mean < 7900 || r.mean > 8000 {
		t.Fatalf("mean %d", r.mean)
	}
	for range 100 {
		r.sample(80)
	}
	if r.mean < 80 || r.mean > 100 {
		t.Fatalf("mean %d", r.mean)
	}
}
