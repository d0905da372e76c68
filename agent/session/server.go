package session

import (
	"encoding/binary"
	"errors"
	"log"
	"slices"
	"sync"
	"time"

	"linwin/agent/frame"
	"linwin/agent/process"
	"linwin/agent/wire"
)

const (
	// quiet is how long a session may go without a byte from the host before the
	// agent asks for a sign of life, and dead when it gives the session up.
	quiet = 15 * time.Second
	dead  = 60 * time.Second
	// maxRequests bounds the requests that one session has under way.
	maxRequests = 256
)

// Guest is what the requests act on beside processes: it is what differs
// between sorts of guests.
type Guest interface {
	// Warm starts what every container will need, before there is one.
	Warm() error
	// Rehearse has a guest that is restored do once what it will for its container.
	Rehearse(wire.Rehearsal) error
	// Prepare makes the guest into one container.
	Prepare(wire.Preparation) error
	// Flush writes the registry and all that waits in memory out. Programs go on.
	Flush() error
	// Shutdown leaves the disk clean. Every process has ended by then.
	Shutdown() error
}

// Observer is a Guest that tells what its programs take.
type Observer interface {
	// Processes lists those that the container's user would call theirs.
	Processes() (wire.Processes, error)
	// Usage adds up what they have taken.
	Usage() (wire.Usage, error)
}

// Clock is a Guest whose clock can be set.
type Clock interface {
	// SetClock sets the time of day, in nanoseconds since the epoch, and tells
	// how far the guest's own was ahead.
	SetClock(timeNS int64) (aheadNS int64, err error)
}

// Network is a Guest whose NICs the host configures.
type Network interface {
	// Connect configures a NIC that is plugged in or about to be.
	Connect(wire.Interface) error
	// Forget takes down the NIC with a MAC, which is about to be unplugged.
	Forget(mac string) error
}

// Mounts is a Guest that mounts files of the host.
type Mounts interface {
	// Mount makes all of them, in their order.
	Mount([]wire.Mount) error
	// Unmount writes all of them out and takes them away, as Shutdown does.
	Unmount() error
}

// Server answers one host after the other on a link.
type Server struct {
	Link  Link
	Hello wire.Hello // Session is filled in for each session
	Table *process.Table
	Guest Guest
	Files Files // nil where there are none to copy

	writer  *writer
	decoder frame.Decoder
	id      string            // of the current session, empty when there is none
	parts   map[uint32][]byte // of requests that are longer than a frame
	held    int               // bytes in parts

	mu       sync.Mutex
	inputs   map[uint32]*process.Input
	outputs  map[uint32]*process.Output
	requests int
	number   uint64 // counts sessions, so that a late answer goes to none
	hosted   bool   // a session is open
	heard    time.Time

	transfers transfers

	watch *time.Timer
}

// Run serves until the link fails for good.
func (s *Server) Run() error {
	s.writer = newWriter(s.Link)
	if s.Files == nil {
		s.lack(fileRequests)
	}
	if _, ok := s.Guest.(Network); !ok {
		s.lack(networkRequests)
	}
	if _, ok := s.Guest.(Mounts); !ok {
		s.lack(mountRequests)
	}
	s.watch = time.AfterFunc(quiet, s.listen)
	s.forget()
	go s.writer.run()
	s.writer.begin(s.number, s.Hello) // in case the host came first and its hello was lost
	buffer := make([]byte, 128<<10)
	for {
		n, err := s.Link.Read(buffer)
		if n > 0 {
			s.hear()
			s.decoder.Feed(buffer[:n], s)
		}
		if errors.Is(err, ErrHangup) {
			if s.id != "" {
				log.Print("port: the host hung up")
			}
			s.close()
			s.decoder.Reset()
			// The next host may have come already, and its hello have gone with the session.
			s.writer.begin(s.number, s.Hello)
		} else if err != nil {
			return err
		}
	}
}

// lack takes requests out of the hello.
func (s *Server) lack(requests []string) {
	s.Hello.Capabilities = slices.DeleteFunc(slices.Clone(s.Hello.Capabilities), func(name string) bool {
		return slices.Contains(requests, name)
	})
}

// Frame implements frame.Handler.
func (s *Server) Frame(f frame.Frame) {
	if f.Type == frame.Hello {
		s.open(f.Payload)
		return
	}
	if s.id == "" {
		return // stale bytes of a session that is over
	}
	if err := s.handle(f); err != nil {
		s.fail(err)
	}
}

// Torn implements frame.Handler.
func (s *Server) Torn(why frame.Tear) {
	if s.id != "" {
		s.fail(wire.Errorf(wire.Invalid, "torn frame (%s)", why))
	}
}

// open begins the session that the host asks for and ends the one before.
func (s *Server) open(payload []byte) {
	var hello wire.Hello
	if err := wire.Decode(payload, &hello); err != nil || hello.Session == "" || len(hello.Session) > 64 {
		s.fail(errors.New("malformed hello"))
		return
	}
	s.close()
	log.Printf("port: session %s", hello.Session)
	s.id = hello.Session
	s.mu.Lock()
	s.hosted = true
	s.mu.Unlock()
	answer := s.Hello
	answer.Session = hello.Session
	s.writer.begin(s.number, answer)
}

// fail ends a session that broke the protocol. The hello of no session tells
// the host so.
func (s *Server) fail(err error) {
	log.Printf("port: session %s: %v", s.id, err)
	s.close()
	s.writer.begin(s.number, s.Hello)
}

// close detaches every stream from the current session.
func (s *Server) close() {
	s.id = ""
	s.parts, s.held = map[uint32][]byte{}, 0
	s.writer.end()
	s.forget() // first: from now on no request of the session attaches a stream
	s.transfers.drop()
	s.Table.Detach()
	for _, p := range s.Table.All() {
		if p.Transient {
			go p.Abandon()
		}
	}
}

func (s *Server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inputs, s.outputs = map[uint32]*process.Input{}, map[uint32]*process.Output{}
	s.requests, s.heard, s.hosted = 0, time.Now(), false
	s.number++
}

func (s *Server) handle(f frame.Frame) error {
	switch f.Type {
	case frame.Request:
		return s.request(f.Stream, f.Payload)
	case frame.Part:
		return s.part(f.Stream, f.Payload)
	case frame.Data:
		if input := s.input(f.Stream); input != nil {
			return input.Data(frame.SplitData(f.Payload))
		}
	case frame.EOF:
		if input := s.input(f.Stream); input != nil {
			return input.Close(frame.Length(f.Payload))
		}
	case frame.Credit:
		return s.credit(f)
	case frame.Ping:
		s.send(s.number, frame.Append(nil, frame.Pong, 0, f.Payload))
	case frame.Pong, frame.Event:
	default:
		return wire.Errorf(wire.Invalid, "frame type %d is not the host's to send", f.Type)
	}
	return nil
}

func (s *Server) input(stream uint32) *process.Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inputs[stream]
}

func (s *Server) credit(f frame.Frame) error {
	s.mu.Lock()
	output := s.outputs[f.Stream]
	s.mu.Unlock()
	if output == nil {
		return nil
	}
	if err := output.Credit(frame.SplitCredit(f.Payload)); err != nil {
		return err
	}
	if output.Settled() {
		s.mu.Lock()
		delete(s.outputs, f.Stream)
		s.mu.Unlock()
	}
	s.writer.wake()
	return nil
}

// send queues a control frame for the session with the given number.
func (s *Server) send(number uint64, encoded []byte) {
	if !s.writer.send(number, encoded) {
		log.Print("port: the host does not read its answers")
		s.writer.end()
	}
}

// hear notes a sign of life.
func (s *Server) hear() {
	s.mu.Lock()
	s.heard = time.Now()
	s.mu.Unlock()
}

// listen runs every quiet seconds: it asks a silent host for a sign of life, and
// stops sending to one that stays silent, until it says hello again.
func (s *Server) listen() {
	s.mu.Lock()
	silence, number, host := time.Since(s.heard), s.number, s.hosted
	s.mu.Unlock()
	switch {
	case !host:
	case silence >= dead:
		log.Printf("port: no sign of life from the host for %v", silence.Round(time.Second))
		s.writer.end()
	case silence >= quiet:
		s.send(number, frame.Append(nil, frame.Ping, 0, binary.BigEndian.AppendUint64(nil, uint64(silence))))
	}
	s.watch.Reset(quiet)
}
