//go:build !linux

package main

import "errors"

func deviceOf(string) *deviceCounters { return nil }

func peakRSS() *float64 { return nil }

func residentBytes() *float64 { return nil }

func resetRSS() {}

func fsType(string) (name string, volatile bool) { return "-", false }

func dropCaches() error { return errors.ErrUnsupported }

func forgetFile(string) error { return errors.ErrUnsupported }

func diskName(string) string { return "" }

func diskOf(string) (string, error) { return "", errors.ErrUnsupported }
