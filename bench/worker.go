package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// workerCommand is the hidden subcommand of a measuring process. It reads a row, as JSON, and
// then one request per line; it answers each with a reply.
const workerCommand = "_worker"

// request asks for a slice of that length, or with 0 for the result and the end.
type request struct {
	Slice time.Duration
}

// reply follows the opening of the store and every request.
type reply struct {
	Error   string
	Measure measure
}

func runWorker(in io.Reader, out io.Writer) error {
	w := worker{in: json.NewDecoder(bufio.NewReader(in)), out: json.NewEncoder(out)}
	err := w.serve()
	if err != nil {
		return errors.Join(err, w.out.Encode(reply{Error: err.Error()}))
	}
	return nil
}

type worker struct {
	in  *json.Decoder
	out *json.Encoder
}

func (w *worker) serve() (err error) {
	var r row
	if err := w.in.Decode(&r); err != nil {
		return fmt.Errorf("read row: %w", err)
	}
	s, err := openStore(r)
	if err != nil {
		return err
	}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	l, err := newLoad(r, s)
	if err != nil {
		return err
	}
	if err := s.warm(); err != nil {
		return err
	}
	resetRSS()
	if err := w.out.Encode(reply{}); err != nil {
		return err
	}
	stop, err := profile(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return w.slices(l)
}

// slices serves requests until the result was asked for, or the parent is gone.
func (w *worker) slices(l *load) error {
	for {
		var q request
		switch err := w.in.Decode(&q); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case q.Slice == 0:
			return w.out.Encode(reply{Measure: l.result()})
		}
		m, err := l.slice(q.Slice)
		if err != nil {
			return err
		}
		if err := w.out.Encode(reply{Measure: m}); err != nil {
			return err
		}
	}
}

// profile starts the profiles that the row asks for.
func profile(r row) (stop func() error, err error) {
	var cpu *os.File
	if r.CPUProfile != "" {
		if cpu, err = os.Create(r.CPUProfile); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(err, cpu.Close())
		}
	}
	return func() error {
		if cpu != nil {
			pprof.StopCPUProfile()
			if err := cpu.Close(); err != nil {
				return err
			}
		}
		if r.MemProfile == "" {
			return nil
		}
		f, err := os.Create(r.MemProfile)
		if err != nil {
			return err
		}
		runtime.GC() // the profile is as of the last collection
		return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
	}, nil
}
