// Package process keeps the processes that the host asked for: their streams,
// their ends, and what of their output the host has not acknowledged. It outlives
// sessions, so that a new one can go on where an old one broke off.
package process

import (
	"sync"

	"linwin/agent/frame"
	"linwin/agent/wire"
)

// Backlog is how much unacknowledged output one stream keeps, in bytes. A
// program that prints more waits in its write.
const Backlog = 1 << 20

// floodPieces is how many blocks are read at once from a program that prints much: it
// can then print as much before it is the agent's turn again.
const floodPieces = 4

// Output is one stream from a process to the host.
type Output struct {
	mu       sync.Mutex
	room     *sync.Cond
	kept     backlog // stream bytes from offset acked on
	acked    uint64
	sent     uint64
	limit    uint64 // the host accepts bytes before this offset
	ended    bool
	told     bool // EOF went out in this session
	flood    bool // the last read brought much
	hurried  bool // the process ended: take what is left whatever the backlog
	dropped  bool // nobody will ask for it
	attached bool
	wake     func()
}

func newOutput() *Output {
	o := &Output{wake: func() {}}
	o.room = sync.NewCond(&o.mu)
	return o
}

// append adds printed bytes, waiting while the backlog is full.
func (o *Output) append(p []byte) {
	for len(p) > 0 {
		n, _ := o.fill(func(room [][]byte) (int, error) { return copy(room[0], p), nil })
		p = p[n:]
	}
}

// fill has read put printed bytes where they are kept, waiting before that while
// the backlog is full. read must not wait: the lock is held over it.
func (o *Output) fill(read func(room [][]byte) (int, error)) (int, error) {
	o.mu.Lock()
	for o.kept.length >= Backlog && !o.hurried && !o.dropped {
		o.room.Wait()
	}
	pieces := 1
	if o.flood {
		pieces = floodPieces
	}
	n, err := read(o.kept.room(pieces))
	n = max(n, 0)
	o.kept.add(n)
	if o.dropped {
		o.forget()
	}
	o.flood = n >= leastWhole
	wake := o.wake
	o.mu.Unlock()
	if n > 0 {
		wake()
	}
	return n, err
}

// hurry lets append go beyond the backlog, which the caller bounds.
func (o *Output) hurry() {
	o.mu.Lock()
	o.hurried = true
	o.mu.Unlock()
	o.room.Broadcast()
}

// discard drops what is kept and all that comes.
func (o *Output) discard() {
	o.mu.Lock()
	o.dropped = true
	o.forget()
	o.mu.Unlock()
	o.room.Broadcast()
}

// forget drops what is kept, as if the host had acknowledged it.
func (o *Output) forget() {
	o.acked += uint64(o.kept.length)
	o.sent = o.acked
	o.kept.drop(o.kept.length)
}

// end closes the stream and returns its length.
func (o *Output) end() uint64 {
	o.mu.Lock()
	o.ended = true
	length, wake := o.length(), o.wake
	o.mu.Unlock()
	wake()
	return length
}

func (o *Output) length() uint64 { return o.acked + uint64(o.kept.length) }

// Attach makes a session the receiver of the stream, from offset from on, with
// window bytes of credit. wake is called whenever Next may have something.
func (o *Output) Attach(from uint64, window uint32, wake func()) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.attached {
		return wire.Errorf(wire.Invalid, "the process has its streams in this session already")
	}
	if from < o.acked || from > o.length() {
		return wire.Errorf(wire.Invalid, "offset %d is not among the kept bytes %d to %d", from, o.acked, o.length())
	}
	o.release(from)
	o.sent, o.limit, o.told, o.wake, o.attached = from, from+uint64(window), false, wake, true
	return nil
}

// Detach ends the stream's part in a session; output is kept from now on.
func (o *Output) Detach() {
	o.mu.Lock()
	o.wake, o.attached = func() {}, false
	o.mu.Unlock()
}

// Credit notes that the host holds everything before acked and accepts window
// bytes behind it.
func (o *Output) Credit(acked uint64, window uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if acked > o.sent {
		return wire.Errorf(wire.Invalid, "acknowledged %d bytes of %d sent", acked, o.sent)
	}
	if acked > o.acked {
		o.release(acked)
	}
	o.limit = max(o.limit, acked+uint64(window))
	return nil
}

func (o *Output) release(acked uint64) {
	o.kept.drop(int(acked - o.acked))
	o.acked = acked
	o.room.Broadcast()
}

// Next returns the frame to send next on the stream with the given number, nil when
// there is none now. It lies in buffer, which has room for a frame, or where the
// output is kept, and is good until the next call. eof, which comes once and last,
// says that the frame is the stream's end.
func (o *Output) Next(buffer []byte, stream uint32) (encoded []byte, eof bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	unsent := uint64(o.kept.length) - (o.sent - o.acked)
	if o.sent < o.limit && unsent > 0 {
		encoded, n := o.kept.take(buffer, stream, o.sent, int(o.sent-o.acked), int(min(unsent, o.limit-o.sent)))
		o.sent += uint64(n)
		return encoded, false
	}
	if o.ended && unsent == 0 && !o.told {
		o.told = true
		return frame.AppendEOF(buffer[:0], stream, o.sent), true
	}
	return nil, false
}

// Settled reports whether the host holds the whole stream.
func (o *Output) Settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended && o.kept.length == 0
}
