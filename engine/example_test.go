package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/rawl-db/rawl/engine"
)

// appendAndRead is the example of the README, word by word.
func appendAndRead(dir string) (err error) {
	ctx := context.Background()
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(ctx)) }()

	l, err := e.Log("orders")
	if errors.Is(err, engine.ErrNotFound) {
		l, err = e.CreateSync(ctx, "orders")
	}
	if err != nil {
		return err
	}
	prev := l.Last()
	entries := []engine.Entry{
		{Index: prev.Index + 1, Term: 1, Data: []byte("one")},
		{Index: prev.Index + 2, Term: 1, Data: []byte("two")},
	}
	if err := l.AppendSync(ctx, prev, entries); err != nil {
		return err // not known to be durable
	}
	for entry, err := range l.ReadRange(l.First(), l.Last().Index) {
		if err != nil {
			return err
		}
		fmt.Println(entry.ID(), string(entry.Data))
	}
	return nil
}

func Example() {
	dir, err := os.MkdirTemp("", "rawl-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 { // what the first run wrote, the second finds
		if err := appendAndRead(dir); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1/1 one
	// 1/2 two
	// 1/1 one
	// 1/2 two
	// 1/3 one
	// 1/4 two
}

// openExampleEngine is openExample with the engine.
func openExampleEngine() (*engine.Log, *engine.Engine, func()) {
	var e *engine.Engine
	l, closeAll := openExample(engine.Options{}, func(opened *engine.Engine) { e = opened })
	return l, e, closeAll
}

// openExample opens a small engine with one log, and returns what closes and removes it.
func openExample(o engine.Options, opened ...func(*engine.Engine)) (*engine.Log, func()) {
	dir, err := os.MkdirTemp("", "rawl-example-")
	if err != nil {
		log.Fatal(err)
	}
	o.WALFileBytes = 1 << 20
	e, err := engine.Open(dir, o)
	if err != nil {
		log.Fatal(err)
	}
	l, err := e.Create("orders")
	if err != nil {
		log.Fatal(err)
	}
	for _, hand := range opened {
		hand(e)
	}
	return l, func() {
		if err := errors.Join(e.Close(context.Background()), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

// follower acknowledges what is durable.
type follower struct{ durable chan engine.EntryID }

func (f *follower) Written(w engine.Written) { f.durable <- w.Last }
func (f *follower) Ready(*engine.Log)        {}

// Append does not wait. What is durable arrives as an event, and only that is acknowledged.
func ExampleHandler() {
	f := &follower{durable: make(chan engine.EntryID, 8)}
	l, closeAll := openExample(engine.Options{Handler: f})
	defer closeAll()

	for i := engine.Index(1); i <= 3; i++ {
		if err := l.Append(l.Last(), []engine.Entry{{Index: i, Term: 1, Data: []byte("x")}}); err != nil {
			log.Fatal(err)
		}
	}
	durable := <-f.durable // of the log's creation, or of entries already
	for durable.Index < 3 {
		durable = <-f.durable
	}
	fmt.Println("acknowledge up to", durable)
	// Output: acknowledge up to 1/3
}

// A new leader's entries replace what follows the previous entry that it names.
func ExampleLog_AppendSync() {
	l, closeAll := openExample(engine.Options{})
	defer closeAll()
	ctx := context.Background()

	err := l.AppendSync(ctx, engine.EntryID{}, []engine.Entry{
		{Index: 1, Term: 1, Data: []byte("a")},
		{Index: 2, Term: 1, Data: []byte("b")},
		{Index: 3, Term: 1, Data: []byte("c")},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = l.AppendSync(ctx, engine.EntryID{Term: 1, Index: 1}, []engine.Entry{{Index: 2, Term: 2, Data: []byte("B")}})
	if err != nil {
		log.Fatal(err)
	}
	e, err := l.Read(2)
	fmt.Println(l.Last(), string(e.Data), err)

	err = l.AppendSync(ctx, engine.EntryID{Term: 1, Index: 2}, []engine.Entry{{Index: 3, Term: 2}})
	fmt.Println(errors.Is(err, engine.ErrGap))
	// Output:
	// 2/2 B <nil>
	// true
}

// Term and vote go the same way as entries, and in the same batch.
func ExampleLog_SetHardStateSync() {
	l, closeAll := openExample(engine.Options{})
	defer closeAll()
	ctx := context.Background()

	if err := l.SetHardStateSync(ctx, engine.HardState{Term: 3, Vote: "b"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.HardState().Term, l.HardState().Vote)
	fmt.Println(errors.Is(l.SetHardStateSync(ctx, engine.HardState{Term: 3, Vote: "c"}), engine.ErrHardState))
	// Output:
	// 3 b
	// true
}

// A released entry is gone for readers at once.
func ExampleLog_Release() {
	l, closeAll := openExample(engine.Options{})
	defer closeAll()

	err := l.AppendSync(context.Background(), engine.EntryID{}, []engine.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}})
	if err != nil {
		log.Fatal(err)
	}
	if err := l.Release(1); err != nil {
		log.Fatal(err)
	}
	_, err = l.Read(1)
	fmt.Println(l.First(), errors.Is(err, engine.ErrCompacted))
	// Output: 2 true
}

// A plan is made where the log is owned and executed elsewhere, by a goroutine that sends old
// entries to a slow follower, for example.
func ExampleLog_Plan() {
	l, done := openExample(engine.Options{})
	defer done()
	ctx := context.Background()
	err := l.AppendSync(ctx, engine.EntryID{}, []engine.Entry{
		{Index: 1, Term: 1, Data: []byte("one")},
		{Index: 2, Term: 1, Data: []byte("two")},
		{Index: 3, Term: 1, Data: []byte("three")},
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := l.Plan(slices.Values([]engine.Index{3, 1, 9}), engine.PlanOptions{Order: engine.PlanRequested})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	for entry, err := range p.Execute(ctx) {
		switch {
		case errors.Is(err, engine.ErrOutOfRange):
			fmt.Println(entry.Index, "is not in the log")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(entry.ID(), string(entry.Data))
		}
	}
	// Output:
	// 1/3 three
	// 1/1 one
	// 9 is not in the log
}
