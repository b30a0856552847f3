//go:build !linux

package main

import "errors"

func openFloor(row) (store, error) { return nil, errors.ErrUnsupported }
