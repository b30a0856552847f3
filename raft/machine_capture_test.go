package raft

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/raft/core"
)

func raftlogSeq(indexes ...Index) Seq { return raftlog.SeqOf(indexes...) }

// contextFixture is a replica with a session table that has something of everything.
func contextFixture(t testing.TB) (*replica, *scripted) {
	m := &scripted{}
	r := newReplica(t, m)
	r.enter(StateLeader)
	r.apply(open("node-a", 1))
	o := open("node-b", 2)
	o.Ordered, o.Time, o.Incarnation = true, 1_700_000_000_123, 1<<40
	r.apply(o)
	m.apply = func(_ *ApplyContext, command []byte) []byte {
		switch string(command) {
		case "huge":
			return make([]byte, MaxReply+1)
		case "large":
			return make([]byte, MaxReply)
		}
		return command
	}
	r.apply(numbered(1, Normal, 3, 2, "three"))
	r.apply(numbered(1, Normal, 5, 2, ""))
	r.apply(numbered(1, Low, 7, 6, "huge"))
	for n := range uint64(4) { // the last one is not kept
		r.apply(numbered(2, Normal, n+1, 1, "large"))
	}
	r.apply(Command{Kind: KindSessionKeepAlive, Session: SessionHeader{ID: 2}, Node: "node-b", Acked: [2]uint64{4, 9}})
	r.apply(open("node-c", 3))
	return r, m
}

func TestContextGolden(t *testing.T) {
	r, _ := contextFixture(t)
	c, state := r.snapshot()
	if want := golden(t, "context-v1.bin", c.Context); !bytes.Equal(c.Context, want) {
		t.Errorf("context\n%s, the golden file is\n%s", hex.Dump(c.Context), hex.Dump(want))
	}
	again := newReplica(t, &scripted{})
	if err := again.Restore(c.At, golden(t, "context-v1.bin", nil), iotest.OneByteReader(bytes.NewReader(state))); err != nil {
		t.Fatal(err)
	}
	checkTable(t, again.mu.table)
	if got, _ := again.snapshot(); !bytes.Equal(got.Context, c.Context) || again.At() != r.At() || again.Time() != r.Time() {
		t.Errorf("restored context\n%s, at %v, time %d", hex.Dump(got.Context), again.At(), again.Time())
	}
	wantReply(t, again.ask(numbered(1, Normal, 3, 2, "three")), StatusApplied, "three")
	wantReply(t, again.ask(numbered(1, Low, 7, 6, "huge")), StatusReplyTooLarge, "")
	wantReply(t, again.ask(numbered(2, Normal, 4, 1, "large")), StatusReplyGone, "")
	newer := golden(t, "context-v2.bin", []byte{2, 0xff, 0xff})
	if err := newReplica(t, &scripted{}).Restore(c.At, newer, nil); !errors.Is(err, ErrUnknownFormat) || errors.Is(err, ErrMalformed) {
		t.Errorf("version 2: %v", err)
	}
}

func TestContextCut(t *testing.T) {
	r, _ := contextFixture(t)
	c, state := r.snapshot()
	for n := range len(c.Context) {
		err := newReplica(t, &scripted{}).Restore(c.At, c.Context[:n], bytes.NewReader(state))
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if err := newReplica(t, &scripted{}).Restore(c.At, append(c.Context, 0), bytes.NewReader(state)); !errors.Is(err, ErrMalformed) {
		t.Errorf("with a byte behind it: %v", err)
	}
	if err := newReplica(t, &scripted{}).Restore(EntryID{Term: 1, Index: 5}, c.Context, bytes.NewReader(state)); !errors.Is(err, ErrMalformed) {
		t.Errorf("sessions from behind the snapshot: %v", err)
	}
}

func FuzzDecodeContext(f *testing.F) {
	f.Add(golden(f, "context-v1.bin", nil))
	f.Add(golden(f, "context-v2.bin", nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newReplica(t, &versioned{scripted: &scripted{}, known: ^uint64(0)})
		err := r.Restore(EntryID{Term: 1, Index: 1 << 40}, b, strings.NewReader("[]"))
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownFormat) {
				t.Fatal(err)
			}
			return
		}
		checkTable(t, r.mu.table)
		if again := r.appendContext(nil); !bytes.Equal(again, b) {
			t.Fatalf("encodes as %x, came of %x", again, b)
		}
	})
}

// versioned is a scripted machine that knows versions, and can be told to refuse them.
type versioned struct {
	*scripted
	known, rules uint64
	which        func(version uint64) Machine
}

func (m *versioned) Version() uint64 { return m.known }

func (m *versioned) WhichMachine(version uint64) Machine {
	if m.which != nil {
		return m.which(version)
	}
	return &versioned{scripted: m.scripted, known: m.known, rules: version}
}

func TestMachineVersions(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, &versioned{scripted: m, known: 2})
	m.apply = func(ctx *ApplyContext, _ []byte) []byte {
		return fmt.Appendf(nil, "%d by the rules of %d", ctx.Version, r.Machine().(*versioned).rules)
	}
	user := Command{Kind: KindUser}
	wantReply(t, r.ask(user), StatusApplied, "0 by the rules of 0")
	r.apply(Command{Kind: KindMachineVersion, Version: 1})
	wantReply(t, r.ask(user), StatusApplied, "1 by the rules of 1")
	c, state := r.snapshot()
	r.apply(Command{Kind: KindMachineVersion, Version: 2})
	r.apply(Command{Kind: KindMachineVersion, Version: 1}) // from a leader that did not know better
	wantReply(t, r.ask(user), StatusApplied, "2 by the rules of 2")
	var events []string
	for _, s := range m.applied {
		if s != "" {
			events = append(events, s)
		}
	}
	if want := []string{"raft.VersionChanged{From:0 To:1}", "raft.VersionChanged{From:1 To:2}"}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
	at := r.At()
	if _, err := r.Apply(r.entry(Command{Kind: KindMachineVersion, Version: 3})); !errors.Is(err, ErrMachineVersion) || r.At() != at {
		t.Errorf("a version that the code does not know: %v, at %v", err, r.At())
	}
	if r.Version() != 2 || r.Known() != 2 {
		t.Errorf("version %d of %d", r.Version(), r.Known())
	}
	newer := newReplica(t, &versioned{scripted: &scripted{apply: m.apply}, known: 5})
	if err := newer.Restore(c.At, c.Context, bytes.NewReader(state)); err != nil || newer.Version() != 1 {
		t.Errorf("restored by newer code: version %d, %v", newer.Version(), err)
	}
	r = newer
	wantReply(t, newer.ask(user), StatusApplied, "1 by the rules of 1")
	older := newReplica(t, &scripted{})
	if err := older.Restore(c.At, c.Context, bytes.NewReader(state)); !errors.Is(err, ErrMachineVersion) {
		t.Errorf("restored by older code: %v", err)
	}
}

// A new term's noop raises the machine version too.
func TestMachineVersionByNoop(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, &versioned{scripted: m, known: 1})
	noop := func(term Term, data []byte) error {
		_, err := r.Apply(Entry{Index: r.At().Index + 1, Term: term, Type: core.KindNoop, Data: data})
		return err
	}
	for term, version := range []uint64{0, 1, 0} {
		if err := noop(Term(term+1), core.MarshalNoop(version)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"raft.VersionChanged{From:0 To:1}"}; !slices.Equal(m.applied, want) || r.Version() != 1 {
		t.Errorf("applied %q, want %q; version %d", m.applied, want, r.Version())
	}
	if err := noop(4, core.MarshalNoop(2)); !errors.Is(err, ErrMachineVersion) {
		t.Errorf("a version that the code does not know: %v", err)
	}
	if err := noop(4, []byte{2, 0}); !errors.Is(err, ErrUnknownFormat) || errors.Is(err, ErrMalformed) {
		t.Errorf("a noop of a newer format: %v", err)
	}
	if err := noop(4, []byte{1}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a noop that is cut off: %v", err)
	}
	if r.At().Index != 3 {
		t.Errorf("at %v", r.At())
	}
}

func TestMachineVersionFaults(t *testing.T) {
	for name, which := range map[string]func(uint64) Machine{
		"no machine":    func(uint64) Machine { return nil },
		"not versioned": func(uint64) Machine { return &scripted{} },
		"panic":         func(uint64) Machine { panic("no") },
	} {
		m := &versioned{scripted: &scripted{}, known: 1}
		_, err := NewApplier(ApplierOptions{New: func() Machine {
			m.which = which
			return m
		}})
		if !errors.Is(err, ErrMachine) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRestoreErrors(t *testing.T) {
	r, _ := contextFixture(t)
	c, state := r.snapshot()
	if err := r.Restore(c.At, c.Context, bytes.NewReader(state)); !errors.Is(err, ErrApplyOrder) {
		t.Errorf("restore of a machine that has applied something: %v", err)
	}
	broken := errors.New("broken")
	for name, in := range map[string]io.Reader{
		"in the state": io.MultiReader(bytes.NewReader(state[:3]), iotest.ErrReader(broken)),
		"at its end":   io.MultiReader(bytes.NewReader(state), iotest.ErrReader(broken)),
	} {
		again := newReplica(t, &scripted{})
		err := again.Restore(c.At, c.Context, in)
		if !errors.Is(err, broken) {
			t.Errorf("error %s: %v", name, err)
		}
		if _, later := again.Apply(Entry{Index: 1, Term: 1}); later != err {
			t.Errorf("error %s, afterwards: %v", name, later)
		}
	}
}

func TestCaptureLive(t *testing.T) {
	r, m := contextFixture(t)
	m.live = raftlogSeq(3, r.At().Index)
	if c, err := r.Capture(); err != nil || !c.Live.Equal(m.live) {
		t.Errorf("%v, %v", c, err)
	}
	m.live = raftlogSeq(r.At().Index + 1)
	if _, err := r.Capture(); !errors.Is(err, ErrMachine) || !errors.Is(err, ErrEffect) {
		t.Errorf("a live index that is not applied: %v", err)
	}
}

type viewless struct{ *scripted }

func (viewless) Snapshot() View { return nil }

func TestCaptureWithoutView(t *testing.T) {
	if _, err := newReplica(t, viewless{&scripted{}}).Capture(); !errors.Is(err, ErrMachine) {
		t.Errorf("%v", err)
	}
}

// installed hears that it took another's place.
type installed struct {
	*scripted
	old   Machine
	oldAt EntryID
	at    EntryID
}

func (m *installed) SnapshotInstalled(at EntryID, old Machine, oldAt EntryID, effects *Effects) {
	m.at, m.old, m.oldAt = at, old, oldAt
	effects.PromoteCheckpoint(1)
}

func TestSnapshotInstalled(t *testing.T) {
	leader, _ := contextFixture(t)
	c, state := leader.snapshot()
	old := newReplica(t, &scripted{})
	old.enter(StateReceiveSnapshot)
	old.apply(Command{Kind: KindUser})
	m := &installed{scripted: &scripted{}}
	r := newReplica(t, m)
	if err := r.Restore(c.At, c.Context, bytes.NewReader(state)); err != nil {
		t.Fatal(err)
	}
	got, err := r.Installed(old.Applier)
	if err != nil || !slices.Equal(kinds(got), []EffectKind{EffectPromoteCheckpoint}) {
		t.Errorf("effects %+v, %v", got, err)
	}
	if m.at != c.At || m.oldAt != old.At() || m.old != old.Machine() {
		t.Errorf("heard of %v in place of %v", m.at, m.oldAt)
	}
	r.term = 2
	if got := r.apply(Command{Kind: KindUser, Reply: ReplyFromLocal, Origin: Origin{Node: "here"}}); len(got) != 1 {
		t.Errorf("a follower's effects %+v", got)
	}
}

// badView does what a View may do wrong.
type badView struct{ lies bool }

func (v badView) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write([]byte("state"))
	if !v.lies {
		panic("no")
	}
	return int64(n) + 1, err
}

func (v badView) Close() error { panic("no") }

func TestCaptureBadView(t *testing.T) {
	for _, lies := range []bool{false, true} {
		c := &Capture{At: EntryID{Index: 7}, View: badView{lies}}
		n, err := c.WriteTo(io.Discard)
		var failed *MachineError
		if !errors.As(err, &failed) || failed.Op != "View.WriteTo" || failed.Index != 7 || n != 5 {
			t.Errorf("%d bytes, %v", n, err)
		}
		if err := c.Close(); !errors.Is(err, ErrMachine) {
			t.Errorf("close: %v", err)
		}
	}
	c := &Capture{View: strings.NewReader("state")}
	if n, err := c.WriteTo(iotestFull{}); n != 0 || err != io.ErrShortWrite {
		t.Errorf("a full device: %d bytes, %v", n, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

type iotestFull struct{}

func (iotestFull) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
