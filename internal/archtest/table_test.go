package archtest

import "slices"

// module is the path of the root module.
const module = "github.com/rawl-db/rawl"

// arrows is what a package may import of ours in files that are no tests. Paths are relative
// to the module.
type arrows struct {
	// from is the package; "dir/*" stands for every package below dir.
	from string
	to   []string
	// denied lists packages of the standard library that it must not use, nor what lies below them.
	denied []string
}

var (
	// public are the packages that users may import.
	public = []string{"engine", "wal", "memtable", "segwriter", "snapshotwriter", "readplan", "ring", "fallback",
		"raft", "raft/machinetest", "raft/core", "raft/transport", "raft/transport/tcp", "raft/detector"}

	// beneath are the packages that the engine is made of.
	beneath = []string{"internal/histogram", "internal/raftlog", "internal/sched", "internal/vfs", "internal/invariants", "internal/frame",
		"internal/segment", "internal/snapshot", "internal/manifest", "ring", "fallback",
		"wal", "memtable", "segwriter", "readplan", "snapshotwriter"}

	// forTests may be imported by the tests of any package, beside what the package itself may:
	// the vocabulary, the test doubles, and the file systems to run on.
	forTests = []string{"internal/raftlog", "internal/vfs", "internal/frame", "internal/invariants",
		"internal/sched", "internal/vfs/memfs", "internal/vfs/errorfs", "internal/vfs/vfstest", "internal/vfs/osfs",
		"ring", "fallback", "internal/sim", "internal/authority"}
)

// table is the import table of the house. A package that is not in it is a violation: it has
// to be given a place first.
var table = []arrows{
	{from: "internal/raftlog"},
	{from: "internal/sched"},
	{from: "internal/histogram"},
	{from: "internal/vfs"},
	{from: "internal/invariants"},
	{from: "internal/archtest"},
	{from: "internal/authority"},
	{from: "internal/planted"},
	{from: "internal/frame", to: []string{"internal/invariants"}},

	{from: "internal/segment", to: formats},
	{from: "internal/snapshot", to: formats},
	{from: "internal/manifest", to: formats},

	{from: "internal/vfs/osfs", to: []string{"internal/vfs"}},
	{from: "internal/vfs/memfs", to: []string{"internal/vfs", "internal/invariants"}},
	{from: "internal/vfs/errorfs", to: []string{"internal/vfs", "internal/invariants"}},
	{from: "internal/vfs/vfstest", to: []string{"internal/vfs", "internal/invariants"}},
	{from: "ring", to: []string{"internal/vfs", "internal/vfs/osfs", "internal/invariants"}},
	{from: "fallback", to: []string{"internal/vfs", "internal/vfs/osfs", "internal/invariants"}},

	{from: "wal", to: []string{"internal/histogram", "internal/sched", "internal/frame", "internal/vfs", "internal/raftlog", "internal/invariants"}},
	{from: "memtable", to: []string{"internal/raftlog", "internal/invariants"}},
	{from: "segwriter", to: []string{"internal/segment", "internal/vfs", "internal/raftlog", "internal/invariants"}},
	{from: "readplan", to: []string{"internal/segment", "internal/vfs", "internal/raftlog", "internal/invariants"}},
	{from: "snapshotwriter", to: []string{"internal/sched", "internal/snapshot", "internal/vfs", "internal/raftlog", "internal/invariants"}},
	{from: "engine", to: beneath},

	{from: "raft/core", to: []string{"internal/raftlog"},
		denied: []string{"os", "net", "time", "sync", "log", "math/rand", "crypto/rand"}},
	{from: "raft/transport", to: []string{"raft/core", "internal/raftlog"}},
	{from: "raft/transport/tcp", to: []string{"raft/transport"}},
	{from: "raft/detector", to: []string{"internal/sched", "raft/core", "internal/raftlog"}},
	{from: "raft", to: []string{"internal/histogram", "internal/sched", "engine", "readplan", "raft/core", "raft/transport", "raft/transport/tcp", "raft/detector", "internal/raftlog"}},
	{from: "raft/machinetest", to: []string{"raft", "internal/raftlog"}},

	{from: "fio"},
	{from: "bench", to: slices.Concat(public, []string{"fio"})},
	{from: "engine/cmd/*", to: public},
	{from: "engine/examples/*", to: public},
	{from: "raft/examples/*", to: public},
	{from: "internal/sim", to: slices.Concat(public, beneath, forTests)},
}

// formats is what a file format may use.
var formats = []string{"internal/frame", "internal/vfs", "internal/raftlog", "internal/invariants"}

// dependency is a module from outside that may be imported.
type dependency struct {
	path string
	// only names the packages that may import it, nil for all.
	only []string
	// tag is the build tag without which no file may import it, "" for none.
	tag string
	// tests says that beside bench only tests may.
	tests bool
}

var dependencies = []dependency{
	{path: "golang.org/x/sys"},
	{path: "github.com/cespare/xxhash/v2"},
	{path: "github.com/pawelgaczynski/giouring", only: []string{"ring"}, tag: "giouring"},
	{path: "github.com/stretchr/testify", tests: true},
	{path: "pgregory.net/rapid", tests: true},
	{path: "github.com/anishathalye/porcupine", tests: true},
	{path: "github.com/HdrHistogram/hdrhistogram-go", tests: true},
}

const (
	maxFileLines     = 600
	maxFunctionLines = 70 // of functions outside of tests
)

// anyNames are names that would fit any package, and so say nothing.
var anyNames = []string{"util", "utils", "common", "helper", "helpers", "base", "types"}
