package process

import "io"

// NewOutput makes a stream to the host that is no process's.
func NewOutput() *Output { return newOutput() }

// Write implements io.Writer. It waits while the backlog is full, and fails once
// the stream was dropped.
func (o *Output) Write(p []byte) (int, error) {
	o.append(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// End closes the stream and returns its length.
func (o *Output) End() uint64 { return o.end() }

// Drop gives the stream up, with what was not sent of it.
func (o *Output) Drop() {
	o.mu.Lock()
	o.dropped, o.told = true, true
	o.forget()
	o.mu.Unlock()
	o.room.Broadcast()
}

// NewInput makes a stream from the host that is no process's.
func NewInput() *Input { return newInput() }

// Read implements io.Reader, and lets the host send as much again.
func (in *Input) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.queue) == 0 && !in.closed {
		in.change.Wait()
	}
	if len(in.queue) == 0 {
		if in.dropped {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, io.EOF
	}
	n := copy(p, in.queue[0])
	if in.queue[0] = in.queue[0][n:]; len(in.queue[0]) == 0 {
		in.queue = in.queue[1:]
	}
	in.wrote(n)
	return n, nil
}

// Drop gives the stream up: its reader fails.
func (in *Input) Drop() {
	in.mu.Lock()
	in.queue, in.dropped = nil, true
	in.close()
	in.mu.Unlock()
}
