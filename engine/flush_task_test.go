package engine

import (
	"testing"

	"github.com/rawl-db/rawl/internal/manifest"
)

// TestSettleKeepsQuarantine: what the manifest is told of a log while a flush is under way says that it has been set apart meanwhile.
func TestSettleKeepsQuarantine(t *testing.T) {
	l := &Log{e: &Engine{}, id: 1, uid: "a"}
	task := flushTask{log: l}
	if task.settleAgain(9); task.base.Quarantine != nil {
		t.Errorf("%+v", task.base)
	}
	note := &manifest.Quarantine{Lost: Range{First: 1, Last: 7}, Reason: "damaged"}
	l.broken.Store(&brokenLog{err: ErrQuarantined, quarantine: note})
	if task.settleAgain(9); task.base.Quarantine != note {
		t.Errorf("%+v", task.base)
	}
}
