package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// member is what the leader knows of a member.
type member struct {
	Node       string     `json:"node"`
	Membership string     `json:"membership"`
	Leader     bool       `json:"leader"`
	Match      raft.Index `json:"match"`
	Next       raft.Index `json:"next"`
	Commit     raft.Index `json:"commit"`
	Mode       string     `json:"mode,omitempty"`
	Raft       string     `json:"raft,omitempty"`
	URL        string     `json:"url,omitempty"`
}

// members asks the leader.
func (s *server) members(ctx context.Context) ([]member, error) {
	infos, err := s.node.MembersInfo(ctx, s.self)
	if err != nil {
		return nil, err
	}
	var list []member
	for _, i := range infos {
		at := s.opts.Book.announced(i.ID.Node)
		list = append(list, member{Node: i.ID.Node, Membership: i.Membership.String(), Leader: i.Leader,
			Match: i.Match, Next: i.Next, Commit: i.Commit, Mode: i.Mode, Raft: at.Raft, URL: at.URL})
	}
	return list, nil
}

func (s *server) listMembers(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel, err := deadline(r)
	if err != nil {
		return err
	}
	defer cancel()
	list, err := s.members(ctx)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"members": list})
	return nil
}

// nodeBody is a body that names a node.
type nodeBody struct {
	Node string `json:"node"`
}

// readNode reads the body of a request about a node, and how long the request may take.
func readNode(w http.ResponseWriter, r *http.Request) (body nodeBody, ctx context.Context, cancel context.CancelFunc, err error) {
	if err = readJSON(w, r, &body); err == nil {
		ctx, cancel, err = deadline(r)
	}
	return body, ctx, cancel, err
}

// addMember adds the member of a node that was started with -join, and has announced itself.
func (s *server) addMember(w http.ResponseWriter, r *http.Request) error {
	body, ctx, cancel, err := readNode(w, r)
	if err != nil {
		return err
	}
	defer cancel()
	s.follow(ctx)
	if s.opts.Book.announced(body.Node).Node == "" {
		return badRequest(http.StatusConflict, "unknown_node", "no node of that name has announced itself: start it with -join first")
	}
	id := raft.ServerID{Name: serverName, Node: body.Node}
	if err := s.node.AddMember(ctx, s.self, id, raft.MemberOptions{}); err != nil {
		return err
	}
	s.log.Info("a member was added", "node", body.Node)
	writeJSON(w, http.StatusOK, map[string]string{"added": body.Node})
	return nil
}

// removeMember removes a member, and where its node is.
func (s *server) removeMember(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel, err := deadline(r)
	if err != nil {
		return err
	}
	defer cancel()
	node := r.PathValue("node")
	if len(node) > core.MaxNodeLen {
		return badRequest(http.StatusNotFound, "not_a_member", "there is no such member")
	}
	id := raft.ServerID{Name: serverName, Node: node}
	if err := s.node.RemoveMember(ctx, s.self, id, raft.MemberOptions{}); err != nil {
		return err
	}
	s.log.Info("a member was removed", "node", node)
	if node != s.opts.ID { // a member that is not one any more cannot say it
		c := command{Op: opForget, Node: nodeAddress{Node: node}}
		if _, err := s.node.Process(ctx, s.self, c.append(nil), raft.ProcessOptions{}); err != nil {
			s.log.Warn("the address of a removed member stays", "node", node, "err", err)
		}
	}
	writeJSON(w, http.StatusOK, map[string]string{"removed": node})
	return nil
}

// errNoSuccessor says that there is nobody to hand leadership to.
var errNoSuccessor = &apiError{Status: http.StatusConflict, Code: "no_other_voter", Message: "there is no other voter", Applied: appliedNo}

// successor returns the voter that is to lead: on the given node, or if that is "" the one that has most, other than the leader.
func (s *server) successor(ctx context.Context, node string) (raft.ServerID, error) {
	if node != "" {
		return raft.ServerID{Name: serverName, Node: node}, nil
	}
	infos, err := s.node.MembersInfo(ctx, s.self)
	if err != nil {
		return raft.ServerID{}, err
	}
	var best *raft.MemberInfo
	for i := range infos {
		m := &infos[i]
		if !m.Leader && m.Membership == core.Voter && (best == nil || m.Match > best.Match) {
			best = m
		}
	}
	if best == nil {
		return raft.ServerID{}, errNoSuccessor
	}
	return best.ID, nil
}

// handTo transfers leadership and returns to which node.
func (s *server) handTo(ctx context.Context, node string) (string, error) {
	to, err := s.successor(ctx, node)
	if err != nil {
		return "", err
	}
	if err := s.node.TransferLeadership(ctx, s.self, to); err != nil && !errors.Is(err, core.ErrAlreadyLeader) {
		return "", err
	}
	s.log.Info("leadership was transferred", "to", to.Node)
	return to.Node, nil
}

func (s *server) transfer(w http.ResponseWriter, r *http.Request) error {
	body, ctx, cancel, err := readNode(w, r)
	if err != nil {
		return err
	}
	defer cancel()
	to, err := s.handTo(ctx, body.Node)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"leader": to})
	return nil
}

// takeSnapshot asks every member for one, and returns the entry that does. It is written behind that.
func (s *server) takeSnapshot(ctx context.Context) (raft.Index, error) {
	reply, err := s.propose(ctx, &command{Op: opSnapshot})
	if err != nil {
		return 0, err
	}
	s.log.Info("snapshots were asked for", "index", uint64(reply.Index))
	return reply.Index, nil
}

func (s *server) snapshot(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel, err := deadline(r)
	if err != nil {
		return err
	}
	defer cancel()
	at, err := s.takeSnapshot(ctx)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]raft.Index{"index": at})
	return nil
}
