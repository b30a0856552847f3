package fallback

import "github.com/rawl-db/rawl/internal/vfs/osfs"

func directSupported() error { return osfs.ProbeDSync() }
