// Package job keeps a program and everything it starts together, so that all of
// it ends with the program. On Windows that is a job object.
package job

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

var (
	kernel32            = syscall.NewLazyDLL("kernel32.dll")
	createJobObject     = kernel32.NewProc("CreateJobObjectW")
	setInformation      = kernel32.NewProc("SetInformationJobObject")
	queryInformation    = kernel32.NewProc("QueryInformationJobObject")
	terminateJobObject  = kernel32.NewProc("TerminateJobObject")
	assignProcess       = kernel32.NewProc("AssignProcessToJobObject")
	createCompletePort  = kernel32.NewProc("CreateIoCompletionPort")
	getQueuedCompletion = kernel32.NewProc("GetQueuedCompletionStatus")
)

// What winnt.h calls them.
const (
	basicAccounting        = 1
	associateCompletion    = 7
	extendedLimit          = 9
	limitDieOnUnhandled    = 0x0400
	limitKillOnJobClose    = 0x2000
	messageProcessesAreNil = 4 // JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO
)

// lookEvery is how long a wait trusts in the job's message, which Windows does
// not promise, in milliseconds.
const lookEvery = 1000

// Object is a job object. No process leaves it, since it allows no breakaway,
// and when its last handle is closed, by the agent's own end too, all of it ends.
type Object struct{ handle, port syscall.Handle }

type limits struct { // JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	processTime, jobTime  int64
	flags                 uint32
	minimumSet, largest   uintptr
	activeProcesses       uint32
	affinity              uintptr
	priority, scheduling  uint32
	io                    [6]uint64
	processMemory, memory uintptr
	peakProcess, peakJob  uintptr
}

type accounting struct { // JOBOBJECT_BASIC_ACCOUNTING_INFORMATION
	userTime, kernelTime, periodUser, periodKernel int64
	faults, total, active, terminated              uint32
}

type completion struct { // JOBOBJECT_ASSOCIATE_COMPLETION_PORT
	key  uintptr
	port syscall.Handle
}

// NewObject makes an empty job.
func NewObject() (o *Object, err error) {
	handle, _, failure := createJobObject.Call(0, 0)
	if handle == 0 {
		return nil, os.NewSyscallError("CreateJobObject", failure)
	}
	o = &Object{handle: syscall.Handle(handle)}
	defer func() {
		if err != nil {
			o.Close()
		}
	}()
	limit := limits{flags: limitKillOnJobClose | limitDieOnUnhandled}
	if err = o.set(extendedLimit, unsafe.Pointer(&limit), unsafe.Sizeof(limit)); err != nil {
		return nil, err
	}
	port, _, failure := createCompletePort.Call(uintptr(syscall.InvalidHandle), 0, 0, 1)
	if port == 0 {
		return nil, os.NewSyscallError("CreateIoCompletionPort", failure)
	}
	o.port = syscall.Handle(port)
	association := completion{port: o.port}
	if err = o.set(associateCompletion, unsafe.Pointer(&association), unsafe.Sizeof(association)); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *Object) set(class uintptr, information unsafe.Pointer, size uintptr) error {
	ok, _, err := setInformation.Call(uintptr(o.handle), class, uintptr(information), size)
	if ok == 0 {
		return os.NewSyscallError("SetInformationJobObject", err)
	}
	return nil
}

// Handle is the job's handle, for the attribute that starts a process in it.
func (o *Object) Handle() syscall.Handle { return o.handle }

// Add puts a process into the job.
func (o *Object) Add(process syscall.Handle) error {
	if ok, _, err := assignProcess.Call(uintptr(o.handle), uintptr(process)); ok == 0 {
		return os.NewSyscallError("AssignProcessToJobObject", err)
	}
	return nil
}

// Kill ends every process of the job with an exit code.
func (o *Object) Kill(code uint32) error {
	if ok, _, err := terminateJobObject.Call(uintptr(o.handle), uintptr(code)); ok == 0 {
		return os.NewSyscallError("TerminateJobObject", err)
	}
	return nil
}

// WaitEmpty returns when no process of the job is left.
func (o *Object) WaitEmpty() error {
	for {
		active, err := o.active()
		if err != nil || active == 0 {
			return err
		}
		var message uint32
		var key, overlapped uintptr
		ok, _, err := getQueuedCompletion.Call(uintptr(o.port), uintptr(unsafe.Pointer(&message)),
			uintptr(unsafe.Pointer(&key)), uintptr(unsafe.Pointer(&overlapped)), lookEvery)
		if ok == 0 && err != syscall.Errno(syscall.WAIT_TIMEOUT) {
			return fmt.Errorf("wait for a job's end: %w", err)
		}
		if message == messageProcessesAreNil {
			return nil
		}
	}
}

// active is how many processes the job has.
func (o *Object) active() (uint32, error) {
	var information accounting
	ok, _, err := queryInformation.Call(uintptr(o.handle), basicAccounting,
		uintptr(unsafe.Pointer(&information)), unsafe.Sizeof(information), 0)
	if ok == 0 {
		return 0, os.NewSyscallError("QueryInformationJobObject", err)
	}
	return information.active, nil
}

// Close ends what is left of the job.
func (o *Object) Close() {
	syscall.CloseHandle(o.handle)
	if o.port != 0 {
		syscall.CloseHandle(o.port)
	}
}
