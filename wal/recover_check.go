package wal

import (
	"sync"

	"github.com/rawl-db/rawl/internal/frame"
)

const (
	recUnitBytes = 256 << 10 // frames that are verified in one piece
	recKeep      = 64 << 10  // records of memory that a unit keeps for the next
)

// recRecord is a record whose header verified; bad means that its payload did not.
type recRecord struct {
	frame.Record
	bad bool
}

// recChecked is what verifying one frame gave: records[from:to] of its unit, up to the first
// whose header does not verify. complete: that is all of them; sound: and all payloads verify.
type recChecked struct {
	from, to        int
	complete, sound bool
}

// recUnit is a run of frames that is verified ahead of the visitor.
type recUnit struct {
	data    []byte
	id      frame.Identity
	frames  []frame.Frame
	checked []recChecked
	records []recRecord
	done    chan struct{} // one token when verified; sent by the checker, taken by the replay
}

// set gives the unit a first part of frames and returns the rest.
func (u *recUnit) set(data []byte, id frame.Identity, frames []frame.Frame) []frame.Frame {
	u.data, u.id = data, id
	n, bytes := 0, 0
	for n < len(frames) && (n == 0 || bytes < recUnitBytes) {
		bytes += int(frames[n].Blocks) * frame.BlockSize
		n++
	}
	u.frames = frames[:n]
	return frames[n:]
}

// check verifies the unit's frames.
func (u *recUnit) check() {
	if cap(u.records) > recKeep {
		u.records = nil
	}
	u.checked, u.records = u.checked[:0], u.records[:0]
	for i := range u.frames {
		f := &u.frames[i]
		c := recChecked{from: len(u.records), to: len(u.records)}
		if want, ok := recWant(f); ok {
			u.records, c = checkRecords(u.records, recBody(u.data, f), want, u.id)
		}
		u.checked = append(u.checked, c)
	}
}

// checkRecords decodes want records from body, appends them to records and verifies their payloads.
func checkRecords(records []recRecord, body []byte, want uint64, id frame.Identity) ([]recRecord, recChecked) {
	c := recChecked{from: len(records), sound: true}
	for n := uint64(0); n < want; n++ {
		r, rest, err := frame.DecodeRecord(body, id)
		if err != nil {
			c.sound = false
			break
		}
		bad := !r.PayloadOK()
		c.sound = c.sound && !bad
		records = append(records, recRecord{r, bad})
		body = rest
	}
	c.to = len(records)
	c.complete = uint64(c.to-c.from) == want
	return records, c
}

// recBody is where the frame's records begin, and as much as may belong to them. The file may
// end within the frame.
func recBody(file []byte, f *frame.Frame) []byte {
	begin := int64(f.Block)*frame.BlockSize + frame.HeaderSize
	end := begin + int64(f.Body)
	if !f.HasHeader {
		end = (int64(f.Block)+int64(f.Blocks))*frame.BlockSize - frame.FooterSize
	}
	size := int64(len(file))
	return file[min(begin, size):min(end, size)]
}

// recWant is the number of records in the frame. When the header is lost the trailer's counts
// say it, but only in a frame of one block: there the footer proves that the bytes before it
// are in their place. The first block of a longer one may be any other of the file.
func recWant(f *frame.Frame) (n uint64, ok bool) {
	if f.HasHeader {
		return uint64(f.Header.Records), true
	}
	for t := range f.Trailer.Touches() {
		n += uint64(t.Records)
	}
	return n, f.Blocks == 1
}

// recCheckers verifies frames ahead of the visitor, on goroutines of its own or, without
// any, on the caller's.
type recCheckers struct {
	ring []recUnit
	work chan *recUnit // nil without goroutines; closed by stop, which waits for them
	wait sync.WaitGroup
}

func newRecCheckers(n int) *recCheckers {
	c := &recCheckers{ring: make([]recUnit, 2*n+2)}
	if n == 0 {
		return c
	}
	for i := range c.ring {
		c.ring[i].done = make(chan struct{}, 1)
	}
	c.work = make(chan *recUnit, len(c.ring))
	for range n {
		c.wait.Go(func() {
			for u := range c.work {
				u.check()
				u.done <- struct{}{}
			}
		})
	}
	return c
}

func (c *recCheckers) stop() {
	if c.work != nil {
		close(c.work)
		c.wait.Wait()
	}
}

// run verifies the frames and visits them in order, on the caller's goroutine. When it
// returns nobody refers to data any more.
func (c *recCheckers) run(data []byte, id frame.Identity, frames []frame.Frame, visit func(*recUnit) error) error {
	first, next := 0, 0 // units in flight
	var err error
	for {
		for len(frames) > 0 && err == nil && next-first < len(c.ring) {
			u := &c.ring[next%len(c.ring)]
			frames = u.set(data, id, frames)
			next++
			if c.work != nil {
				c.work <- u
			}
		}
		if first == next {
			return err
		}
		u := &c.ring[first%len(c.ring)]
		first++
		if c.work != nil {
			<-u.done
		} else {
			u.check()
		}
		if err == nil {
			err = visit(u)
		}
	}
}
