package registry

import "bytes"

// Base is a registry that others are compared with: a Hive with what takes time
// to find out, so that it is found out before a guest is frozen.
type Base struct {
	*Hive
	text  []byte
	names []Text       // of the hive's keys, folded
	index map[Text]int // of the hive's keys by names, and -1 for those only above others
	links map[Text]bool
}

// ReadBase reads a file that will be compared with others.
func ReadBase(text []byte) (*Base, error) {
	hive, err := Read(text)
	if err != nil {
		return nil, err
	}
	b := &Base{Hive: hive, text: text, index: map[Text]int{}, links: map[Text]bool{}}
	for i, one := range hive.keys {
		name, err := one.name()
		if err != nil {
			return nil, err
		}
		content, err := one.content()
		if err != nil {
			return nil, err
		}
		name = name.fold()
		if at, ok := b.index[name]; ok && at >= 0 {
			return nil, malformed("the key %s is there twice", name)
		}
		b.names = append(b.names, name)
		b.index[name] = i
		b.links[name] = content.link
		for above, ok := name.parent(); ok; above, ok = above.parent() {
			if _, known := b.index[above]; known {
				break
			}
			b.index[above] = -1
		}
	}
	return b, nil
}

// Is tells whether a file is this one, byte by byte.
func (b *Base) Is(text []byte) bool { return bytes.Equal(b.text, text) }
