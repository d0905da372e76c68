package registry

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Op says what a change does.
type Op uint32

// The numbers are the launcher's, too (agent/launcher/registry.h).
const (
	CreateKey   Op = 1 // and those above it
	CreateLink  Op = 2 // Data is where it leads
	DeleteKey   Op = 3 // which has no subkeys by then
	SetValue    Op = 4
	DeleteValue Op = 5
)

// Change is one step from one registry to another.
type Change struct {
	Op   Op
	Key  Text // whole, as \Registry\Machine\Software
	Name Text // a value's
	Type uint32
	Data []byte
}

// ErrNotInPlace is a difference that cannot be made up in a registry that is in use.
var ErrNotInPlace = errors.New("cannot be changed in place")

func notInPlace(path Text, what string) error {
	return fmt.Errorf("%s: %s %w", path, what, ErrNotInPlace)
}

// comparison finds the changes from base to another hive.
type comparison struct {
	base    *Base
	to      *Hive
	seen    []bool        // which of base's keys are there
	added   map[Text]bool // keys that base has no text of, folded; true for links
	changes []Change
}

// Changes are what makes the registry base the registry to, in an order in which
// they can be made: what goes first, then keys from the root down, then values.
// The times of keys are no part of it, and a class of a key is ErrNotInPlace.
func Changes(base *Base, to *Hive) ([]Change, error) {
	if !bytes.Equal(base.head, to.head) {
		return nil, malformed("it begins in another way than the template's")
	}
	c := &comparison{base: base, to: to, seen: make([]bool, len(base.keys)), added: map[Text]bool{}}
	if err := c.compareKeys(); err != nil {
		return nil, err
	}
	if err := c.deleteKeys(); err != nil {
		return nil, err
	}
	if err := c.checkLinks(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.changes, inOrder)
	for i := range c.changes {
		c.changes[i].Key = base.root + separator + c.changes[i].Key
	}
	return c.changes, nil
}

// inOrder sorts changes. Within an operation the parents come first, or last for
// those that go.
func inOrder(a, b Change) int {
	rank := [...]int{CreateKey: 2, CreateLink: 2, DeleteKey: 1, SetValue: 3, DeleteValue: 0}
	if order := cmp.Compare(rank[a.Op], rank[b.Op]); order != 0 || rank[a.Op] == 0 || rank[a.Op] == 3 {
		return order
	}
	order := cmp.Compare(a.Key.depth(), b.Key.depth())
	if a.Op == DeleteKey {
		return -order
	}
	return order
}

func (c *comparison) compareKeys() error {
	next := 0 // both files are in the same order where nobody sorted one of them
	for _, one := range c.to.keys {
		if next < len(c.base.keys) && bytes.Equal(one.path, c.base.keys[next].path) {
			if err := c.compareKey(next, one); err != nil {
				return err
			}
			next++
			continue
		}
		name, err := one.name()
		if err != nil {
			return err
		}
		at, known := c.base.index[name.fold()]
		switch {
		case known && at >= 0:
			err = c.compareKey(at, one)
			next = at + 1
		default:
			err = c.addKey(name, one, known)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compareKey compares a key that both have.
func (c *comparison) compareKey(at int, one key) error {
	if c.seen[at] {
		return malformed("the key %s is there twice", c.base.names[at])
	}
	c.seen[at] = true
	if bytes.Equal(one.body, c.base.keys[at].body) {
		return nil
	}
	path, err := one.name()
	if err != nil {
		return err
	}
	before, err := c.base.keys[at].content()
	if err != nil {
		return err
	}
	after, err := one.content()
	if err != nil {
		return err
	}
	switch {
	case before.link || after.link:
		return notInPlace(path, "a link")
	case before.class != after.class:
		return notInPlace(path, "a class")
	}
	for _, old := range before.values {
		if _, stays := after.byName[old.name.fold()]; !stays {
			c.changes = append(c.changes, Change{Op: DeleteValue, Key: path, Name: old.name})
		}
	}
	return c.setValues(path, before, after)
}

// setValues adds what is new or different in a key.
func (c *comparison) setValues(path Text, before, after *content) error {
	for _, one := range after.values {
		if at, known := before.byName[one.name.fold()]; known && bytes.Equal(before.values[at].raw, one.raw) {
			continue
		}
		kind, data, err := one.decode()
		if err != nil {
			return err
		}
		c.changes = append(c.changes, Change{SetValue, path, one.name, kind, data})
	}
	return nil
}

// addKey makes a key that base has no text of; it may have keys below it.
func (c *comparison) addKey(path Text, one key, exists bool) error {
	after, err := one.content()
	if err != nil {
		return err
	}
	if _, twice := c.added[path.fold()]; twice {
		return malformed("the key %s is there twice", path)
	}
	c.added[path.fold()] = after.link
	switch {
	case after.link:
		return c.addLink(path, after, exists)
	case after.class != "": // Wine 10 saves an empty one for what NtCreateKey is given
		return notInPlace(path, "a class")
	case !exists:
		c.changes = append(c.changes, Change{Op: CreateKey, Key: path})
	}
	return c.setValues(path, &content{}, after)
}

func (c *comparison) addLink(path Text, after *content, exists bool) error {
	if exists || after.class != "" || len(after.values) != 1 || after.values[0].name.fold() != ascii(linkValue).fold() {
		return notInPlace(path, "a link")
	}
	kind, target, err := after.values[0].decode()
	if err != nil {
		return err
	}
	if kind != regLink {
		return malformed("the link %s leads to a value of type %d", path, kind)
	}
	c.changes = append(c.changes, Change{Op: CreateLink, Key: path, Data: target})
	return nil
}

// deleteKeys finds what is in base only. A key that others lie below loses its
// values, one that leaves nothing below its parent takes the parent with it.
func (c *comparison) deleteKeys() error {
	if !slices.Contains(c.seen, false) {
		return nil
	}
	stay, err := c.to.present()
	if err != nil {
		return err
	}
	gone := map[Text]bool{}
	for i, seen := range c.seen {
		name := c.base.names[i]
		switch {
		case seen:
			continue
		case stay[name]:
			if err := c.emptyKey(i); err != nil {
				return err
			}
			continue
		}
		for ok := true; ok && !stay[name] && !gone[name]; name, ok = name.parent() {
			gone[name] = true
			c.changes = append(c.changes, Change{Op: DeleteKey, Key: name})
		}
	}
	return nil
}

// emptyKey takes all from a key that has no text of its own any more.
func (c *comparison) emptyKey(at int) error {
	before, err := c.base.keys[at].content()
	if err != nil {
		return err
	}
	if before.link || before.class != "" {
		return notInPlace(c.base.names[at], "a class or a link")
	}
	for _, old := range before.values {
		c.changes = append(c.changes, Change{Op: DeleteValue, Key: c.base.names[at], Name: old.name})
	}
	return nil
}

// present are all keys of a hive, folded.
func (h *Hive) present() (map[Text]bool, error) {
	all := make(map[Text]bool, 2*len(h.keys))
	for _, one := range h.keys {
		name, err := one.name()
		if err != nil {
			return nil, err
		}
		for name, ok := name.fold(), true; ok && !all[name]; name, ok = name.parent() {
			all[name] = true
		}
	}
	return all, nil
}

// checkLinks refuses what lies below a link: its path would lead elsewhere.
func (c *comparison) checkLinks() error {
	for _, change := range c.changes {
		for above, ok := change.Key.fold().parent(); ok; above, ok = above.parent() {
			if c.base.links[above] || c.added[above] {
				return notInPlace(change.Key, "what is below a link")
			}
		}
	}
	return nil
}
