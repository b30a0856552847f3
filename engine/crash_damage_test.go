package engine_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/wal"
)

// patient is a small engine's disk that is to be damaged.
type patient struct {
	*world
	closed bool
	walEnd uint64                   // the batch of the newest frame
	frames map[string][]frame.Frame // by WAL file
	names  map[string]map[uint32]engine.UID
	dirs   map[string]engine.UID // by log directory
}

// newPatient makes an engine with logs in segments, in sealed files and in the current one, with
// truncations, releases, a deleted and a recreated log. All that was asked for is durable.
func newPatient(t testing.TB, seed uint64, closed bool) *patient {
	o := small()
	o.WALFileEntries = 40
	p := &patient{world: newWorld(t, seed, o), closed: closed,
		frames: map[string][]frame.Frame{}, names: map[string]map[uint32]engine.UID{}, dirs: map[string]engine.UID{}}
	p.open()
	p.work(200)
	p.settle(3000)
	for i := range 40 {
		p.act(p.uids[i%len(p.uids)])
		if i%4 == 0 {
			p.step("commit")
		}
	}
	p.dirsOf()
	for p.step("commit") {
	}
	if closed {
		p.close()
	}
	p.scan()
	return p
}

// scan finds the frames of the WAL files.
func (p *patient) scan() {
	for _, name := range p.mem.Files() {
		if !strings.HasSuffix(name, ".wal") {
			continue
		}
		b, _ := p.mem.ReadFile(name)
		h, err := frame.DecodeFileHeader(b)
		if err != nil {
			continue
		}
		p.frames[name] = frame.Scan(b, frame.NewIdentity(h.Stream, h.Number))
		p.names[name] = map[uint32]engine.UID{}
		for _, f := range p.frames[name] {
			p.walEnd = max(p.walEnd, f.Batch)
			for r := range f.Records {
				if r.Kind == wal.KindDeclare {
					p.names[name][r.Log] = engine.UID(r.Payload[8:])
				}
			}
		}
	}
}

// dirsOf learns which directory is whose: only one log's segments are named by its entries.
func (p *patient) dirsOf() {
	for _, name := range p.mem.Files() {
		if path.Ext(name) != ".seg" && !isCapture(name) {
			continue
		}
		b, _ := p.mem.ReadFile(name)
		for _, uid := range p.uids {
			if strings.Contains(string(b[:4096]), string(uid)) {
				p.dirs[path.Dir(name)] = uid
			}
		}
	}
}

// isCapture reports whether the file holds a captured state.
func isCapture(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "snapshot-") || strings.HasPrefix(base, "checkpoint-")
}

// wound is damage to a file at an offset, and what it may cost.
type wound struct {
	name    string
	off     int64
	hits    map[engine.UID]bool // logs that may be set apart, or have entries that cannot be read
	any     bool                // any log may be set apart
	one     bool                // any one log may be set apart
	last    bool                // the newest batch may be cut
	segment bool
	capture bool // a captured state may be unreadable
	refuse  bool // the open may fail
}

func (p *patient) wound(name string, off int64) wound {
	w := wound{name: name, off: off, hits: map[engine.UID]bool{}}
	switch {
	case strings.HasSuffix(name, ".seg"):
		w.hits[p.dirs[path.Dir(name)]], w.segment = true, true
	case isCapture(name):
		w.hits[p.dirs[path.Dir(name)]], w.capture = true, true
	case strings.HasSuffix(name, ".wal"):
		for _, f := range p.frames[name] {
			if begin := int64(f.Block) * frame.BlockSize; off < begin || off >= begin+int64(f.Blocks)*frame.BlockSize {
				continue
			}
			w.last = f.Batch == p.walEnd
			for t := range f.Trailer.Touches() {
				w.hits[p.names[name][t.Number]] = true
			}
		}
	case strings.Contains(name, "manifest-"):
		w.one = true
	default:
		w.refuse = true
	}
	return w
}

// operate opens the damaged disk and checks that the damage is contained.
func (p *patient) operate(w wound, damage func(*memfs.FS)) {
	p.t.Helper()
	c := p.fork(memfs.CrashOptions{Unsynced: memfs.Kept}, fmt.Sprintf("%s at %d", w.name, w.off))
	damage(c.mem)
	set := c.examine(w)
	if set == nil {
		return
	}
	if c.rng.IntN(8) == 0 { // the same is found again
		c.settle(50)
		c.close()
		again := c.fork(memfs.CrashOptions{Unsynced: memfs.Kept}, "again")
		w.any = w.any || len(set) > 0
		if more := again.examine(w); len(more) != len(set) {
			c.fatalf("set apart %v, at the next open %v", set, more)
		}
	}
}

// examine returns the logs that were set apart, nil when the open was refused.
func (w *world) examine(d wound) map[engine.UID]bool {
	w.t.Helper()
	o := w.o
	o.Handler = w
	w.logs = map[*engine.Log]*handle{}
	e, err := engine.OpenParts(w.fs, "/db", o)
	if err != nil {
		if !d.refuse || !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, engine.ErrVersion) && !errors.Is(err, engine.ErrMissingWAL) {
			w.fatalf("open: %v", err)
		}
		return nil
	}
	w.e, w.parts = e, e.Parts()
	r := e.Stats().Recovery
	apart := map[engine.UID]bool{}
	for _, uid := range w.uids {
		h := w.hist[uid]
		if d.last && r.Torn > 0 {
			h.acked = 0
		}
		if w.examineLog(h, d) {
			apart[uid] = true
		}
	}
	if d.one && len(apart) > 1 {
		w.fatalf("set apart %v", apart)
	}
	if len(apart) != len(r.Quarantined) && !d.segment && !d.capture {
		w.fatalf("set apart %v, reported %v", apart, r.Quarantined)
	}
	for l := range e.Logs() {
		h := w.hist[l.UID()]
		if h == nil {
			w.fatalf("invented log %s", l.UID())
		}
		w.logs[l] = &handle{h: h, life: h.now.life}
	}
	return apart
}

// examineLog reports whether the log is set apart, or has entries that cannot be read.
func (w *world) examineLog(h *history, d wound) bool {
	w.t.Helper()
	may := d.any || d.one || d.hits[h.uid]
	l, err := w.e.Log(h.uid)
	var got state
	if err == nil {
		got, err = observe(w.e, l, w.largest())
	}
	switch {
	case errors.Is(err, engine.ErrNotFound) && d.any && w.e.Stats().Recovery.Damage > 0: // nothing else names it
		return false
	case errors.Is(err, engine.ErrNotFound):
	case may && errors.Is(err, engine.ErrQuarantined) && (h.now.exists || d.any): // what was cut off may hold the deletion
		return true
	case may && (d.segment || d.capture) && errors.Is(err, engine.ErrCorrupt):
		var loss *engine.LossError // what only a slot's reader sees
		held := errors.As(err, &loss) && loss.Lost.First <= h.now.released.Index
		if bad := w.readSingly(l, h); bad == 0 && d.segment && !held {
			w.fatalf("log %s: a range fails, single reads do not: %v", h.uid, err)
		}
		return true
	case err != nil:
		w.fatalf("log %s: %v", h.uid, err)
	}
	if d.any && !got.exists {
		return false // all that named it was cut off
	}
	if _, ok := h.match(&got); !ok && !(may && h.now.equalButReleased(got)) {
		w.fatalf("log %s is\n %v, want\n %v\n%+v", h.uid, got, h.now, w.e.Stats().Recovery)
	}
	return false
}

// ending is the newest state that the log had with that first index and last entry, else with that last entry, and
// the present one when it had none: a release whose record was not durable is not in what was recovered.
func (h *history) ending(first engine.Index, last engine.EntryID) state {
	var s state
	found, exact := h.now, false
	for i := range h.recs {
		s.apply(h.recs[i])
		if !s.exists || s.last() != last {
			continue
		}
		if begins := s.released.Index+1 == first; begins || !exact {
			found, exact = s.clone(), begins
		}
	}
	return found
}

// equalButReleased reports whether got holds all that s does, and entries that s released: the
// record of that is gone with what was damaged.
func (s *state) equalButReleased(got state) bool {
	if !got.exists || got.released.Index > s.released.Index || got.last().Index < s.released.Index || got.at(s.released.Index) != s.released {
		return false
	}
	got.release(s.released)
	got.slots, got.held = s.slots, s.held // an acknowledgement may be gone likewise
	return s.equal(&got)
}

// readSingly checks that each entry of a damaged log is right or an error, and counts errors.
func (w *world) readSingly(l *engine.Log, h *history) (bad int) {
	w.t.Helper()
	now := h.ending(l.First(), l.Last())
	want := maps.Clone(now.live)
	if want == nil {
		want = map[engine.Index]engine.Term{}
	}
	for i := max(l.First(), now.released.Index+1); i <= l.Last().Index; i++ {
		want[i] = now.at(i).Term
	}
	for i, term := range want {
		e, err := l.Read(i)
		if err != nil {
			if !errors.Is(err, engine.ErrCorrupt) {
				w.fatalf("log %s: read %d: %v", h.uid, i, err)
			}
			bad++
			continue
		}
		if life, err := checkEntry(h.uid, e, w.largest()); err != nil || life > 0 && life != now.life || e.Index != i || e.Term != term {
			w.fatalf("log %s: entry %v of life %d, want %d/%d: %v", h.uid, e.ID(), life, term, i, err)
		}
	}
	return bad
}

func flipByte(name string, off int64, mask byte) func(*memfs.FS) {
	return func(fs *memfs.FS) {
		f, err := fs.Open(name, vfs.OpenOptions{Write: true})
		if err != nil {
			panic(err)
		}
		var b [1]byte
		f.ReadAt(b[:], off)
		b[0] ^= mask
		f.WriteAt(b[:], off)
		f.Sync()
		f.Close()
	}
}

// TestEveryByteFlipped flips bytes of all files, one at a time: with -scale 400, all that were written.
func TestEveryByteFlipped(t *testing.T) {
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			p := newPatient(t, 3, closed)
			rng := rand.New(rand.NewPCG(1+2**firstSeed, uint64(*scale)))
			n := 0
			for _, name := range p.mem.Files() {
				b, _ := p.mem.ReadFile(name)
				for off := range positions(b, stride(400), rng) {
					n++
					p.operate(p.wound(name, off), flipByte(name, off, 1<<rng.IntN(8)))
				}
			}
			t.Logf("%d flips", n)
		})
	}
}

// positions yields offsets in a file: each step-th from a random one on, few of those behind the first of the zeros at its end.
func positions(b []byte, step int, rng *rand.Rand) iter.Seq[int64] {
	live := liveBytes(b)
	return func(yield func(int64) bool) {
		for off := int64(rng.IntN(step)); off < int64(len(b)) && yield(off); off += int64(step) {
			if off > live {
				step = stride(40000)
			}
		}
	}
}

// liveBytes is the length of b without the zeros at its end.
func liveBytes(b []byte) int64 {
	return int64(len(strings.TrimRight(string(b), "\x00")))
}

// TestEveryPrefix cuts files short: with -scale 400, after each byte that was written.
func TestEveryPrefix(t *testing.T) {
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			p := newPatient(t, 7, closed)
			rng := rand.New(rand.NewPCG(2+2**firstSeed, uint64(*scale)))
			n := 0
			for _, name := range p.mem.Files() {
				b, _ := p.mem.ReadFile(name)
				for size := range positions(b, min(stride(400), max(1, len(b)/tries(6))), rng) {
					w := p.wound(name, size)
					w.any, w.one = strings.HasSuffix(name, ".wal"), false
					w.refuse = w.refuse || strings.Contains(name, "manifest-")
					w.any = w.any || strings.Contains(name, "manifest-")
					n++
					p.operate(w, func(fs *memfs.FS) { _ = fs.WriteFile(name, b[:size]) })
				}
			}
			t.Logf("%d prefixes", n)
		})
	}
}
