// Package frame is the outermost layer of the agent protocol: how bytes on the
// port become frames. It does no I/O. protocol/README.md is the specification.
package frame

import "encoding/binary"

// Sizes of a frame's parts, in bytes.
const (
	HeaderSize = 10
	// MaxSize is the longest whole frame: a vioserial port refuses longer writes.
	MaxSize = 64 << 10
	// MaxPayload leaves room for the header and the end byte.
	MaxPayload = MaxSize - HeaderSize - 1
	// MaxData is the longest run of stream bytes in one DATA frame.
	MaxData = MaxPayload - offsetSize

	offsetSize = 8
	creditSize = 12
	echoSize   = 8
)

const (
	// End closes every frame. A payload cut short cannot end with it by the
	// Sentinel run that follows a reconnection.
	End = 0x7E
	// Sentinel is no frame type, so a run of it is never mistaken for a frame.
	Sentinel = 0xFF
	// RunLength is how many Sentinel bytes a side sends before its HELLO: enough
	// to complete the longest frame that may be pending and leave MinRun.
	RunLength = 64 << 10
	// MinRun is how many Sentinel bytes in a row a receiver takes for a resync.
	MinRun = 8
)

// Type tells what a frame carries.
type Type uint8

// The frame types of version 1.
const (
	Hello Type = 1 + iota
	Request
	Response
	Event
	Data
	EOF
	Credit
	Ping
	Pong
	Part
)

// Frame is one decoded frame. Payload is only valid until the next call of
// Decoder.Feed.
type Frame struct {
	Type    Type
	Stream  uint32
	Payload []byte
}

// Append encodes a frame and appends it to dst. It panics when the payload is
// longer than MaxPayload: senders split before they encode.
func Append(dst []byte, t Type, stream uint32, payload ...[]byte) []byte {
	length := 0
	for _, part := range payload {
		length += len(part)
	}
	if length > MaxPayload {
		panic("frame: payload too long")
	}
	dst = append(dst, byte(t), 0)
	dst = binary.BigEndian.AppendUint32(dst, stream)
	dst = binary.BigEndian.AppendUint32(dst, uint32(length))
	for _, part := range payload {
		dst = append(dst, part...)
	}
	return append(dst, End)
}

// DataStart is where the stream bytes of a DATA frame begin, behind its header and offset.
const DataStart = HeaderSize + offsetSize

// CloseData completes the DATA frame whose n bytes lie at DataStart of p, which
// has room for the whole frame, and returns it.
func CloseData(p []byte, stream uint32, offset uint64, n int) []byte {
	p = p[:DataStart+n+1]
	p[0], p[1] = byte(Data), 0
	binary.BigEndian.PutUint32(p[2:], stream)
	binary.BigEndian.PutUint32(p[6:], uint32(offsetSize+n))
	binary.BigEndian.PutUint64(p[HeaderSize:], offset)
	p[DataStart+n] = End
	return p
}

// AppendEOF encodes the end of a stream that is length bytes long.
func AppendEOF(dst []byte, stream uint32, length uint64) []byte {
	return Append(dst, EOF, stream, binary.BigEndian.AppendUint64(nil, length))
}

// AppendCredit encodes what a receiver has taken and how far beyond it accepts.
func AppendCredit(dst []byte, stream uint32, acked uint64, window uint32) []byte {
	payload := binary.BigEndian.AppendUint64(nil, acked)
	return Append(dst, Credit, stream, binary.BigEndian.AppendUint32(payload, window))
}

// SplitData returns the offset and the bytes of a DATA frame's payload.
func SplitData(payload []byte) (offset uint64, data []byte) {
	return binary.BigEndian.Uint64(payload), payload[offsetSize:]
}

// Length returns the stream length in an EOF frame's payload.
func Length(payload []byte) uint64 { return binary.BigEndian.Uint64(payload) }

// SplitCredit returns the two numbers of a CREDIT frame's payload.
func SplitCredit(payload []byte) (acked uint64, window uint32) {
	return binary.BigEndian.Uint64(payload), binary.BigEndian.Uint32(payload[offsetSize:])
}

// possible reports whether a header can begin a frame of version 1.
func possible(t Type, flags byte, stream, length uint32) bool {
	if flags != 0 || length > MaxPayload {
		return false
	}
	switch t {
	case Hello, Event:
		return stream == 0
	case Request, Response:
		return stream != 0
	case Data:
		return stream != 0 && length > offsetSize
	case EOF:
		return stream != 0 && length == offsetSize
	case Credit:
		return stream != 0 && length == creditSize
	case Ping, Pong:
		return stream == 0 && length == echoSize
	case Part:
		return stream != 0 && length > 0
	}
	return false
}
