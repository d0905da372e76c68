package windows

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode/utf16"
	"unsafe"
)

var (
	userenv                 = syscall.NewLazyDLL("userenv.dll")
	createEnvironmentBlock  = userenv.NewProc("CreateEnvironmentBlock")
	destroyEnvironmentBlock = userenv.NewProc("DestroyEnvironmentBlock")
)

// variables is an environment by the upper-case names: Windows' names have no
// case, and a block is sorted without.
type variables map[string]variable

type variable struct{ name, value string }

// environment is the machine's and the user's in the registry as it is now, with
// an overlay.
func (k *Kind) environment(overlay map[string]string) (variables, error) {
	v, err := registered()
	if err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	if name := k.hostname.Load(); name != nil {
		v.set("COMPUTERNAME", *name)
	}
	for name, value := range overlay {
		v.set(name, value)
	}
	return v, nil
}

// registered asks Windows for what a program started by a new logon would get.
func registered() (variables, error) {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return nil, os.NewSyscallError("GetCurrentProcess", err)
	}
	var token syscall.Token
	if err := syscall.OpenProcessToken(self, syscall.TOKEN_QUERY|syscall.TOKEN_DUPLICATE, &token); err != nil {
		return nil, os.NewSyscallError("OpenProcessToken", err)
	}
	defer token.Close()
	var block *uint16
	const inherit = 0
	ok, _, err := createEnvironmentBlock.Call(uintptr(unsafe.Pointer(&block)), uintptr(token), inherit)
	if ok == 0 {
		return nil, os.NewSyscallError("CreateEnvironmentBlock", err)
	}
	defer destroyEnvironmentBlock.Call(uintptr(unsafe.Pointer(block)))
	return parse(block), nil
}

// parse reads strings up to an empty one.
func parse(block *uint16) variables {
	v := variables{}
	for {
		length := 0
		for *(*uint16)(unsafe.Add(unsafe.Pointer(block), 2*length)) != 0 {
			length++
		}
		if length == 0 {
			return v
		}
		entry := string(utf16.Decode(unsafe.Slice(block, length)))
		// The names of cmd's folders of other drives begin with a "=".
		if at := strings.Index(entry[1:], "="); at >= 0 {
			v.set(entry[:at+1], entry[at+2:])
		}
		block = (*uint16)(unsafe.Add(unsafe.Pointer(block), 2*(length+1)))
	}
}

func (v variables) get(name string) string { return v[strings.ToUpper(name)].value }

func (v variables) set(name, value string) {
	if name != "" {
		v[strings.ToUpper(name)] = variable{name, value}
	}
}

// block is what CreateProcess takes. A NUL would end a string or the whole.
func (v variables) block() []uint16 {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	var block []uint16
	for _, name := range names {
		entry := strings.ReplaceAll(v[name].name+"="+v[name].value, "\x00", "")
		block = append(append(block, utf16.Encode([]rune(entry))...), 0)
	}
	if len(block) == 0 {
		block = append(block, 0)
	}
	return append(block, 0)
}
