//go:build unix

package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"linwin/agent/archive"
	"linwin/agent/frame"
	"linwin/agent/process"
	"linwin/agent/wire"
)

// pipe is a Link to a test, whose host never hangs up.
type pipe struct{ net.Conn }

// printer is a Kind whose programs print a text and end when they are told to.
type printer struct {
	text []byte
	end  chan struct{} // the text is out, and a signal came
}

func (p printer) Start(spec wire.Exec, stdin, stdout, stderr *os.File) (process.Job, error) {
	if p.text == nil {
		return nil, errors.New("nothing can be started")
	}
	// The caller closes its copy as soon as Start returns.
	out, err := os.OpenFile("/proc/self/fd/"+itoa(stdout.Fd()), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	go func() {
		out.Write(p.text)
		out.Close()
		p.end <- struct{}{}
	}()
	return p, nil
}

func itoa(n uintptr) string { return string(encode(n)) }

func (p printer) Wait() uint32 {
	<-p.end
	<-p.end
	return 7
}

func (p printer) Signal(string) error {
	p.end <- struct{}{}
	return nil
}

type nothing struct{}

func (nothing) Warm() error                    { return nil }
func (nothing) Rehearse(wire.Rehearsal) error  { return nil }
func (nothing) Prepare(wire.Preparation) error { return nil }
func (nothing) Flush() error                   { return nil }
func (nothing) Shutdown() error                { return nil }

// host is the other end: it collects the frames of a session.
type host struct {
	t      testing.TB
	server *Server
	conn   net.Conn
	frames chan frame.Frame
}

func (h *host) Frame(f frame.Frame) {
	f.Payload = bytes.Clone(f.Payload)
	h.frames <- f
}

func (h *host) Torn(why frame.Tear) { h.t.Errorf("torn frame: %s", why) }

// serve starts a server with a kind and says hello to it.
func serve(t testing.TB, kind process.Kind) *host {
	agent, conn := net.Pipe()
	files, err := archive.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Link: pipe{agent}, Hello: wire.Hello{Version: 1}, Table: process.NewTable(kind), Guest: nothing{}, Files: files}
	h := &host{t: t, server: server, conn: conn, frames: make(chan frame.Frame, 1000)}
	go server.Run()
	t.Cleanup(func() { conn.Close() })
	go func() {
		var d frame.Decoder
		buffer := make([]byte, frame.MaxSize)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			d.Feed(buffer[:n], h)
		}
	}()
	h.hello("one")
	return h
}

// hello opens a session and waits for its echo.
func (h *host) hello(session string) {
	run := bytes.Repeat([]byte{frame.Sentinel}, frame.RunLength)
	h.write(frame.Append(run, frame.Hello, 0, encode(wire.Hello{Session: session, Version: 1})))
	for {
		var hello wire.Hello
		f := h.next()
		if f.Type == frame.Hello && json.Unmarshal(f.Payload, &hello) == nil && hello.Session == session {
			return
		}
	}
}

func (h *host) write(p []byte) {
	h.t.Helper()
	if _, err := h.conn.Write(p); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) next() frame.Frame {
	h.t.Helper()
	select {
	case f := <-h.frames:
		return f
	case <-time.After(10 * time.Second):
		h.t.Fatal("no frame came")
		panic("unreachable")
	}
}

func (h *host) request(id uint32, payload string) {
	h.write(frame.Append(nil, frame.Request, id, []byte(payload)))
}

// response returns the next response and how many data bytes came before it.
func (h *host) response(id uint32) (r wire.Response, data int) {
	h.t.Helper()
	for {
		switch f := h.next(); {
		case f.Type == frame.Data:
			_, bytes := frame.SplitData(f.Payload)
			data += len(bytes)
		case f.Type == frame.Response && f.Stream == id:
			if err := json.Unmarshal(f.Payload, &r); err != nil {
				h.t.Fatal(err)
			}
			return r, data
		}
	}
}

func TestRequestVectors(t *testing.T) {
	raw, err := os.ReadFile("../../protocol/vectors/requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name, Payload string
			Kind          wire.Kind
			Message       string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	h := serve(t, printer{})
	for i, v := range file.Vectors {
		h.request(uint32(i+1), v.Payload)
		got, _ := h.response(uint32(i + 1))
		switch {
		case v.Kind == "" && got.Error != nil:
			t.Errorf("%s: %v", v.Name, got.Error)
		case v.Kind != "" && (got.Error == nil || got.Error.Kind != v.Kind):
			t.Errorf("%s: %+v, want an error of kind %s", v.Name, got, v.Kind)
		case v.Message != "" && got.Error.Message != v.Message:
			t.Errorf("%s: %q, want %q", v.Name, got.Error.Message, v.Message)
		}
	}
}

const execute1 = `{"op":"exec","process":"p","argv":["x"],"streams":{"stdout":1,"stderr":2,"window":100000}}`

func TestOutputKeepsToTheWindowAndSurvivesASession(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 20_000)
	h := serve(t, printer{text, make(chan struct{})})
	h.request(1, execute1)
	h.response(1)
	h.request(2, `{"op":"signal","process":"p","name":"KILL"}`)
	h.response(2)
	h.request(3, `{"op":"wait","process":"p"}`)
	got, _ := h.response(3)
	if want := map[string]any{"exit_code": 7.0, "stdout": 200000.0, "stderr": 0.0}; !equal(got.OK, want) {
		t.Errorf("wait answered %v, want %v", got.OK, want)
	}

	h.hello("two")
	h.request(1, `{"op":"adopt","process":"p","stdout":50000,"stderr":0,"streams":{"stdout":8,"stderr":9,"window":200000}}`)
	seen, answered := []byte{}, false
	for len(seen) < 150_000 || !answered { // output may come before the answer
		switch f := h.next(); f.Type {
		case frame.Response:
			var got wire.Response
			if json.Unmarshal(f.Payload, &got) != nil || got.Error != nil {
				t.Fatalf("adopt answered %s", f.Payload)
			}
			answered = true
		case frame.Data:
			offset, data := frame.SplitData(f.Payload)
			if f.Stream != 8 || offset != uint64(50_000+len(seen)) {
				t.Fatalf("data on stream %d at %d", f.Stream, offset)
			}
			seen = append(seen, data...)
		}
	}
	if !bytes.Equal(seen, text[50_000:]) {
		t.Error("the output changed on its way")
	}
}

func TestStreamsOfEndedProcessesAreForgotten(t *testing.T) {
	h := serve(t, printer{[]byte{}, make(chan struct{})})
	for n := range uint32(300) {
		id, stream := strconv.Itoa(int(n)), 3*n+1
		streams := wire.Streams{Stdin: stream, Stdout: stream + 1, Stderr: stream + 2, Window: 1000}
		h.request(n+1, string(encode(struct {
			Op string `json:"op"`
			wire.Exec
		}{"exec", wire.Exec{Process: id, Argv: []string{"x"}, Streams: streams}})))
		h.response(n + 1)
		h.request(n+1, `{"op":"signal","process":"`+id+`","name":"KILL"}`)
		h.response(n + 1)
		h.request(n+1, `{"op":"wait","process":"`+id+`"}`)
		h.response(n + 1)
	}
	held := func() int {
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		return len(h.server.inputs) + len(h.server.outputs)
	}
	for began := time.Now(); held() > 0; runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d streams are held of processes that have ended", held())
		}
	}
}

func TestOutputStopsAtTheWindow(t *testing.T) {
	h := serve(t, printer{bytes.Repeat([]byte("x"), 200_000), make(chan struct{})})
	h.request(1, execute1)
	_, before := h.response(1)
	for received := before; received < 100_000; {
		if f := h.next(); f.Type == frame.Data {
			_, data := frame.SplitData(f.Payload)
			received += len(data)
		}
	}
	h.request(2, `{"op":"ping"}`)
	if _, beyond := h.response(2); beyond != 0 {
		t.Errorf("%d bytes beyond the window", beyond)
	}
}

func TestATornFrameEndsTheSession(t *testing.T) {
	h := serve(t, printer{})
	torn := frame.Append(nil, frame.Ping, 0, make([]byte, 8))
	torn[len(torn)-1] = 0
	h.write(torn)
	var hello wire.Hello
	if f := h.next(); f.Type != frame.Hello || json.Unmarshal(f.Payload, &hello) != nil || hello.Session != "" {
		t.Fatalf("the agent sent %v, want the hello of no session", f)
	}
	h.hello("two")
	h.request(1, `{"op":"ping"}`)
	if got, _ := h.response(1); got.Error != nil {
		t.Error(got.Error)
	}
}

func equal(a any, b map[string]any) bool { return string(encode(a)) == string(encode(b)) }

func (h *host) part(id uint32, piece string) {
	h.write(frame.Append(nil, frame.Part, id, []byte(piece)))
}

func TestRequestsInPartsAreJoined(t *testing.T) {
	h := serve(t, printer{})
	h.part(1, `{"op":`)
	h.part(2, `{"op":"wa`)
	h.request(3, `{"op":"ping"}`)
	h.part(1, `"pi`)
	h.request(1, `ng"}`)
	h.request(2, `it","process":"x"}`)
	for id := uint32(1); id <= 3; id++ { // each in its own time
		got, err := wire.Response{}, ""
		f := h.next()
		for f.Type != frame.Response {
			f = h.next()
		}
		if json.Unmarshal(f.Payload, &got) != nil {
			t.Fatalf("%s", f.Payload)
		}
		if got.Error != nil {
			err = got.Error.Message
		}
		if want := map[uint32]string{2: "no such process: x"}[f.Stream]; err != want {
			t.Errorf("request %d: %q, want %q", f.Stream, err, want)
		}
	}
}

func TestPartsBeyondTheLongestRequestEndTheSession(t *testing.T) {
	h := serve(t, printer{})
	for sent := 0; sent <= wire.MaxRequest; sent += 60_000 {
		h.part(uint32(1+sent), string(make([]byte, 60_000)))
	}
	var hello wire.Hello
	if f := h.next(); f.Type != frame.Hello || json.Unmarshal(f.Payload, &hello) != nil || hello.Session != "" {
		t.Fatalf("the agent sent %v, want the hello of no session", f)
	}
	h.hello("two")
	h.part(1, `{"op":`)
	h.request(1, `"ping"}`)
	if got, _ := h.response(1); got.Error != nil {
		t.Error(got.Error)
	}
}
