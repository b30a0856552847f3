package vfstest

import (
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/vfs"
)

// pollLimit bounds loops that wait for an operation by polling.
const pollLimit = 30 * time.Second

// Options says what an implementation lacks. The zero value is an operating system's
// file system that has everything.
type Options struct {
	// NoDirect says that direct files are refused, with ErrUnsupported, in the directories
	// that open returns. The refusal is then checked instead.
	NoDirect bool
	// Virtual says that names are not those of the operating system: permissions and
	// symbolic links are not checked.
	Virtual bool
}

// Open returns a file system and an existing, empty directory on it for one subtest.
// It is called once per subtest; what it makes is removed with t.Cleanup.
type Open func(t *testing.T) (fs vfs.FS, dir string)

// Run checks an implementation against the whole contract.
func Run(t *testing.T, open func(t *testing.T) (fs vfs.FS, dir string), o Options) {
	run := func(t *testing.T, direct bool, cases []testCase) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				c.fn(newEnv(t, open, direct))
			})
		}
	}
	t.Run("names", func(t *testing.T) { run(t, false, nameCases()) })
	t.Run("memory", func(t *testing.T) { run(t, false, memoryCases()) })
	if !o.Virtual {
		t.Run("system", func(t *testing.T) { run(t, false, systemCases()) })
	}
	t.Run("files", func(t *testing.T) { run(t, false, fileCases()) })
	t.Run("buffered", func(t *testing.T) { run(t, false, bufferedCases()) })
	t.Run("queue", func(t *testing.T) { run(t, false, queueCases()) })
	if o.NoDirect {
		t.Run("direct", func(t *testing.T) { run(t, true, []testCase{{"Refused", testDirectRefused}}) })
		return
	}
	t.Run("direct", func(t *testing.T) {
		run(t, true, directCases())
		t.Run("files", func(t *testing.T) { run(t, true, fileCases()) })
		t.Run("queue", func(t *testing.T) { run(t, true, queueCases()) })
	})
}

type testCase struct {
	name string
	fn   func(*env)
}

func queueCases() []testCase {
	var cases []testCase
	cases = append(cases, submitCases()...)
	cases = append(cases, linkCases()...)
	cases = append(cases, closeCases()...)
	return append(cases, modelCases()...)
}
