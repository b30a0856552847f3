package raft

import (
	"context"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// StartOrRestart brings up the member that this node has in a cluster's configuration. When the node knows the server, it is
// restarted unless it runs. Else the whole cluster is started, but only if every other listed member's node answers that it does
// not know the server: so a node that lost its disk starts no second cluster beside the one that goes on without
// it. Of nodes that call it at the same time some may fail with ErrClusterNotFormed or ErrMustJoin, and
// succeed when they call it again. Errors: ErrMustJoin when a member is known somewhere: this one is to be removed, started by
// StartServer and added again; ErrUnreachable, joined with those of the nodes that did not answer by the end of ctx, or within two
// detection bounds; ErrMalformed when no member, or more than one, is of this node; those of RestartServer and StartCluster.
func (n *Node) StartOrRestart(ctx context.Context, c ClusterConfig) error {
	conf, err := c.configuration(n.world)
	if err != nil {
		return err
	}
	var mine []core.Member
	for _, m := range conf.Members {
		if m.ID.Node == n.id {
			mine = append(mine, m)
		}
	}
	if len(mine) != 1 {
		return malformed("%d members on node %q, want 1", len(mine), n.id)
	}
	if n.knows(mine[0].ID.Name) {
		if err := n.RestartServer(ctx, mine[0].ID.Name, RestartOptions{}); !errors.Is(err, ErrRunning) {
			return err
		}
		return nil
	}
	if err := n.allUnknown(ctx, conf); err != nil {
		return err
	}
	_, err = n.StartCluster(ctx, c)
	return err
}

// allUnknown returns nil when every other member's node says that it has no such server.
func (n *Node) allUnknown(ctx context.Context, conf core.Configuration) error {
	answers := make(chan error, len(conf.Members))
	for _, m := range conf.Members {
		n.world.Go(func() { answers <- n.hasNone(ctx, m.ID) }) // ends with the call's context
	}
	var errs []error
	for range conf.Members {
		err, _ := sched.Wait(n.world, answers, nil, nil)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// hasNone returns nil when a server's node says that it has no such one.
func (n *Node) hasNone(ctx context.Context, id ServerID) error {
	a := n.reach(ctx, id, &opIdentity{}, 0, ErrUnreachable, ErrLost)
	switch err := a.queryError(); {
	case errors.Is(err, ErrUnknownServer):
		return nil
	case err == nil, errors.Is(err, ErrStopped):
		return fmt.Errorf("%w: %v is known", ErrMustJoin, id)
	default:
		return fmt.Errorf("%w: %v: %w", ErrUnreachable, id, err)
	}
}
