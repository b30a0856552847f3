package raft

import "testing"

// A command of a session that stands in the log twice is applied once, and both are answered: the repetition without an entry
// of its own.
func TestRepetitionInTheLog(t *testing.T) {
	s, free := heldServer(t, NodeOptions{})
	free()
	session, err := s.node.OpenSession(t.Context(), s.id, SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	held, gate := make(chan struct{}), make(chan struct{})
	s.mail.do(func() { close(held); <-gate }, nil)
	<-held
	answers := make(chan answer, 2)
	for range 2 { // in one turn: the table knows of neither
		c := Command{Kind: KindUser, Reply: ReplyFromLeader, Payload: []byte("x"),
			Session: SessionHeader{ID: session.ID(), Sequence: 1, LowestUnacked: 1}}
		data, err := AppendCommand(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		s.perform(&opCommand{ticket{kind: KindUser, session: c.Session, data: data}}, func(a answer) { answers <- a })
	}
	close(gate)
	first, again := <-answers, <-answers
	if first.err != nil || again.err != nil || first.index == 0 || first.term == 0 {
		t.Fatalf("%+v, %+v", first, again)
	}
	if string(first.reply) != string(again.reply) || again.index != 0 || again.term != 0 {
		t.Errorf("%q of entry %d, then %q of entry %d", first.reply, first.index, again.reply, again.index)
	}
}
