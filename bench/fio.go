package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rawl-db/rawl/fio"
)

const fioLimit = 15 * time.Second

func haveFio() bool {
	_, err := exec.LookPath("fio")
	return err == nil
}

// askFio lets fio measure what the probe measured. Without its answer the columns stay empty.
func (m *measuring) askFio(d *deviceLimit) {
	job, err := runFio(m.ctx, m.scratch, "commit-4k.fio", map[string]string{"bs": fmt.Sprint(d.size), "runtime": "1"})
	if err == nil {
		d.fioWritesPerS = &job.Write.IOPS
		if p := job.Write.Latency.Percentile["50.000000"]; p > 0 {
			d.fioP50 = ptr(p / 1e3)
		}
	}
	if d.streamMB == nil {
		return
	}
	job, err = runFio(m.ctx, m.scratch, "stream-1m.fio", map[string]string{"runtime": "1"})
	if err == nil {
		d.fioStreamMB = ptr(job.Write.Bandwidth / 1e6)
	}
}

// fioJob is the part of fio's answer that is used.
type fioJob struct {
	Read, Write fioSide
}

type fioSide struct {
	IOPS      float64 `json:"iops"`
	Bandwidth float64 `json:"bw_bytes"`
	Latency   struct {
		Percentile map[string]float64 `json:"percentile"` // nanoseconds
	} `json:"clat_ns"`
}

// runFio runs one of the job files in dir with some of its settings replaced.
func runFio(ctx context.Context, dir, name string, settings map[string]string) (*fioJob, error) {
	text, err := fio.Jobs.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(withSettings(string(text), settings)), 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fioLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "fio", "--output-format=json", file)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("fio %s: %w", name, err)
	}
	var answer struct{ Jobs []fioJob }
	if i := strings.IndexByte(string(out), '{'); i > 0 {
		out = out[i:] // warnings stand before it
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Jobs) == 0 {
		return nil, fmt.Errorf("fio %s: no result: %w", name, err)
	}
	return &answer.Jobs[0], nil
}

// withSettings replaces the values of keys that the job file has.
func withSettings(text string, settings map[string]string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		key, _, found := strings.Cut(strings.TrimSpace(line), "=")
		if v, ok := settings[key]; found && ok {
			line = key + "=" + v + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}
