package registry

import "encoding/binary"

// Encode lays changes out for the launcher: for each its operation, the type of
// its value, the sizes in bytes of key, name and data, 32 bits each, and those
// three, filled up to a multiple of four bytes; all little-endian.
func Encode(changes []Change) []byte {
	var encoded []byte
	number := func(n uint32) { encoded = binary.LittleEndian.AppendUint32(encoded, n) }
	for _, change := range changes {
		number(uint32(change.Op))
		number(change.Type)
		number(uint32(len(change.Key)))
		number(uint32(len(change.Name)))
		number(uint32(len(change.Data)))
		encoded = append(encoded, change.Key...)
		encoded = append(encoded, change.Name...)
		encoded = append(encoded, change.Data...)
		encoded = append(encoded, make([]byte, -len(encoded)&3)...)
	}
	return encoded
}
