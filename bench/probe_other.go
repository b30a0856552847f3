//go:build !linux

package main

import (
	"errors"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// probe measures the device on Linux only.
type probe struct{}

func openProbe(string) (*probe, error) { return nil, errors.ErrUnsupported }

func (*probe) close() error { return nil }

func (*probe) commits(int, time.Duration, *hdrhistogram.Histogram) (int, time.Duration, error) {
	return 0, 0, errors.ErrUnsupported
}

func (*probe) stream(time.Duration) (float64, error) { return 0, errors.ErrUnsupported }
func (*probe) scan(time.Duration) (float64, error)   { return 0, errors.ErrUnsupported }
