//go:build unix

package session

import (
	"bytes"
	"encoding/json"
	"net"
	"testing"

	"linwin/agent/frame"
	"linwin/agent/process"
	"linwin/agent/wire"
)

// echoes collects the sessions of the hellos that an agent says; what else it says
// may be torn, where a session ended in the middle of it.
type echoes []string

func (e *echoes) Torn(frame.Tear) {}

func (e *echoes) Frame(f frame.Frame) {
	var hello wire.Hello
	if f.Type == frame.Hello && json.Unmarshal(f.Payload, &hello) == nil {
		*e = append(*e, hello.Session)
	}
}

// FuzzSession sends anything in a session; the next host finds an agent that works.
func FuzzSession(f *testing.F) {
	request := func(payload string) []byte { return frame.Append(nil, frame.Request, 1, []byte(payload)) }
	for _, seed := range [][]byte{
		{},
		[]byte("GET / HTTP/1.1"),
		request(`{"op":"ping"}`),
		request(`{"op":"wait","process":{}}`),
		request(`{"op":"ping","op":"shutdown"}`),
		request(`{"op":"exec","process":"p","argv":["x"],"streams":{"stdout":1,"stderr":1}}`),
		request(`{"op":"exec","process":"p","streams":{"stdout":4294967296}}`),
		request(`{"op":"resize","process":"p","rows":-1,"columns":1e99}`),
		request(`{"op":"\ud800"}`),
		request("[" + string(bytes.Repeat([]byte("["), 10_000))),
		frame.Append(nil, frame.Part, 7, []byte("{")),
		frame.Append(nil, frame.Response, 7, []byte("{}")),
		frame.AppendCredit(nil, 9, 1<<63, 1<<31),
		frame.AppendEOF(nil, 9, 1<<63),
		bytes.Repeat(frame.Append(nil, frame.Ping, 0, make([]byte, 8)), 300),
		bytes.Repeat(request(`{"op":"wait","process":"p"}`), 300),
		bytes.Repeat([]byte{frame.Sentinel}, 7),
		frame.Append(nil, frame.Hello, 0, []byte(`{"session":"","version":1}`)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		agent, conn := net.Pipe()
		defer conn.Close()
		kind := printer{[]byte("text"), make(chan struct{}, 2)}
		server := &Server{Link: pipe{agent}, Hello: wire.Hello{Version: 1}, Table: process.NewTable(kind), Guest: nothing{}}
		go server.Run()
		hello := func(session string) []byte {
			run := bytes.Repeat([]byte{frame.Sentinel}, frame.RunLength)
			return frame.Append(run, frame.Hello, 0, encode(wire.Hello{Session: session, Version: 1}))
		}
		go conn.Write(bytes.Join([][]byte{hello("one"), sent, hello("two")}, nil))
		var d frame.Decoder
		var found echoes
		buffer := make([]byte, frame.MaxSize)
		for len(found) == 0 || found[len(found)-1] != "two" {
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			d.Feed(buffer[:n], &found)
		}
	})
}
