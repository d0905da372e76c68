package process

import "linwin/agent/wire"

// terminal is the agent's side of a pseudo-console, which the kind makes around
// the program's ends of the pipes and resizes (Resizer).
type terminal struct{ input Pipe }

// openTerminal makes the two pipes of a pseudo-console the standard handles.
func openTerminal(_ wire.Size, files *Stdio) (t *terminal, err error) {
	if files.Own[0], files.Child[0], err = inputPipe(); err != nil {
		return nil, err
	}
	if files.Own[1], files.Child[1], err = outputPipe(); err != nil {
		files.CloseChild()
		files.CloseOwn()
		return nil, err
	}
	return &terminal{files.Own[0]}, nil
}

func (*terminal) resize(wire.Size) error { return nil }

// close ends the input. While the program runs that would end its console.
func (t *terminal) close() { t.input.Close() }
