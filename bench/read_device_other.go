//go:build !linux

package main

import (
	"errors"
	"time"
)

// readProbe measures the device on Linux only.
type readProbe struct{}

func openReadProbe([]string, int) (*readProbe, error) { return nil, errors.ErrUnsupported }

func (*readProbe) close() error { return nil }

func (*readProbe) random(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

func (*readProbe) scan(int) (int64, time.Duration, error) { return 0, 0, errors.ErrUnsupported }

// threadSeconds is not known here.
func threadSeconds() *float64 { return nil }
