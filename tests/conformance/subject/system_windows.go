package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

var (
	kernel32             = syscall.NewLazyDLL("kernel32.dll")
	getHandleInformation = kernel32.NewProc("GetHandleInformation")
	getScreenBufferInfo  = kernel32.NewProc("GetConsoleScreenBufferInfo")
	readConsoleInput     = kernel32.NewProc("ReadConsoleInputW")
	querySystem          = syscall.NewLazyDLL("ntdll.dll").NewProc("NtQuerySystemInformation")
	setConsoleMode       = kernel32.NewProc("SetConsoleMode")
)

// init opens the console where this program has no standard handles: Wine gives
// none to the program of a pseudo-console, where Windows gives the console's.
func init() {
	for number, file := range map[int]**os.File{
		syscall.STD_INPUT_HANDLE: &os.Stdin, syscall.STD_OUTPUT_HANDLE: &os.Stdout, syscall.STD_ERROR_HANDLE: &os.Stderr,
	} {
		name := "CONOUT$"
		if number == syscall.STD_INPUT_HANDLE {
			name = "CONIN$"
		}
		if handle, err := syscall.GetStdHandle(number); err != nil || handle == 0 {
			console, err := os.OpenFile(name, os.O_RDWR, 0)
			check(err)
			*file = console
		}
	}
}

func commandLine() string {
	line := syscall.GetCommandLine()
	length := 0
	for *(*uint16)(unsafe.Add(unsafe.Pointer(line), 2*length)) != 0 {
		length++
	}
	return syscall.UTF16ToString(unsafe.Slice(line, length))
}

// inherited names the inheritable handles behind the standard ones: a handle that
// came by inheritance stays inheritable, those of this process's own are not.
func inherited() string {
	found := []uintptr{}
	standard := map[uintptr]bool{}
	for _, file := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		standard[file.Fd()] = true
	}
	for handle := uintptr(4); handle < 4*4096; handle += 4 {
		var flags uint32
		ok, _, _ := getHandleInformation.Call(handle, uintptr(unsafe.Pointer(&flags)))
		if ok != 0 && flags&syscall.HANDLE_FLAG_INHERIT != 0 && !standard[handle] {
			found = append(found, handle)
		}
	}
	return fmt.Sprint(found)
}

// follow prints the size of its console now and at each change.
func follow() int {
	input, err := syscall.Open("CONIN$", syscall.O_RDWR, 0)
	check(err)
	output, err := syscall.Open("CONOUT$", syscall.O_RDWR, 0)
	check(err)
	const windowInput = 8
	if ok, _, err := setConsoleMode.Call(uintptr(input), windowInput); ok == 0 {
		check(err)
	}
	for {
		var info struct { // CONSOLE_SCREEN_BUFFER_INFO
			size, cursor [2]int16
			attributes   uint16
			window       [4]int16
			largest      [2]int16
		}
		if ok, _, err := getScreenBufferInfo.Call(uintptr(output), uintptr(unsafe.Pointer(&info))); ok == 0 {
			check(err)
		}
		say(os.Stdout, []string{fmt.Sprintf("size %d %d", info.window[3]-info.window[1]+1, info.window[2]-info.window[0]+1)})
		waitForResize(input)
	}
}

// waitForResize also returns for a key: Wine tells of a change before it is one.
func waitForResize(input syscall.Handle) {
	const resized, key = 4, 1 // WINDOW_BUFFER_SIZE_EVENT, KEY_EVENT
	for {
		var record struct { // INPUT_RECORD
			kind  uint16
			event [4]uint32
		}
		var count uint32
		ok, _, err := readConsoleInput.Call(uintptr(input), uintptr(unsafe.Pointer(&record)), 1, uintptr(unsafe.Pointer(&count)))
		if ok == 0 {
			check(err)
		}
		if record.kind == resized || record.kind == key {
			return
		}
	}
}

// alive also tells an ended process whose object somebody still holds.
func alive(pid int) bool {
	process, err := syscall.OpenProcess(syscall.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return false
	}
	defer syscall.CloseHandle(process)
	state, err := syscall.WaitForSingleObject(process, 0)
	check(err)
	return state != syscall.WAIT_OBJECT_0
}

// handlesOf counts the open handles of a process among all of the system's.
// GetProcessHandleCount would tell at once, and is 0 under Wine.
func handlesOf(pid int) int {
	type entry struct { // SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX
		object, process, handle uintptr
		access                  uint32
		trace, kind             uint16
		attributes, _           uint32
	}
	const extendedHandles, mismatch = 64, 0xC0000004
	for size := 1 << 16; ; size *= 2 {
		buffer := make([]byte, size)
		status, _, _ := querySystem.Call(extendedHandles, uintptr(unsafe.Pointer(&buffer[0])), uintptr(size), 0)
		if status == mismatch {
			continue
		}
		if status != 0 {
			check(fmt.Errorf("NtQuerySystemInformation: %#x", status))
		}
		const header = 2 * unsafe.Sizeof(uintptr(0)) // the number of entries, and a reserved field
		total := *(*uintptr)(unsafe.Pointer(&buffer[0]))
		count := 0
		for _, e := range unsafe.Slice((*entry)(unsafe.Pointer(&buffer[header])), total) {
			if e.process == uintptr(pid) {
				count++
			}
		}
		return count
	}
}
