package process

import (
	"io"
	"sync"

	"linwin/agent/wire"
)

// Window is how much unwritten stdin a process's side accepts, in bytes.
const Window = 256 << 10

// Input is the stream from the host to a process's stdin.
type Input struct {
	mu       sync.Mutex
	change   *sync.Cond
	queue    [][]byte
	received uint64
	written  uint64
	closed   bool // no more will come, or nobody reads
	dropped  bool // the rest will never come
	credit   func(acked uint64, window uint32)
}

func newInput() *Input {
	in := &Input{credit: func(uint64, uint32) {}}
	in.change = sync.NewCond(&in.mu)
	return in
}

// Attach makes a session the sender of the stream and grants it credit through
// the given function.
func (in *Input) Attach(credit func(acked uint64, window uint32)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.credit = credit
	credit(in.written, Window)
}

// Received tells how many bytes have arrived; a new session goes on from there.
func (in *Input) Received() uint64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.received
}

// Detach ends the session's part; what was received is still written.
func (in *Input) Detach() {
	in.mu.Lock()
	in.credit = func(uint64, uint32) {}
	in.mu.Unlock()
}

// Data takes bytes that begin at offset. It copies them.
func (in *Input) Data(offset uint64, data []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if offset != in.received {
		return wire.Errorf(wire.Invalid, "stdin data at offset %d, expected %d", offset, in.received)
	}
	if in.received+uint64(len(data)) > in.written+Window {
		return wire.Errorf(wire.Invalid, "stdin data beyond the window")
	}
	in.received += uint64(len(data))
	in.queue = append(in.queue, append([]byte(nil), data...))
	in.change.Signal()
	return nil
}

// Close takes the end of a stream that is length bytes long.
func (in *Input) Close(length uint64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if length != in.received {
		return wire.Errorf(wire.Invalid, "stdin ends at offset %d, expected %d", length, in.received)
	}
	in.close()
	return nil
}

func (in *Input) abandon() {
	in.mu.Lock()
	in.close()
	in.mu.Unlock()
}

func (in *Input) close() {
	in.closed = true
	in.change.Signal()
}

// pump writes what arrives to w until the stream ends, and closes w. A process
// that stopped reading is no error: the rest is taken and dropped, as a pipe
// whose reader is gone would.
func (in *Input) pump(w io.WriteCloser) {
	defer w.Close()
	readable := true
	for {
		chunk, ok := in.take()
		if !ok {
			return
		}
		if readable {
			_, err := w.Write(chunk)
			readable = err == nil
		}
		in.mu.Lock()
		in.wrote(len(chunk))
		in.mu.Unlock()
	}
}

// wrote grants credit for n more bytes. Called with the lock held, or a session that
// attaches meanwhile would get its credits in the wrong order.
func (in *Input) wrote(n int) {
	in.written += uint64(n)
	in.credit(in.written, Window)
}

func (in *Input) take() (chunk []byte, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.queue) == 0 && !in.closed {
		in.change.Wait()
	}
	if len(in.queue) == 0 {
		return nil, false
	}
	chunk, in.queue = in.queue[0], in.queue[1:]
	return chunk, true
}
