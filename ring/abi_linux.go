package ring

import (
	"syscall"
	"unsafe"
)

// The kernel's interface, as <linux/io_uring.h> spells it; only what is used.
const (
	opNop         = 0
	opFsync       = 3
	opReadFixed   = 4
	opWriteFixed  = 5
	opAsyncCancel = 14
	opRead        = 22
	opWrite       = 23

	sqeFixedFile = 1 << 0
	sqeLink      = 1 << 2

	fsyncDatasync = 1
	rwfDSync      = 2

	setupCQSize    = 1 << 3
	setupSubmitAll = 1 << 7
	setupCoop      = 1 << 8

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1

	enterGetEvents = 1 << 0

	unregisterBuffers   = 1
	registerFiles       = 2
	unregisterFiles     = 3
	registerFilesUpdate = 6
	registerProbe       = 8
	registerBuffers2    = 15
	registerBuffersUpd  = 16
	registerSparse      = 1 << 0

	mapSQRing = 0
	mapCQRing = 0x8000000
	mapSQEs   = 0x10000000

	probeOps     = 64
	probeHasOp   = 1 << 0
	maxTransfer  = 0x7ffff000 // MAX_RW_COUNT: the most one read or write moves, in bytes
	noDescriptor = -1
)

// errno turns the negative result of a completion into its error.
func errno(res int32) syscall.Errno { return syscall.Errno(-res) }

// sqe is struct io_uring_sqe: one operation as the kernel reads it. Values are copied
// into the mapped array whole.
type sqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32 // or the index into the registered files
	off      uint64
	addr     uint64
	len      uint32
	opFlags  uint32 // RWF_*, IORING_FSYNC_*
	userData uint64
	bufIndex uint16
	_        uint16
	_        uint32
	_        [2]uint64
}

// cqe is struct io_uring_cqe: one result. res is a count, or a negated errno.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// params is struct io_uring_params.
type params struct {
	sqEntries    uint32
	cqEntries    uint32
	flags        uint32
	sqThreadCPU  uint32
	sqThreadIdle uint32
	features     uint32
	wqFd         uint32
	_            [3]uint32
	sqOff        struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		_                                                           uint64
	}
	cqOff struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
		_                                                           uint64
	}
}

// probe is struct io_uring_probe with room for probeOps opcodes.
type probe struct {
	lastOp uint8
	opsLen uint8
	_      uint16
	_      [3]uint32
	ops    [probeOps]struct {
		op    uint8
		_     uint8
		flags uint16
		_     uint32
	}
}

// filesUpdate is struct io_uring_files_update.
type filesUpdate struct {
	offset uint32
	_      uint32
	fds    uint64
}

// bufferTable is struct io_uring_rsrc_register.
type bufferTable struct {
	nr    uint32
	flags uint32
	_     uint64
	data  uint64
	tags  uint64
}

// bufferUpdate is struct io_uring_rsrc_update2.
type bufferUpdate struct {
	offset uint32
	_      uint32
	data   uint64
	tags   uint64
	nr     uint32
	_      uint32
}

// The sizes are part of the interface; a wrong field above does not compile.
var (
	_ [64]byte              = [unsafe.Sizeof(sqe{})]byte{}
	_ [16]byte              = [unsafe.Sizeof(cqe{})]byte{}
	_ [120]byte             = [unsafe.Sizeof(params{})]byte{}
	_ [16 + 8*probeOps]byte = [unsafe.Sizeof(probe{})]byte{}
	_ [16]byte              = [unsafe.Sizeof(filesUpdate{})]byte{}
	_ [32]byte              = [unsafe.Sizeof(bufferTable{})]byte{}
	_ [32]byte              = [unsafe.Sizeof(bufferUpdate{})]byte{}
)
