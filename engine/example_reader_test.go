package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/rawl-db/rawl/engine"
)

// fill appends n entries and says that they are committed.
func fill(l *engine.Log, n engine.Index) {
	var es []engine.Entry
	for i := engine.Index(1); i <= n; i++ {
		es = append(es, engine.Entry{Index: l.Last().Index + i, Term: 1, Data: fmt.Appendf(nil, "order %d", l.Last().Index+i)})
	}
	if err := l.AppendSync(context.Background(), l.Last(), es); err != nil {
		log.Fatal(err)
	}
	if err := l.SetCommitted(l.Last().Index); err != nil {
		log.Fatal(err)
	}
}

// A reader follows a log from outside. Its cursor, which is a line of text, says where another
// one goes on.
func ExampleEngine_OpenReader() {
	l, e, closeAll := openExampleEngine()
	defer closeAll()
	fill(l, 3)

	r, err := e.OpenReader("orders", engine.FromFirst(), engine.ReaderOptions{Name: "billing"})
	if err != nil {
		log.Fatal(err)
	}
	for entry, err := range r.Entries(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.ID(), string(entry.Data))
	}
	text := r.Cursor().String() // to be stored with what was done
	r.Close()

	fill(l, 1)
	cursor, err := engine.ParseCursor(text)
	if err != nil {
		log.Fatal(err)
	}
	if r, err = e.OpenReader("orders", engine.AtCursor(cursor), engine.ReaderOptions{}); err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for entry, err := range r.Entries(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.ID(), string(entry.Data))
	}
	// Output:
	// 1/1 order 1
	// 1/2 order 2
	// 1/3 order 3
	// 1/4 order 4
}

// Tail waits for what comes, until its context ends.
func ExampleReader_Tail() {
	l, e, closeAll := openExampleEngine()
	defer closeAll()
	r, err := e.OpenReader("orders", engine.FromFirst(), engine.ReaderOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go fill(l, 2)
	for entry, err := range r.Tail(ctx) {
		if errors.Is(err, context.Canceled) {
			fmt.Println("stopped")
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.ID())
		if entry.Index == 2 {
			stop()
		}
	}
	// Output:
	// 1/1
	// 1/2
	// stopped
}

// A reader of uncommitted entries is told what it has to take back.
func ExampleTruncatedError() {
	l, e, closeAll := openExampleEngine()
	defer closeAll()
	ctx := context.Background()
	appendAt := func(prev engine.EntryID, term engine.Term, n engine.Index) {
		var es []engine.Entry
		for i := prev.Index + 1; i <= prev.Index+n; i++ {
			es = append(es, engine.Entry{Index: i, Term: term})
		}
		if err := l.AppendSync(ctx, prev, es); err != nil {
			log.Fatal(err)
		}
	}
	r, err := e.OpenReader("orders", engine.FromFirst(), engine.ReaderOptions{Uncommitted: true})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	appendAt(engine.EntryID{}, 1, 3)
	read := func() {
		for entry, err := range r.Entries(ctx) {
			var cut *engine.TruncatedError
			switch {
			case errors.As(err, &cut):
				fmt.Println("take back from", cut.From)
			case err != nil:
				log.Fatal(err)
			default:
				fmt.Println(entry.ID())
			}
		}
	}
	read()
	appendAt(engine.EntryID{Term: 1, Index: 2}, 2, 1) // a new leader
	read()
	read()
	// Output:
	// 1/1
	// 1/2
	// 1/3
	// take back from 3
	// 2/3
}

// A watcher hears of what changes in a log, without its entries.
func ExampleLog_Watch() {
	l, _, closeAll := openExampleEngine()
	defer closeAll()
	go fill(l, 5)
	for ev, err := range l.Watch(context.Background(), engine.ChangeCommitted) {
		if err != nil {
			log.Fatal(err)
		}
		if ev.Committed == 5 {
			fmt.Println("committed", ev.Committed)
			break
		}
	}
	// Output: committed 5
}
