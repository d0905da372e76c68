package frame

import "encoding/binary"

// Tear says why bytes were dropped.
type Tear string

// The reasons for which a Decoder drops bytes.
const (
	TornHeader   Tear = "header"   // a header that no frame has
	TornEnd      Tear = "end"      // the byte behind the payload was not End
	TornSentinel Tear = "sentinel" // a run of Sentinel shorter than MinRun
)

// Handler receives what a Decoder finds, in the order of the bytes.
type Handler interface {
	Frame(Frame)
	// Torn reports that bytes were dropped. Nothing more is decoded until the
	// next run of Sentinel bytes.
	Torn(Tear)
}

// Decoder turns a byte stream, chunked in any way, into frames. It buffers at
// most one frame. The zero value is ready.
type Decoder struct {
	pending []byte
	hunting bool
	tearing bool // the hunt began with a run not yet proven long enough
	run     int
}

// Reset forgets a partial frame, as when the other side hung up.
func (d *Decoder) Reset() { *d = Decoder{pending: d.pending[:0]} }

// Feed decodes p and calls h for everything that it completes.
func (d *Decoder) Feed(p []byte, h Handler) {
	for len(p) > 0 {
		switch {
		case d.hunting:
			p = d.hunt(p, h)
		case len(d.pending) == 0 && p[0] == Sentinel:
			d.hunting, d.tearing, d.run = true, true, 0
		default:
			p = d.collect(p, h)
		}
	}
}

// hunt drops bytes up to the first one behind a long enough run.
func (d *Decoder) hunt(p []byte, h Handler) []byte {
	for i, b := range p {
		if b == Sentinel {
			d.run = min(d.run+1, MinRun)
			continue
		}
		if d.run == MinRun {
			d.hunting, d.tearing = false, false
			return p[i:]
		}
		d.run = 0
		if d.tearing {
			d.tearing = false
			h.Torn(TornSentinel)
		}
	}
	return nil
}

// collect takes bytes of the current frame from p and returns the rest.
func (d *Decoder) collect(p []byte, h Handler) []byte {
	if missing := HeaderSize - len(d.pending); missing > 0 {
		n := min(missing, len(p))
		d.pending = append(d.pending, p[:n]...)
		if p = p[n:]; n == missing && !d.plausible() {
			d.tear(TornHeader, h)
		}
		return p
	}
	length := int(binary.BigEndian.Uint32(d.pending[6:]))
	n := min(HeaderSize+length+1-len(d.pending), len(p))
	d.pending = append(d.pending, p[:n]...)
	if len(d.pending) == HeaderSize+length+1 {
		d.finish(h)
	}
	return p[n:]
}

func (d *Decoder) plausible() bool {
	b := d.pending
	return possible(Type(b[0]), b[1], binary.BigEndian.Uint32(b[2:]), binary.BigEndian.Uint32(b[6:]))
}

func (d *Decoder) finish(h Handler) {
	b := d.pending
	last := len(b) - 1
	if b[last] != End {
		d.tear(TornEnd, h)
		return
	}
	f := Frame{Type: Type(b[0]), Stream: binary.BigEndian.Uint32(b[2:]), Payload: b[HeaderSize:last]}
	d.pending = b[:0]
	h.Frame(f)
}

func (d *Decoder) tear(why Tear, h Handler) {
	d.pending, d.hunting, d.run = d.pending[:0], true, 0
	h.Torn(why)
}
