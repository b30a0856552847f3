package main

import (
	"fmt"
	"os"
	"time"
)

// progress is the live line on a terminal; it prints nothing elsewhere.
type progress struct {
	on      bool
	began   time.Time
	row, of int
	last    string
	perS    float64
}

func newProgress(rows int) *progress {
	st, err := os.Stderr.Stat()
	return &progress{on: err == nil && st.Mode()&os.ModeCharDevice != 0, began: time.Now(), of: rows}
}

// next begins another row.
func (p *progress) next() {
	p.row++
	p.perS = 0
}

func (p *progress) phase(format string, args ...any) {
	p.last = fmt.Sprintf(format, args...)
	p.print()
}

// figure shows entries per second behind the phase.
func (p *progress) figure(perS float64) {
	p.perS = perS
	p.print()
}

func (p *progress) print() {
	if !p.on {
		return
	}
	line := fmt.Sprintf("[%d/%d %3.0fs] %s", p.row, p.of, time.Since(p.began).Seconds(), p.last)
	if p.perS > 0 {
		line += fmt.Sprintf("  (engine %s/s)", count(p.perS))
	}
	fmt.Fprintf(os.Stderr, "\r\033[K%s", line)
}

// clear removes the line so that something else can be printed.
func (p *progress) clear() {
	if p.on {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}
