package memfs

// What a failed sync leaves behind differs by file system (Rebello et al., ATC 2020). An
// injector that reports a failure chooses by calling one of the following first. All of
// them concern the whole file, not only what was written through f.

// DropUnsynced leaves the cache as it is and forgets that it differs from the device, as
// ext4 and xfs do: programs read the new bytes, later syncs succeed, and after a power cut
// the old bytes are back. A dropped sector becomes durable only when it is written again.
func (f *File) DropUnsynced() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.changes = nil
}

// RevertUnsynced returns the cache to what the device has, as btrfs does.
func (f *File) RevertUnsynced() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := f.node
	f.fs.usedPages += n.stable.pages - n.current.pages
	n.current = n.stable.clone()
	n.changes = nil
}

// TearUnsynced makes durable what seed draws of the unsynced state, as a random power cut
// would, and drops the rest as DropUnsynced does.
func (f *File) TearUnsynced(seed uint64) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.stable = f.node.image(newChooser(Random, seed))
	f.node.changes = nil
}

// WriteUnsynced writes as WriteAt does on a file opened without a SyncMode.
func (f *File) WriteUnsynced(p []byte, off int64) (int, error) {
	return f.writeAt(p, off, false)
}
