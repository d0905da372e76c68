package session

import (
	"bufio"
	"io"
	"sync"

	"linwin/agent/frame"
	"linwin/agent/process"
	"linwin/agent/wire"
)

// pieceSize is how much of an archive moves at a time, in bytes.
const pieceSize = 64 << 10

// Files are what can be copied.
type Files interface {
	Stat(path string, folder bool) (wire.FileStat, error)
	// Get writes a tar whose first member is called base.
	Get(path string, folder bool, base string, w io.Writer) error
	// Put unpacks a tar into a folder.
	Put(path string, keepKinds bool, archive io.Reader) error
}

// fileRequests are what an agent without Files does not know.
var fileRequests = []string{"drop", "get", "put", "stat"}

// transfer is an archive under way.
type transfer interface{ Drop() }

// track is the stream of one session that an archive is on: a request of a session that
// is over may still run while the next one uses the same numbers.
type track struct {
	session uint64
	stream  uint32
}

// transfers are the archives under way.
type transfers struct {
	mu       sync.Mutex
	open     map[track]transfer
	unwanted map[track]bool // given up before they began: requests run side by side
	running  sync.WaitGroup
	closed   bool
}

// begin takes a transfer in, unless it was given up already.
func (t *transfers) begin(on track, one transfer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return wire.Errorf(wire.Unavailable, "the guest is shutting down")
	case t.unwanted[on]:
		delete(t.unwanted, on)
		return errDropped
	case t.open[on] != nil:
		return errTaken
	}
	if t.open == nil {
		t.open = map[track]transfer{}
	}
	t.open[on] = one
	t.running.Add(1)
	return nil
}

var (
	errDropped = wire.Errorf(wire.Unavailable, "the archive was given up")
	errTaken   = wire.Errorf(wire.Invalid, "stream numbers are missing or taken")
)

func (t *transfers) end(on track) {
	t.mu.Lock()
	delete(t.open, on)
	t.mu.Unlock()
	t.running.Done()
}

// giveUp drops one transfer, now or when it begins, unless it has begun and is over.
func (t *transfers) giveUp(on track, begun bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.open[on]; one != nil {
		one.Drop()
		return nil
	}
	if begun {
		return nil
	}
	if len(t.unwanted) >= maxRequests {
		return wire.Errorf(wire.Invalid, "more than %d archives were given up that never began", maxRequests)
	}
	if t.unwanted == nil {
		t.unwanted = map[track]bool{}
	}
	t.unwanted[on] = true
	return nil
}

// drop gives all up: their session is over, which a request that begins one later sees.
func (t *transfers) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.open {
		one.Drop()
	}
	t.open, t.unwanted = nil, nil
}

// close gives all up for good, and returns when none touches a file any more.
func (t *transfers) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.drop()
	t.running.Wait()
}

func stat(s *Server, c call) (any, error) {
	var place wire.Place
	if err := s.decodeForFiles(c, &place); err != nil {
		return nil, err
	}
	found, err := s.Files.Stat(place.Path, place.Folder)
	return found, err
}

func (s *Server) decodeForFiles(c call, request any) error {
	if s.Files == nil {
		return wire.Errorf(wire.Unavailable, "this guest has no files to copy")
	}
	return wire.Decode(c.payload, request)
}

// get sends an archive on a stream. Its answer comes when all of it is on its way.
func get(s *Server, c call) (any, error) {
	var g wire.Get
	if err := s.decodeForFiles(c, &g); err != nil {
		return nil, err
	}
	output, on := process.NewOutput(), track{c.session, g.Stream}
	if err := s.transfers.begin(on, output); err != nil {
		return nil, err
	}
	defer s.transfers.end(on)
	if err := s.attachOutput(c, g, output); err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(output, pieceSize)
	err := s.Files.Get(g.Path, g.Folder, g.Base, w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		s.dropOutput(c, g.Stream, output)
		return nil, err
	}
	return wire.Got{Length: output.End()}, nil
}

func (s *Server) attachOutput(c call, g wire.Get, output *process.Output) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.free(c, g.Stream); err != nil {
		return err
	}
	if err := output.Attach(0, g.Window, s.writer.wake); err != nil {
		return err
	}
	s.outputs[g.Stream] = output
	s.writer.add(g.Stream, output)
	return nil
}

// free refuses a stream number that is missing or taken. Called with the lock held.
func (s *Server) free(c call, stream uint32) error {
	if c.session != s.number {
		return errOver
	}
	if stream == 0 || s.outputs[stream] != nil || s.inputs[stream] != nil {
		return errTaken
	}
	return nil
}

// dropOutput sees to it that nothing of a stream is sent from now on.
func (s *Server) dropOutput(c call, stream uint32, output *process.Output) {
	output.Drop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session == s.number {
		s.writer.drop(output)
		delete(s.outputs, stream)
	}
}

// put unpacks an archive that comes on a stream.
func put(s *Server, c call) (any, error) {
	var p wire.Put
	if err := s.decodeForFiles(c, &p); err != nil {
		return nil, err
	}
	input, on := process.NewInput(), track{c.session, p.Stream}
	if err := s.transfers.begin(on, input); err != nil {
		return nil, err
	}
	defer s.transfers.end(on)
	if err := s.attachInput(c, p.Stream, input); err != nil {
		return nil, err
	}
	err := s.Files.Put(p.Path, p.KeepKinds, bufio.NewReaderSize(input, pieceSize))
	s.mu.Lock()
	if c.session == s.number {
		delete(s.inputs, p.Stream) // what still comes is dropped
	}
	s.mu.Unlock()
	return nil, err
}

func (s *Server) attachInput(c call, stream uint32, input *process.Input) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.free(c, stream); err != nil {
		return err
	}
	s.inputs[stream] = input
	input.Attach(func(acked uint64, window uint32) {
		s.send(c.session, frame.AppendCredit(nil, stream, acked, window))
	})
	return nil
}

// drop gives an archive up. Nothing of it is sent behind the answer.
func drop(s *Server, c call) (any, error) {
	var d wire.Drop
	if err := s.decodeForFiles(c, &d); err != nil {
		return nil, err
	}
	s.mu.Lock()
	over, output := c.session != s.number, s.outputs[d.Stream]
	s.mu.Unlock()
	if over {
		return nil, errOver // the stream is another's now
	}
	err := s.transfers.giveUp(track{c.session, d.Stream}, output != nil)
	if output != nil {
		s.dropOutput(c, d.Stream, output)
	}
	return nil, err
}
