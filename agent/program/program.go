// Package program says what is asked of a Windows program and, in docker's words,
// why one did not start: what guests under Wine and on Windows have in common.
package program

import (
	"strings"

	"linwin/agent/wire"
)

// CommandLine is the line that an exec request asks for, verbatim.
func CommandLine(spec wire.Exec) (string, error) {
	if spec.CommandLine == nil || strings.TrimSpace(*spec.CommandLine) == "" {
		return "", wire.Errorf(wire.Invalid, "a Windows program needs a command line")
	}
	return *spec.CommandLine, nil
}

// CheckFolder refuses a working directory that is not named whole.
func CheckFolder(folder string) error {
	if !absolute(folder) {
		return wire.Errorf(wire.Invalid,
			"the working directory '%s' is invalid, it needs to be an absolute path", folder)
	}
	return nil
}

// absolute reports whether a folder is named whole: by a drive, or from C:'s root.
func absolute(folder string) bool {
	if drive, rest, ok := strings.Cut(folder, ":"); ok && len(drive) == 1 {
		folder = rest
	}
	return strings.HasPrefix(folder, `\`) || strings.HasPrefix(folder, "/")
}

// Name is what the user called the program: the first word.
func Name(line string) string {
	if rest, ok := strings.CutPrefix(line, `"`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return name
}

// FolderError says that a working directory is none.
func FolderError(folder string) error {
	return wire.Errorf(wire.Invalid, "the working directory %q is invalid: The directory name is invalid.", folder)
}

// UserError says, in the words that docker has from Windows, that a user is unknown,
// and who is known.
func UserError(user, known string) error {
	return wire.Errorf(wire.Invalid,
		"failure in a Windows system call: The user name or password is incorrect. (0x52e): %s, not %q", known, user)
}

// The Win32 errors (winerror.h) that a user can cause.
const (
	errorFileNotFound   = 2
	errorPathNotFound   = 3
	errorAccessDenied   = 5
	errorInvalidName    = 123
	errorBadExeFormat   = 193
	errorMachineTypeBad = 216
)

// StartError says why CreateProcess failed for the program of a name.
func StartError(name string, code uint64) error {
	switch code {
	case errorFileNotFound, errorPathNotFound, errorInvalidName:
		return wire.Errorf(wire.NotFound,
			"exec: %q: executable file not found in %%PATH%%: The system cannot find the file specified.", name)
	case errorAccessDenied:
		return wire.Errorf(wire.NotExecutable, "exec: %q: Access is denied.", name)
	case errorBadExeFormat, errorMachineTypeBad:
		return wire.Errorf(wire.NotExecutable, "exec: %q: %%1 is not a valid Win32 application.", name)
	}
	return wire.Errorf(wire.NotExecutable, "exec: %q: CreateProcess failed with Win32 error %d", name, code)
}

// Killed is the exit code of what an end without notice ended, as docker has it.
const Killed = 137

// Events are the console control events (wincon.h) for docker's signals on
// Windows.
var Events = map[string]uint32{"INT": 0, "BREAK": 1, "TERM": 6}
