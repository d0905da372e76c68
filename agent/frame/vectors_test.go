package frame

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

type vector struct {
	Name    string
	Input   []piece
	Expect  []outcome
	Pending int
}

// piece is a hex string or {"repeat": hex, "count": n}.
type piece []byte

func (p *piece) UnmarshalJSON(raw []byte) error {
	repeat := struct {
		Repeat string
		Count  int
	}{Count: 1}
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &repeat.Repeat); err != nil {
			return err
		}
	} else if err := json.Unmarshal(raw, &repeat); err != nil {
		return err
	}
	unit, err := hex.DecodeString(repeat.Repeat)
	*p = bytes.Repeat(unit, repeat.Count)
	return err
}

type outcome struct {
	Torn          string `json:"torn"`
	Type          Type   `json:"type"`
	Stream        uint32 `json:"stream"`
	Payload       string `json:"payload"`
	PayloadRepeat string `json:"payload_repeat"`
	PayloadCount  int    `json:"payload_count"`
}

func (o *outcome) normalize(t *testing.T) {
	if o.PayloadRepeat != "" {
		unit, err := hex.DecodeString(o.PayloadRepeat)
		if err != nil {
			t.Fatal(err)
		}
		o.Payload = hex.EncodeToString(bytes.Repeat(unit, o.PayloadCount))
		o.PayloadRepeat, o.PayloadCount = "", 0
	}
}

type recorder []outcome

func (r *recorder) Frame(f Frame) {
	*r = append(*r, outcome{Type: f.Type, Stream: f.Stream, Payload: hex.EncodeToString(f.Payload)})
}

func (r *recorder) Torn(why Tear) { *r = append(*r, outcome{Torn: string(why)}) }

func vectors(t *testing.T) []vector {
	raw, err := os.ReadFile("../../protocol/vectors/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	return file.Vectors
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			for i := range v.Expect {
				v.Expect[i].normalize(t)
			}
			input := bytes.Join(pieces(v.Input), nil)
			for _, size := range []int{len(input), 1, 7, 4096} {
				var d Decoder
				found := recorder{}
				for rest := input; len(rest) > 0; {
					n := min(size, len(rest))
					d.Feed(rest[:n], &found)
					rest = rest[n:]
				}
				if want := append(recorder{}, v.Expect...); !reflect.DeepEqual(found, want) {
					t.Errorf("in chunks of %d: found %v, want %v", size, found, want)
				}
				if len(d.pending) != v.Pending {
					t.Errorf("in chunks of %d: %d bytes pending, want %d", size, len(d.pending), v.Pending)
				}
			}
		})
	}
}

func pieces(input []piece) [][]byte {
	var all [][]byte
	for _, p := range input {
		all = append(all, p)
	}
	return all
}

func TestAppendMakesWhatTheDecoderReads(t *testing.T) {
	for _, v := range vectors(t) {
		if len(v.Input) != 1 || len(v.Expect) != 1 || v.Expect[0].Torn != "" {
			continue
		}
		payload, err := hex.DecodeString(v.Expect[0].Payload)
		if err != nil {
			t.Fatal(err)
		}
		if got := Append(nil, v.Expect[0].Type, v.Expect[0].Stream, payload); !bytes.Equal(got, v.Input[0]) {
			t.Errorf("%s: encoded %x, want %x", v.Name, got, []byte(v.Input[0]))
		}
	}
}

func TestResetForgetsAPartialFrame(t *testing.T) {
	var d Decoder
	found := recorder{}
	whole := Append(nil, Ping, 0, make([]byte, 8))
	d.Feed(whole[:12], &found)
	d.Reset()
	d.Feed(whole, &found)
	if len(found) != 1 || found[0].Type != Ping {
		t.Errorf("found %v, want one ping", found)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 1, 0, 0, 0, 0, End})
	f.Fuzz(func(t *testing.T, garbage []byte) {
		var d Decoder
		found := recorder{}
		d.Feed(garbage, &found)
		if len(d.pending) >= MaxSize {
			t.Errorf("%d bytes pending", len(d.pending))
		}
		resync := bytes.Repeat([]byte{Sentinel}, RunLength)
		d.Feed(Append(resync, Hello, 0, []byte("{}")), &found)
		if last := found[len(found)-1]; last.Type != Hello {
			t.Errorf("no hello after the resync: %v", last)
		}
	})
}
