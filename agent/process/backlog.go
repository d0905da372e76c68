package process

import (
	"sync"

	"linwin/agent/frame"
)

// block holds stream bytes in the place that they have in a DATA frame, so that a
// full one is sent without a copy, which would cost as much as all else together.
type block struct {
	frame [frame.MaxSize]byte
	size  int  // bytes of the stream, at frame.DataStart
	whole bool // sent as one frame: nothing is added to it any more
}

func (b *block) bytes() []byte { return b.frame[frame.DataStart : frame.DataStart+b.size] }

func (b *block) room() []byte {
	return b.frame[frame.DataStart+b.size : frame.DataStart+frame.MaxData]
}

const (
	// leastWhole is how many bytes make a block worth sending as it is, since what
	// it lacks stays empty.
	leastWhole = frame.MaxData / 2
	// leastRoom is how much room makes it worth adding to a block.
	leastRoom = frame.MaxData / 4
)

var spare = sync.Pool{New: func() any { return new(block) }}

// backlog is a queue of stream bytes. The zero value is ready.
type backlog struct {
	blocks  []*block
	gone    int    // bytes of the first block that were dropped
	length  int    // bytes in the queue
	pending *block // is being written by who took it with take, or was

	free  [][]byte // the room given out, and
	fresh []*block // those blocks of it that are not in the queue yet
}

// room returns space for bytes behind the newest, in at least one piece and at most
// pieces. What is filled of it, from the front, must be told to add before anything else.
func (q *backlog) room(pieces int) [][]byte {
	room := q.free[:0]
	if n := len(q.blocks); n > 0 {
		if last := q.blocks[n-1]; !last.whole && len(last.room()) >= leastRoom {
			room = append(room, last.room())
		}
	}
	for len(room) < pieces {
		fresh := spare.Get().(*block)
		fresh.size, fresh.whole = 0, false
		q.fresh = append(q.fresh, fresh)
		room = append(room, fresh.room())
	}
	q.free = room
	return room
}

// add takes the first n bytes of the room into the queue.
func (q *backlog) add(n int) {
	q.length += n
	if older := len(q.free) - len(q.fresh); older > 0 {
		into := min(n, len(q.free[0]))
		q.blocks[len(q.blocks)-1].size += into
		n -= into
	}
	for _, b := range q.fresh {
		if n == 0 {
			spare.Put(b)
			continue
		}
		b.size = min(n, frame.MaxData)
		n -= b.size
		q.blocks = append(q.blocks, b)
	}
	clear(q.fresh)
	clear(q.free)
	q.fresh = q.fresh[:0]
}

// take returns a DATA frame whose bytes begin at offset in the queue, of at most
// limit bytes and not 0, and how many they are. A frame of few bytes, and any where
// buffer has no room for a longest, lies in buffer; others may lie in the queue, and
// are good until the next take.
func (q *backlog) take(buffer []byte, stream uint32, position uint64, offset, limit int) ([]byte, int) {
	q.pending = nil
	at, b := q.find(offset)
	n := min(b.size-at, limit)
	if at == 0 && n == b.size && n >= leastWhole && len(buffer) == frame.MaxSize {
		b.whole, q.pending = true, b
		return frame.CloseData(b.frame[:0], stream, position, n), n
	}
	n = copy(buffer[frame.DataStart:len(buffer)-1], b.bytes()[at:at+n])
	return frame.CloseData(buffer[:0], stream, position, n), n
}

// find returns the block that holds the byte at offset, and where in it.
func (q *backlog) find(offset int) (int, *block) {
	offset += q.gone
	for _, b := range q.blocks {
		if offset < b.size {
			return offset, b
		}
		offset -= b.size
	}
	panic("process: an offset that is not in the backlog")
}

// drop forgets the n oldest bytes.
func (q *backlog) drop(n int) {
	q.length -= n
	q.gone += n
	for len(q.blocks) > 0 && (q.gone >= q.blocks[0].size || q.length == 0) {
		first := q.blocks[0]
		q.gone -= first.size
		q.blocks[0] = nil
		q.blocks = q.blocks[1:]
		if first != q.pending {
			spare.Put(first)
		}
	}
	if q.length == 0 {
		q.blocks, q.gone = nil, 0
	}
}
