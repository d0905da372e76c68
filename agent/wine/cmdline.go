package wine

import "strings"

// CommandLine joins arguments into the command line from which Windows' C
// runtime makes the same arguments again (Microsoft, "Parsing C command-line
// arguments"). cmd.exe has rules of its own; docker on Windows ignores them as
// this does, so that `cmd /c "exit 42"` means what it means there.
func CommandLine(argv []string) string {
	quoted := make([]string, len(argv))
	for i, argument := range argv {
		quoted[i] = quote(argument)
	}
	return strings.Join(quoted, " ")
}

func quote(argument string) string {
	if argument != "" && !strings.ContainsAny(argument, " \t\n\v\"") {
		return argument
	}
	var b strings.Builder
	b.WriteByte('"')
	backslashes := 0
	for i := 0; i < len(argument); i++ {
		switch c := argument[i]; c {
		case '\\':
			backslashes++
		case '"': // backslashes before a quote are doubled, and one escapes it
			b.WriteString(strings.Repeat(`\`, 2*backslashes+1))
			b.WriteByte(c)
			backslashes = 0
		default:
			b.WriteString(strings.Repeat(`\`, backslashes))
			b.WriteByte(c)
			backslashes = 0
		}
	}
	b.WriteString(strings.Repeat(`\`, 2*backslashes))
	b.WriteByte('"')
	return b.String()
}
