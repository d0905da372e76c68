package registry

// Places are keys and values of the registry that belong to somebody.
type Places map[place]bool

type place struct {
	key, name Text // folded
	value     bool
}

func (c Change) place() place {
	return place{c.Key.fold(), c.Name.fold(), c.Op == SetValue || c.Op == DeleteValue}
}

// Add adds the keys and values that changes are about.
func (p Places) Add(changes []Change) {
	for _, change := range changes {
		p[change.place()] = true
	}
}

// AddValue adds a value by its key, \Registry\Machine\…, and name.
func (p Places) AddValue(key, name string) {
	p[place{ascii(key).fold(), ascii(name).fold(), true}] = true
}

// Without are the changes that are not about any of the places.
func (p Places) Without(changes []Change) []Change {
	var left []Change
	for _, change := range changes {
		if !p[change.place()] {
			left = append(left, change)
		}
	}
	return left
}

// Below reports whether a change is about a key, given as \Registry\Machine\…, or
// one below it.
func (c Change) Below(key string) bool {
	path, folded := c.Key.fold(), ascii(key).fold()
	return path == folded || len(path) > len(folded) && path[:len(folded)+2] == folded+separator
}

// Of reports whether a change is about a key itself, its making and its end included.
func (c Change) Of(key string) bool { return c.Key.fold() == ascii(key).fold() }

// Parent is the path of the key above, with ASCII letters in lower case.
func (c Change) Parent() string {
	above, _ := c.Key.fold().parent()
	return above.String()
}
