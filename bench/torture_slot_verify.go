package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/engine"
)

// observeSlots says which slots a log has, just after the engine was opened.
func observeSlots(e *engine.Engine, l *engine.Log) (map[string]foundSlot, error) {
	slots := make(map[string]foundSlot)
	for _, info := range l.Slots() {
		if info.Acked != info.Durable {
			return nil, fmt.Errorf("%s is at %v, durable is %v", info.Name, info.Acked, info.Durable)
		}
		s := foundSlot{at: info.Acked.Index}
		if info.Invalid {
			var lost *engine.SlotInvalidError
			if err := openAndClose(e, l.UID(), info.Name); !errors.As(err, &lost) {
				return nil, fmt.Errorf("%s was given up, and says %w", info.Name, err)
			}
			s.givenUp = lost.Reason == "" // else the monitor was faster: that is not durable yet
		}
		slots[info.Name] = s
	}
	return slots, nil
}

func openAndClose(e *engine.Engine, uid engine.UID, slot string) error {
	r, err := e.OpenReader(uid, engine.FromSlot(slot), engine.ReaderOptions{})
	if err == nil {
		r.Close()
	}
	return err
}

// allSlots reads all that the slots of a log keep, and makes sure that others keep and serve nothing.
func (v *verifier) allSlots(l *engine.Log, s *logState) error {
	names := make(map[string]bool) // all that there ever were
	for _, x := range v.w.logs[l.UID()].slots {
		names[x.name] = true
	}
	for _, info := range l.Slots() {
		delete(names, info.Name)
		if err := v.slot(l, s, info); err != nil {
			return fmt.Errorf("%s: %w", info.Name, err)
		}
		fmt.Fprintf(v.digest, "%s %v %t\n", info.Name, info.Acked, info.Invalid)
	}
	for name := range names {
		if err := openAndClose(v.e, l.UID(), name); !errors.Is(err, engine.ErrNoSlot) {
			return fmt.Errorf("%s was dropped, and says %w", name, err)
		}
	}
	return nil
}

func (v *verifier) slot(l *engine.Log, s *logState, info engine.SlotInfo) error {
	if info.Invalid {
		v.givenUp++
		err1, err2 := openAndClose(v.e, l.UID(), info.Name), l.AckSlot(info.Name, s.released.Index)
		if !errors.Is(err1, engine.ErrSlotInvalid) || !errors.Is(err2, engine.ErrSlotInvalid) {
			return fmt.Errorf("it was given up, and says %w and %w", err1, err2)
		}
		return nil
	}
	v.slots++
	r, err := v.e.OpenReader(l.UID(), engine.FromSlot(info.Name), engine.ReaderOptions{})
	if err != nil {
		return err
	}
	defer r.Close()
	if at := r.Cursor().At; at != info.Acked {
		return fmt.Errorf("opened behind %v, it is at %v", at, info.Acked)
	}
	next := info.Acked.Index + 1
	for e, err := range r.Entries(context.Background()) {
		if err == nil && e.Index != next {
			err = fmt.Errorf("got %v where %d was due", e.ID(), next)
		}
		if err == nil {
			err = checkEntry(&v.buf, l.UID(), s.kept(e.Index), e)
		}
		if err != nil {
			return err
		}
		next++
		v.held++
	}
	if end := max(l.Committed(), s.released.Index); next <= end {
		return fmt.Errorf("ended before %d, %d is committed", next, end)
	}
	return nil
}
