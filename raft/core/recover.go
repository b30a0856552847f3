package core

// stepRecover keeps what the device and the network say for later: only their state is noted. Messages are
// dropped, as they would be before the start.
func (s *Server) stepRecover(in Input) {
	switch in := in.(type) {
	case Recovered:
		s.rest()
		if s.role == RoleFollower {
			s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
		}
		if s.role != RoleEnded {
			s.readAgain()
		}
	case NodeDown, NodeUp:
		if d, ok := in.(NodeDown); ok {
			s.nodeDown(d.Node)
		} else {
			s.nodeUp(in.(NodeUp).Node)
		}
	case SnapshotTaken:
		s.snapshotTaken(in.ID)
	case Read:
		s.reads = append(s.reads, in.Ref) // asked once it has recovered
	case CancelRead:
		s.cancelRead(in.Ref)
	case ForceShrink:
		s.result(Result{Ref: in.Ref, Err: ErrRefused})
	default:
		s.refuseAll(in, ErrNotLeader)
	}
}

// refuseAll answers what wants an answer.
func (s *Server) refuseAll(in Input, err error) {
	switch in := in.(type) {
	case Proposed:
		s.refuse(in.Proposals, err)
	case *Proposed:
		s.refuse(in.Proposals, err)
	case ChangeMembership:
		s.result(Result{Ref: in.Ref, Err: err})
	case TransferLeadership:
		s.result(Result{Ref: in.Ref, Err: err})
	case Read:
		s.result(Result{Ref: in.Ref, Err: err})
	case ForceShrink:
		s.result(Result{Ref: in.Ref, Err: err})
	}
}

// rest is the role of a server that neither leads nor wants to.
func (s *Server) rest() {
	switch {
	case s.history.deletion != 0 && s.history.deletion <= s.commit:
		s.become(RoleTerminating)
		s.stopTimer(TimerElection)
		s.endDeleted()
	case s.receiving.transfer != 0:
		s.become(RoleReceiveSnapshot)
	case s.await.missing || s.await.log:
		s.become(RoleAwaitCondition)
	default:
		s.become(RoleFollower)
	}
}
