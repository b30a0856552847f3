package memfs_test

import (
	"bytes"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const sector = memfs.SectorSize

// script runs commands on a file system. Offsets and sizes count sectors, and a sector's
// content is one letter. Files keep the handle of their creation, under that name.
//
//	create F [SIZE]   createdsync F   mkdir D   mv A B   ln A B   rm A
//	w F OFF LETTERS   wd F OFF LETTERS (with DSync)   t F SIZE
//	s F (Datasync)    S F (Sync)      sd D      drop F   revert F
type script struct {
	t     *testing.T
	fs    *memfs.FS
	files map[string]*memfs.File
}

func runScript(t *testing.T, fs *memfs.FS, text string) *script {
	t.Helper()
	s := &script{t: t, fs: fs, files: map[string]*memfs.File{}}
	s.run(text)
	return s
}

func (s *script) run(text string) {
	s.t.Helper()
	for line := range strings.SplitSeq(text, ";") {
		if args := strings.Fields(line); len(args) > 0 {
			if err := s.step(args[0], args[1], append(args[2:], "", "")); err != nil {
				s.t.Fatalf("%s: %v", strings.TrimSpace(line), err)
			}
		}
	}
}

func (s *script) step(cmd, name string, rest []string) error {
	abs := path.Join("/", name)
	n, _ := strconv.ParseInt(rest[0], 10, 64)
	f := s.files[name]
	switch cmd {
	case "create":
		return s.create(name, vfs.CreateOptions{Size: n * sector})
	case "createdsync":
		return s.create(name, vfs.CreateOptions{Sync: vfs.SyncData})
	case "mkdir":
		return s.fs.MkdirAll(abs)
	case "mv":
		return s.fs.Rename(abs, path.Join("/", rest[0]))
	case "ln":
		return s.fs.Link(abs, path.Join("/", rest[0]))
	case "rm":
		return s.fs.Remove(abs)
	case "sd":
		return s.fs.SyncDir(abs)
	case "w":
		_, err := f.WriteAt(fillSectors(rest[1]), n*sector)
		return err
	case "wd":
		return s.queued(&vfs.Op{Kind: vfs.OpWrite, File: f, Buf: fillSectors(rest[1]), Off: n * sector, DSync: true})
	case "t":
		return f.Truncate(n * sector)
	case "s":
		return f.Datasync()
	case "S":
		return f.Sync()
	case "drop":
		f.DropUnsynced()
	case "revert":
		f.RevertUnsynced()
	default:
		s.t.Fatalf("unknown command %q", cmd)
	}
	return nil
}

func (s *script) create(name string, o vfs.CreateOptions) error {
	f, err := s.fs.Create(path.Join("/", name), o)
	if err == nil {
		s.files[name] = f.(*memfs.File)
	}
	return err
}

func (s *script) queued(op *vfs.Op) error {
	q, err := s.fs.NewQueue(1)
	if err != nil {
		return err
	}
	if err := q.Submit(op); err != nil {
		return err
	}
	if _, err := q.Reap(1, make([]*vfs.Op, 1)); err != nil {
		return err
	}
	return op.Err
}

func fillSectors(letters string) []byte {
	var b []byte
	for i := range len(letters) {
		b = append(b, bytes.Repeat([]byte(letters[i:i+1]), sector)...)
	}
	return b
}

// view prints all names: "d/" for a directory, "f=AB." for a file of three sectors of
// which the last is zero. '?' is a sector that is not of one letter.
func view(t *testing.T, fs *memfs.FS) string {
	t.Helper()
	var out []string
	var visit func(dir string)
	visit = func(dir string) {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, base := range names {
			name := path.Join(dir, base)
			if info, err := fs.Stat(name); err != nil {
				t.Fatal(err)
			} else if info.Dir {
				out = append(out, name[1:]+"/")
				visit(name)
				continue
			}
			data, err := fs.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, name[1:]+"="+letters(data))
		}
	}
	visit("/")
	return strings.Join(out, " ")
}

func letters(data []byte) string {
	var out []byte
	for len(data) > 0 {
		part := data[:min(sector, len(data))]
		data = data[len(part):]
		switch {
		case bytes.Count(part, part[:1]) != len(part):
			out = append(out, '?')
		case part[0] == 0:
			out = append(out, '.')
		default:
			out = append(out, part[0])
		}
	}
	return string(out)
}

// expand replaces {x|y} by each of its alternatives.
func expand(patterns ...string) map[string]bool {
	set := map[string]bool{}
	for _, p := range patterns {
		before, rest, found := strings.Cut(p, "{")
		if !found {
			set[p] = true
			continue
		}
		inner, after, _ := strings.Cut(rest, "}")
		for alt := range strings.SplitSeq(inner, "|") {
			for s := range expand(before + alt + after) {
				set[s] = true
			}
		}
	}
	return set
}
