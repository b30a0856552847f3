// Package fio holds the fio job files that reproduce the engine's I/O patterns, so that every
// figure of bench can have the device's own limit beside it. They run by themselves too, each
// in the current directory and on its disk: fio fio/commit-4k.fio
package fio

import "embed"

// Jobs are the job files, by name.
//
//go:embed *.fio
var Jobs embed.FS
