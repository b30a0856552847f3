package snapshotwriter_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// sent is a snapshot of another member, as it travels.
type sent struct {
	header []byte
	chunks [][]byte
	sums   []snapshotwriter.Sum
	data   []byte
}

// send writes a file of another engine's log and reads what is sent of it.
func send(t testing.TB, kind raftlog.SnapshotKind, at raftlog.EntryID, seed uint64, n int) sent {
	t.Helper()
	fs := newFS(t)
	clock := int64(seed)
	w := writer(t, fs, func(o *snapshotwriter.Options) { o.Now = func() int64 { return clock } })
	s := sent{data: state(seed, n)}
	m := meta(kind, at)
	m.Log, m.UID = 99, "theirs"
	var res snapshotwriter.Result
	if do(t, w, job(m, s.data, &res)); res.Err != nil {
		t.Fatal(res.Err)
	}
	r, err := snapshot.Open(fs, w.Path(99, kind, at), 99)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.header = r.Header()
	for i := range r.Chunks() {
		data, sum, err := r.Chunk(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.chunks, s.sums = append(s.chunks, data), append(s.sums, sum)
	}
	return s
}

var target = snapshotwriter.Target{Log: testID, UID: "u"}

func receiver(t testing.TB, w *snapshotwriter.Writer, s sent) *snapshotwriter.Receiver {
	t.Helper()
	r, err := w.NewReceiver(s.header, target)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// info says where things are in the file that is received.
func (s *sent) info(t testing.TB) *snapshot.Info {
	t.Helper()
	i, err := snapshot.ParseHeader(s.header)
	if err != nil {
		t.Fatal(err)
	}
	return &i
}

// accept hands the chunks [r.Next, to) over.
func accept(r *snapshotwriter.Receiver, s sent, to int) error {
	for n := r.Next(); n < to; n++ {
		if err := r.Accept(n, s.chunks[n], s.sums[n]); err != nil {
			return err
		}
	}
	return nil
}

// complete accepts what is missing and publishes.
func complete(r *snapshotwriter.Receiver, s sent) (raftlog.Snapshot, error) {
	if err := accept(r, s, len(s.chunks)); err != nil {
		return raftlog.Snapshot{}, err
	}
	return r.Finish()
}

// finish is complete, and checks the file after a power cut.
func finish(t testing.TB, fs *memfs.FS, r *snapshotwriter.Receiver, s sent) {
	t.Helper()
	got, err := complete(r, s)
	if err != nil {
		t.Fatal(err)
	}
	check(t, fs, got, s.data)
	check(t, fs.Crash(memfs.CrashOptions{}), got, s.data)
	if names := files(t, fs); len(names) != 1 {
		t.Fatalf("left behind: %v", names)
	}
}

func TestReceive(t *testing.T) {
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 50*chunk + 3} {
		for _, kind := range []raftlog.SnapshotKind{raftlog.KindSnapshot, raftlog.KindCheckpoint} {
			fs := newFS(t)
			s := send(t, kind, id(2, 9), 1, n)
			r := receiver(t, writer(t, fs, nil), s)
			if i := r.Info(); i.Kind != raftlog.KindSnapshot || i.Log != testID || i.UID != "u" || i.StateBytes != int64(n) {
				t.Fatalf("%+v", i)
			}
			finish(t, fs, r, s)
		}
	}
}

// What was received can be sent on: chunks keep their sums.
func TestSendOn(t *testing.T) {
	fs := newFS(t)
	w, s := writer(t, fs, nil), send(t, raftlog.KindSnapshot, id(2, 9), 1, 3*chunk)
	finish(t, fs, receiver(t, w, s), s)
	r, err := snapshot.Open(fs, w.Path(testID, raftlog.KindSnapshot, id(2, 9)), testID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range r.Chunks() {
		if data, sum, err := r.Chunk(i, nil); err != nil || sum != s.sums[i] || !bytes.Equal(data, s.chunks[i]) {
			t.Fatalf("chunk %d: %v", i, err)
		}
	}
}

func TestAcceptOrder(t *testing.T) {
	fs := newFS(t)
	w, s := writer(t, fs, nil), send(t, raftlog.KindSnapshot, id(2, 9), 1, 5*chunk+7)
	other := send(t, raftlog.KindSnapshot, id(2, 9), 2, 5*chunk+7)
	r := receiver(t, w, s)
	if err := accept(r, s, 3); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(s.chunks[3])
	flipped[99] ^= 4
	forged := other.sums[3]
	forged.Seed = s.sums[3].Seed
	for name, c := range map[string]struct {
		n    int
		data []byte
		sum  snapshotwriter.Sum
		want error
	}{
		"repeated":             {1, s.chunks[1], s.sums[1], nil},
		"the first repeated":   {0, s.chunks[0], s.sums[0], nil},
		"repeated but flipped": {2, flipped, s.sums[2], snapshotwriter.ErrCorrupt},
		"skipping one":         {4, s.chunks[4], s.sums[4], snapshotwriter.ErrOutOfOrder},
		"below all":            {-1, s.chunks[3], s.sums[3], snapshotwriter.ErrOutOfOrder},
		"beyond the last":      {6, s.chunks[3], s.sums[3], snapshotwriter.ErrOutOfOrder},
		"flipped":              {3, flipped, s.sums[3], snapshotwriter.ErrCorrupt},
		"short":                {3, s.chunks[3][1:], s.sums[3], snapshotwriter.ErrCorrupt},
		"empty":                {3, nil, s.sums[3], snapshotwriter.ErrCorrupt},
		"renumbered":           {3, s.chunks[4], s.sums[4], snapshotwriter.ErrCorrupt},
		"of another":           {3, other.chunks[3], other.sums[3], snapshotwriter.ErrOtherSnapshot},
		"forged":               {3, other.chunks[3], forged, snapshotwriter.ErrCorrupt},
	} {
		if err := r.Accept(c.n, c.data, c.sum); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r.Next() != 3 {
			t.Fatalf("%s: next is %d", name, r.Next())
		}
	}
	if _, err := r.Finish(); !errors.Is(err, snapshotwriter.ErrIncomplete) {
		t.Error(err)
	}
	finish(t, fs, r, s)
	// The Receiver is done, and so is the file.
	if err := r.Accept(0, s.chunks[0], s.sums[0]); !errors.Is(err, snapshotwriter.ErrClosed) {
		t.Error(err)
	}
	if _, err := r.Finish(); !errors.Is(err, snapshotwriter.ErrClosed) {
		t.Error(err)
	}
	if err := errors.Join(r.Abort(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := w.NewReceiver(s.header, target); !errors.Is(err, snapshotwriter.ErrExists) {
		t.Error(err)
	}
}

func TestNewReceiverRefuses(t *testing.T) {
	fs := newFS(t)
	w, s := writer(t, fs, nil), send(t, raftlog.KindSnapshot, id(2, 9), 1, chunk)
	recovery := send(t, raftlog.KindRecovery, id(2, 9), 1, chunk)
	flipped := bytes.Clone(s.header)
	flipped[len(flipped)/2]++
	own := errors.New("too large")
	refusing := target
	refusing.Check = func(i snapshotwriter.Info) error {
		if i.UID != "theirs" || i.ID != id(2, 9) || i.FileBytes() == 0 {
			t.Errorf("%+v", i)
		}
		return own
	}
	for name, c := range map[string]struct {
		header []byte
		target snapshotwriter.Target
		want   error
	}{
		"empty":    {nil, target, snapshotwriter.ErrUnfinished},
		"flipped":  {flipped, target, snapshotwriter.ErrCorrupt},
		"cut":      {s.header[:len(s.header)-1], target, snapshotwriter.ErrCorrupt},
		"recovery": {recovery.header, target, snapshotwriter.ErrKind},
		"check":    {s.header, refusing, own},
		"no uid":   {s.header, snapshotwriter.Target{Log: testID}, snapshotwriter.ErrMeta},
		"no log":   {s.header, snapshotwriter.Target{UID: "u"}, snapshotwriter.ErrMeta},
	} {
		if _, err := w.NewReceiver(c.header, c.target); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if names, _ := fs.List(dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	r := receiver(t, w, s)
	if _, err := w.NewReceiver(s.header, target); !errors.Is(err, snapshotwriter.ErrBusy) {
		t.Error(err)
	}
	if err := errors.Join(r.Abort(), w.Close()); err != nil {
		t.Error(err)
	}
	if _, err := w.NewReceiver(s.header, target); !errors.Is(err, snapshotwriter.ErrClosed) {
		t.Error(err)
	}
	if names := files(t, fs); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// A transfer goes on behind any chunk; an aborted one begins anew.
func TestResume(t *testing.T) {
	s := send(t, raftlog.KindSnapshot, id(2, 9), 1, 5*chunk+7)
	for have := range len(s.chunks) + 1 {
		for _, life := range []struct{ abort, another bool }{{}, {abort: true}, {another: true}} {
			abort := life.abort
			fs := newFS(t)
			w := writer(t, fs, nil)
			r := receiver(t, w, s)
			if err := accept(r, s, have); err != nil {
				t.Fatal(err)
			}
			end, next := r.Close, have
			if abort {
				end, next = r.Abort, 0
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if err := r.Accept(have, nil, snapshotwriter.Sum{}); !errors.Is(err, snapshotwriter.ErrClosed) {
				t.Fatal(err)
			}
			if life.another {
				w = writer(t, fs, nil)
			}
			if r = receiver(t, w, s); r.Next() != next {
				t.Fatalf("resumed at %d, want %d", r.Next(), next)
			}
			finish(t, fs, r, s)
		}
	}
}

// Whatever a part holds, what is taken over of it is the snapshot's.
func TestResumeDamaged(t *testing.T) {
	s := send(t, raftlog.KindSnapshot, id(2, 9), 1, 4*chunk+7)
	fs := newFS(t)
	w := writer(t, fs, nil)
	r := receiver(t, w, s)
	if err := errors.Join(accept(r, s, 5), r.Close()); err != nil {
		t.Fatal(err)
	}
	info := r.Info()
	part := pathOf(raftlog.KindSnapshot, id(2, 9)) + snapshot.PartSuffix
	sound, err := fs.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	record := sound[info.FileBytes():]
	sound = sound[:info.Offset(5)] // without it
	try := func(name string, b []byte, next int) {
		t.Helper()
		fs := newFS(t)
		if err := errors.Join(fs.MkdirAll(dir+"/"+dirName(testID)), fs.WriteFile(part, b)); err != nil {
			t.Fatal(err)
		}
		r := receiver(t, writer(t, fs, nil), s)
		if r.Next() != next {
			t.Fatalf("%s: resumed at %d, want %d", name, r.Next(), next)
		}
		finish(t, fs, r, s)
	}
	for n := range 5 {
		for _, at := range []int64{info.Offset(n), info.Offset(n) + 20, info.Offset(n+1) - 1} {
			b := bytes.Clone(sound)
			b[at] ^= 1
			try("flipped", b, n)
			try("cut", sound[:at], n)
		}
	}
	for _, at := range []int64{0, 4000, snapshot.BlockSize, info.Offset(0) - 1} {
		b := bytes.Clone(sound)
		b[at] ^= 1
		try("flipped header", b, 0)
		try("cut header", sound[:at], 0)
	}
	try("garbage behind", append(bytes.Clone(sound), state(3, 10*chunk)...), 5)
	for at := range record {
		b := append(bytes.Clone(sound), make([]byte, snapshot.TrailerBytes)...)
		b = append(b, record...)
		b[info.FileBytes()+int64(at)] ^= 1
		b[info.Offset(3)] ^= 1
		try("flipped record", b, 3)
	}
	// A part of the same position that another member, or another time, wrote.
	other := send(t, raftlog.KindSnapshot, id(2, 9), 2, 4*chunk+7)
	r = receiver(t, w, other)
	if r.Next() != 0 {
		t.Fatalf("resumed at %d", r.Next())
	}
	finish(t, fs, r, other)
}

// What this life of a Writer has made durable is continued without reading it; what happened to it meanwhile shows at the end.
func TestResumeInOneLife(t *testing.T) {
	s := send(t, raftlog.KindSnapshot, id(2, 9), 1, 4*chunk+7)
	fs := newFS(t)
	w := writer(t, fs, nil)
	part := pathOf(raftlog.KindSnapshot, id(2, 9)) + snapshot.PartSuffix
	for _, change := range []struct {
		name string
		make func(b []byte) []byte
		next int
		err  error
	}{
		{"damaged", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, 4, snapshotwriter.ErrCorrupt},
		{"cut", func(b []byte) []byte { return b[:s.info(t).Offset(4)-1] }, 3, nil},
		{"longer", func(b []byte) []byte { return append(b, 1, 2, 3) }, 4, nil},
	} {
		r := receiver(t, w, s)
		if err := errors.Join(accept(r, s, 4), r.Close()); err != nil {
			t.Fatal(err)
		}
		b, err := fs.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		if err := fs.WriteFile(part, change.make(b)); err != nil {
			t.Fatal(err)
		}
		if r = receiver(t, w, s); r.Next() != change.next {
			t.Fatalf("%s: resumed at %d, want %d", change.name, r.Next(), change.next)
		}
		if change.err == nil {
			if err := errors.Join(accept(r, s, 5), r.Abort()); err != nil {
				t.Fatalf("%s: %v", change.name, err)
			}
			continue
		}
		if _, err := complete(r, s); !errors.Is(err, change.err) {
			t.Fatalf("%s: %v", change.name, err)
		}
	}
}

// What another life has recorded as durable is continued without reading it, too: it shows at the end what became of it. Behind it
// chunks are taken over that are sound.
func TestResumeRecorded(t *testing.T) {
	s := send(t, raftlog.KindSnapshot, id(2, 9), 1, 4*chunk+7)
	info := s.info(t)
	part := pathOf(raftlog.KindSnapshot, id(2, 9)) + snapshot.PartSuffix
	often := func(o *snapshotwriter.Options) { o.SyncBytes = 2 * (chunk + snapshot.ChunkHeaderBytes) }
	for _, c := range []struct {
		damaged int // chunk
		next    int
		err     error
	}{{damaged: 4, next: 4}, {damaged: 3, next: 3}, {damaged: 1, next: 4, err: snapshotwriter.ErrCorrupt}} {
		fs := newFS(t)
		if err := accept(receiver(t, writer(t, fs, often), s), s, 4); err != nil { // and it is killed
			t.Fatal(err)
		}
		b, err := fs.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		b[info.Offset(c.damaged)+snapshot.ChunkHeaderBytes] ^= 1
		if err := fs.WriteFile(part, b); err != nil {
			t.Fatal(err)
		}
		w := writer(t, fs, often)
		for range 2 { // and once more, at once
			r := receiver(t, w, s)
			if r.Next() != c.next {
				t.Fatalf("chunk %d is damaged: resumed at %d, want %d", c.damaged, r.Next(), c.next)
			}
			w = writer(t, fs, often)
		}
		r := receiver(t, w, s)
		if c.err == nil {
			finish(t, fs, r, s)
			continue
		}
		if _, err := complete(r, s); !errors.Is(err, c.err) || !errors.Is(r.Err(), c.err) {
			t.Fatalf("chunk %d is damaged: %v, and afterwards %v", c.damaged, err, r.Err())
		}
	}
}

// Chunks that sit in the cache, clean, because a sync failed before the process ended, become durable
// nevertheless.
func TestResumeAfterFailedSync(t *testing.T) {
	s := send(t, raftlog.KindSnapshot, id(2, 9), 1, 4*chunk+7)
	fs := newFS(t)
	w := writer(t, fs, nil)
	r := receiver(t, w, s)
	if err := accept(r, s, 5); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Open(pathOf(raftlog.KindSnapshot, id(2, 9))+snapshot.PartSuffix, vfs.OpenOptions{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	f.(*memfs.File).DropUnsynced()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if r = receiver(t, writer(t, fs, nil), s); r.Next() != 5 {
		t.Errorf("resumed at %d", r.Next())
	}
	finish(t, fs, r, s)
}

// All chunks verify, but they are not those that the trailer adds up: nothing is published.
func TestFinishRefuses(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	// The same clock and position, so the same salt, and other data: what no two files have.
	s := send(t, raftlog.KindSnapshot, id(2, 9), 1, 2*chunk)
	s2 := sent{header: s.header, chunks: [][]byte{s.chunks[0], s.chunks[1]}, sums: s.sums}
	bad := bytes.Clone(s.header)
	info, err := snapshot.ParseHeader(bad)
	if err != nil {
		t.Fatal(err)
	}
	info.Total++
	s2.header = info.AppendTrailer(info.AppendHeader(nil))
	r := receiver(t, w, s2)
	if err := accept(r, s2, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(); !errors.Is(err, snapshotwriter.ErrCorrupt) {
		t.Error(err)
	}
	if names := files(t, fs); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	if err := r.Accept(0, nil, snapshotwriter.Sum{}); !errors.Is(err, snapshotwriter.ErrCorrupt) {
		t.Error(err)
	}
}

// FuzzResume: whatever the file of an unfinished transfer has become, nothing but the snapshot is published. Damage to what the file
// says is durable is found before it is published, and the transfer begins anew.
func FuzzResume(f *testing.F) {
	s := send(f, raftlog.KindSnapshot, id(2, 9), 1, 2*chunk+7)
	fs := newFS(f)
	r := receiver(f, writer(f, fs, nil), s)
	if err := errors.Join(accept(r, s, 2), r.Close()); err != nil {
		f.Fatal(err)
	}
	part := pathOf(raftlog.KindSnapshot, id(2, 9)) + snapshot.PartSuffix
	b, err := fs.ReadFile(part)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:5000])
	flipped := bytes.Clone(b)
	flipped[s.info(f).Offset(0)+snapshot.ChunkHeaderBytes] ^= 1
	f.Add(flipped)
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := newFS(t)
		if err := errors.Join(fs.MkdirAll(dir+"/"+dirName(testID)), fs.WriteFile(part, b)); err != nil {
			t.Fatal(err)
		}
		w := writer(t, fs, nil)
		r := receiver(t, w, s)
		got, err := complete(r, s)
		if errors.Is(err, snapshotwriter.ErrCorrupt) {
			if r = receiver(t, w, s); r.Next() != 0 {
				t.Fatalf("damaged chunks are kept, up to %d", r.Next())
			}
			finish(t, fs, r, s)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		check(t, fs, got, s.data)
	})
}
