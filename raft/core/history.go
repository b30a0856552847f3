package core

import "slices"

// history is what entries of the log mean for the core: configurations, versions of the machine, the
// deletion of the cluster. Those that are not committed can be taken back.
type history struct {
	configs  []configAt // ascending; the first is the newest that is committed, or nothing is
	versions []versionAt
	deletion Index // of the entry that deletes the cluster, 0 for none
}

type configAt struct {
	index         Index
	configuration Configuration
}

type versionAt struct {
	index   Index
	version uint64
}

// fact is what one entry means.
type fact struct {
	kind    uint8 // 0 for entries that mean nothing to the core
	index   Index
	config  Configuration
	version uint64
}

func factOf(e *Entry) (f fact, err error) {
	f.kind, f.index = e.Type, e.Index
	switch e.Type {
	case KindNoop:
		f.version, err = UnmarshalNoop(e.Data)
	case KindConfiguration:
		f.config, err = UnmarshalConfiguration(e.Data)
	case KindDelete:
		err = UnmarshalDelete(e.Data)
	default:
		f.kind = 0
	}
	return f, err
}

// reset makes the history that of a snapshot.
func (h *history) reset(m SnapshotMeta) {
	*h = history{
		configs:  []configAt{{index: m.ConfigurationIndex, configuration: m.Configuration}},
		versions: []versionAt{{index: m.ID.Index, version: m.Machine}},
	}
}

func (h *history) add(f fact) {
	switch f.kind {
	case KindNoop:
		h.versions = append(h.versions, versionAt{index: f.index, version: f.version})
	case KindConfiguration:
		h.configs = append(h.configs, configAt{index: f.index, configuration: f.config})
	case KindDelete:
		if h.deletion == 0 {
			h.deletion = f.index
		}
	}
}

// truncate takes back what lies above i and reports whether the configuration is another one.
func (h *history) truncate(i Index) (reconfigured bool) {
	if h.deletion > i {
		h.deletion = 0
	}
	n := len(h.configs)
	for len(h.configs) > 1 && h.configs[len(h.configs)-1].index > i {
		h.configs = h.configs[:len(h.configs)-1]
	}
	for len(h.versions) > 1 && h.versions[len(h.versions)-1].index > i {
		h.versions = h.versions[:len(h.versions)-1]
	}
	return len(h.configs) < n
}

// settle forgets what is superseded by what is committed.
func (h *history) settle(commit Index) {
	k := len(h.configs) - 1
	for k > 0 && h.configs[k].index > commit {
		k--
	}
	if k > 0 {
		h.configs = slices.Clone(h.configs[k:])
	}
	k = len(h.versions) - 1
	for k > 0 && h.versions[k].index > commit {
		k--
	}
	if k > 0 {
		h.versions = slices.Clone(h.versions[k:])
	}
}

// config is the configuration in effect.
func (h *history) config() *configAt { return &h.configs[len(h.configs)-1] }

// settled is the newest configuration that is committed.
func (h *history) settled() *configAt { return &h.configs[0] }

func (h *history) machine() uint64 { return h.versions[len(h.versions)-1].version }
