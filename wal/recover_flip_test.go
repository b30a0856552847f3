package wal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// recSpot is what one byte of an image belongs to.
type recSpot struct {
	what  string // "file header", "padding", "header", "trailer", "record", "payload"
	frame *recTestFrame
	op    int
}

// spot locates a byte.
func (f *recTestFile) spot(at int) recSpot {
	if at < frame.BlockSize {
		return recSpot{what: "file header"}
	}
	for _, fr := range f.image.frames {
		if fr.file != f || at < fr.begin() || at >= fr.limit() {
			continue
		}
		if at < fr.begin()+frame.HeaderSize {
			return recSpot{what: "header", frame: fr}
		}
		if at >= fr.limit()-frame.FooterSize-fr.trailerBytes() {
			return recSpot{what: "trailer", frame: fr}
		}
		for i := range fr.ops {
			switch payload := fr.at[i] + frame.RecordHeaderSize; {
			case at >= fr.at[i] && at < payload:
				return recSpot{"record", fr, i}
			case at >= payload && at < payload+len(fr.ops[i].payload):
				return recSpot{"payload", fr, i}
			}
		}
		break
	}
	return recSpot{what: "padding"}
}

// trailerBytes reads the footer's field.
func (fr *recTestFrame) trailerBytes() int {
	b := fr.bytes()[len(fr.bytes())-frame.FooterSize:]
	return int(b[40]) | int(b[41])<<8
}

// TestRecoverFlips flips every byte of a small WAL: exactly the logs that are hit are
// reported, all else is visited as it was, and above the watermark the batch is cut.
func TestRecoverFlips(t *testing.T) {
	im, durable := recSample()
	whole := recWantOf(im.frames, nil)
	recSame(t, recMust(t, im, nil).logs, whole)
	rng := rand.New(rand.NewPCG(1, 2))
	fs := im.fs()
	step := 1
	if testing.Short() {
		step = 31
	}
	for _, f := range im.files {
		for at := 0; at < len(f.data); at += step {
			spot := f.spot(at)
			if (spot.what == "padding" || spot.what == "file header") && at%11 != 0 {
				continue
			}
			old := f.data[at]
			f.data[at] ^= 1 << rng.IntN(8)
			got, err := recRun(fs, im.numbers(), nil)
			f.data[at] = old
			if err != nil {
				t.Fatalf("file %x byte %d: %v", f.number, at, err)
			}
			if err := im.judgeFlip(got, spot, durable, whole); err != nil {
				t.Fatalf("file %x byte %d, %s of batch %v: %v\n%v", f.number, at, spot.what, spot.frame, err, got.script)
			}
		}
	}
}

func (im *recImage) judgeFlip(got *recGot, spot recSpot, durable uint64, whole map[raftlog.LogID][]string) error {
	want, hit := whole, []raftlog.LogID(nil)
	tail := spot.frame != nil && spot.frame.batch > durable && spot.what != "padding"
	switch {
	case tail:
		want = recWantOf(im.frames[:len(im.frames)-1], nil)
		if len(got.report.Torn) != 1 || uint64(got.report.Torn[0].Batch) != spot.frame.batch {
			return fmt.Errorf("torn %v", got.report.Torn)
		}
	case spot.what == "header" && spot.frame.blocks > 1:
		want = recWantOf(im.frames, func(fr *recTestFrame, _ int) bool { return fr == spot.frame })
		for _, op := range spot.frame.ops {
			hit = append(hit, op.id)
		}
	case spot.what == "record":
		want = recWantOf(im.frames, func(fr *recTestFrame, op int) bool { return fr == spot.frame && op >= spot.op })
		for _, op := range spot.frame.ops[spot.op:] {
			hit = append(hit, op.id)
		}
	case spot.what == "payload":
		want = recWantOf(im.frames, func(fr *recTestFrame, op int) bool { return fr == spot.frame && op == spot.op })
		if op := spot.frame.ops[spot.op]; op.kind != KindDeclare {
			hit = append(hit, op.id)
		}
	}
	slices.Sort(hit)
	switch r := got.report; {
	case !maps.EqualFunc(got.logs, want, slices.Equal[[]string]):
		return fmt.Errorf("records\n got %v\nwant %v", got.logs, want)
	case !slices.Equal(got.lostIDs(), slices.Compact(hit)) || !slices.Equal(got.lostIDs(), got.sure()):
		return fmt.Errorf("hit %v, sure %v, want %v", got.lostIDs(), got.sure(), hit)
	case uint64(r.LastDurable) != durable || r.UnknownLogs || r.Truncated:
		return fmt.Errorf("report %+v", r)
	case (r.DamageCount > 0) != (spot.frame != nil && spot.what != "padding" && !tail):
		return fmt.Errorf("damage %+v", r.Damage)
	case r.DamageCount == 1 && r.Damage[0].Healed != (len(hit) == 0):
		return fmt.Errorf("healed: %+v", r.Damage)
	}
	return nil
}

// recJudge holds for damage of any kind: every visited record was written, per log in order, and
// what is missing up to the watermark that was found is laid to its log.
func (im *recImage) recJudge(got *recGot) error {
	whole := recWantOf(im.frames, nil)
	for id, lines := range got.logs {
		rest := whole[id]
		for _, line := range lines {
			i := slices.Index(rest, line)
			if i < 0 {
				return fmt.Errorf("log %d: %s was not written, or not there", id, line)
			}
			rest = rest[i+1:]
		}
	}
	durable := uint64(got.report.LastDurable)
	must := recWantOf(slices.DeleteFunc(slices.Clone(im.frames), func(fr *recTestFrame) bool { return fr.batch > durable }), nil)
	for id, lines := range must {
		for _, line := range lines {
			if !slices.Contains(got.logs[id], line) && !slices.Contains(got.lostIDs(), id) {
				return fmt.Errorf("log %d: %s is missing in silence", id, line)
			}
		}
	}
	return nil
}

// damage runs recovery on a changed image and undoes the change.
func (im *recImage) damage(t *testing.T, what string, do func()) *recGot {
	t.Helper()
	var saved [][]byte
	for _, f := range im.files {
		saved = append(saved, slices.Clone(f.data))
	}
	do()
	got := recMust(t, im, nil)
	if err := im.recJudge(got); err != nil {
		t.Fatalf("%s: %v\n%v\n%+v", what, err, got.script, got.report)
	}
	for i, f := range im.files {
		f.data = saved[i]
	}
	return got
}

// TestRecoverPrefixes cuts every file at every length.
func TestRecoverPrefixes(t *testing.T) {
	im, _ := recSample()
	step := 1
	if testing.Short() {
		step = 23
	}
	for i, f := range im.files {
		for n := 0; n < len(f.data); n += step {
			if n%frame.BlockSize > 64 && n%29 != 0 {
				continue
			}
			got := im.damage(t, fmt.Sprintf("file %x cut at %d", f.number, n), func() { f.data = f.data[:n] })
			if got.report.Truncated != (i >= 2) {
				t.Fatalf("file %x cut at %d: %+v", f.number, n, got.report)
			}
			// A file before the last of those with frames is judged by what its successor proves.
			if end := f.next * frame.BlockSize; i < 2 && n >= end && len(got.lost) > 0 {
				t.Fatalf("file %x cut at %d behind its frames: %v", f.number, n, got.script)
			}
		}
	}
}

// TestRecoverBlocks destroys every pair of blocks, swaps them, and copies one over the other.
func TestRecoverBlocks(t *testing.T) {
	im, _ := recSample()
	type place struct {
		f *recTestFile
		b int
	}
	var places []place
	for _, f := range im.files {
		for b := range len(f.data) / frame.BlockSize {
			places = append(places, place{f, b})
		}
	}
	block := func(p place) []byte { return p.f.data[p.b*frame.BlockSize:][:frame.BlockSize] }
	for i, p := range places {
		for _, q := range places[i:] {
			name := fmt.Sprintf("blocks %x:%d and %x:%d", p.f.number, p.b, q.f.number, q.b)
			im.damage(t, name+" zero", func() { clear(block(p)); clear(block(q)) })
			if p == q {
				continue
			}
			if p.b == 0 && q.b == 0 {
				continue // a file header of another number is another file
			}
			a, b := slices.Clone(block(p)), slices.Clone(block(q))
			im.damage(t, name+" swapped", func() { copy(block(p), b); copy(block(q), a) })
			im.damage(t, name+" doubled", func() { copy(block(q), a) })
			im.damage(t, name+" doubled back", func() { copy(block(p), b) })
		}
	}
}

// TestRecoverRandomDamage writes noise over random stretches.
func TestRecoverRandomDamage(t *testing.T) {
	im, _ := recSample()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		im.damage(t, "noise", func() {
			for range 1 + rng.IntN(4) {
				f := im.files[rng.IntN(len(im.files))]
				at := rng.IntN(len(f.data))
				for i := at; i < min(at+1<<rng.IntN(14), len(f.data)); i++ {
					f.data[i] = byte(rng.Uint32())
				}
			}
		})
	}
}
