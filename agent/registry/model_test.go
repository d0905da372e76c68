package registry

import (
	"fmt"
	"maps"
	"reflect"
	"testing"
)

// model is a registry in memory, by folded names, to try changes on.
type model map[Text]*modelKey

type modelKey struct {
	class  Text
	link   bool
	values map[Text]string
}

func shown(kind uint32, data []byte) string { return fmt.Sprintf("%d:%x", kind, data) }

// modelOf reads all of a hive, below its root.
func modelOf(t *testing.T, h *Hive) model {
	t.Helper()
	m := model{}
	for _, one := range h.keys {
		path, err := one.name()
		if err != nil {
			t.Fatal(err)
		}
		read, err := one.content()
		if err != nil {
			t.Fatal(err)
		}
		key := m.make((h.root + separator + path).fold())
		key.class, key.link = read.class, read.link
		for _, value := range read.values {
			kind, data, err := value.decode()
			if err != nil {
				t.Fatal(err)
			}
			key.values[value.name.fold()] = shown(kind, data)
		}
	}
	return m
}

// make makes a key and those above it.
func (m model) make(path Text) *modelKey {
	for above, ok := path, true; ok && above != ""; above, ok = above.parent() {
		if m[above] == nil {
			m[above] = &modelKey{values: map[Text]string{}}
		}
	}
	return m[path]
}

// change does what the launcher does, as Windows takes it.
func (m model) change(c Change) error {
	path := c.Key.fold()
	key := m[path]
	switch c.Op {
	case CreateKey, CreateLink:
		if key != nil {
			return fmt.Errorf("%s is there already", c.Key)
		}
		key = m.make(path)
		if key.link = c.Op == CreateLink; key.link {
			key.values[ascii(linkValue).fold()] = shown(regLink, c.Data)
		}
		return nil
	}
	if key == nil {
		return fmt.Errorf("%s is not there", c.Key)
	}
	name := c.Name.fold()
	switch c.Op {
	case SetValue:
		key.values[name] = shown(c.Type, c.Data)
	case DeleteValue:
		if _, ok := key.values[name]; !ok {
			return fmt.Errorf("%s has no value %s", c.Key, c.Name)
		}
		delete(key.values, name)
	case DeleteKey:
		for other := range maps.Keys(m) {
			if above, ok := other.parent(); ok && above == path {
				return fmt.Errorf("%s still has %s", c.Key, other)
			}
		}
		delete(m, path)
	}
	return nil
}

// checkChanges tries the changes between two files on a model of the first.
func checkChanges(t *testing.T, from, to []byte) []Change {
	t.Helper()
	base, err := ReadBase(from)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Read(to)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := Changes(base, other)
	if err != nil {
		t.Fatal(err)
	}
	was := modelOf(t, base.Hive)
	for _, change := range changes {
		if err := was.change(change); err != nil {
			t.Fatalf("%v: %v", change, err)
		}
	}
	// Only where the file ends at a key of one name are there no others above it.
	for _, name := range []Text{base.root, separator + ascii("REGISTRY").fold()} {
		was.make(name.fold())
	}
	is := modelOf(t, other)
	is.make(base.root.fold())
	if !reflect.DeepEqual(was, is) {
		t.Fatalf("the changes %v lead to %v, not to %v", changes, was, is)
	}
	return changes
}
