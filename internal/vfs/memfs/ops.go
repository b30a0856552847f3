package memfs

import "fmt"

// OpKind names a counted operation: each that changes what a power cut may leave.
type OpKind uint8

const (
	OpCreate OpKind = iota + 1
	OpMkdir
	OpRename
	OpLink
	OpRemove
	OpWrite
	OpTruncate
	OpDatasync
	OpSync
	OpSyncDir
)

func (k OpKind) String() string {
	names := [...]string{"", "create", "mkdir", "rename", "link", "remove", "write", "truncate", "datasync", "sync", "syncdir"}
	if int(k) >= len(names) {
		return fmt.Sprintf("op(%d)", uint8(k))
	}
	return names[k]
}

// Op describes a counted operation.
type Op struct {
	// N numbers the operations of a file system from 1.
	N    int
	Kind OpKind
	// Name is the file or directory as the caller spelled it, and of a file the name it was
	// opened with. To is the new name of OpRename and OpLink.
	Name, To string
	// Off and Len are the written bytes of OpWrite, less than asked for when the disk is full.
	// Len is the size of OpCreate and OpTruncate.
	Off, Len int64
	// DSync says that an OpWrite makes its bytes durable.
	DSync bool
}

// String returns one line without N, to be printed and compared by tests.
func (o Op) String() string {
	s := fmt.Sprintf("%v %s", o.Kind, o.Name)
	switch o.Kind {
	case OpRename, OpLink:
		s += " " + o.To
	case OpWrite:
		s += fmt.Sprintf(" %d+%d", o.Off, o.Len)
	case OpCreate, OpTruncate:
		s += fmt.Sprintf(" %d", o.Len)
	}
	if o.DSync {
		s += " dsync"
	}
	return s
}

// OnOp sets the function that is told of each operation that succeeded, or nil. It runs
// on the goroutine of the operation and before that returns: its effect is in the cache
// and unsynced, and what a sync or a DSync write is about to make durable is not
// durable yet. So an image taken within it shows a power cut during the operation, and
// Random draws how far that came. It may call any method of fs, and runs on several
// goroutines at once when operations do.
func (fs *FS) OnOp(fn func(Op)) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.hook = fn
}

// CrashAt hands take the image of a power cut during operation n, once it comes. It
// replaces the function set with OnOp.
func (fs *FS) CrashAt(n int, o CrashOptions, take func(*FS)) {
	fs.OnOp(func(op Op) {
		if op.N == n {
			take(fs.Crash(o))
		}
	})
}

// Ops returns how many operations were counted.
func (fs *FS) Ops() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.ops
}

// announceLocked counts an operation and tells the hook, without the lock meanwhile.
func (fs *FS) announceLocked(op Op) {
	fs.ops++
	op.N = fs.ops
	if hook := fs.hook; hook != nil {
		fs.mu.Unlock()
		defer fs.mu.Lock()
		hook(op)
	}
}
