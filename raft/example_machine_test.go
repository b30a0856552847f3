package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rawl-db/rawl/raft"
)

// counter is a machine: it adds what commands say.
type counter struct{ sum int64 }

// Apply adds the number that the command holds and replies with the sum.
func (c *counter) Apply(_ *raft.ApplyContext, command []byte) []byte {
	n, _ := binary.Varint(command)
	c.sum += n
	return binary.AppendVarint(nil, c.sum)
}

// Snapshot returns a copy: the whole state is one number.
func (c *counter) Snapshot() raft.View { return counterView(c.sum) }

// Restore reads what the copy wrote.
func (c *counter) Restore(r io.Reader) error { return binary.Read(r, binary.LittleEndian, &c.sum) }

type counterView int64

func (v counterView) WriteTo(w io.Writer) (int64, error) {
	return 8, binary.Write(w, binary.LittleEndian, int64(v))
}

// A machine is applied to a log, as a server does it, or a tool that has the log of one.
func ExampleMachine() {
	a, err := raft.NewApplier(raft.ApplierOptions{New: func() raft.Machine { return &counter{} }})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := a.EnterState(raft.StateLeader); err != nil {
		fmt.Println(err)
		return
	}
	for i, n := range []int64{5, -2} {
		c := raft.Command{Kind: raft.KindUser, Reply: raft.ReplyFromLeader, Payload: binary.AppendVarint(nil, n)}
		data, err := raft.AppendCommand(nil, &c)
		if err != nil {
			fmt.Println(err)
			return
		}
		effects, err := a.Apply(raft.Entry{Index: raft.Index(i + 1), Term: 1, Type: uint8(c.Kind), Data: data})
		if err != nil {
			fmt.Println(err)
			return
		}
		sum, _ := binary.Varint(effects[0].Data)
		fmt.Println(effects[0].Kind, sum)
	}
	// Output:
	// reply 5
	// reply 3
}

// A machine of a function, and one with a timer: what it wants done it asks for.
func ExampleSimple() {
	create, err := raft.Simple(raft.Fold[[]string]{
		Apply: func(ctx *raft.ApplyContext, jobs []string, command []byte) ([]string, []byte) {
			ctx.TimerAt(string(command), ctx.Time+1000)
			return append(jobs, string(command)), nil
		},
		Event: func(_ *raft.ApplyContext, jobs []string, event raft.Event) []string {
			if done, ok := event.(raft.TimedOut); ok {
				jobs = slices.DeleteFunc(jobs, func(name string) bool { return name == done.Name })
			}
			return jobs
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := raft.NewApplier(raft.ApplierOptions{New: create})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, enter := a.EnterState(raft.StateLeader)
	c := raft.Command{Kind: raft.KindUser, Time: 1_700_000_000_000, Payload: []byte("sweep")}
	data, encode := raft.AppendCommand(nil, &c)
	effects, apply := a.Apply(raft.Entry{Index: 1, Term: 1, Type: uint8(c.Kind), Data: data})
	if err := errors.Join(enter, encode, apply); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(effects[0].Kind, effects[0].Name, effects[0].At)
	// Output: timer sweep 1700000001000
}

// typedCounter counts with types.
type typedCounter struct{ counter }

func (c *typedCounter) Apply(_ *raft.ApplyContext, n int64) int64 {
	c.sum += n
	return c.sum
}

// With Typed, commands and replies are Go values; Codec.Call is the client's half.
func ExampleTyped() {
	var codec raft.Codec[int64, int64] // by encoding/json
	machine := raft.Typed(&typedCounter{}, codec)
	process := func(_ context.Context, command []byte) ([]byte, error) {
		return machine.Apply(&raft.ApplyContext{}, command), nil // a client would propose it
	}
	for range 2 {
		fmt.Println(codec.Call(context.Background(), process, 21))
	}
	// Output:
	// 21 <nil>
	// 42 <nil>
}
