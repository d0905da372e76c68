//go:build linux

package wine

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unicode/utf16"

	"linwin/agent/job"
	"linwin/agent/process"
	"linwin/agent/program"
	"linwin/agent/wire"
)

// Kind starts Windows programs through linwin-launch.exe; agent/launcher says
// what is in the folder that the two share.
type Kind struct {
	Spawner *job.Spawner
	count   atomic.Uint64
	name    atomic.Pointer[string] // that Windows programs have yet to be told
	held    waiting
}

// Rename has the next program told what the guest is called now.
func (k *Kind) Rename(hostname string) { k.name.Store(&hostname) }

var _ process.Kind = (*Kind)(nil)

// running is a launcher and the program that it started.
type running struct {
	job     *job.Job
	ended   chan syscall.WaitStatus
	folder  string
	report  *os.File
	control *os.File
	lines   *bufio.Scanner
}

// Start implements process.Kind.
func (k *Kind) Start(spec wire.Exec, stdin, stdout, stderr *os.File) (process.Job, error) {
	a, err := findAccount(spec.User)
	if err != nil {
		return nil, err
	}
	request, err := k.request(spec, a)
	if err != nil {
		return nil, err
	}
	if spec.Terminal != nil {
		// Wine's console reads keys, Ctrl-C among them, and may not do so yet when
		// the first ones arrive.
		if err := process.MakeRaw(stdin); err != nil {
			return nil, err
		}
	}
	r, err := k.launch(a, stdin, stdout, stderr, request, spec.Terminal != nil)
	if err != nil {
		return nil, err
	}
	return r.started(spec)
}

// launch starts a user's launcher. One without a request waits for it.
func (k *Kind) launch(a account, stdin, stdout, stderr *os.File, request []byte, terminal bool) (*running, error) {
	r := &running{folder: fmt.Sprintf("%s/%d", execFolder, k.count.Add(1)), ended: make(chan syscall.WaitStatus, 1)}
	if err := r.open(); err != nil {
		r.close()
		return nil, err
	}
	argv := []string{"wine64", launcher, r.folder}
	if request == nil {
		argv = []string{"wine64", launcher, "wait", r.folder}
	} else if err := r.ask(request); err != nil {
		r.close()
		return nil, err
	}
	var err error
	r.job, err = k.Spawner.Start(job.Program{
		Path: wineLoader, Argv: argv, Env: a.environment(), Dir: cMount,
		Stdin: stdin, Stdout: stdout, Stderr: stderr, Terminal: terminal,
	})
	if err != nil {
		r.close()
		return nil, fmt.Errorf("start the launcher: %w", err)
	}
	go r.followLauncher()
	return r, nil
}

// request is what the launcher is asked for.
func (k *Kind) request(spec wire.Exec, a account) ([]byte, error) {
	line, err := program.CommandLine(spec)
	if err != nil {
		return nil, err
	}
	if err := program.CheckFolder(spec.Cwd); err != nil {
		return nil, err
	}
	hostname, input := "", "nul"
	if name := k.name.Swap(nil); name != nil {
		hostname = *name
	}
	if spec.Streams.Stdin != 0 || spec.Terminal != nil {
		input = ""
	}
	return encode([]string{"3", hostname, a.name, a.domain, input, spec.Cwd, line}, spec.Env), nil
}

// encode lays out the launcher's input file.
func encode(fields []string, env map[string]string) []byte {
	for name, value := range env {
		if name != "" {
			fields = append(fields, name, value)
		}
	}
	var encoded []byte
	for _, field := range fields {
		for _, unit := range utf16.Encode([]rune(strings.ReplaceAll(field, "\x00", ""))) {
			encoded = append(encoded, byte(unit), byte(unit>>8))
		}
		encoded = append(encoded, 0, 0)
	}
	return encoded
}

// open makes the shared folder. Both FIFOs are opened for reading and writing,
// so that neither side ever waits for the other or sees an end.
func (r *running) open() (err error) {
	if err = os.MkdirAll(r.folder, 0o700); err != nil {
		return err
	}
	if r.report, err = openFIFO(filepath.Join(r.folder, "report")); err != nil {
		return err
	}
	r.control, err = openFIFO(filepath.Join(r.folder, "control"))
	r.lines = bufio.NewScanner(r.report)
	return err
}

func (r *running) ask(request []byte) error {
	return os.WriteFile(filepath.Join(r.folder, "request"), request, 0o600)
}

func openFIFO(path string) (*os.File, error) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make a FIFO: %w", err)
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}

func (r *running) close() {
	for _, file := range []*os.File{r.report, r.control} {
		if file != nil {
			file.Close()
		}
	}
	if err := os.RemoveAll(r.folder); err != nil {
		log.Printf("exec: %v", err)
	}
}

const endOfReport = "end"

// followLauncher adds a last line to the report when the launcher has ended.
func (r *running) followLauncher() {
	r.ended <- r.job.Status()
	if _, err := r.report.WriteString(endOfReport + "\n"); err != nil {
		log.Printf("exec: %v", err)
	}
}

// started is the job of a launcher that was asked, once it says how that went.
func (r *running) started(spec wire.Exec) (process.Job, error) {
	if err := r.awaitStart(spec); err != nil {
		r.close()
		return nil, err
	}
	return &started{r}, nil
}

// awaitStart reads the report's first line.
func (r *running) awaitStart(spec wire.Exec) error {
	word, rest := r.next()
	switch word {
	case "started":
		return nil
	case "error":
		for word != endOfReport {
			word, _ = r.next()
		}
		where, code, _ := strings.Cut(rest, " ")
		number, err := strconv.ParseUint(code, 10, 32)
		if err != nil {
			return fmt.Errorf("the launcher reported %q", rest)
		}
		return startError(program.Name(*spec.CommandLine), spec.Cwd, where, number)
	}
	return fmt.Errorf("the launcher ended before it reported: %v", job.ExitCode(<-r.ended))
}

func (r *running) next() (word, rest string) {
	if !r.lines.Scan() {
		return endOfReport, ""
	}
	word, rest, _ = strings.Cut(r.lines.Text(), " ")
	return word, rest
}

// startError says in docker's words why a program did not start.
func startError(name, cwd, where string, code uint64) error {
	if where == "cwd" {
		return program.FolderError(cwd)
	}
	if where != "start" {
		return fmt.Errorf("the launcher could not read its %s: Win32 error %d", where, code)
	}
	return program.StartError(name, code)
}

// started implements process.Job for a program that runs.
type started struct{ *running }

// Wait implements process.Job. A program that is killed takes its launcher with
// it, and the launcher's own end then tells the code.
func (s *started) Wait() uint32 {
	code, reported := uint64(0), false
	for word, rest := s.next(); word != endOfReport; word, rest = s.next() {
		if word == "exit" {
			var err error
			code, err = strconv.ParseUint(rest, 10, 32)
			reported = err == nil
		}
	}
	status := <-s.ended
	s.close()
	if reported {
		return uint32(code)
	}
	return job.ExitCode(status)
}

// Signal implements process.Job.
func (s *started) Signal(name string) error {
	if name == "KILL" {
		return s.job.Kill()
	}
	event, ok := program.Events[name]
	if !ok {
		return wire.Errorf(wire.Invalid, "unknown signal: %s", name)
	}
	return s.tell(fmt.Sprintf("event %d", event))
}

// Resize implements process.Resizer: Wine's console does not look at its
// terminal again by itself. A Windows console is at most 32767 each way.
func (s *started) Resize(size wire.Size) error {
	return s.tell(fmt.Sprintf("size %d %d", min(size.Rows, math.MaxInt16), min(size.Columns, math.MaxInt16)))
}

func (s *started) tell(line string) error {
	_, err := s.control.WriteString(line + "\n")
	if errors.Is(err, os.ErrClosed) {
		return nil // the program has ended meanwhile
	}
	return err
}
