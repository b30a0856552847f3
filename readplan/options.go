package readplan

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/vfs"
)

// CacheOptions configures a Cache. FS and Dir must be set; zero values of the other fields mean
// their defaults.
type CacheOptions struct {
	FS vfs.FS
	// Dir is the directory that holds one directory per log.
	Dir string
	// Files is the most readers kept open while nobody uses them; those in use come on top.
	// Default 256. 1 to 1<<20.
	Files int
	// Direct reads around the page cache, where the file system can.
	Direct bool
}

func (o CacheOptions) withDefaults() CacheOptions {
	if o.Files == 0 {
		o.Files = 256
	}
	return o
}

func (o CacheOptions) validate() error {
	var errs []error
	if o.FS == nil {
		errs = append(errs, errors.New("readplan: FS is nil"))
	}
	if o.Dir == "" {
		errs = append(errs, errors.New("readplan: Dir is empty"))
	}
	if o.Files < 1 || o.Files > 1<<20 {
		errs = append(errs, fmt.Errorf("readplan: Files %d is not in 1 to %d", o.Files, 1<<20))
	}
	return errors.Join(errs...)
}
