package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/wal"
)

// Lost implements wal.Visitor, by the rules of replay.
func (v *surveyor) Lost(loss wal.Loss) error {
	if loss.Kind == wal.KindApplied && loss.Reason == wal.LostPayload {
		return nil
	}
	if loss.ID == 0 {
		for _, l := range v.s.logs {
			if loss.Except == nil || !loss.Except(l.id) {
				v.doubt(l, loss)
			}
		}
		return nil
	}
	loss.Except = nil
	l := v.s.logs[loss.ID]
	switch {
	case l == nil && v.asOf[loss.ID] != 0:
		return nil
	case l == nil:
		l = &surveyLog{id: loss.ID, uid: loss.UID}
		if loss.UID != "" {
			v.s.logs[l.id] = l
		}
	case loss.Maybe:
		v.doubt(l, loss)
		return nil
	}
	v.hit(l, loss)
	return nil
}

func (v *surveyor) doubt(l *surveyLog, loss wal.Loss) {
	loss.Except = nil
	if _, already := v.doubts[l]; !already && l.broken == nil && loss.LastBatch > l.asOf {
		v.doubts[l] = loss
	}
}

// hit sets the log apart for the loss.
func (v *surveyor) hit(l *surveyLog, loss wal.Loss) {
	if l.broken != nil {
		return
	}
	first := l.last.Index + 1
	if loss.Kind == wal.KindEntry && loss.Index > 0 {
		first = min(first, loss.Index)
	}
	d := Damage{File: v.file(loss.File), Offset: -1, UID: l.uid, ID: uint64(l.id),
		Lost: lostRange(first, max(loss.LastIndex, loss.Index)), What: describeLoss(loss)}
	if d.Lost.Last < d.Lost.First {
		d.Lost.Last = 0
	}
	l.quarantine(d.Lost, d.What)
	delete(v.doubts, l)
	v.losses = append(v.losses, surveyLoss{l, loss, d})
}

func describeLoss(l wal.Loss) string {
	maybe := ""
	if l.Maybe {
		maybe = "perhaps "
	}
	if l.LastBatch > l.Batch {
		return fmt.Sprintf("%slost: %v, in batches %d to %d", maybe, l.Reason, l.Batch, l.LastBatch)
	}
	return fmt.Sprintf("%slost: %v, in batch %d", maybe, l.Reason, l.Batch)
}

// lose sets the log apart for damage that recovery itself did not see.
func (v *surveyor) lose(l *surveyLog, d Damage) {
	d.UID, d.ID = l.uid, uint64(l.id)
	l.quarantine(d.Lost, d.What)
	delete(v.doubts, l)
	v.losses = append(v.losses, surveyLoss{log: l, damage: d})
}

func (v *surveyor) file(number uint64) string { return v.s.walName(number) }

func (s *survey) walName(number uint64) string {
	return relative(s.dir, wal.FileName(s.walDir, number))
}

// finish lists the damage: what hit a log with the place where it happened, what hit none by itself, and
// the logs that were set apart earlier.
func (v *surveyor) finish() {
	s := v.s
	v.settleSnapshots()
	doubted := make([]*surveyLog, 0, len(v.doubts))
	for l := range v.doubts {
		doubted = append(doubted, l)
	}
	slices.SortFunc(doubted, func(a, b *surveyLog) int { return cmp.Compare(a.uid, b.uid) })
	for _, l := range doubted {
		v.hit(l, v.doubts[l])
	}
	for _, n := range s.missing {
		s.note(Damage{File: s.walName(n), Offset: -1, What: "WAL file is missing, or another file has its name"})
	}
	for _, f := range s.wal.Files {
		if f.HeaderErr != nil {
			s.note(Damage{File: s.walName(f.Number), Offset: 0, What: fmt.Sprintf("file header, which hits no entry: %v", f.HeaderErr)})
		}
		if f.Unreadable > 0 {
			s.note(Damage{File: s.walName(f.Number), Offset: -1, What: fmt.Sprintf("%d blocks cannot be read", f.Unreadable)})
		}
	}
	v.place()
	v.checkCaptures()
	for _, l := range s.sorted() {
		if m, ok := s.manifest.Log(l.id); ok && m.Quarantine != nil {
			s.note(Damage{File: s.manifestReport.File, Offset: -1, UID: l.uid, ID: uint64(l.id), Lost: m.Quarantine.Lost,
				What: "quarantined: " + m.Quarantine.Reason})
		}
	}
}

// place gives the losses the place of their damage.
func (v *surveyor) place() {
	s := v.s
	v.losses = slices.DeleteFunc(v.losses, func(l surveyLoss) bool { return l.log.deleted })
	for _, d := range s.wal.Damage {
		hits, offset := 0, int64(-1)
		if d.Blocks > 0 {
			offset = int64(d.Block) * frame.BlockSize
		}
		for i := range v.losses {
			l := &v.losses[i]
			if l.loss.File == d.File && l.loss.Batch <= d.LastBatch && l.loss.LastBatch >= d.Batch {
				l.damage.Offset = max(l.damage.Offset, offset)
				hits++
			}
		}
		if hits == 0 {
			what := fmt.Sprintf("%v of batch %d, which hits no log", d.Reason, d.Batch)
			s.note(Damage{File: s.walName(d.File), Offset: offset, What: what})
		}
	}
	for _, l := range v.losses {
		if l.loss.Reason == 0 {
			s.gaps++
		}
		s.note(l.damage)
	}
}
