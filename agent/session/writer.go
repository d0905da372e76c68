package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"os"
	"slices"
	"sync"
	"time"

	"linwin/agent/frame"
	"linwin/agent/process"
	"linwin/agent/wire"
)

// maxQueued bounds the control frames that wait for the port, in bytes. A host
// that asks without reading the answers loses its session.
const maxQueued = 4 << 20

// small is how many bytes are worth waiting for others that are ready as well.
const small = 4 << 10

// writer sends frames fairly: control frames first, then one DATA frame of each
// stream in turn. Its sessions follow one another on the same link.
type writer struct {
	link Link

	mu      sync.Mutex
	work    *sync.Cond
	session uint64 // the number of the session whose frames are sent, 0 for none
	control []byte
	streams []sender
	turn    int
}

// sender is an output stream under the number that the session gave it.
type sender struct {
	stream uint32
	output *process.Output
}

func newWriter(link Link) *writer {
	w := &writer{link: link}
	w.work = sync.NewCond(&w.mu)
	return w
}

// begin drops everything of the session before, even a half-written frame, and
// sends the resync run and hello of a session that has a number of its own.
func (w *writer) begin(session uint64, hello wire.Hello) {
	opening := bytes.Repeat([]byte{frame.Sentinel}, frame.RunLength)
	w.replace(session, frame.Append(opening, frame.Hello, 0, encode(hello)))
}

// end drops what is queued and sends nothing until the next begin.
func (w *writer) end() { w.replace(0, nil) }

func (w *writer) replace(session uint64, control []byte) {
	w.mu.Lock()
	w.session, w.control, w.streams, w.turn = session, control, nil, 0
	w.mu.Unlock()
	w.interrupt()
}

func (w *writer) interrupt() {
	if err := w.link.SetWriteDeadline(time.Now()); err != nil {
		log.Printf("port: interrupt a write: %v", err)
	}
	w.wake()
}

// wake looks for work again; streams call it when they have bytes or credit.
// Without the lock a signal could fall between next's look and its wait.
func (w *writer) wake() {
	w.mu.Lock()
	w.work.Signal()
	w.mu.Unlock()
}

// add lets a stream take part.
func (w *writer) add(stream uint32, output *process.Output) {
	w.mu.Lock()
	w.streams = append(w.streams, sender{stream, output})
	w.work.Signal()
	w.mu.Unlock()
}

// drop takes outputs out.
func (w *writer) drop(outputs ...*process.Output) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams = slices.DeleteFunc(w.streams, func(s sender) bool { return slices.Contains(outputs, s.output) })
}

// send queues an encoded control frame of a session, and drops it when that
// session is over. It reports false when too much waits.
func (w *writer) send(session uint64, encoded []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if session != w.session {
		return true
	}
	if len(w.control)+len(encoded) > maxQueued {
		return false
	}
	w.control = append(w.control, encoded...)
	w.work.Signal()
	return true
}

// run writes for ever.
func (w *writer) run() {
	buffer := make([]byte, frame.MaxSize)
	for {
		encoded, session := w.next(buffer)
		if err := w.write(encoded, session); err != nil {
			log.Printf("port: write: %v", err)
			w.end()
		}
	}
}

// next waits for work and returns at most one write's worth, which may lie in buffer.
// Small frames go out together: each write is an exit from the guest.
func (w *writer) next(buffer []byte) (encoded []byte, session uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		gathered := copy(buffer, w.control)
		w.control = w.control[gathered:]
		for gathered < small {
			encoded = w.nextData(buffer[gathered:])
			if gathered == 0 && len(encoded) >= small {
				return encoded, w.session // it need not lie in buffer
			}
			if encoded == nil {
				break
			}
			gathered += len(encoded)
		}
		if gathered > 0 {
			return buffer[:gathered], w.session
		}
		w.work.Wait()
	}
}

// nextData returns the next stream's next frame, nil when no stream has any.
func (w *writer) nextData(buffer []byte) []byte {
	for range w.streams {
		w.turn = (w.turn + 1) % len(w.streams)
		s := w.streams[w.turn]
		encoded, eof := s.output.Next(buffer, s.stream)
		if eof {
			w.streams = slices.Delete(w.streams, w.turn, w.turn+1)
		}
		if encoded != nil {
			return encoded
		}
	}
	return nil
}

// write sends p unless its session ends meanwhile.
func (w *writer) write(p []byte, session uint64) error {
	for len(p) > 0 {
		if w.stale(session) {
			return nil
		}
		n, err := w.link.Write(p)
		p = p[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = w.link.SetWriteDeadline(time.Time{})
		}
		if errors.Is(err, ErrHangup) {
			return nil // the reader sees it too and ends the session
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) stale(session uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.session != session
}

// encode makes the JSON of a control frame; all of wire's types can be encoded.
func encode(v any) []byte {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return payload
}
