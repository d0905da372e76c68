package process

import (
	"bytes"
	"math/rand"
	"testing"

	"linwin/agent/frame"
)

// TestOutputKeepsEveryByte moves a stream of pieces of all sizes through an output
// whose session breaks off at random, and compares what comes out.
func TestOutputKeepsEveryByte(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	sizes := []int{1, 10, 4096, leastWhole, frame.MaxData - 1, frame.MaxData, 3 * frame.MaxData}
	buffer := make([]byte, frame.MaxSize)
	for round := range 50 {
		o := newOutput()
		o.hurry()
		var printed, received []byte
		attach := func() {
			o.Detach()
			received = received[:int(o.acked)+random.Intn(len(received)-int(o.acked)+1)]
			if err := o.Attach(uint64(len(received)), 1<<30, func() {}); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		attach()
		for range 200 {
			switch random.Intn(4) {
			case 0:
				piece := make([]byte, 1+random.Intn(sizes[random.Intn(len(sizes))]))
				random.Read(piece)
				printed = append(printed, piece...)
				o.append(piece)
			case 1:
				room := buffer
				if random.Intn(3) == 0 {
					room = buffer[frame.MaxSize-4<<10:] // behind others, in one write
				}
				encoded, eof := o.Next(room, 5)
				if eof {
					t.Fatalf("round %d: an end", round)
				}
				if encoded != nil {
					received = append(received, dataIn(t, encoded, uint64(len(received)))...)
				}
			case 2:
				if err := o.Credit(uint64(random.Intn(len(received)+1)), 1<<30); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			case 3:
				if random.Intn(10) == 0 {
					attach()
				}
			}
		}
		o.end()
		for {
			encoded, eof := o.Next(buffer, 5)
			if eof {
				break
			}
			received = append(received, dataIn(t, encoded, uint64(len(received)))...)
		}
		if err := o.Credit(uint64(len(received)), 0); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if !bytes.Equal(received, printed) {
			t.Fatalf("round %d: %d bytes came out of %d", round, len(received), len(printed))
		}
		if !o.Settled() || o.kept.blocks != nil {
			t.Errorf("round %d: something is kept", round)
		}
	}
}

// dataIn checks that encoded is one DATA frame at an offset and returns its bytes.
func dataIn(t *testing.T, encoded []byte, offset uint64) []byte {
	t.Helper()
	var d frame.Decoder
	var found collector
	d.Feed(encoded, &found)
	if len(found) != 1 || found[0].Type != frame.Data || found[0].Stream != 5 {
		t.Fatalf("no single DATA frame: %d found", len(found))
	}
	at, data := frame.SplitData(found[0].Payload)
	if at != offset {
		t.Fatalf("data at offset %d, expected %d", at, offset)
	}
	return bytes.Clone(data)
}

type collector []frame.Frame

func (c *collector) Frame(f frame.Frame) { *c = append(*c, f) }
func (c *collector) Torn(frame.Tear)     { *c = append(*c, frame.Frame{}) }
