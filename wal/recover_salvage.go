package wal

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// salvage learns the names of logs from what follows a damaged record header: the trailer has
// their ids only, and a log can be set apart under its name alone. Where a record begins is not
// known there, so every place is tried; a header verifies by a checksum of this file's own.
func (p *recReplay) salvage(body []byte, id frame.Identity) {
	const kindAt = 40
	for i := 0; i+frame.RecordHeaderSize <= len(body); i++ {
		if k := frame.Kind(body[i+kindAt]); k != KindDeclare && k != KindCreate {
			continue
		}
		rec, rest, err := frame.DecodeRecord(body[i:], id)
		if err != nil || !rec.PayloadOK() {
			continue
		}
		p.salvageName(&rec)
		i = len(body) - len(rest) - 1
	}
}

func (p *recReplay) salvageName(rec *frame.Record) {
	log := p.names.log(rec.Log)
	if log == nil || log.uid != "" {
		return
	}
	if rec.Kind == KindDeclare {
		if id, uid, err := decodeDeclare(rec.Payload); err == nil && id == log.id {
			log.uid = uid
		}
		return
	}
	if uid := raftlog.UID(rec.Payload); uid.Validate() == nil {
		log.uid = uid
	}
}
