package wal

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// ErrMissingWAL is wrapped by MissingError.
var ErrMissingWAL = errors.New("wal: file is missing")

// MissingError says that a file that the manifest names is not there, or that another file
// lies in its place; errors.Is(err, ErrMissingWAL) holds. Nothing was changed.
type MissingError struct {
	Number uint64
	Path   string
	// Foreign is true when a sound file of another engine, number or kind lies at Path.
	Foreign bool
}

func (e *MissingError) Error() string {
	if e.Foreign {
		return fmt.Sprintf("%v: %s is another file", ErrMissingWAL, e.Path)
	}
	return fmt.Sprintf("%v: %s", ErrMissingWAL, e.Path)
}

// Is makes the error match ErrMissingWAL.
func (e *MissingError) Is(target error) bool { return target == ErrMissingWAL }

// Reason says what was found damaged.
type Reason uint8

const (
	// LostPayload: a record's payload does not match its checksum; Kind and Index name it.
	LostPayload Reason = iota + 1
	// LostRecords: a frame could not be read to its end; the trailer names the logs hit.
	LostRecords
	// LostFrame: a frame could not be read to its end and its trailer is gone too.
	LostFrame
	// LostBatches: there is no trace of the batches.
	LostBatches
	// LostFragments: a durable part of an entry's fragments is damaged.
	LostFragments
	// LostEnd: the last file is shorter than it was or its end cannot be read, so that nothing
	// says how much it held.
	LostEnd
	// LostIdentity: a file-local number was declared for two logs; both are hit.
	LostIdentity
)

var reasonNames = [...]string{"", "payload", "records", "frame", "batches", "fragments", "end of file", "identity"}

// String is for reports.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Loss says that acknowledged records of a log are gone.
type Loss struct {
	// ID is the log. 0, only with Maybe, stands for every live log that Except does not
	// exclude, as the damage took declarations along.
	ID  raftlog.LogID
	UID raftlog.UID // empty when unknown
	// Except, set with ID 0 only and valid during the call, tells the logs that are known not
	// to be among those that ID 0 stands for; each of them has losses of its own if it is hit.
	Except func(raftlog.LogID) bool
	// Maybe: the log may be hit or not, its name is not on what was lost. An entry of the log
	// whose Prev is the last index known before proves that no entries are missing; it says
	// nothing about hard state, releases and truncations that the lost batches may have held.
	Maybe  bool
	Reason Reason
	File   uint64
	// Batch to LastBatch are the batches hit. With LostEnd, Batch is the first that nobody can
	// tell, and LastBatch is equal.
	Batch, LastBatch raftlog.Batch
	// Kind and Index are those of the record that is damaged, 0 when not known.
	Kind  frame.Kind
	Index raftlog.Index
	// LastIndex and LastTerm are those of the log's last entry in the batch as its trailer
	// says, 0 when not known or when it holds no entry of the log.
	LastIndex raftlog.Index
	LastTerm  raftlog.Term
}

// String is for reports.
func (l Loss) String() string {
	maybe := ""
	if l.Maybe {
		maybe = "perhaps "
	}
	return fmt.Sprintf("log %d %q %slost %v in batches %d to %d of file %016x, record %d index %d, last %d/%d",
		l.ID, l.UID, maybe, l.Reason, l.Batch, l.LastBatch, l.File, l.Kind, l.Index, l.LastTerm, l.LastIndex)
}

// Report is what Recover found.
type Report struct {
	// Files are the files in ascending order of their numbers.
	Files []FileReport
	// LastDurable is the last batch that was certainly durable, 0 when there is none.
	LastDurable raftlog.Batch
	// NextBatch is the first batch for the writer: LastDurable + 1. What was taken
	// from above LastDurable was visited with Tail and goes into it again.
	NextBatch raftlog.Batch
	// TailFirst to TailLast are the batches above LastDurable that were taken, 0 when none.
	TailFirst, TailLast raftlog.Batch
	// Torn are the frames above LastDurable that were cut: torn, or the damaged last batch.
	Torn []TornFrame
	// Damage lists damage below LastDurable in the order in which it was found, the first
	// MaxDamage of it; DamageCount counts all.
	Damage      []Damage
	DamageCount int
	// Losses counts the calls of Visitor.Lost.
	Losses int
	// UnknownLogs: damage took declarations along; a Loss with ID 0 stands for them.
	UnknownLogs bool
	// Truncated: the last file is shorter than its header says, or its end cannot be read.
	Truncated bool
	// Records were visited, with Bytes of payload, Entries of them entries.
	Records, Entries uint64
	Bytes            uint64
	// Skipped records belong to batches that the manifest already holds.
	Skipped uint64
	// Ignored records are of optional kinds that this program does not know.
	Ignored uint64
	// Superseded frames were committed again in a later file.
	Superseded int
	// Chains counts unfinished chains of fragments that were dropped; they were never
	// acknowledged.
	Chains int
}

// MaxDamage bounds Report.Damage.
const MaxDamage = 1000

// FileReport is what one file holds.
type FileReport struct {
	Number uint64
	// Bytes is the physical size; Size is what the header says, 0 when it is not known.
	Bytes, Size int64
	// HeaderErr says why the header block does not verify; frames verify without it.
	HeaderErr error
	// Frames counts the frames that were found; 0 means a prepared file.
	Frames int
	// First to Last is the file's share of the batches; Last < First when it has none.
	First, Last raftlog.Batch
	// Logs counts the logs declared in the file as far as known.
	Logs int
	// Unreadable counts blocks that the device refused to read.
	Unreadable int
}

// TornFrame is a frame that was cut. Batch, Block and Blocks say where.
type TornFrame struct {
	File          uint64
	Batch         raftlog.Batch
	Block, Blocks uint32
	// Logs are the logs that its trailer names, when it survived.
	Logs []raftlog.LogID
}

// Damage is one damaged place in what was durable.
type Damage struct {
	File             uint64
	Batch, LastBatch raftlog.Batch
	// Block and Blocks locate the frame, 0 when there is no trace of it.
	Block, Blocks uint32
	Reason        Reason
	// Healed: nothing is missing, as the rest of the frame made up for it.
	Healed bool
}
