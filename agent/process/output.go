// Package process keeps the processes that the host asked for: their streams,
// their ends, and what of their output the host has not acknowledged. It outlives
// sessions, so that a new one can go on where an old one broke off.
package process

import (
	"sync"

	"linwin/agent/wire"
)

// Backlog is how much unacknowledged output one stream keeps, in bytes. A
// program that prints more waits in its write.
const Backlog = 1 << 20

// Output is one stream from a process to the host.
type Output struct {
	mu       sync.Mutex
	room     *sync.Cond
	kept     []byte // stream bytes from offset acked on
	acked    uint64
	sent     uint64
	limit    uint64 // the host accepts bytes before this offset
	ended    bool
	told     bool // EOF went out in this session
	useless  bool // nobody will ask for it
	hurried  bool // the process ended: take what is left whatever the backlog
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
	o.mu.Lock()
	for len(o.kept) >= Backlog && !o.hurried && !o.useless {
		o.room.Wait()
	}
	if o.useless {
		o.acked += uint64(len(p))
		o.sent = o.acked
	} else {
		o.kept = append(o.kept, p...)
	}
	wake := o.wake
	o.mu.Unlock()
	wake()
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
	o.useless = true
	o.acked += uint64(len(o.kept))
	o.sent, o.kept = o.acked, nil
	o.mu.Unlock()
	o.room.Broadcast()
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

func (o *Output) length() uint64 { return o.acked + uint64(len(o.kept)) }

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
	o.kept = o.kept[acked-o.acked:]
	if len(o.kept) == 0 {
		o.kept = nil // give the backing array back: most processes are idle
	}
	o.acked = acked
	o.room.Broadcast()
}

// Next copies the next bytes to send into p. ok is false when there is nothing
// to send now. eof, which comes once and last, means that the stream is offset
// bytes long.
func (o *Output) Next(p []byte) (offset uint64, n int, eof, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	unsent := o.kept[o.sent-o.acked:]
	if o.sent < o.limit && len(unsent) > 0 {
		n = copy(p, unsent[:min(uint64(len(unsent)), o.limit-o.sent)])
		offset = o.sent
		o.sent += uint64(n)
		return offset, n, false, true
	}
	if o.ended && len(unsent) == 0 && !o.told {
		o.told = true
		return o.sent, 0, true, true
	}
	return 0, 0, false, false
}

// Settled reports whether the host holds the whole stream.
func (o *Output) Settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended && len(o.kept) == 0
}
