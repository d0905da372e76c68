// Package wire holds the JSON that control frames carry. protocol/README.md is
// the specification; unknown fields are ignored on both sides.
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Version is the protocol version that this agent speaks.
const Version = 1

// MaxRequest is the longest request in bytes. What does not fit into one frame
// comes in parts.
const MaxRequest = 1 << 20

// Hello opens a session. The host chooses Session and the agent echoes it; an
// agent that has just started says hello unasked, with an empty Session.
type Hello struct {
	Session      string   `json:"session"`
	Version      int      `json:"version"`
	Capabilities []string `json:"capabilities,omitempty"`
	Agent        string   `json:"agent,omitempty"`
	Kind         string   `json:"kind,omitempty"`
	BootID       string   `json:"boot_id,omitempty"`
	MaxRequest   int      `json:"max_request,omitempty"`
}

// Kind classifies an error for the host.
type Kind string

// The error kinds.
const (
	NotFound      Kind = "not-found"
	NotExecutable Kind = "not-executable"
	Invalid       Kind = "invalid"
	Unavailable   Kind = "unavailable"
	Internal      Kind = "internal"
)

// Error is a failure that the host is told about.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(kind Kind, format string, arguments ...any) *Error {
	return &Error{kind, fmt.Sprintf(format, arguments...)}
}

// Response answers a request: one of its fields is set.
type Response struct {
	OK    any    `json:"ok,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// Respond makes the response for a handler's result. An error without a kind is
// a defect of the agent or its guest and travels as internal.
func Respond(result any, err error) Response {
	if err == nil {
		if result == nil {
			result = struct{}{}
		}
		return Response{OK: result}
	}
	var known *Error
	if !errors.As(err, &known) {
		known = Errorf(Internal, "%v", err)
	}
	return Response{Error: known}
}

// Request is the part that all requests share.
type Request struct {
	Op string `json:"op"`
}

// Preparation makes a booted guest into one container. Entropy is random bytes
// that no other guest gets.
type Preparation struct {
	Hostname string `json:"hostname"`
	CSerial  string `json:"c_serial"`
	TimeNS   int64  `json:"time_ns"`
	Entropy  []byte `json:"entropy"` // base64 in JSON
	// Interfaces are the NICs that are plugged in.
	Interfaces []Interface `json:"interfaces"`
	// Hosts are names that need no server.
	Hosts []HostName `json:"hosts"`
}

// HostName is a name that has an address in this guest.
type HostName struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Interface is one NIC, and how it is to be configured. It is found by its MAC, or by
// Found where it is to get that MAC now. Addresses have a prefix length; a gateway is
// empty where there is no way out.
type Interface struct {
	MAC       string   `json:"mac"`
	Addresses []string `json:"addresses"`
	Gateway4  string   `json:"gateway4"`
	Gateway6  string   `json:"gateway6"`
	DNS       []string `json:"dns"`
	Search    []string `json:"search"`
	MTU       int      `json:"mtu"`
	Found     string   `json:"found"`
}

// Net configures a NIC.
type Net struct {
	Interface Interface `json:"interface"`
}

// Forget takes down the NIC with a MAC.
type Forget struct {
	MAC string `json:"mac"`
}

// Mount is a share of a file server, one file of it, or memory of the guest's own where there is no
// Server, that is to be at a path. Size is in bytes, 0 for half of the memory.
type Mount struct {
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only"`
	Server   string `json:"server"`
	Share    string `json:"share"`
	User     string `json:"user"`
	Password string `json:"password"`
	File     string `json:"file"`
	Size     int64  `json:"size"`
}

// Mounts is the mount request.
type Mounts struct {
	Mounts []Mount `json:"mounts"`
}

// Rehearsal is the rehearse request: the disk to rehearse with, which is C:'s device.
type Rehearsal struct {
	CSerial string `json:"c_serial"`
}

// Streams names the session's streams of one process. Stdin is 0 for none.
// Window is the credit that stdout and stderr start with, in bytes.
type Streams struct {
	Stdin  uint32 `json:"stdin"`
	Stdout uint32 `json:"stdout"`
	Stderr uint32 `json:"stderr"`
	Window uint32 `json:"window"`
}

// Size is a terminal's.
type Size struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}

// Check refuses a terminal without room for a character.
func (s Size) Check() error {
	if s.Rows == 0 || s.Columns == 0 {
		return Errorf(Invalid, "a terminal of %d rows and %d columns", s.Rows, s.Columns)
	}
	return nil
}

// Exec starts a process. CommandLine, where present, is passed on verbatim.
// With a Terminal the program's standard handles are one. A Transient one ends
// with its session.
type Exec struct {
	Process     string            `json:"process"`
	Argv        []string          `json:"argv"`
	CommandLine *string           `json:"command_line"`
	Env         map[string]string `json:"env"`
	Cwd         string            `json:"cwd"`
	User        string            `json:"user"`
	Terminal    *Size             `json:"terminal"`
	Transient   bool              `json:"transient"`
	Streams     Streams           `json:"streams"`
}

// Adopt attaches a new session to a process of an earlier one. Stdout and Stderr
// are the offsets from which the host wants output.
type Adopt struct {
	Process string  `json:"process"`
	Stdout  uint64  `json:"stdout"`
	Stderr  uint64  `json:"stderr"`
	Streams Streams `json:"streams"`
}

// Adopted tells how many bytes of stdin have been received, unless the process
// was started without.
type Adopted struct {
	Stdin *uint64 `json:"stdin,omitempty"`
}

// Wait asks for a process's end.
type Wait struct {
	Process string `json:"process"`
}

// Exit tells how a process ended and how long its streams are.
type Exit struct {
	ExitCode uint32 `json:"exit_code"`
	Stdout   uint64 `json:"stdout"`
	Stderr   uint64 `json:"stderr"`
}

// Signal sends TERM, KILL, INT or BREAK.
type Signal struct {
	Process string `json:"process"`
	Name    string `json:"name"`
}

// Resize changes the size of a process's terminal.
type Resize struct {
	Process string `json:"process"`
	Size
}

// Place names a file or folder on C:, by names that slashes separate; "" is the
// root. With Folder it is a folder, and a link at its end is followed.
type Place struct {
	Path   string `json:"path"`
	Folder bool   `json:"folder"`
}

// FileStat tells what lies at a place. Modified is in nanoseconds since 1970.
type FileStat struct {
	Size      uint64 `json:"size"`
	Directory bool   `json:"directory"`
	ReadOnly  bool   `json:"read_only"`
	Modified  int64  `json:"modified"`
	Link      string `json:"link,omitempty"`
}

// Get asks for an archive on a stream. Base is the name of its first member,
// Window the credit that the stream starts with.
type Get struct {
	Place
	Base   string `json:"base"`
	Stream uint32 `json:"stream"`
	Window uint32 `json:"window"`
}

// Got tells how long the archive is, in bytes.
type Got struct {
	Length uint64 `json:"length"`
}

// Put announces an archive on a stream, to be unpacked in the folder at Path.
type Put struct {
	Path      string `json:"path"`
	KeepKinds bool   `json:"keep_kinds"`
	Stream    uint32 `json:"stream"`
}

// Drop gives the archive on a stream up.
type Drop struct {
	Stream uint32 `json:"stream"`
}

// ProcessInfo is one process of the guest. CPU is in 100 ns, Private in bytes.
type ProcessInfo struct {
	PID     uint32 `json:"pid"`
	Name    string `json:"name"`
	CPU     uint64 `json:"cpu_100ns"`
	Private uint64 `json:"private_bytes"`
}

// Processes lists what runs in the guest.
type Processes struct {
	Processes []ProcessInfo `json:"processes"`
}

// Usage is what the guest has taken since it was booted. CPU is in 100 ns, all
// processors together; memory is in bytes, and as it is now.
type Usage struct {
	CPU        uint64                  `json:"cpu_100ns"`
	Processors uint32                  `json:"processors"`
	Private    uint64                  `json:"private_bytes"`
	Commit     uint64                  `json:"commit_bytes"`
	CommitPeak uint64                  `json:"commit_peak_bytes"`
	Disk       DiskUsage               `json:"disk"`
	Networks   map[string]NetworkUsage `json:"networks"`
}

// DiskUsage counts what went to and came from C:.
type DiskUsage struct {
	Reads        uint64 `json:"reads"`
	ReadBytes    uint64 `json:"read_bytes"`
	Writes       uint64 `json:"writes"`
	WrittenBytes uint64 `json:"written_bytes"`
}

// NetworkUsage counts what one interface received and sent.
type NetworkUsage struct {
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxDropped uint64 `json:"tx_dropped"`
}

// Clock tells the time of day, in nanoseconds since the epoch.
type Clock struct {
	TimeNS int64 `json:"time_ns"`
}

// ClockSet tells how far the guest's clock was ahead, in nanoseconds.
type ClockSet struct {
	OffsetNS int64 `json:"offset_ns"`
}

// Decode parses a control payload into v.
func Decode(payload []byte, v any) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return Errorf(Invalid, "malformed request: %v", err)
	}
	return nil
}
