package session

import (
	"log"
	"maps"
	"runtime/debug"
	"slices"

	"linwin/agent/frame"
	"linwin/agent/process"
	"linwin/agent/wire"
)

// operation answers one request. It runs on a goroutine of its own, so that it
// may take its time.
type operation func(*Server, call) (any, error)

// operations are the requests that this agent knows, by name.
var operations = map[string]operation{
	"ping":      func(*Server, call) (any, error) { return nil, nil },
	"warm":      warm,
	"rehearse":  rehearse,
	"prepare":   prepare,
	"processes": processes,
	"exec":      execute,
	"adopt":     adopt,
	"clock":     clock,
	"drop":      drop,
	"flush":     flush,
	"forget":    forget,
	"get":       get,
	"mount":     mount,
	"net":       connect,
	"put":       put,
	"resize":    resize,
	"signal":    signal,
	"stat":      stat,
	"stats":     stats,
	"wait":      wait,
	"shutdown":  shutdown,
	"unmount":   unmount,
}

// mountRequests are what an agent whose guest is no Mounts does not know.
var mountRequests = []string{"mount", "unmount"}

// networkRequests are what an agent whose guest is no Network does not know.
var networkRequests = []string{"forget", "net"}

// call is one request under way.
type call struct {
	id      uint32
	session uint64
	payload []byte
}

// part keeps a piece of a request that is longer than a frame.
func (s *Server) part(id uint32, piece []byte) error {
	s.held += len(piece)
	if s.held > wire.MaxRequest {
		return wire.Errorf(wire.Invalid, "requests under way are longer than %d bytes", wire.MaxRequest)
	}
	s.parts[id] = append(s.parts[id], piece...)
	return nil
}

// join makes the whole request of the parts before its last piece.
func (s *Server) join(id uint32, last []byte) ([]byte, error) {
	parts := s.parts[id]
	delete(s.parts, id)
	s.held -= len(parts)
	if len(parts)+len(last) > wire.MaxRequest {
		return nil, wire.Errorf(wire.Invalid, "a request is longer than %d bytes", wire.MaxRequest)
	}
	return append(parts, last...), nil
}

// request starts the operation that the host asks for. Requests that touch
// streams are ordered by the host: it waits for the answer before it uses them.
func (s *Server) request(id uint32, payload []byte) error {
	whole, err := s.join(id, payload)
	if err != nil {
		return err
	}
	s.mu.Lock()
	c := call{id, s.number, whole}
	s.requests++
	tooMany := s.requests > maxRequests
	s.mu.Unlock()
	if tooMany {
		return wire.Errorf(wire.Invalid, "more than %d requests under way", maxRequests)
	}
	go s.serve(c)
	return nil
}

func (s *Server) serve(c call) {
	var request wire.Request
	result, err := any(nil), wire.Decode(c.payload, &request)
	if err == nil {
		if run := operations[request.Op]; run != nil {
			result, err = run(s, c)
		} else {
			err = wire.Errorf(wire.Invalid, "unknown request: %q", request.Op)
		}
	}
	s.answer(c, wire.Respond(result, err))
}

// answer sends a response if its session is still the current one.
func (s *Server) answer(c call, response wire.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session != s.number {
		return
	}
	s.requests--
	payload := encode(response)
	if len(payload) > frame.MaxPayload {
		payload = encode(wire.Respond(nil, wire.Errorf(wire.Internal, "the answer is longer than a frame")))
	}
	s.send(c.session, frame.Append(nil, frame.Response, c.id, payload))
}

func warm(s *Server, _ call) (any, error) {
	if err := s.Guest.Warm(); err != nil {
		return nil, err
	}
	return nil, settle()
}

// settle does now what an agent does once or from time to time, so that none that goes on
// from here has to: it learns to read the requests of a start, and collects its garbage.
func settle() error {
	size := wire.Size{}
	for _, request := range []any{
		&wire.Preparation{Interfaces: []wire.Interface{{DNS: []string{""}}}, Entropy: []byte{0}},
		&wire.Exec{Argv: []string{""}, Env: map[string]string{"": ""}, Terminal: &size},
		&wire.Wait{}, &wire.Exit{},
	} {
		if err := wire.Decode(encode(request), request); err != nil {
			return err
		}
	}
	debug.FreeOSMemory()
	return nil
}

func rehearse(s *Server, c call) (any, error) {
	var r wire.Rehearsal
	if err := wire.Decode(c.payload, &r); err != nil {
		return nil, err
	}
	return nil, s.Guest.Rehearse(r)
}

func prepare(s *Server, c call) (any, error) {
	var p wire.Preparation
	if err := wire.Decode(c.payload, &p); err != nil {
		return nil, err
	}
	return nil, s.Guest.Prepare(p)
}

func execute(s *Server, c call) (any, error) {
	var e wire.Exec
	if err := wire.Decode(c.payload, &e); err != nil {
		return nil, err
	}
	attached := false
	p, err := s.Table.Start(e, func(p *process.Process) error {
		err := s.attach(c, p, e.Streams, 0, 0)
		attached = err == nil
		return err
	})
	if err != nil && attached {
		s.detach(c, e.Streams)
	}
	if err == nil && e.Transient && s.over(c) {
		p.Abandon() // its session ended while it was being started
	}
	if err == nil {
		go s.retire(c, p, e.Streams)
	}
	return nil, err
}

var errOver = wire.Errorf(wire.Unavailable, "the session is over")

// over tells whether the session of a call has ended.
func (s *Server) over(c call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.session != s.number
}

func adopt(s *Server, c call) (any, error) {
	var a wire.Adopt
	if err := wire.Decode(c.payload, &a); err != nil {
		return nil, err
	}
	p, err := s.Table.Get(a.Process)
	if err != nil {
		return nil, err
	}
	if err := s.attach(c, p, a.Streams, a.Stdout, a.Stderr); err != nil {
		return nil, err
	}
	go s.retire(c, p, a.Streams)
	if p.Stdin == nil {
		return wire.Adopted{}, nil
	}
	received := p.Stdin.Received()
	return wire.Adopted{Stdin: &received}, nil
}

// attach connects a process's streams to the session that asked for it.
func (s *Server) attach(c call, p *process.Process, n wire.Streams, stdout, stderr uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session != s.number {
		return errOver
	}
	if n.Stdout == 0 || n.Stderr == 0 || n.Stdout == n.Stderr || s.outputs[n.Stdout] != nil || s.outputs[n.Stderr] != nil {
		return errTaken
	}
	if err := p.Stdout.Attach(stdout, n.Window, s.writer.wake); err != nil {
		return err
	}
	if err := p.Stderr.Attach(stderr, n.Window, s.writer.wake); err != nil {
		p.Stdout.Detach()
		return err
	}
	s.outputs[n.Stdout], s.outputs[n.Stderr] = p.Stdout, p.Stderr
	s.writer.add(n.Stdout, p.Stdout)
	s.writer.add(n.Stderr, p.Stderr)
	if p.Stdin != nil && n.Stdin != 0 {
		s.inputs[n.Stdin] = p.Stdin
		p.Stdin.Attach(func(acked uint64, window uint32) {
			s.send(c.session, frame.AppendCredit(nil, n.Stdin, acked, window))
		})
	}
	return nil
}

// retire forgets the streams of a process that has ended, all but those of which the
// host has yet to acknowledge something, which it forgets then.
func (s *Server) retire(c call, p *process.Process, n wire.Streams) {
	<-p.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session != s.number {
		return
	}
	delete(s.inputs, n.Stdin)
	if p.Stdout.Settled() {
		delete(s.outputs, n.Stdout)
	}
	if p.Stderr.Settled() {
		delete(s.outputs, n.Stderr)
	}
}

// detach frees the stream numbers of a process that did not start.
func (s *Server) detach(c call, n wire.Streams) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session != s.number {
		return
	}
	s.writer.drop(s.outputs[n.Stdout], s.outputs[n.Stderr])
	delete(s.outputs, n.Stdout)
	delete(s.outputs, n.Stderr)
	delete(s.inputs, n.Stdin)
}

func signal(s *Server, c call) (any, error) {
	var request wire.Signal
	if err := wire.Decode(c.payload, &request); err != nil {
		return nil, err
	}
	p, err := s.Table.Get(request.Process)
	if err != nil {
		return nil, err
	}
	return nil, p.Signal(request.Name)
}

func resize(s *Server, c call) (any, error) {
	var request wire.Resize
	if err := wire.Decode(c.payload, &request); err != nil {
		return nil, err
	}
	p, err := s.Table.Get(request.Process)
	if err != nil {
		return nil, err
	}
	return nil, p.Resize(request.Size)
}

func processes(s *Server, _ call) (any, error) {
	observer, err := s.observer()
	if err != nil {
		return nil, err
	}
	return observer.Processes()
}

func stats(s *Server, _ call) (any, error) {
	observer, err := s.observer()
	if err != nil {
		return nil, err
	}
	return observer.Usage()
}

func (s *Server) observer() (Observer, error) {
	if observer, ok := s.Guest.(Observer); ok {
		return observer, nil
	}
	return nil, wire.Errorf(wire.Unavailable, "this guest does not tell what its programs take")
}

func clock(s *Server, c call) (any, error) {
	var request wire.Clock
	if err := wire.Decode(c.payload, &request); err != nil {
		return nil, err
	}
	if request.TimeNS <= 0 {
		return nil, wire.Errorf(wire.Invalid, "%d is no time of day", request.TimeNS)
	}
	guest, ok := s.Guest.(Clock)
	if !ok {
		return nil, wire.Errorf(wire.Unavailable, "this guest's clock cannot be set")
	}
	offset, err := guest.SetClock(request.TimeNS)
	return wire.ClockSet{OffsetNS: offset}, err
}

func connect(s *Server, c call) (any, error) {
	var request wire.Net
	if err := wire.Decode(c.payload, &request); err != nil {
		return nil, err
	}
	guest, err := s.network()
	if err != nil {
		return nil, err
	}
	return nil, guest.Connect(request.Interface)
}

func mount(s *Server, c call) (any, error) {
	var request wire.Mounts
	if err := wire.Decode(c.payload, &request); err != nil {
		return nil, err
	}
	guest, err := s.mounts()
	if err != nil {
		return nil, err
	}
	return nil, guest.Mount(request.Mounts)
}

func unmount(s *Server, _ call) (any, error) {
	guest, err := s.mounts()
	if err != nil {
		return nil, err
	}
	return nil, guest.Unmount()
}

func (s *Server) mounts() (Mounts, error) {
	if guest, ok := s.Guest.(Mounts); ok {
		return guest, nil
	}
	return nil, wire.Errorf(wire.Unavailable, "this guest cannot mount files of the host")
}

func forget(s *Server, c call) (any, error) {
	var request wire.Forget
	if err := wire.Decode(c.payload, &request); err != nil {
		return nil, err
	}
	guest, err := s.network()
	if err != nil {
		return nil, err
	}
	return nil, guest.Forget(request.MAC)
}

func (s *Server) network() (Network, error) {
	if guest, ok := s.Guest.(Network); ok {
		return guest, nil
	}
	return nil, wire.Errorf(wire.Unavailable, "this guest configures its NICs itself")
}

func wait(s *Server, c call) (any, error) {
	var request wire.Wait
	if err := wire.Decode(c.payload, &request); err != nil {
		return nil, err
	}
	p, err := s.Table.Get(request.Process)
	if err != nil {
		return nil, err
	}
	<-p.Done()
	return p.Exit(), nil
}

func flush(s *Server, _ call) (any, error) { return nil, s.Guest.Flush() }

func shutdown(s *Server, c call) (any, error) {
	log.Print("shutting down")
	s.transfers.close()
	if err := s.Table.Close(); err != nil {
		return nil, err
	}
	return nil, s.Guest.Shutdown()
}

// Capabilities are the names of the requests, for the hello.
func Capabilities() []string {
	return slices.Sorted(maps.Keys(operations))
}
