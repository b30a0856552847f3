package main

import (
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

// readers lists the slots of named readers.
func (c *command) readers() (int, error) {
	in, err := c.inspect()
	if err != nil {
		return 0, err
	}
	code := soundOr(len(in.Damage) > 0)
	if c.json {
		return code, writeJSON(c.out, readersJSON(in.Logs))
	}
	return code, writeReaders(c.out, in.Logs)
}

func writeReaders(w io.Writer, logs []engine.LogInfo) error {
	n := 0
	for _, l := range logs {
		n += len(l.Slots)
	}
	fmt.Fprintf(w, "%d slots; readers without one are known to the running engine only\n", n)
	return writeSlots(w, logs)
}

type jsonReader struct {
	UID string `json:"uid"`
	jsonSlot
}

func readersJSON(logs []engine.LogInfo) []jsonReader {
	list := []jsonReader{}
	for _, l := range logs {
		for _, s := range slotsJSON(l) {
			list = append(list, jsonReader{string(l.UID), s})
		}
	}
	return list
}
