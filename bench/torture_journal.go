package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
)

// The journal of a torture is text, one fact per line, each appended by one write call, so that
// a kill of the process loses none. A line ends in " ." so that a cut one shows. Operations are
// announced before they are begun and answered after they returned:
//
//	O                                    the engine was opened; lines S say what was found, then R
//	S uid relTerm relIndex lastTerm lastIndex hardTerm vote snapTerm snapIndex
//	T uid slot index givenUp             behind the S of its log; givenUp is 1 when it was, before
//	R
//	c op uid                             create
//	a op uid cut prevIndex term sizes    append behind prevIndex, cutting what follows if cut is 1
//	t op uid index                       truncate
//	r op uid index                       release
//	h op uid term vote                   hard state
//	d op uid                             delete
//	s op uid kind index term size live   capture of a state of so many bytes; live as 1-3,7 or -
//	p op uid capture                     promotion of the checkpoint that an operation captured
//	n op uid slot index                  creation of a slot behind that entry
//	x op uid slot                        drop of a slot
//	A op uid                             done and durable
//	D op uid                             done, durable some time later
//	F op uid                             failed, nothing done
//	W uid index term hardTerm vote       a Written event
//
// What readers do names the life of the log, which is the operation that created it:
//
//	m uid life index                     commit index, about to be published
//	o uid life reader index              a reader was opened behind that entry
//	v uid life reader index term:crc,…   it got entries, from index on, with payloads of that CRC-32C
//	k uid life reader cursor             this cursor is durable: it goes on there at the latest
//
// Slots have the number of the operation that created them:
//
//	z uid life reader slot index         a reader was opened at the slot, behind that entry
//	q uid life slot index                acknowledgement, about to be made
//	u uid life slot index                the engine says that this position is durable
//	g uid life slot                      the engine says that the slot is given up
//
// A vote is - when empty.
type journal struct {
	to  io.Writer
	ops atomic.Uint64
	err atomic.Pointer[error]
}

// newJournal writes to what appends each call's bytes as a whole, behind a line that may have been cut.
func newJournal(to io.Writer, lastOp uint64) (*journal, error) {
	j := &journal{to: to}
	j.ops.Store(lastOp)
	j.write("\n")
	return j, j.failed()
}

func (j *journal) failed() error {
	if err := j.err.Load(); err != nil {
		return fmt.Errorf("journal: %w", *err)
	}
	return nil
}

func (j *journal) write(line string) {
	if _, err := io.WriteString(j.to, line); err != nil {
		j.err.CompareAndSwap(nil, &err)
	}
}

// intent announces an operation and returns its number.
func (j *journal) intent(kind string, uid engine.UID, rest ...any) uint64 {
	op := j.ops.Add(1)
	j.write(fmt.Sprintf("%s %d %s%s .\n", kind, op, uid, words(rest)))
	return op
}

// answer says how the operation ended: A, D or F.
func (j *journal) answer(how string, op uint64, uid engine.UID) {
	j.write(fmt.Sprintf("%s %d %s .\n", how, op, uid))
}

func (j *journal) written(uid engine.UID, last engine.EntryID, hard engine.HardState) {
	j.write(fmt.Sprintf("W %s %d %d %d %s .\n", uid, last.Index, last.Term, hard.Term, voteWord(hard.Vote)))
}

// committed announces a commit index.
func (j *journal) committed(uid engine.UID, life uint64, i engine.Index) {
	j.write(fmt.Sprintf("m %s %d %d .\n", uid, life, i))
}

// reading says what a reader does: o, v or k.
func (j *journal) reading(kind string, uid engine.UID, life uint64, reader string, rest ...any) {
	j.write(fmt.Sprintf("%s %s %d %s%s .\n", kind, uid, life, reader, words(rest)))
}

// slot says what befalls a slot: q, u or g.
func (j *journal) slot(kind string, uid engine.UID, life, slot uint64, rest ...any) {
	j.write(fmt.Sprintf("%s %s %d %d%s .\n", kind, uid, life, slot, words(rest)))
}

// opened says what was found.
func (j *journal) opened(logs map[engine.UID]found) {
	var b strings.Builder
	b.WriteString("O .\n")
	for uid, f := range logs {
		fmt.Fprintf(&b, "S %s %d %d %d %d %d %s %d %d .\n", uid, f.released.Term, f.released.Index,
			f.last.Term, f.last.Index, f.hard.Term, voteWord(f.hard.Vote), f.snapshot.Term, f.snapshot.Index)
		for name, s := range f.slots {
			fmt.Fprintf(&b, "T %s %s %d %d .\n", uid, name, s.at, givenUpWord(s.givenUp))
		}
	}
	b.WriteString("R .\n")
	j.write(b.String())
}

func words(rest []any) string {
	var b strings.Builder
	for _, w := range rest {
		fmt.Fprintf(&b, " %v", w)
	}
	return b.String()
}

func voteWord(v string) string {
	if v == "" {
		return "-"
	}
	return v
}

func wordVote(w string) string {
	if w == "-" {
		return ""
	}
	return w
}

// sizeWord lists the sizes of entries.
func sizeWord(sizes []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes), " ", ","), "[]")
}
