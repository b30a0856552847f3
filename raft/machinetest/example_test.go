package machinetest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/machinetest"
)

// A view that shares a map with its machine is found at once. In a test, call Run instead of Check.
func ExampleCheck() {
	fold := raft.Fold[map[string]int]{
		New: func() map[string]int { return map[string]int{} },
		Apply: func(_ *raft.ApplyContext, s map[string]int, command []byte) (map[string]int, []byte) {
			s[string(command)]++
			return s, nil
		},
		Clone: func(s map[string]int) map[string]int { return s }, // no copy
	}
	for range 2 {
		create, err := raft.Simple(fold)
		if err != nil {
			fmt.Println(err)
			return
		}
		err = machinetest.Check(machinetest.Config{
			Seeds:   3,
			New:     create,
			Command: func(r *rand.Rand) []byte { return strconv.AppendInt(nil, r.Int64N(10), 10) },
		})
		fmt.Println(err == nil, errors.Is(err, machinetest.ErrViewChanged))
		fold.Clone = nil // encoded at once
	}
	// Output:
	// false true
	// true false
}
