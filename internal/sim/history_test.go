package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// judge has porcupine find an order of all operations on each thing that explains the answers.
func judge(t testing.TB, w *world) {
	t.Helper()
	for _, c := range w.clusters {
		for kind := range kinds {
			for key := range byte(keys) {
				h := c.historyOf(kind, key)
				switch porcupine.CheckOperationsTimeout(models[kind], h, time.Minute) {
				case porcupine.Illegal:
					t.Fatalf("%s", w.report(fmt.Sprintf("I12: %s, %s %d: no order explains this history:\n%s",
						c.name, kindNames[kind], key, describe(kind, h))))
				case porcupine.Unknown:
					t.Errorf("seed %d: %s, %s %d: undecided", w.seed, c.name, kindNames[kind], key)
				}
			}
		}
	}
}

var kindNames = [kinds]string{"register", "list", "counter"}

// historyOf is what was done to one thing. What its client does not know the end of has no result; it was over when a
// member first applied it, and did not happen if none ever has.
func (c *cluster) historyOf(kind, key byte) (h []porcupine.Operation) {
	for _, o := range c.operations {
		if o.kind != kind || o.key != key {
			continue
		}
		reply, output := o.reply, any(o.result)
		if reply == 0 {
			if reply, output = c.happened[o.number], nil; reply == 0 {
				continue
			}
		}
		h = append(h, porcupine.Operation{ClientId: int(o.client), Input: o, Call: o.call, Output: output, Return: reply})
	}
	return h
}

// models are those of the kinds. The state is what a read answers.
var models = [kinds]porcupine.Model{
	register: modelOf(make([]byte, 8), func(s []byte, o operation) (next, reply []byte) {
		return binary.BigEndian.AppendUint64(nil, o.number), s
	}),
	list: modelOf(nil, func(s []byte, o operation) (next, reply []byte) {
		next = binary.BigEndian.AppendUint64(bytes.Clone(s), o.number)
		return next, next
	}),
	counter: modelOf(make([]byte, 8), func(s []byte, o operation) (next, reply []byte) {
		next = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(s)+1)
		return next, next
	}),
}

func modelOf(first []byte, change func(s []byte, o operation) (next, reply []byte)) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, output any) (bool, any) {
			s, o := state.([]byte), input.(operation)
			next, reply := s, s
			if o.op != opRead {
				next, reply = change(s, o)
			}
			return output == nil || bytes.Equal(reply, output.([]byte)), next
		},
		Equal: func(a, b any) bool { return bytes.Equal(a.([]byte), b.([]byte)) },
	}
}

func describe(kind byte, h []porcupine.Operation) string {
	var b bytes.Buffer
	for _, o := range h {
		in := o.Input.(operation)
		what := [...]string{"", "write", "append", "add", "read"}[in.op]
		end := fmt.Sprintf("%d", o.Return)
		if in.reply == 0 {
			end = "?"
		}
		fmt.Fprintf(&b, "%8d - %-8s client %d %s %x: %x\n", o.Call, end, o.ClientId, what, in.number, o.Output)
	}
	return b.String()
}

// TestJudge has histories that are told apart.
func TestJudge(t *testing.T) {
	number := func(x uint64) []byte { return binary.BigEndian.AppendUint64(nil, x) }
	write := operation{op: opWrite, number: 7, call: 1, reply: 2, result: number(0)}
	read := func(call, reply int64, x uint64) operation {
		return operation{op: opRead, call: call, reply: reply, result: number(x)}
	}
	lost := operation{op: opWrite, number: 9, call: 3} // and happened at 8
	for _, c := range []struct {
		name string
		list []operation
		want porcupine.CheckResult
	}{
		{"in order", []operation{write, read(3, 4, 7)}, porcupine.Ok},
		{"stale", []operation{write, read(3, 4, 0)}, porcupine.Illegal},
		{"at the same time", []operation{write, read(1, 4, 0)}, porcupine.Ok},
		{"perhaps later", []operation{write, lost, read(4, 5, 7), read(6, 7, 9)}, porcupine.Ok},
		{"and back", []operation{write, lost, read(4, 5, 9), read(6, 7, 7)}, porcupine.Illegal},
	} {
		k := &cluster{operations: c.list, happened: map[uint64]int64{9: 8}}
		if got := porcupine.CheckOperationsTimeout(models[register], k.historyOf(register, 0), time.Minute); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
