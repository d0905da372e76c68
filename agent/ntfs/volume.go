// Package ntfs looks at a volume before the kernel does.
//
// Format: the boot sector, file records with their update sequences, attributes and mapping
// pairs as "NTFS Documentation" of the Linux-NTFS project describes them.
package ntfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	volumeRecord    = 3 // of $Volume
	bitmapRecord    = 6 // of $Bitmap
	sector          = 512
	informationType = 0x70
	dataType        = 0x80
	endType         = 0xffffffff
	dirty           = 0x0001
	maxCluster      = 2 << 20
	maxRecord       = 4 << 10
	maxRuns         = 64 // more are not worth to be found
)

var errShort = errors.New("it ends in the middle of an attribute")

// Extent is a part of a volume, in bytes.
type Extent struct{ Offset, Length int64 }

// Volume is one that nobody has mounted.
type Volume struct {
	content io.ReaderAt
	geometry
}

// geometry is what the boot sector tells.
type geometry struct {
	cluster, record int64 // bytes
	mft             int64 // where the first file record is
}

// Open reads a volume's boot sector.
func Open(content io.ReaderAt) (*Volume, error) {
	boot := make([]byte, sector)
	if _, err := content.ReadAt(boot, 0); err != nil {
		return nil, fmt.Errorf("read the boot sector: %w", err)
	}
	g, err := parseBoot(boot)
	if err != nil {
		return nil, err
	}
	return &Volume{content, g}, nil
}

// Bitmap tells where the map of clusters is.
func (v *Volume) Bitmap() ([]Extent, error) {
	attribute, err := v.attribute(bitmapRecord, dataType)
	if err != nil {
		return nil, err
	}
	pairs, err := mappingPairs(attribute)
	if err != nil {
		return nil, err
	}
	return runs(pairs, v.cluster)
}

// Dirty tells whether what was written last may be there in part.
func (v *Volume) Dirty() (bool, error) {
	attribute, err := v.attribute(volumeRecord, informationType)
	if err != nil {
		return false, err
	}
	at := int(binary.LittleEndian.Uint16(attribute[0x14:]))
	if attribute[8] != 0 || at+12 > len(attribute) {
		return false, errors.New("the information on the volume is damaged")
	}
	return binary.LittleEndian.Uint16(attribute[at+10:])&dirty != 0, nil
}

// attribute is the first unnamed one of a type in a file record.
func (v *Volume) attribute(number int64, kind uint32) ([]byte, error) {
	record := make([]byte, v.record)
	if _, err := v.content.ReadAt(record, v.mft+number*v.record); err != nil {
		return nil, fmt.Errorf("read file record %d: %w", number, err)
	}
	if err := undoUpdates(record); err != nil {
		return nil, fmt.Errorf("file record %d: %w", number, err)
	}
	found, err := find(record, kind)
	if err != nil {
		return nil, fmt.Errorf("file record %d: %w", number, err)
	}
	return found, nil
}

func parseBoot(boot []byte) (geometry, error) {
	if !bytes.Equal(boot[3:11], []byte("NTFS    ")) {
		return geometry{}, errors.New("the volume is not NTFS")
	}
	perSector := int64(binary.LittleEndian.Uint16(boot[0x0b:]))
	g := geometry{cluster: size(boot[0x0d], perSector)}
	g.record = size(boot[0x40], g.cluster)
	if g.cluster < sector || g.cluster > maxCluster || g.record < sector || g.record > maxRecord {
		return geometry{}, fmt.Errorf("the boot sector tells of clusters of %d bytes and file records of %d", g.cluster, g.record)
	}
	first := binary.LittleEndian.Uint64(boot[0x30:])
	if first > 1<<40 {
		return geometry{}, fmt.Errorf("the boot sector has the first file record in cluster %d", first)
	}
	g.mft = int64(first) * g.cluster
	return g, nil
}

// size is a number of units, or, where it is negative, a power of two in bytes.
func size(count byte, unit int64) int64 {
	if power := -int8(count); int8(count) < 0 && power >= 0 {
		return 1 << min(power, 62)
	}
	return int64(count) * unit
}

// undoUpdates puts back the last two bytes of each sector, for which an update's number stands.
func undoUpdates(record []byte) error {
	if !bytes.Equal(record[:4], []byte("FILE")) {
		return errors.New("there is none")
	}
	at, count := int(binary.LittleEndian.Uint16(record[4:])), int(binary.LittleEndian.Uint16(record[6:]))
	if count != len(record)/sector+1 || at+2*count > sector-2 {
		return errors.New("its update sequence is damaged")
	}
	number := record[at : at+2]
	for i := 1; i < count; i++ {
		last := record[i*sector-2 : i*sector]
		if !bytes.Equal(last, number) {
			return errors.New("it was not written to its end")
		}
		copy(last, record[at+2*i:])
	}
	return nil
}

// find returns an unnamed attribute with its header, which is 0x18 bytes at least.
func find(record []byte, wanted uint32) ([]byte, error) {
	for at := int(binary.LittleEndian.Uint16(record[0x14:])); at+4 <= len(record); {
		kind := binary.LittleEndian.Uint32(record[at:])
		if kind == endType {
			break
		}
		if at+8 > len(record) {
			return nil, errShort
		}
		length := int(binary.LittleEndian.Uint32(record[at+4:]))
		if length < 0x18 || length > len(record)-at {
			return nil, errShort
		}
		if attribute := record[at : at+length]; kind == wanted && attribute[9] == 0 {
			return attribute, nil
		}
		at += length
	}
	return nil, fmt.Errorf("it has no attribute of the type %#x", wanted)
}

// mappingPairs are those of an attribute whose content is elsewhere.
func mappingPairs(attribute []byte) ([]byte, error) {
	if attribute[8] == 0 || len(attribute) < 0x40 {
		return nil, errors.New("the map of clusters is not where it should be")
	}
	at := int(binary.LittleEndian.Uint16(attribute[0x20:]))
	if at > len(attribute) {
		return nil, errShort
	}
	return attribute[at:], nil
}

// runs decodes mapping pairs: how many clusters, and how far they begin behind those before.
func runs(pairs []byte, cluster int64) ([]Extent, error) {
	var found []Extent
	at := int64(0)
	for len(pairs) > 0 && pairs[0] != 0 {
		lengthSize, offsetSize := int(pairs[0]&0xf), int(pairs[0]>>4)
		end := 1 + lengthSize + offsetSize
		if end > len(pairs) || lengthSize == 0 || lengthSize > 8 || offsetSize == 0 || offsetSize > 8 || len(found) == maxRuns {
			return nil, errors.New("the mapping pairs of $Bitmap are damaged")
		}
		length := number(pairs[1 : 1+lengthSize])
		at += number(pairs[1+lengthSize : end])
		if length <= 0 || length > 1<<40 || at < 0 || at > 1<<40 {
			return nil, errors.New("the mapping pairs of $Bitmap lead to nowhere")
		}
		found = append(found, Extent{at * cluster, length * cluster})
		pairs = pairs[end:]
	}
	return found, nil
}

// number is signed, and its lowest byte comes first.
func number(encoded []byte) int64 {
	value := int64(int8(encoded[len(encoded)-1]))
	for i := len(encoded) - 2; i >= 0; i-- {
		value = value<<8 | int64(encoded[i])
	}
	return value
}
