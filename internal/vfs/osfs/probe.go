package osfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/rawl-db/rawl/internal/vfs"
)

// ProbeDirect says whether files in dir can be written and read direct and with
// WriteAtDSync: nil, an error that wraps vfs.ErrUnsupported with the reason, or what else
// went wrong. It does so with one block in a file that it removes.
func ProbeDirect(dir string) (err error) {
	temp, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	name := temp.Name()
	defer func() { err = errors.Join(err, os.Remove(name)) }()
	if err := temp.Close(); err != nil {
		return err
	}
	s := New(Options{Direct: true})
	file, err := s.Open(name, vfs.OpenOptions{Write: true, Direct: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(file.Close(), err) }()
	mem, free, err := s.Alloc(2 * vfs.BlockSize)
	if err != nil {
		return err
	}
	defer free()
	want, got := mem[:vfs.BlockSize], mem[vfs.BlockSize:]
	for i := range want {
		want[i] = byte(i)
	}
	if _, err := file.(*File).WriteAtDSync(want, 0); err != nil {
		return refusal(err)
	}
	if _, err := file.ReadAt(got, 0); err != nil {
		return refusal(err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("direct files in %s: %w: they read back other bytes", dir, vfs.ErrUnsupported)
	}
	return nil
}
