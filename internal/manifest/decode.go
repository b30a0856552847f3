package manifest

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// decodeFile reads the whole content of manifest number n, records in r what does not verify, and
// returns the image and the stream. Errors wrap frame.ErrVersion or frame.ErrCorrupt.
func decodeFile(file []byte, n uint64, r *Report) (image, uint64, error) {
	h, err := decodeHeaders(file, r)
	if err != nil {
		return image{}, 0, err
	}
	switch {
	case h.Kind != frame.ManifestFile || h.Number != n:
		return image{}, 0, fmt.Errorf("%w: header of kind %d, number %d", frame.ErrCorrupt, h.Kind, h.Number)
	case int64(len(file)) < h.Size:
		return image{}, 0, fmt.Errorf("%w: cut at %d of %d bytes", frame.ErrCorrupt, len(file), h.Size)
	}
	d := decoding{file: file, stream: h.Stream, id: h.Identity(), report: r, image: newImage()}
	if err := d.parse(); err != nil {
		return image{}, 0, err
	}
	if err := d.replay(); err != nil {
		return image{}, 0, err
	}
	return d.image, h.Stream, nil
}

func decodeHeaders(file []byte, r *Report) (frame.FileHeader, error) {
	var found *frame.FileHeader
	var first error
	for i := range int64(headerBlocks) {
		at := i * frame.BlockSize
		h, err := frame.DecodeFileHeader(file[min(at, int64(len(file))):])
		switch {
		case errors.Is(err, frame.ErrVersion):
			return h, err
		case err != nil:
			r.fault(at, "file header: %v", err)
			if first == nil {
				first = err
			}
		case found == nil:
			found = &h
		}
	}
	if found == nil {
		return frame.FileHeader{}, fmt.Errorf("%w: no file header: %w", frame.ErrCorrupt, first)
	}
	return *found, nil
}

// decoding is the state of one pass over a file.
type decoding struct {
	file   []byte
	stream uint64
	id     frame.Identity
	report *Report
	image  image

	frames   map[uint64]*parsed // by batch
	end      int64              // of the last frame, in bytes
	imageEnd uint64             // last batch of the image
	proven   uint64             // last batch that was durable for certain
	newest   uint64             // last batch of any frame
	unnamed  bool               // a frame was lost without a trace of what it held
}

// parse reads all frames and finds out how far they are proven.
func (d *decoding) parse() error {
	found := frame.Scan(d.file, d.id)
	d.frames = make(map[uint64]*parsed, len(found))
	d.end = headerBlocks * frame.BlockSize
	for i := range found {
		p, err := d.parseFrame(&found[i])
		if err != nil {
			return err
		}
		d.frames[p.Batch] = p
		d.end = max(d.end, p.end)
		d.proven = max(d.proven, p.Watermark)
		d.newest = max(d.newest, p.Batch)
		if p.hasFacts {
			d.imageEnd = p.imageEnd
		}
	}
	d.proven = max(d.proven, d.imageEnd)
	// Every frame takes a block, so the loops over batches are bounded by the file's size.
	blocks := uint64(len(d.file) / frame.BlockSize)
	if d.imageEnd == 0 || max(d.newest, d.proven) > blocks {
		return fmt.Errorf("%w: image to batch %d, proven to %d, in %d blocks",
			frame.ErrCorrupt, d.imageEnd, d.proven, blocks)
	}
	return nil
}

// replay builds the image from the proven frames and the last edit.
func (d *decoding) replay() error {
	for b := uint64(1); b <= d.proven; b++ {
		p := d.frames[b]
		if p == nil {
			d.report.fault(d.behind(b-1), "lost frame of batch %d", b)
			d.lose(b, nil)
			continue
		}
		d.take(p)
		if !p.enumerated {
			d.lose(b, p)
		}
	}
	d.replayLast()
	if len(d.image.logs)+len(d.image.damaged) == 0 && d.report.Frames == 0 {
		return fmt.Errorf("%w: no frame verifies", frame.ErrCorrupt)
	}
	d.image.unnamed = d.image.unnamed || d.unnamed
	d.report.Unnamed = d.image.unnamed
	d.report.Damaged = d.image.damagedList()
	return nil
}

// behind returns where the frame of batch b ends; when it is lost, the end of the headers.
func (d *decoding) behind(b uint64) int64 {
	if p := d.frames[b]; p != nil {
		return p.end
	}
	return headerBlocks * frame.BlockSize
}

// replayLast takes what stands above the proven frames, whole or not at all.
func (d *decoding) replayLast() {
	last := d.proven
	if first := d.frames[last+1]; first != nil && first.hasFacts {
		last = first.editEnd
	}
	whole := last <= d.newest
	for b := d.proven + 1; whole && b <= last; b++ {
		p := d.frames[b]
		whole = p != nil && p.complete && p.editEnd == last
	}
	if whole {
		for b := d.proven + 1; b <= last; b++ {
			d.take(d.frames[b])
		}
	}
	if !whole || d.newest > last {
		d.report.Torn = true
	}
	for at := d.end; at < int64(len(d.file)); at++ {
		if d.file[at] != 0 {
			d.report.fault(at, "bytes behind the last frame")
			d.report.Torn = true
			break
		}
	}
}

// take applies what verified of a frame and marks the logs whose records did not.
func (d *decoding) take(p *parsed) {
	d.report.Frames++
	if p.hasFacts {
		d.image.facts = p.facts
	}
	for _, c := range p.changes {
		if c.kind == kindLost {
			d.image.hit(c.id)
			continue
		}
		d.image.apply(c)
	}
}

// lose charges the loss of the frame of batch b, or of a part of it, to the logs that the
// next frame says it held. When that is lost too, every log may be hit; but a frame of the
// image hits none that is known, because the image holds each log once.
func (d *decoding) lose(b uint64, part *parsed) {
	next := d.frames[b+1]
	if next == nil || !next.HasTrailer {
		if b > d.imageEnd {
			d.image.hitAll()
		}
		d.unnamed = true
		return
	}
	seen := make(map[raftlog.LogID]bool)
	if part != nil {
		for _, c := range part.changes {
			seen[c.id] = true
		}
	}
	for _, id := range next.echo {
		if !seen[id] {
			d.image.hit(id)
		}
	}
}
