package wire

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// TestObservationsAreWhatTheHostReads replays the answers that the agent gives:
// each is the encoding of a value, and of no other.
func TestObservationsAreWhatTheHostReads(t *testing.T) {
	text, err := os.ReadFile("../../protocol/vectors/observations.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name, Op, Malformed string
			OK                  json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	replayed := 0
	for _, v := range file.Vectors {
		if v.Malformed != "" {
			continue
		}
		answer := any(&Processes{})
		if v.Op == "stats" {
			answer = &Usage{}
		}
		if err := json.Unmarshal(v.OK, answer); err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		encoded, err := json.Marshal(Respond(answer, nil))
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(`{"ok":`+string(v.OK)+`}`), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: encoded %v, want %v", v.Name, got, want)
		}
		replayed++
	}
	if replayed < 3 {
		t.Errorf("only %d vectors were replayed", replayed)
	}
}
