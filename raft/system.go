package raft

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// DefaultSystem names the system that each node has: the engine of NodeOptions.Dir.
const DefaultSystem = "default"

// ErrUnknownSystem says that a node has no system of that name.
var ErrUnknownSystem = errors.New("raft: unknown system")

// SystemOptions configure a system that a node has beside its default one: a storage engine with a directory and a write-ahead
// log of its own, on another disk, say, or with another configuration. What happens to its device concerns its servers
// alone.
type SystemOptions struct {
	// Dir is the directory of its engine, made if need be. No two systems share one.
	Dir string
	// Engine configures its engine, as NodeOptions.Engine does the default one.
	Engine engine.Options
}

// system is a storage engine of a node, with the servers that have their logs there.
type system struct {
	node    *Node
	name    string
	dir     string
	engine  *engine.Engine
	servers *directory
	opened  atomic.Bool // engine and servers are set
	stall   stall
	reads   coldReads
}

// validateSystems checks those beside the default one.
func (o *NodeOptions) validateSystems() (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(o.Systems)) {
		s := o.Systems[name]
		switch {
		case !validName(name) || name == DefaultSystem:
			errs = append(errs, fmt.Errorf("raft: system %q: the name is the default one's, or has %d bytes", name, len(name)))
		case s.Dir == "":
			errs = append(errs, fmt.Errorf("raft: system %q: Dir is empty", name))
		case s.Engine.Handler != nil:
			errs = append(errs, fmt.Errorf("raft: system %q: Engine.Handler is the node's own", name))
		}
	}
	return errs
}

// openSystems opens the engines and reads which servers they have, the default one first.
func (n *Node) openSystems(engineOf func(string, engine.Options) (*engine.Engine, error)) error {
	homes := make(map[string]string)
	for _, name := range append([]string{DefaultSystem}, slices.Sorted(maps.Keys(n.opts.Systems))...) {
		o := n.opts.Systems[name]
		if name == DefaultSystem {
			o = SystemOptions{Dir: n.opts.Dir, Engine: n.opts.Engine}
		}
		y := &system{node: n, name: name, dir: o.Dir}
		n.systems = append(n.systems, y)
		if err := y.open(o.Engine, engineOf); err != nil {
			return fmt.Errorf("raft: system %q: %w", name, err)
		}
		for _, r := range y.servers.all() {
			if other, taken := homes[r.Name]; taken {
				return fmt.Errorf("%w: server %q in the systems %q and %q", ErrExists, r.Name, other, name)
			}
			homes[r.Name] = name
		}
	}
	return nil
}

func (y *system) open(o engine.Options, engineOf func(string, engine.Options) (*engine.Engine, error)) (err error) {
	n, users := y.node, o.OnEvent
	y.stall.system, y.stall.again.ring = y, y.stall.ring
	if o.StallAfter == 0 {
		o.StallAfter = stallAfter(n.opts.DetectionBound, o.SlowAfter)
	}
	y.stall.after = o.StallAfter
	o.OnEvent = func(e engine.Event) {
		y.stall.heard(e)
		if users != nil {
			users(e)
		}
	}
	if y.engine, err = engineOf(y.dir, o); err != nil {
		return err
	}
	n.opts.MaxCommandBytes = min(n.opts.MaxCommandBytes, y.engine.MaxEntryBytes()-MaxCommandHeader)
	if y.servers, err = openDirectory(n.ctx, n.world, y.engine); damaged(err) || errors.Is(err, ErrMalformed) {
		return &DirectoryError{System: y.name, Dir: y.dir, Log: directoryUID, Err: err}
	} else if err != nil {
		return err
	}
	y.opened.Store(true)
	return y.sweep() // before anybody can ask for new ones
}

// sweep deletes logs that nobody knows: what a crash left of servers that were being made or deleted. That of a server that is to
// take another's place stays.
func (y *system) sweep() error {
	known := make(map[core.UID]bool)
	for _, r := range y.servers.all() {
		known[r.UID], known[r.NextUID] = true, true
	}
	var orphans []core.UID
	for l := range y.engine.Logs() {
		if uid := l.UID(); uid != directoryUID && !known[uid] {
			orphans = append(orphans, uid)
		}
	}
	slices.Sort(orphans)
	for _, uid := range orphans {
		if err := y.engine.Delete(y.node.ctx, uid); err != nil {
			return fmt.Errorf("raft: log %s of no server: %w", uid, err)
		}
	}
	return nil
}

// system returns the system of a name, the default one for "". Error: ErrUnknownSystem.
func (n *Node) system(name string) (*system, error) {
	if name == "" {
		name = DefaultSystem
	}
	for _, y := range n.systems {
		if y.name == name {
			return y, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownSystem, name)
}

// system is the one whose engine has its log. That servers do not know it themselves spares memory.
func (s *server) system() *system {
	home := s.log.Engine()
	return s.node.systems[slices.IndexFunc(s.node.systems, func(y *system) bool { return y.engine == home })]
}

// running returns its servers, in the order of their names.
func (y *system) running() (list []*server) {
	if !y.opened.Load() {
		return nil // the engine has something to say already
	}
	for _, r := range y.servers.all() {
		if s := y.node.server(r.id(y.node.id)); s != nil {
			list = append(list, s)
		}
	}
	return list
}

// record finds what is kept of a server, and where. It is not to be changed.
func (n *Node) record(name string) (*serverRecord, *system, bool) {
	for _, y := range n.systems {
		if r, ok := y.servers.get(name); ok {
			return r, y, true
		}
	}
	return nil, nil, false
}

// knows reports whether a server of that name was made here, and not deleted.
func (n *Node) knows(name string) bool {
	_, _, known := n.record(name)
	return known
}

// Engine returns the storage engine of the default system: to read logs, for its figures. Logs of servers must not be
// written.
func (n *Node) Engine() *engine.Engine { return n.systems[0].engine }

// EngineOf is Engine for the system of a name. Error: ErrUnknownSystem.
func (n *Node) EngineOf(name string) (*engine.Engine, error) {
	y, err := n.system(name)
	if err != nil {
		return nil, err
	}
	return y.engine, nil
}
